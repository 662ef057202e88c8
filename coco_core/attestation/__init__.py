"""PUBLIC DOOR for platforms: what a node presents, and who judges it. Knows no ledger, no network."""

from coco_core.attestation.certified import (
    CertifiedEvidence,
    evidence_extension,
    read_evidence,
    report_data,
)
from coco_core.attestation.evidence import Evidence, Policy, Verdict
from coco_core.attestation.hooks import (
    ENTRY_POINT_GROUP,
    PLATFORMS_ENTRY_POINT_GROUP,
    Examiner,
    Finding,
    PlatformOptions,
    PlatformPlugin,
    coco_register_examiners,
    coco_register_platforms,
    coco_register_verifiers,
    hookimpl,
)
from coco_core.attestation.known import known_examiners, known_verifiers
from coco_core.attestation.named_once import check_named_once
from coco_core.attestation.verifier import REPORT_DATA_SIZE_BYTES, Platform, Verifier
from coco_core.attestation.virtual import VirtualPlatform, VirtualVerifier

__all__ = [
    "CertifiedEvidence",
    "ENTRY_POINT_GROUP",
    "Evidence",
    "Examiner",
    "Finding",
    "PLATFORMS_ENTRY_POINT_GROUP",
    "Platform",
    "PlatformOptions",
    "PlatformPlugin",
    "Policy",
    "REPORT_DATA_SIZE_BYTES",
    "Verdict",
    "Verifier",
    "VirtualPlatform",
    "VirtualVerifier",
    "check_named_once",
    "coco_register_examiners",
    "coco_register_platforms",
    "coco_register_verifiers",
    "evidence_extension",
    "hookimpl",
    "known_examiners",
    "known_verifiers",
    "read_evidence",
    "report_data",
]
