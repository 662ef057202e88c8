"""What runs at a node that answers: accepted code, with evidence bound to the node's own key."""

from __future__ import annotations

import datetime

import pytest

from coco_core.attestation import VirtualPlatform, evidence_extension
from coco_core.cli.judging import judge
from coco_core.crypto import Certificate, PrivateKey, endorse, read_certificate, self_signed
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import standing_claims, standing_report_data

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
SERVICE = PrivateKey.generate()
SERVICE_PEM = self_signed(SERVICE, "Service", not_before=START, not_after=START + DAY, ca=True)
NODE, OTHER, SEALING = (PrivateKey.generate() for _ in range(3))
CODE = "ab" * 32


def certificate(attested: PrivateKey | None, holder: PrivateKey = NODE) -> Certificate:
    """Return the certificate of ``holder`` with evidence for the key ``attested``."""
    extensions = {}
    if attested is not None:
        evidence = VirtualPlatform(CODE).attest(standing_report_data(attested.public, SEALING.public))
        extensions = evidence_extension(evidence, standing_claims(attested.public, SEALING.public))
    pem = endorse(
        holder.public,
        "Node",
        SERVICE,
        SERVICE_PEM,
        not_before=START,
        not_after=START + DAY,
        extensions=extensions,
    )
    return read_certificate(pem)


def test_accepted_code() -> None:
    verdict = judge(certificate(NODE), [f"Insecure_Virtual:{'0' * 64}", f"Insecure_Virtual:{CODE}"])
    assert (verdict.format, verdict.measurement, verdict.secure) == ("Insecure_Virtual", CODE, False)


@pytest.mark.parametrize("accepted", [[], [f"Insecure_Virtual:{'0' * 64}"], [f"Another:{CODE}"]])
def test_other_code(accepted: list[str]) -> None:
    with pytest.raises(AttestationError) as refused:
        judge(certificate(NODE), accepted)
    assert refused.value.code in {"measurement", "platform"}


def test_evidence_of_another_node() -> None:
    with pytest.raises(AttestationError) as refused:
        judge(certificate(OTHER), [f"Insecure_Virtual:{CODE}"])
    assert refused.value.code == "pubkey_hash"


def test_evidence_under_claims_it_was_not_made_for() -> None:
    evidence = VirtualPlatform(CODE).attest(standing_report_data(OTHER.public, SEALING.public))
    claims = standing_claims(NODE.public, SEALING.public)
    pem = endorse(
        NODE.public,
        "Node",
        SERVICE,
        SERVICE_PEM,
        not_before=START,
        not_after=START + DAY,
        extensions=evidence_extension(evidence, claims),
    )
    with pytest.raises(AttestationError) as refused:
        judge(read_certificate(pem), [f"Insecure_Virtual:{CODE}"])
    assert refused.value.code == "report_data"


def test_no_evidence() -> None:
    with pytest.raises(AttestationError, match="holds no evidence"):
        judge(certificate(None), [f"Insecure_Virtual:{CODE}"])


@pytest.mark.parametrize("text", ["", ":", CODE, "Insecure_Virtual:"])
def test_what_is_no_measurement(text: str) -> None:
    with pytest.raises(OperatorError, match="expected PLATFORM:HEX"):
        judge(certificate(NODE), [text])
