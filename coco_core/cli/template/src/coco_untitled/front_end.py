"""How clients reach the ledger: HTTP with one transaction a request.

``POST /`` with a transaction answers once it is committed; ``GET /NAME`` reads a record, ``GET /`` counts
them. Knows requests and answers only; sockets, TLS and bounds are the node's.
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
    """The handler of this ledger's HTTP port."""

    def __init__(self, service: LedgerService, records: str) -> None:
        """Submit to ``service`` and read its map ``records``."""
        self._service = service
        self._records = records

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
                return _answer(200, transaction_id=str(one.txid), record=one.receipt.decode())
            if isinstance(one, Rejected):
                return _answer(422, code=one.code, error=one.message)
            return _answer(503, error=f"send it again: {one.reason}")

        return fate

    def _read(self, name: bytes) -> HTTPResponse:
        view = self._service.view()
        if not name:
            return _answer(200, records=sum(1 for _ in view.items(self._records)))
        record = view.get(self._records, name)
        if record is None:
            return _answer(404, error="nobody registered it")
        return _answer(200, record=record.decode())


def _answer(status: int, **fields: str | int) -> HTTPResponse:
    return HTTPResponse(status=status, body=json.dumps(fields).encode())
