"""Who may use a ledger's front ends: what the consortium's tables say, asked at every request.

Knows tables and what came with a request; must not know sockets, nor what is asked.
"""

from __future__ import annotations

import attrs
import orjson

from coco_core.adapter import ANONYMOUS, Caller, HTTPRequest, HTTPResponse
from coco_core.errors import AttestationError
from coco_core.governance import ANYONE, KnownCallers, access_policy
from coco_core.kv import maps
from coco_core.node.clock import unix_ms
from coco_core.node.driver import Driver


@attrs.frozen
class Turned:
    """Why somebody is turned away, with the HTTP status that says so."""

    status: int
    reason: str

    def answer(self) -> HTTPResponse:
        """Return what they read."""
        return HTTPResponse(status=self.status, body=orjson.dumps({"error": self.reason}))


class Gate:
    """Admits clients to the ledgers of one node."""

    def __init__(self, driver: Driver) -> None:
        """Judge by the committed tables of ``driver``'s replica."""
        self._driver = driver
        self._known = KnownCallers()
        driver.watch(frozenset({maps.MEMBERS_CERTS, maps.USERS_CERTS}), self._known.people_changed)

    def admit(self, ledger: str, request: HTTPRequest) -> Caller | Turned:
        """Return who asks for ``ledger``, or why they may not."""
        view = self._driver.replica.chain.store.view()
        if view.get(maps.DISABLED_ADAPTERS, ledger.encode()) is not None:
            return Turned(503, f"ledger {ledger!r} is disabled by the consortium")
        if request.peer_certificate is not None or "authorization" in request.headers:
            now_s = unix_ms() // 1000
            try:
                return self._known.identify(view, request.peer_certificate, request.headers, now_s)
            except AttestationError as error:
                return Turned(401, str(error))
        if access_policy(view, ledger) != ANYONE:
            return Turned(401, "only participants may use this ledger: present a certificate or a token")
        return ANONYMOUS
