"""The two halves of a platform: making evidence and judging it.

Both are Protocols; platforms register theirs. Verifying is pure: everything it depends on is an
argument, so that a verdict can be reached again, later, by anyone, from what the ledger recorded.
"""

from __future__ import annotations

from typing import Protocol

from coco_core.attestation.evidence import Evidence, Policy, Verdict


class Platform(Protocol):
    """What a node runs on."""

    @property
    def format(self) -> str:
        """The format of the evidence it makes."""
        ...

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 32 bytes of ``report_data``; may ask the hardware."""
        ...


class Verifier(Protocol):
    """Judges evidence of one format."""

    @property
    def format(self) -> str:
        """The format it understands."""
        ...

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        """Return the verdict; raises AttestationError naming the first rule that failed."""
        ...
