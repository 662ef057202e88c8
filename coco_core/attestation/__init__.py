"""PUBLIC DOOR for platforms: what a node presents, and who judges it. Knows no ledger, no network."""

from coco_core.attestation.evidence import Evidence, Policy, Verdict
from coco_core.attestation.verifier import Platform, Verifier
from coco_core.attestation.virtual import VirtualPlatform, VirtualVerifier

__all__ = ["Evidence", "Platform", "Policy", "Verdict", "Verifier", "VirtualPlatform", "VirtualVerifier"]
