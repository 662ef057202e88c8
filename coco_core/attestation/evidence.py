"""What a node presents to prove which code runs on which platform, and what a verifier concludes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from coco_core.errors import AttestationError


@attrs.frozen(kw_only=True)
class Evidence:
    """A platform's statement over ``report_data``, with what is needed to check its signature chain."""

    format: str
    """Platform name, for example ``Insecure_Virtual``; picks the verifier."""
    quote: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    endorsements: bytes = attrs.field(default=b"", repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(kw_only=True)
class Policy:
    """Which evidence a network accepts: the code manifest and the TEE manifest in one value."""

    formats: frozenset[str]
    """Accepted platforms."""
    measurements: frozenset[tuple[str, str]]
    """Accepted code: platform and measurement, lower-case hex. What one platform calls a measurement another
    could claim without having measured anything."""
    minimum_tcb: Mapping[str, str] = attrs.field(factory=dict)
    """By platform, the oldest state of its firmware that is accepted, in the platform's own notation."""
    allowed_advisories: Mapping[str, frozenset[str]] = attrs.field(factory=dict)
    """By platform, the vendor's advisories that are accepted although they are not mended."""

    rules: Mapping[str, str] = attrs.field(factory=dict)
    """By platform, what only this kind has to be asked for: a JSON object in text, read by its verifier."""
    production: bool = False
    """Whether what protects nothing (virtual, simulated, debug) is refused, whatever else is said."""

    def check_secure(self, verdict: Verdict) -> None:
        """Check that a platform protects something where it has to; raises AttestationError."""
        if self.production and not verdict.secure:
            raise AttestationError(
                f"platform {verdict.format!r} protects nothing here: it is virtual, simulated or a debug "
                "build, and this policy is for production",
                code="insecure",
            )

    def check_platform(self, platform: str) -> None:
        """Check that a platform is accepted; raises AttestationError."""
        if platform not in self.formats:
            raise AttestationError(
                f"platform {platform[:64]!r} is not accepted by this network", code="platform"
            )

    def check_measurement(self, platform: str, measurement: str) -> None:
        """Check that code is accepted on a platform; raises AttestationError."""
        if (platform, measurement) not in self.measurements:
            raise AttestationError(
                f"code measurement {measurement[:128]} is not in the code manifest", code="measurement"
            )


@attrs.frozen(kw_only=True)
class Verdict:
    """Evidence found acceptable, and the claims it proves."""

    format: str
    measurement: str
    """Lower-case hex of what was measured."""
    claims: dict[str, Any] = attrs.field(factory=dict)
    secure: bool = True
    """False for platforms that protect nothing; shown wherever the verdict is shown."""
