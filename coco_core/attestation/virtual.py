"""The platform for development: proves nothing, and says so wherever it is used.

Its evidence carries the claims in the clear, unsigned. It has the same path through the system as
real evidence, so that everything around verification is exercised on any machine.
"""

from __future__ import annotations

import json
import re
from typing import Final

from coco_core.attestation.evidence import Evidence, Policy, Verdict
from coco_core.attestation.verifier import REPORT_DATA_SIZE_BYTES
from coco_core.base import invariant
from coco_core.errors import AttestationError

FORMAT: Final = "Insecure_Virtual"
_QUOTE_SIZE_MAX_BYTES: Final = 4096
_HEX_DIGEST: Final = re.compile("[0-9a-f]{64}")


class VirtualPlatform:
    """Makes evidence that anyone could make."""

    format = FORMAT

    def __init__(self, measurement: str) -> None:
        """Claim ``measurement`` (64 hex digits) as the running code's."""
        self.measurement = measurement

    def attest(self, report_data: bytes) -> Evidence:
        """Return unsigned evidence over ``report_data``."""
        invariant(len(report_data) == REPORT_DATA_SIZE_BYTES, "evidence is over 64 bytes")
        quote = json.dumps({"measurement": self.measurement, "report_data": report_data.hex()})
        return Evidence(format=FORMAT, quote=quote.encode())


class VirtualVerifier:
    """Checks what can be checked: form, measurement and binding; there is no signature."""

    format = FORMAT

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        """Return an insecure verdict; raises AttestationError as the contract says."""
        del now_s  # Nothing here expires.
        if evidence.format != FORMAT:
            raise AttestationError(
                f"evidence of format {evidence.format[:64]!r} is not virtual", code="format"
            )
        policy.check_platform(FORMAT)
        if len(evidence.quote) > _QUOTE_SIZE_MAX_BYTES:
            raise AttestationError("virtual evidence: quote is too long", code="size")
        try:
            quote = json.loads(evidence.quote)
        except (ValueError, RecursionError) as error:
            raise AttestationError("virtual evidence: quote is not JSON", code="malformed") from error
        measurement = quote.get("measurement") if isinstance(quote, dict) else None
        if not isinstance(measurement, str) or not _HEX_DIGEST.fullmatch(measurement):
            raise AttestationError("virtual evidence: no 32-byte measurement", code="malformed")
        if quote.get("report_data") != expected_report_data.hex():
            raise AttestationError(
                "virtual evidence: made for another key or purpose than is presented", code="report_data"
            )
        policy.check_measurement(FORMAT, measurement)
        return Verdict(format=FORMAT, measurement=measurement, secure=False)

    def check_policy(self, policy: Policy) -> None:
        """Refuse it for production, and rules it does not have; raises AttestationError (``policy``)."""
        if policy.production:
            raise AttestationError(f"{FORMAT} proves nothing: it is for development alone", code="policy")
        if policy.rules.get(FORMAT, "{}") != "{}":
            raise AttestationError(f"{FORMAT} knows no rules beside its code", code="policy")
