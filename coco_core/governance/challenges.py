"""The nonces a node gave out to those who want to join: each is good once, for one key, for a short time.

A bounded table: when it is full the oldest nonce is forgotten, and who holds it must ask for another.
Knows neither clock nor entropy.
"""

from __future__ import annotations

from typing import Final

import attrs

from coco_core.base import NodeID, limits
from coco_core.errors import AttestationError

LOST: Final = frozenset({"nonce_unknown", "nonce_expired"})
"""Codes of refusals that a joiner answers by asking for another nonce."""


@attrs.define
class _Issued:
    owner: NodeID
    expires_ms: int
    used: bool = False


class Challenges:
    """The nonces of one node."""

    def __init__(self) -> None:
        """Begin with none given out."""
        self._issued: dict[bytes, _Issued] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._issued)

    def issue(self, nonce: bytes, owner: NodeID, now_ms: int) -> None:
        """Remember that ``nonce`` was given to ``owner``."""
        # In order of issue, so the oldest come first; the used and expired are kept as long again, so
        # that who comes with one is told what is wrong with it.
        for one, issued in list(self._issued.items()):
            if issued.expires_ms + limits.NONCE_TTL_MS > now_ms and len(self._issued) < limits.NONCES_MAX:
                break
            del self._issued[one]
        self._issued[nonce] = _Issued(owner, now_ms + limits.NONCE_TTL_MS)

    def redeem(self, nonce: bytes, owner: NodeID, now_ms: int) -> None:
        """Take ``nonce`` back from ``owner``, for good; raises AttestationError when it is not valid."""
        issued = self._issued.get(nonce)
        if issued is None:
            raise AttestationError("this node gave no such nonce, or forgot it", code="nonce_unknown")
        if issued.owner != owner:
            raise AttestationError("the nonce was given to another node", code="nonce_owner")
        if issued.used:
            raise AttestationError("the nonce was used before", code="nonce_used")
        issued.used = True
        if now_ms >= issued.expires_ms:
            raise AttestationError(f"the nonce is older than {limits.NONCE_TTL_MS} ms", code="nonce_expired")
