"""Who may use a ledger's front ends: what the consortium's tables say, asked at every request.

Knows tables and what came with a request; must not know sockets, nor what is asked.
"""

from __future__ import annotations

import attrs
import orjson

from coco_core.adapter import ANONYMOUS, Caller, HTTPRequest, HTTPResponse
from coco_core.errors import AttestationError
from coco_core.governance import ANYONE, KnownCallers, access_policy
from coco_core.kv import View, maps


@attrs.frozen
class Turned:
    """Why somebody is turned away, with the HTTP status that says so."""

    status: int
    reason: str

    def answer(self) -> HTTPResponse:
        """Return what they read."""
        return HTTPResponse(status=self.status, body=orjson.dumps({"error": self.reason}))


def admit(view: View, ledger: str, request: HTTPRequest, now_s: int, known: KnownCallers) -> Caller | Turned:
    """Return who asks for ``ledger``, or why they may not; ``now_s`` is Unix time in seconds."""
    if view.get(maps.DISABLED_ADAPTERS, ledger.encode()) is not None:
        return Turned(503, f"ledger {ledger!r} is disabled by the consortium")
    if request.peer_certificate is not None or "authorization" in request.headers:
        try:
            return known.identify(view, request.peer_certificate, request.headers, now_s)
        except AttestationError as error:
            return Turned(401, str(error))
    if access_policy(view, ledger) != ANYONE:
        return Turned(401, "only participants may use this ledger: present a certificate or a token")
    return ANONYMOUS
