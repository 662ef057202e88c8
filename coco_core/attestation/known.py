"""The platforms this framework can judge."""

from __future__ import annotations

from collections.abc import Mapping

from coco_core.attestation.verifier import Verifier
from coco_core.attestation.virtual import VirtualVerifier


def known_verifiers() -> Mapping[str, Verifier]:
    """Return who judges evidence, by its format."""
    verifier = VirtualVerifier()
    return {verifier.format: verifier}
