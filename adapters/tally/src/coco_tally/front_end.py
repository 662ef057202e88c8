"""How clients reach the tally: HTTP with one transaction a request.

``POST /`` with a transaction answers once it is committed; ``GET /COUNTER`` reads a total, ``GET /`` the
newest block. Knows requests and answers only; sockets, TLS and bounds are the node's.
"""

from __future__ import annotations

import json

from coco_core.adapter import (
    Committed,
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    PendingResponse,
    Rejected,
)
from coco_core.errors import BusyError, MalformedError


class FrontEnd:
    """The handler of the tally's HTTP port."""

    def __init__(self, service: LedgerService, *, counters: str, blocks: str) -> None:
        """Submit to ``service`` and read its maps of these names."""
        self._service = service
        self._counters = counters
        self._blocks = blocks

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer a question at once, a transaction when it is committed (see adapter.HTTPHandler)."""
        if request.method == "GET":
            return self._read(request.target.removeprefix("/").encode())
        if request.method != "POST":
            return _answer(405, error="expected GET or POST")
        try:
            submission = self._service.submit([request.body], caller=request.caller)
        except MalformedError as error:
            return _answer(400, error=str(error))
        except BusyError as error:
            return _answer(503, error=str(error))

        async def fate() -> HTTPResponse:
            (one,) = await submission.wait()
            if isinstance(one, Committed):
                return _answer(200, transaction_id=str(one.txid), total=int(one.receipt))
            if isinstance(one, Rejected):
                return _answer(422, code=one.code, error=one.message)
            return _answer(503, error=f"send it again: {one.reason}")

        return fate

    def _read(self, counter: bytes) -> HTTPResponse:
        view = self._service.view()
        if not counter:
            number, time_ms = (view.get(self._blocks, b"newest") or b"0 0").split()
            return _answer(200, block=int(number), time_ms=int(time_ms))
        total = view.get(self._counters, counter)
        if total is None:
            return _answer(404, error="nobody added to it")
        return _answer(200, total=int(total))


def _answer(status: int, **fields: str | int) -> HTTPResponse:
    return HTTPResponse(status=status, body=json.dumps(fields).encode())
