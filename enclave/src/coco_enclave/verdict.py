"""What a verifier concludes, in the terms of attestation results (draft-ietf-rats-ar4si and -ear).

Pure values. A verdict says what was proved, by whose root, under which policy, and for how long.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs


class Status(StrEnum):
    """How far evidence is to be trusted; AR4SI's tiers, none of them a number here."""

    AFFIRMING = "affirming"
    """Genuine, and all as the policy asks."""
    WARNING = "warning"
    """Genuine, and accepted by the policy although something is not as it should be: ``notes`` say what."""
    CONTRAINDICATED = "contraindicated"
    """Refused; ``code`` says by which rule."""


@attrs.frozen(kw_only=True)
class Claims:
    """What evidence says of the platform and of the code, all of it signed."""

    platform: str
    measurement: str
    """Lower-case hex of what was measured: MRENCLAVE, MRTD, the launch measurement, …"""
    report_data: str
    """The 64 bytes the code chose, lower-case hex."""
    signer: str = ""
    """Who signed the code, lower-case hex, where a platform tells."""
    product: str = ""
    """The vendor's product the platform runs on, where it tells."""
    svn: int = 0
    """The code's own security version."""
    tcb: str = ""
    """State of the firmware, in the platform's notation."""
    tcb_status: str = ""
    """What the vendor says of that state, where it says anything."""
    advisories: tuple[str, ...] = ()
    debug: bool = False
    more: Mapping[str, Any] = attrs.field(factory=dict)
    """What only this platform has, as JSON values."""


@attrs.frozen(kw_only=True)
class Verdict:
    """The conclusion on one piece of evidence."""

    status: Status
    claims: Claims | None
    """None only in a refusal of what could not be read."""
    code: str = ""
    """The rule that refused, empty otherwise."""
    reason: str = ""
    """The refusal for a person."""
    notes: tuple[str, ...] = ()
    """Why it is a warning: ``tcb_status``, ``advisory``, ``debug``, ``simulator``, …"""
    anchor: str = ""
    """SHA-256 of the root certificate everything was checked against, lower-case hex."""
    policy: str = ""
    """The digest of the policy it was judged by."""
    valid_from_s: int | None = None
    """From when the same evidence and collateral give the same verdict, in seconds since 1970."""
    valid_until_s: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        claims = attrs.asdict(self.claims, recurse=False) if self.claims is not None else None
        if claims is not None:
            claims["advisories"] = list(claims["advisories"])
            claims["more"] = dict(claims["more"])
        return {
            "status": self.status.value,
            "code": self.code,
            "reason": self.reason,
            "notes": list(self.notes),
            "claims": claims,
            "anchor": self.anchor,
            "policy": self.policy,
            "validity": [self.valid_from_s, self.valid_until_s],
        }
