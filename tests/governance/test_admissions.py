"""What the ledger keeps of an admission: enough to reach the verdict again, and to see what was altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.attestation import VirtualPlatform, evidence_extension
from coco_core.crypto import endorse, read_certificate, service_id
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance import (
    AdmissionRecord,
    admission_writes,
    admit_certified,
    policy_of,
    policy_to_json,
    read_admissions,
    reaudit_admission,
    standing_claims,
    standing_report_data,
)
from coco_core.kv import Store, View, maps
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.consortium import ADMISSION, POLICY
from coco_core.wire.values import to_base64

CONSORTIUM = Consortium.of(3)
NODE = CONSORTIUM.identities[1]
SERVICE_ID = service_id(CONSORTIUM.service.certificate)
RECORD = CONSORTIUM.admissions([NODE.node_id], 1_700_000_000_000)[NODE.node_id]
ROW = admission_writes({NODE.node_id: RECORD})[maps.ADMISSIONS][NODE.node_id.encode()]
OTHER = "ab" * 32
VERIFIERS = ADMISSION.verifiers


def view_of(row: bytes) -> View:
    store = Store()
    store.append(1, {maps.ADMISSIONS: {NODE.node_id.encode(): row}})
    return store.head()


def reaudit(record: AdmissionRecord) -> None:
    reaudit_admission(NODE.node_id, record, SERVICE_ID, VERIFIERS, POLICY)


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    assert ROW is not None
    row = json.loads(ROW)
    change(row)
    return json.dumps(row).encode()


def test_row_holds_everything_the_verdict_follows_from() -> None:
    assert ROW is not None
    row = json.loads(ROW)
    assert row.keys() == {"evidence", "transcript", "judged_at", "policy", "verdict"}
    assert row["transcript"]["verifier"] == CONSORTIUM.identities[0].node_id
    assert row["verdict"] == {"platform": "Insecure_Virtual", "measurement": MEASUREMENT, "secure": False}
    assert read_admissions(view_of(ROW)) == {NODE.node_id: RECORD}
    reaudit(RECORD)


def attested(row: dict[str, Any], measurement: str) -> None:
    made = VirtualPlatform(measurement).attest(RECORD.proof.transcript.report_data)
    row["evidence"]["quote"] = to_base64(made.quote)


TAMPERED: dict[str, bytes] = {
    "verdict: measurement": altered(lambda row: row["verdict"].update(measurement=OTHER)),
    "verdict: platform": altered(lambda row: row["verdict"].update(platform="SGX")),
    "verdict: secure": altered(lambda row: row["verdict"].update(secure=True)),
    "policy": altered(lambda row: row.update(policy=OTHER)),
    "evidence of other code": altered(lambda row: attested(row, OTHER)),
    "evidence: format": altered(lambda row: row["evidence"].update(format="SGX")),
    "evidence: nothing": altered(lambda row: row["evidence"].update(quote="")),
    "transcript: service": altered(lambda row: row["transcript"].update(service_id=OTHER)),
    "transcript: role": altered(lambda row: row["transcript"].update(role="member")),
    "transcript: joiner": altered(lambda row: row["transcript"].update(joiner=OTHER)),
    "transcript: encryption key": altered(lambda row: row["transcript"].update(encryption_key=OTHER)),
    "transcript: verifier": altered(lambda row: row["transcript"].update(verifier=OTHER)),
    "transcript: nonce": altered(lambda row: row["transcript"].update(nonce="A" * 43 + "=")),
    "transcript: channel": altered(lambda row: row["transcript"].update(channel_binding="exporter")),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampered_row_is_found(what: str) -> None:
    (record,) = read_admissions(view_of(TAMPERED[what])).values()
    with pytest.raises(IntegrityError, match=f"admission of node {NODE.node_id}"):
        reaudit(record)


def test_row_of_another_node_service_or_policy() -> None:
    others = CONSORTIUM.identities[2].node_id
    with pytest.raises(IntegrityError, match="of another node"):
        reaudit_admission(others, RECORD, SERVICE_ID, VERIFIERS, POLICY)
    with pytest.raises(IntegrityError, match="of another node"):
        reaudit_admission(NODE.node_id, RECORD, OTHER, VERIFIERS, POLICY)
    wider = policy_of([("Insecure_Virtual", MEASUREMENT), ("Insecure_Virtual", OTHER)])
    assert policy_to_json(wider) != policy_to_json(POLICY)
    with pytest.raises(IntegrityError, match="by another policy than in force"):
        reaudit_admission(NODE.node_id, RECORD, SERVICE_ID, VERIFIERS, wider)


MALFORMED: dict[str, bytes] = {
    "no JSON": b"{",
    "a list": b"[]",
    "empty": b"{}",
    "time as text": altered(lambda row: row.update(judged_at="1")),
    "secure as text": altered(lambda row: row["verdict"].update(secure="yes")),
    "no verdict": altered(lambda row: row.pop("verdict")),
    "no transcript": altered(lambda row: row.pop("transcript")),
    "another version": altered(lambda row: row["transcript"].update(version="coco-join/0")),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_row(what: str) -> None:
    with pytest.raises(IntegrityError, match="malformed row"):
        read_admissions(view_of(MALFORMED[what]))


# ── in a certificate ─────────────────────────────────────────────────────────────────────────────


def certificate(number: int, claims: bytes, bound_to: bytes) -> str:
    node = read_certificate(NODE.certificate)
    return endorse(
        CONSORTIUM.identities[number].key.public,
        "Coco Node",
        CONSORTIUM.service.key,
        CONSORTIUM.service.certificate,
        not_before=node.not_before,
        not_after=node.not_after,
        extensions=evidence_extension(VirtualPlatform(MEASUREMENT).attest(bound_to), claims),
    )


CLAIMS = standing_claims(NODE.key.public, NODE.encryption_key.public)
BOUND = standing_report_data(NODE.key.public, NODE.encryption_key.public)


def test_evidence_in_a_certificate() -> None:
    made = read_certificate(certificate(1, CLAIMS, BOUND))
    verdict = admit_certified(made, VERIFIERS, POLICY, 0)
    assert (verdict.format, verdict.measurement, verdict.secure) == ("Insecure_Virtual", MEASUREMENT, False)


UNFIT: dict[str, tuple[str, str]] = {
    "of another key": ("pubkey_hash", certificate(2, CLAIMS, BOUND)),
    "with other claims": (
        "report_data",
        certificate(1, standing_claims(NODE.key.public, NODE.key.public), BOUND),
    ),
    "with claims that are none": ("malformed", certificate(1, b"claims", BOUND)),
    "for joining": (
        "report_data",
        certificate(1, CLAIMS, CONSORTIUM.proof(1).transcript.report_data),
    ),
    "missing": ("malformed", NODE.certificate),
}


@pytest.mark.parametrize("what", UNFIT)
def test_certificate_whose_evidence_does_not_hold(what: str) -> None:
    code, pem = UNFIT[what]
    with pytest.raises(AttestationError) as caught:
        admit_certified(read_certificate(pem), VERIFIERS, POLICY, 0)
    assert caught.value.code == code


def test_certificate_of_a_node_that_runs_something_else() -> None:
    made = read_certificate(certificate(1, CLAIMS, BOUND))
    with pytest.raises(AttestationError) as caught:
        admit_certified(made, VERIFIERS, policy_of([("Insecure_Virtual", OTHER)]), 0)
    assert caught.value.code == "measurement"
