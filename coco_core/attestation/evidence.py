"""What a node presents to prove which code runs on which platform, and what a verifier concludes."""

from __future__ import annotations

from typing import Any

import attrs


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
    measurements: frozenset[str]
    """Accepted code measurements, lower-case hex."""


@attrs.frozen(kw_only=True)
class Verdict:
    """Evidence found acceptable, and the claims it proves."""

    format: str
    measurement: str
    """Lower-case hex of what was measured."""
    claims: dict[str, Any] = attrs.field(factory=dict)
    secure: bool = True
    """False for platforms that protect nothing; shown wherever the verdict is shown."""
