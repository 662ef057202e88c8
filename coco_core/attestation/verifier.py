"""The two halves of a platform: making evidence and judging it.

Both are Protocols; platforms register theirs. Verifying is pure: everything it depends on is an
argument, so that a verdict can be reached again, later, by anyone, from what the ledger recorded.
"""

from __future__ import annotations

from typing import Final, Protocol

from coco_core.attestation.evidence import Evidence, Policy, Verdict

REPORT_DATA_SIZE_BYTES: Final = 64
"""What every platform signs beside what it measured: all of it is compared, not only a beginning."""


class Platform(Protocol):
    """What a node runs on."""

    @property
    def format(self) -> str:
        """The format of the evidence it makes."""
        ...

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over the 64 bytes ``report_data``; may ask the hardware, and take a while."""
        ...


class Verifier(Protocol):
    """Judges evidence of one format."""

    @property
    def format(self) -> str:
        """The format it understands."""
        ...

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        """Return the verdict; raises AttestationError whose ``code`` names the first rule that failed.

        Codes in the order of the rules: ``format``, ``platform``, ``size``, ``malformed``, ``report_data``,
        those of the platform (``signature``, …), ``measurement``.
        """
        ...

    def check_policy(self, policy: Policy) -> None:
        """Check that what a policy says of this platform can be read, and is fit for what the policy is for.

        A policy for production may accept nothing by which evidence would be judged insecure. Raises
        AttestationError (``policy``): for whoever sets a policy, before anybody is judged by it.
        """
        ...
