"""How evidence is judged, and what the ledger keeps of it so that anybody can reach the verdict again.

Pure: a verdict follows from evidence with its endorsements, what it must be bound to, policy and time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from coco_core.attestation import Evidence, Policy, Verdict, Verifier, read_evidence, report_data
from coco_core.base import NodeID, limits
from coco_core.crypto import Certificate, PublicKey
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance.json_values import MALFORMED, evidence_from_json, evidence_to_json
from coco_core.governance.policy import policy_digest
from coco_core.governance.transcripts import (
    JOINER,
    Transcript,
    check_standing_claims,
    standing_report_data,
    transcript_from_json,
    transcript_to_json,
)
from coco_core.governance.vouchers import Voucher, voucher_from_json, voucher_to_json
from coco_core.kv import View, Writes, maps
from coco_core.wire.values import text


@attrs.frozen(kw_only=True)
class Admission:
    """Who judges evidence, by its format."""

    verifiers: Mapping[str, Verifier]


@attrs.frozen(kw_only=True)
class JoinProof:
    """Evidence presented to join, and the transcript it must be bound to."""

    evidence: Evidence
    transcript: Transcript


@attrs.frozen(kw_only=True)
class AdmissionRecord:
    """How one node came to be admitted, as ``public:coco.gov.admissions`` keeps it."""

    proof: JoinProof
    judged_at_ms: int
    """The ledger's time at which endorsements counted as valid."""
    policy: str
    """The digest of the policy it was judged by."""
    platform: str
    measurement: str
    secure: bool
    voucher: Voucher | None = None
    """What let it in without a vote, in the place of another node."""


# ── judging ──────────────────────────────────────────────────────────────────────────────────────


def check_size(evidence: Evidence) -> None:
    """Check that evidence is within the bounds; raises AttestationError."""
    for what, data, bound in (
        ("quote", evidence.quote, limits.QUOTE_SIZE_MAX_BYTES),
        ("endorsements", evidence.endorsements, limits.ENDORSEMENTS_SIZE_MAX_BYTES),
    ):
        if len(data) > bound:
            raise AttestationError(f"{what} of {len(data)} bytes: the bound is {bound}", code="size")


def find_verifier(evidence: Evidence, verifiers: Mapping[str, Verifier]) -> Verifier:
    """Return who judges evidence of this format; raises AttestationError when nobody does."""
    verifier = verifiers.get(evidence.format)
    if verifier is None:
        raise AttestationError(f"no verifier for evidence of format {evidence.format[:64]!r}", code="format")
    return verifier


def admit(
    evidence: Evidence, expected: bytes, verifiers: Mapping[str, Verifier], policy: Policy, now_s: int
) -> Verdict:
    """Judge evidence that must be bound to ``expected`` (64 bytes); raises AttestationError.

    ``insecure`` when the policy is for production and the platform protects nothing, otherwise as
    ``Verifier.verify``.
    """
    check_size(evidence)
    verdict = find_verifier(evidence, verifiers).verify(evidence, policy, expected, now_s)
    policy.check_secure(verdict)
    return verdict


def check_policy(policy: Policy, verifiers: Mapping[str, Verifier]) -> None:
    """Check that a policy can be judged by; raises AttestationError (``policy``) saying what is wrong."""
    for platform in sorted(policy.formats):
        check_platform_policy(platform, policy, verifiers)
    unlisted = sorted({platform for platform, _ in policy.measurements} - policy.formats)
    if unlisted:
        raise AttestationError(
            f"code is listed for {unlisted[0][:64]!r}, which is not accepted", code="policy"
        )


def check_platform_policy(platform: str, policy: Policy, verifiers: Mapping[str, Verifier]) -> None:
    """Check what a policy says of one platform; raises AttestationError (``policy``) saying what is wrong."""
    verifier = verifiers.get(platform)
    if verifier is None:
        raise AttestationError(f"no platform {platform[:64]!r} is installed", code="policy")
    verifier.check_policy(policy)


def admit_certified(
    certificate: Certificate, verifiers: Mapping[str, Verifier], policy: Policy, now_s: int
) -> Verdict:
    """Judge the standing evidence in a node's certificate; raises AttestationError.

    What it says of keys must be of the certificate's own. Endorsements are not in a certificate.
    """
    found = read_evidence(certificate)
    check_standing_claims(found.claims, certificate.public_key)
    return admit(found.evidence, report_data(found.claims), verifiers, policy, now_s)


def judge_joiner(
    key: PublicKey,
    encryption_key: PublicKey,
    proof: JoinProof,
    standing: Evidence,
    verifiers: Mapping[str, Verifier],
    policy: Policy,
    now_ms: int,
) -> AdmissionRecord:
    """Judge a node that asks to join by its proof and its standing evidence; return what is recorded of it.

    Raises AttestationError.
    """
    transcript = proof.transcript
    if (transcript.role, transcript.joiner) != (JOINER, key.node_id()):
        raise AttestationError("the transcript is of another node's request", code="report_data")
    if transcript.encryption_key != encryption_key.fingerprint:
        raise AttestationError("the transcript is for another encryption key", code="report_data")
    verdict = admit(proof.evidence, transcript.report_data, verifiers, policy, now_ms // 1000)
    expected = standing_report_data(key, encryption_key)
    lasting = admit(standing, expected, verifiers, policy, now_ms // 1000)
    if (lasting.format, lasting.measurement) != (verdict.format, verdict.measurement):
        raise AttestationError("the standing evidence is of other code", code="measurement")
    return AdmissionRecord(
        proof=proof,
        judged_at_ms=now_ms,
        policy=policy_digest(policy),
        platform=verdict.format,
        measurement=verdict.measurement,
        secure=verdict.secure,
    )


def reaudit_admission(
    node_id: NodeID,
    record: AdmissionRecord,
    service_id: str,
    verifiers: Mapping[str, Verifier],
    policy: Policy,
) -> None:
    """Check that a recorded admission follows from what is recorded with it, and ``policy``, again.

    ``policy`` is the one in force when it was written, ``service_id`` names the service
    then (SHA-256 of its key). Raises IntegrityError saying what does not follow.
    """
    transcript = record.proof.transcript
    if (transcript.role, transcript.joiner, transcript.service_id) != (JOINER, node_id, service_id):
        raise IntegrityError(f"admission of node {node_id}: it is of another node, service or side")
    if record.policy != policy_digest(policy):
        raise IntegrityError(f"admission of node {node_id}: it was judged by another policy than in force")
    now_s = record.judged_at_ms // 1000
    try:
        verdict = admit(record.proof.evidence, transcript.report_data, verifiers, policy, now_s)
    except AttestationError as error:
        raise IntegrityError(f"admission of node {node_id}: {error.code}: {error}") from error
    told = (record.platform, record.measurement, record.secure)
    if told != (verdict.format, verdict.measurement, verdict.secure):
        raise IntegrityError(f"admission of node {node_id}: the verdict is another than recorded")


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def admission_writes(records: Mapping[NodeID, AdmissionRecord]) -> Writes:
    """Return the writes that record admissions by node."""
    if not records:
        return {}
    return {maps.ADMISSIONS: {name.encode(): _to_bytes(record) for name, record in records.items()}}


def read_admissions(view: View) -> dict[NodeID, AdmissionRecord]:
    """Return the recorded admissions; raises IntegrityError for malformed tables."""
    return {NodeID(key.decode()): _read(key, value) for key, value in view.items(maps.ADMISSIONS)}


def read_admission(view: View, node_id: NodeID) -> AdmissionRecord | None:
    """Return how a node was admitted, None if nothing tells; raises IntegrityError for a malformed row."""
    key = node_id.encode()
    value = view.get(maps.ADMISSIONS, key)
    return None if value is None else _read(key, value)


def _read(key: bytes, value: bytes) -> AdmissionRecord:
    try:
        return _from_bytes(value)
    except MALFORMED as error:
        raise IntegrityError(f"{maps.ADMISSIONS}: malformed row of node {key!r}: {error}") from error


def proof_to_json(proof: JoinProof) -> dict[str, Any]:
    """Return a proof as JSON values."""
    return {
        "evidence": evidence_to_json(proof.evidence),
        "transcript": transcript_to_json(proof.transcript),
    }


def proof_from_json(value: Mapping[str, Any]) -> JoinProof:
    """Read what proof_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    return JoinProof(
        evidence=evidence_from_json(value["evidence"]),
        transcript=transcript_from_json(value["transcript"]),
    )


def _to_bytes(record: AdmissionRecord) -> bytes:
    return json.dumps(
        {
            **proof_to_json(record.proof),
            "judged_at": record.judged_at_ms,
            "policy": record.policy,
            "verdict": {
                "platform": record.platform,
                "measurement": record.measurement,
                "secure": record.secure,
            },
            **({"voucher": voucher_to_json(record.voucher)} if record.voucher is not None else {}),
        }
    ).encode()


def _from_bytes(data: bytes) -> AdmissionRecord:
    value = orjson.loads(data)
    verdict = value["verdict"]
    if type(value["judged_at"]) is not int or type(verdict["secure"]) is not bool:
        raise TypeError("'judged_at' is a number, 'secure' true or false")
    return AdmissionRecord(
        proof=proof_from_json(value),
        judged_at_ms=value["judged_at"],
        policy=text(value["policy"]),
        platform=text(verdict["platform"]),
        measurement=text(verdict["measurement"]),
        secure=verdict["secure"],
        voucher=voucher_from_json(value["voucher"]) if "voucher" in value else None,
    )
