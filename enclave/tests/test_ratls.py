"""RA-TLS certificates of other software: whose key evidence is for, and that no part can be exchanged."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_enclave import EvidenceError, PlatformPolicy, TeeEvidence, TeePolicy, verify
from coco_enclave.anchors import INTEL_ANCHORS
from coco_enclave.ratls import RaTlsEvidence, check_key, read_certificate, read_extension
from coco_enclave.testing import SimulatedIntel, der

NOW_S = 1_790_000_000
KEY = der.sequence(b"\x05\x00")
NAMES = ("gramine-cert", "intel-sgxsdk-cert", "rats-tls-cert")
EXTENSION = der.oid("2.23.133.5.4.9")


def claims_of(key: bytes, **more: bytes) -> bytes:
    named = cbor2.dumps([1, hashlib.sha256(key).digest()])
    return cbor2.dumps({"pubkey-hash": named, **more})


def extension_of(quote: bytes, claims: bytes) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(60000, [quote, claims]))


def certificate_of(*extensions: bytes, key: bytes = KEY) -> bytes:
    listed = der.sequence(*(der.sequence(EXTENSION, der.octets(value)) for value in extensions))
    fields = [der.tagged(0xA0, der.integer(2)), der.integer(1), *[der.sequence(b"")] * 4, key]
    return der.sequence(der.sequence(*fields, der.tagged(0xA3, listed)), der.sequence(b""))


def sample(samples: Path, name: str) -> tuple[RaTlsEvidence, bytes]:
    pem = (samples / "ra-tls" / f"{name}.pem").read_text()
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    return read_certificate(base64.b64decode(body))


def code_of(data: TeeEvidence, expected: bytes) -> str:
    policy = PlatformPolicy(measurements=None, anchors=INTEL_ANCHORS)
    with pytest.raises(EvidenceError) as caught:
        verify(data, b"", TeePolicy(platforms={"sgx": policy}), expected, NOW_S)
    return caught.value.code


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
def test_published_certificates(name: str, samples: Path) -> None:
    found, key = sample(samples, name)
    assert found == read_extension((samples / "ra-tls" / f"{name}.evidence.cbor").read_bytes())
    check_key(found.claims, key)
    evidence = TeeEvidence(kind="sgx", quote=found.quote)
    # All three are genuine, and of debug builds.
    assert code_of(evidence, found.report_data) == "debug"
    changed = RaTlsEvidence(quote=found.quote, claims=found.claims + b"\0")
    assert code_of(evidence, changed.report_data) == "report_data"


@pytest.mark.shared
def test_published_evidence_with_another_certificates_key(samples: Path) -> None:
    found, _ = sample(samples, "gramine-cert")
    _, other = sample(samples, "rats-tls-cert")
    with pytest.raises(EvidenceError) as caught:
        check_key(found.claims, other)
    assert caught.value.code == "pubkey_hash"


def test_evidence_in_a_certificate_is_judged() -> None:
    intel = SimulatedIntel(NOW_S)
    claims = claims_of(KEY, nonce=b"n")
    bound = RaTlsEvidence(quote=b"", claims=claims).report_data
    found, key = read_certificate(certificate_of(extension_of(intel.sgx_quote(bound), claims)))
    check_key(found.claims, key)
    policy = TeePolicy(platforms={"sgx": intel.policy()})
    evidence = TeeEvidence(kind="sgx", quote=found.quote)
    assert verify(evidence, intel.collateral(), policy, found.report_data, NOW_S).claims
    # Without the nonce, or with one claim more, it is over something else.
    for other in (claims_of(KEY), claims_of(KEY, nonce=b"n", more=b"m")):
        expected = RaTlsEvidence(quote=found.quote, claims=other).report_data
        with pytest.raises(EvidenceError) as caught:
            verify(evidence, intel.collateral(), policy, expected, NOW_S)
        assert caught.value.code == "report_data"


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"\xff",
        cbor2.dumps([]),
        cbor2.dumps({}),
        cbor2.dumps({"pubkey-hash": 1}),
        cbor2.dumps({"pubkey-hash": b"\xff"}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps([2, b"digest"])}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps([1])}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps([1, "digest"])}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps(["1", b"digest"])}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps([[1], b"digest"])}),
        cbor2.dumps({"pubkey-hash": cbor2.dumps({1: b"digest"})}),
    ],
)
def test_claims_name_a_key(claims: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_key(claims, KEY)
    assert caught.value.code == "malformed"


@pytest.mark.parametrize("algorithm", [1, 7, 8])
def test_digests_may_be_longer(algorithm: int) -> None:
    digest = {1: hashlib.sha256, 7: hashlib.sha384, 8: hashlib.sha512}[algorithm](KEY).digest()
    claims = cbor2.dumps({"pubkey-hash": cbor2.dumps([algorithm, digest])})
    check_key(claims, KEY)
    with pytest.raises(EvidenceError) as caught:
        check_key(claims, KEY + b"\0")
    assert caught.value.code == "pubkey_hash"


MALFORMED = {
    "nothing": b"",
    "no certificate": b"\x30\x80",
    "no evidence": certificate_of(),
    "two pieces of evidence": certificate_of(extension_of(b"q", b"c"), extension_of(b"q", b"c")),
    "an extension that is no CBOR": certificate_of(b"\xff"),
    "something after the evidence": certificate_of(extension_of(b"q", b"c") + b"\0"),
    "another tag": certificate_of(cbor2.dumps(cbor2.CBORTag(60001, [b"q", b"c"]))),
    "no tag": certificate_of(cbor2.dumps([b"q", b"c"])),
    "a quote that is text": certificate_of(cbor2.dumps(cbor2.CBORTag(60000, ["q", b"c"]))),
    "claims that are text": certificate_of(cbor2.dumps(cbor2.CBORTag(60000, [b"q", "c"]))),
    "three parts": certificate_of(cbor2.dumps(cbor2.CBORTag(60000, [b"q", b"c", b"d"]))),
    "no key": der.sequence(der.sequence(der.integer(1)), der.sequence(b"")),
    "an extension without a value": der.sequence(
        der.sequence(*[der.integer(1)] * 6, der.tagged(0xA3, der.sequence(der.sequence(EXTENSION))))
    ),
    "no extensions": der.sequence(der.sequence(*[der.integer(1)] * 7), der.sequence(b"")),
    "a length of 127 bytes": b"\x30\xff" + b"\xff" * 127,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_certificate_is_refused(what: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        read_certificate(MALFORMED[what])
    assert caught.value.code == "malformed"


def test_a_certificate_of_the_first_version_says_none() -> None:
    value = der.octets(extension_of(b"quote", b"claims"))
    listed = der.sequence(der.sequence(EXTENSION, value))
    fields = [der.integer(1), *[der.sequence(b"")] * 4, KEY, der.tagged(0xA3, listed)]
    found, key = read_certificate(der.sequence(der.sequence(*fields), der.sequence(b"")))
    assert (found.quote, key) == (b"quote", KEY)


def test_large_certificate_is_refused() -> None:
    with pytest.raises(EvidenceError) as caught:
        read_certificate(bytes(65 * 1024))
    assert caught.value.code == "size"
    with pytest.raises(EvidenceError) as caught:
        read_extension(extension_of(bytes(65 * 1024), b""))
    assert caught.value.code == "size"


GOOD = certificate_of(extension_of(b"quote", claims_of(KEY)))


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8), st.integers(0, 8))
def test_mutated_certificate_raises_nothing_else(at: int, put: bytes, cut: int) -> None:
    try:
        found, key = read_certificate(GOOD[:at] + put + GOOD[at + cut :])
        check_key(found.claims, key)
    except EvidenceError as error:
        assert error.code in ("malformed", "pubkey_hash", "size")  # noqa: PT017 - most of them are refused
