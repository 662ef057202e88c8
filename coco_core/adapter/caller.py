"""Who asks for something. Knows no transport, and not how it was found out."""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen(kw_only=True)
class Caller:
    """Who asks.

    ``kind`` is ``anonymous``, ``member``, ``user`` (a participant), ``operator`` or ``jwt``. ``identity`` is
    the SHA-256 of the certificate in hex; for a user whose certificate an organisation issued,
    ``organisation's/own``; for a token ``issuer/subject``; empty for anybody.
    """

    kind: str = "anonymous"
    identity: str = ""


ANONYMOUS: Final = Caller()
