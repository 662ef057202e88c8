"""The front end for bundles: ``POST /bundles`` with transactions for several ledgers, one answer.

::

    {"transactions": [{"ledger": "ethereum", "payload": "0x02f8…"},    hexadecimal after 0x,
                      {"ledger": "sawtooth", "payload": "CoAB…"}]}     or base64

Answers once the bundle is committed here: where it is, its record, and for every transaction where that is,
what it claims, and its ledger's receipt. Whoever asks must be let in by every ledger it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
import orjson

from coco_core.adapter import (
    ANONYMOUS,
    BUNDLES,
    BundlePart,
    Caller,
    Committed,
    CommittedBundle,
    HTTPRequest,
    HTTPResponse,
    PendingResponse,
    Rejected,
    encode_bundle,
    read_bundle,
    read_bundle_receipt,
)
from coco_core.errors import BusyError, MalformedError
from coco_core.kv import maps
from coco_core.node.admitting import Gate, Turned
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets
from coco_core.wire.values import from_base64, text

_TARGET: Final = "/bundles"


@attrs.frozen
class BundleRoutes:
    """Takes bundles on behalf of one node."""

    driver: Driver
    tickets: Tickets
    gate: Gate

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer one request (see adapter.HTTPHandler)."""
        if request.target.partition("?")[0] != _TARGET:
            return _error(404, "not-found", f"bundles are posted to {_TARGET}")
        if request.method != "POST":
            return _error(405, "not-offered", f"{request.method} is not offered here: post a bundle")
        try:
            parts = _parts(request.body)
            caller = self._admit(parts, request)
            if isinstance(caller, Turned):
                return caller.answer()
            submission = self.tickets.submit(self.driver, BUNDLES, [encode_bundle(parts)], caller)
        except MalformedError as error:
            return _error(400, "malformed", str(error))
        except BusyError as error:
            return _error(503, "busy", str(error))

        async def answer() -> HTTPResponse:
            (fate,) = await submission.wait()
            if isinstance(fate, Committed):
                receipt = read_bundle_receipt(fate.receipt)
                return _json(200, CommittedBundle(txid=fate.txid, receipt=receipt).to_json())
            if isinstance(fate, Rejected):
                return _error(422, fate.code, fate.message)
            return _error(503, "not-committed", fate.reason)

        return answer

    def _admit(self, parts: Sequence[BundlePart], request: HTTPRequest) -> Caller | Turned:
        """Return who asks, if every ledger lets them in; raises MalformedError for one that is not here."""
        view = self.driver.replica.chain.store.view()
        caller = ANONYMOUS
        for ledger in sorted({part.ledger for part in parts}):
            if view.get(maps.ADAPTERS, ledger.encode()) is None:
                raise MalformedError(f"this service runs no ledger {ledger[:64]!r}")
            found = self.gate.admit(ledger, request)
            if isinstance(found, Turned):
                return found
            caller = found
        return caller


def _parts(body: bytes) -> tuple[BundlePart, ...]:
    """Read a bundle as clients write it; raises MalformedError."""
    try:
        rows = orjson.loads(body)["transactions"]
        parts = [BundlePart(text(row["ledger"]), _payload(row["payload"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError(f"not a bundle: {error!r}") from error
    return read_bundle(encode_bundle(parts))  # So that its bounds hold here as everywhere.


def _payload(value: Any) -> bytes:
    told = text(value)
    return bytes.fromhex(told[2:]) if told.startswith("0x") else from_base64(told)


def _error(status: int, code: str, message: str) -> HTTPResponse:
    return _json(status, {"error": {"code": code, "message": message}})


def _json(status: int, value: dict[str, Any]) -> HTTPResponse:
    return HTTPResponse(status=status, body=orjson.dumps(value))
