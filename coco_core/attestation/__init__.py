"""PUBLIC DOOR for platforms: what a node presents, and who judges it. Knows no ledger, no network."""

from coco_core.attestation.certified import (
    CertifiedEvidence,
    evidence_extension,
    read_evidence,
    report_data,
)
from coco_core.attestation.evidence import Evidence, Policy, Verdict
from coco_core.attestation.known import known_verifiers
from coco_core.attestation.verifier import REPORT_DATA_SIZE_BYTES, Platform, Verifier
from coco_core.attestation.virtual import VirtualPlatform, VirtualVerifier

__all__ = [
    "CertifiedEvidence",
    "Evidence",
    "Platform",
    "Policy",
    "REPORT_DATA_SIZE_BYTES",
    "Verdict",
    "Verifier",
    "VirtualPlatform",
    "VirtualVerifier",
    "evidence_extension",
    "known_verifiers",
    "read_evidence",
    "report_data",
]
