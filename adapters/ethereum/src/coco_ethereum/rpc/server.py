"""The HTTP front end: one body in, its transactions submitted together, one body out.

``accept`` does only what must happen in order of arrival: it parses, and submits every
eth_sendRawTransaction of the body in one call, so that they stay together and in order. Everything
else happens when the answer is awaited: after the transactions are committed *on this node*, the
other calls are evaluated on one reading of the chain, and the answers are put in the calls' order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from coco_core.adapter import (
    TRANSACTION_IDS_HEADER,
    Caller,
    Committed,
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    NotCommitted,
    PendingResponse,
    Rejected,
    Submission,
    transaction_ids,
)
from coco_core.errors import BusyError, CallerError
from coco_ethereum.chain import read_config
from coco_ethereum.engine import EvmEngine
from coco_ethereum.limits import RPC_BODY_TIME_MAX_MS, RPC_RESPONSE_SIZE_MAX_BYTES
from coco_ethereum.rpc import errors, messages, values
from coco_ethereum.rpc.errors import RPCError
from coco_ethereum.rpc.filters import Filters
from coco_ethereum.rpc.gaps import NonceGaps
from coco_ethereum.rpc.messages import BadCall, Body, RPCCall
from coco_ethereum.rpc.methods import METHODS
from coco_ethereum.rpc.outside import Outside
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Slow
from coco_ethereum.rpc.transactions import SEND_RAW_TRANSACTION, is_unprotected, read_raw_transaction

_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": TRANSACTION_IDS_HEADER,
}
_PREFLIGHT: Final = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "600",
}
_CONTENT_TYPES: Final = frozenset(("", "application/json", "application/json-rpc", "application/jsonrequest"))
_GREETING: Final = b"Ethereum JSON-RPC: send requests with POST.\n"

CALLS_PER_TURN: Final = 16
"""Calls of one body evaluated before other tasks of the node get a turn."""

_TOO_LARGE: Final = RPCError(
    errors.RESPONSE_TOO_LARGE,
    f"response too large: a batch is answered with {RPC_RESPONSE_SIZE_MAX_BYTES} bytes",
)
_TIMED_OUT: Final = RPCError(errors.TIMED_OUT, f"request timed out: after {RPC_BODY_TIME_MAX_MS} ms")

_UNPROTECTED: Final = "only replay-protected (EIP-155) transactions allowed over RPC"

Fate = Committed | Rejected | NotCommitted | RPCError


class RPCServer:
    """An HTTPHandler that speaks Ethereum's JSON-RPC on any path."""

    def __init__(self, service: LedgerService, engine: EvmEngine, outside: Outside) -> None:
        """Serve the chain behind ``service``; calls run on ``engine``."""
        self._service = service
        self._engine = engine
        self._outside = outside
        self._filters = Filters(service.status().node_id)
        self._gaps = NonceGaps(service, outside)

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Begin one request: submit its transactions now, answer when they are committed."""
        if request.method != "POST":
            return _other_method(request.method)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _CONTENT_TYPES:
            return _text(415, b"invalid content type, only application/json is supported\n")
        try:
            body = messages.parse(request.body)
        except RPCError as error:
            return _json([messages.failure(None, error)], batch=False)
        sending = _Sending(self._service, body, request.caller)

        async def answer() -> HTTPResponse:
            fates = await sending.fates(self._gaps)
            answers = await self._answers(body, fates)
            return _json(answers, batch=body.batch, headers=_placed(fates.values()))

        return answer

    async def _answers(self, body: Body, fates: dict[int, Fate]) -> list[bytes]:
        """Answer a body's calls in order, those of its transactions even when a bound is exceeded."""
        evaluation = _Evaluation(self._service, self._engine, self._filters, self._outside)
        answers: list[bytes] = []
        for position, call in enumerate(body.calls):
            if position % CALLS_PER_TURN == CALLS_PER_TURN - 1:
                await self._outside.pause()
            if isinstance(call, BadCall):
                answers.append(messages.failure(call.id, call.error))
            elif call.notification:
                continue  # Beside sending, which has been done, no method does anything but answer.
            elif (fate := fates.get(position)) is not None:
                answers.append(_sent(call, fate))
            else:
                answers.append(await evaluation.answer(call, batch=body.batch))
        return answers


class _Evaluation:
    """The questions of one body: all on one reading of the chain, within bounds of time and bytes."""

    def __init__(self, service: LedgerService, engine: EvmEngine, filters: Filters, outside: Outside) -> None:
        self._service = service
        self._engine = engine
        self._filters = filters
        self._outside = outside
        self._reading: Reading | None = None
        self._until = outside.commits.now() + RPC_BODY_TIME_MAX_MS / 1000
        self._room = RPC_RESPONSE_SIZE_MAX_BYTES

    async def answer(self, call: RPCCall, *, batch: bool) -> bytes:
        """Answer one call. Raises nothing, for a body may hold transactions that are committed.

        The bound on bytes is one of batches, as geth's is: the answer to a single call is bounded by
        what its method may return, and refusing it would put what it names out of reach for ever.
        """
        if self._room < 0:
            return messages.failure(call.id, _TOO_LARGE)
        if self._outside.commits.now() > self._until:
            return messages.failure(call.id, _TIMED_OUT)
        try:
            answer, delivered = await self._evaluate(call)
        except RPCError as error:
            return messages.failure(call.id, error)
        except BusyError as error:
            return messages.failure(call.id, errors.not_now(f"busy, ask again: {error}"))
        except CallerError as error:
            # The state read has left the kept history while it was being read.
            return messages.failure(call.id, errors.server_error(str(error)))
        except Exception as error:  # noqa: BLE001 - one call's fault must not cost the answers of the others
            self._outside.report(error)
            return messages.failure(call.id, RPCError(errors.INTERNAL_ERROR, "internal error"))
        self._room -= len(answer)
        if batch and self._room < 0:
            return messages.failure(call.id, _TOO_LARGE)
        if delivered is not None:
            delivered()
        return answer

    async def _evaluate(self, call: RPCCall) -> tuple[bytes, Callable[[], None] | None]:
        method = METHODS.get(call.method)
        if method is None:
            name = values.shown(call.method)
            raise RPCError(errors.METHOD_NOT_FOUND, f"the method {name} does not exist/is not available")
        if self._reading is None:
            self._reading = Reading(self._service, self._engine, self._filters)
        result = method(self._reading, Params(call.params))
        if not isinstance(result, Slow):
            return messages.result(call.id, result), None
        work = result.work
        return await self._outside.worker(lambda: messages.result(call.id, work())), result.delivered


class _Sending:
    """The transactions of one body, submitted together when this is made."""

    def __init__(self, service: LedgerService, body: Body, caller: Caller) -> None:
        self._caller = caller
        self._fates: dict[int, Fate] = {}
        self._positions: list[int] = []
        self._submission: Submission | None = None
        self._payloads: list[bytes] = []
        for position, call in enumerate(body.calls):
            if isinstance(call, RPCCall) and call.method == SEND_RAW_TRANSACTION:
                try:
                    raw = read_raw_transaction(call.params)
                    if is_unprotected(raw) and not read_config(service.view()).allow_unprotected:
                        raise errors.server_error(_UNPROTECTED)
                except RPCError as error:
                    self._fates[position] = error
                else:
                    self._payloads.append(raw)
                    self._positions.append(position)
        if self._payloads:
            self._submit(service, self._payloads)

    def _submit(self, service: LedgerService, payloads: Sequence[bytes]) -> None:
        try:
            self._submission = service.submit(payloads, caller=self._caller)
        except BusyError as error:
            self._refuse(errors.not_now(f"busy, send it again: {error}"))
        except CallerError as error:
            self._refuse(errors.invalid_params(str(error)))

    def _refuse(self, error: RPCError) -> None:
        self._fates.update(dict.fromkeys(self._positions, error))

    async def fates(self, gaps: NonceGaps) -> dict[int, Fate]:
        """Return what became of each transaction, by position in the body, ascending."""
        if self._submission is not None:
            outcomes = await gaps.resolve(self._payloads, await self._submission.wait())
            self._fates.update(zip(self._positions, outcomes, strict=True))
        return dict(sorted(self._fates.items()))


def _sent(call: RPCCall, fate: Fate) -> bytes:
    if isinstance(fate, Committed):
        return messages.result(call.id, values.data(fate.receipt))
    if isinstance(fate, Rejected):
        return messages.failure(call.id, errors.rejected(fate))
    return messages.failure(call.id, errors.not_committed(fate) if isinstance(fate, NotCommitted) else fate)


def _placed(fates: Collection[Fate]) -> Mapping[str, str]:
    """Return the headers of an answer to such transactions."""
    if not fates:
        return _CORS
    return {**_CORS, **transaction_ids(fate.txid if isinstance(fate, Committed) else None for fate in fates)}


def _json(answers: Sequence[bytes], *, batch: bool, headers: Mapping[str, str] = _CORS) -> HTTPResponse:
    return HTTPResponse(body=messages.join(answers, batch=batch), headers=headers)


def _other_method(method: str) -> HTTPResponse:
    if method == "OPTIONS":
        return HTTPResponse(status=204, headers=_PREFLIGHT)
    if method in ("GET", "HEAD"):
        return _text(200, _GREETING)
    return _text(405, b"method not allowed\n")


def _text(status: int, body: bytes) -> HTTPResponse:
    return HTTPResponse(status=status, body=body, content_type="text/plain; charset=utf-8", headers=_CORS)
