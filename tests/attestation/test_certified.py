"""Evidence in a certificate: what comes back, and what is none."""

from __future__ import annotations

import datetime

import cbor2
import pytest

from coco_core.attestation import (
    CertifiedEvidence,
    Evidence,
    VirtualPlatform,
    evidence_extension,
    read_evidence,
    report_data,
)
from coco_core.attestation.certified import EXTENSION_OID
from coco_core.base import limits
from coco_core.crypto import Certificate, endorse, read_certificate, self_signed
from coco_core.errors import AttestationError
from coco_core.testing import MEASUREMENT, derived_key
from coco_core.wire import cbor

CLAIMS = b"claims"
EVIDENCE = VirtualPlatform(MEASUREMENT).attest(report_data(CLAIMS))
START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
SERVICE = self_signed(derived_key(7), "Service", not_before=START, not_after=END, ca=True)


def certificate(extensions: dict[str, bytes]) -> Certificate:
    pem = endorse(
        derived_key(8).public,
        "Node",
        derived_key(7),
        SERVICE,
        not_before=START,
        not_after=END,
        extensions=extensions,
    )
    return read_certificate(pem)


def test_evidence_comes_back() -> None:
    made = certificate(evidence_extension(EVIDENCE, CLAIMS))
    assert read_evidence(made) == CertifiedEvidence(EVIDENCE, CLAIMS)
    (extension,) = [one for one in made.x509.extensions if one.oid.dotted_string == EXTENSION_OID]
    assert not extension.critical
    value = cbor2.loads(made.extension(EXTENSION_OID) or b"")
    assert (value.tag, list(value.value)) == (60000, [EVIDENCE.quote, CLAIMS, "Insecure_Virtual"])


def test_quote_that_does_not_fit_is_left_out() -> None:
    fits = Evidence(format="F", quote=bytes(limits.CERTIFICATE_QUOTE_MAX_BYTES))
    assert read_evidence(certificate(evidence_extension(fits, CLAIMS))).evidence == fits
    large = Evidence(format="F", quote=bytes(limits.CERTIFICATE_QUOTE_MAX_BYTES + 1))
    assert evidence_extension(large, CLAIMS) == {}


def tagged(value: object, tag: int = 60000) -> bytes:
    return cbor.encode(cbor2.CBORTag(tag, value))


NONE: dict[str, dict[str, bytes]] = {
    "nothing": {},
    "empty": {EXTENSION_OID: b""},
    "no CBOR": {EXTENSION_OID: b"\xff"},
    "no tag": {EXTENSION_OID: cbor.encode([b"q", b"c", "f"])},
    "another tag": {EXTENSION_OID: tagged([b"q", b"c", "f"], 60001)},
    "no list": {EXTENSION_OID: tagged(b"q")},
    "two items": {EXTENSION_OID: tagged([b"q", b"c"])},
    "four items": {EXTENSION_OID: tagged([b"q", b"c", "f", b""])},
    "text for bytes": {EXTENSION_OID: tagged(["q", b"c", "f"])},
    "more behind": {EXTENSION_OID: tagged([b"q", b"c", "f"]) + b"\0"},
}


@pytest.mark.parametrize("fault", NONE)
def test_certificate_without_proper_evidence(fault: str) -> None:
    with pytest.raises(AttestationError) as caught:
        read_evidence(certificate(NONE[fault]))
    assert caught.value.code == "malformed"
