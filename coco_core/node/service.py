"""What the node offers to one adapter's front end: submit, read, serve."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import trio

from coco_core.adapter import (
    ANONYMOUS,
    Caller,
    Committed,
    HTTPHandler,
    HTTPRequest,
    HTTPResponse,
    NodeStatus,
    NotCommitted,
    PendingResponse,
    ReadView,
    Rejected,
    ScopedView,
    WebSocket,
    WebSocketAnswer,
    WebSocketClosedError,
)
from coco_core.base import limits
from coco_core.governance import read_configuration
from coco_core.node.admitting import Gate, Turned
from coco_core.node.driver import Driver, Fates
from coco_core.node.front_door import FrontDoor
from coco_core.node.websocket import POLICY
from coco_core.replica.events import Submitted


class PendingSubmission:
    """Requests on their way; waiting for them may be given up without losing them."""

    def __init__(self, size: int) -> None:
        """Wait for the fates of ``size`` requests."""
        self._size = size
        self._done = trio.Event()
        self._fates: Fates = ()

    def settle(self, fates: Fates) -> None:
        """Take the fates and wake whoever waits."""
        self._fates = fates
        self._done.set()

    async def wait(self) -> Sequence[Committed | Rejected | NotCommitted]:
        """Return the fate of every request, or that it is not known within SUBMISSION_TIMEOUT_MS."""
        with trio.move_on_after(limits.SUBMISSION_TIMEOUT_MS / 1000):
            await self._done.wait()
            return self._fates
        unknown = NotCommitted(f"no commit within {limits.SUBMISSION_TIMEOUT_MS} ms; it may still come")
        return [unknown] * self._size


class Tickets:
    """Names submissions of this node and brings answers to those who wait for them."""

    def __init__(self) -> None:
        """Start with none under way."""
        self._numbers = itertools.count(1)
        self._pending: dict[int, PendingSubmission] = {}

    def submit(
        self, driver: Driver, adapter: str, payloads: Sequence[bytes], caller: Caller
    ) -> PendingSubmission:
        """Hand payloads to the replica; raises MalformedError or BusyError, then nothing is queued."""
        ticket = next(self._numbers)
        submission = self._pending[ticket] = PendingSubmission(len(payloads))
        try:
            driver.feed(Submitted(ticket, adapter, payloads, caller))
        except BaseException:
            self._pending.pop(ticket, None)
            raise
        return submission

    def settle(self, ticket: int, fates: Fates) -> None:
        """Bring an answer to whoever waits for it."""
        submission = self._pending.pop(ticket, None)
        if submission is not None:
            submission.settle(fates)


class NodeLedgerService:
    """One adapter's window on its node."""

    def __init__(
        self,
        name: str,
        owned: frozenset[str],
        driver: Driver,
        tickets: Tickets,
        *,
        gate: Gate,
        front: FrontDoor,
    ) -> None:
        """Serve adapter ``name``, which owns ``owned``, to whoever comes to ``front``."""
        self._name = name
        self._owned = owned
        self._driver = driver
        self._tickets = tickets
        self._gate = gate
        self._front = front

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> PendingSubmission:
        """Queue native transactions (see adapter.LedgerService)."""
        return self._tickets.submit(self._driver, self._name, payloads, caller)

    def view(self, seqno: int | None = None) -> ReadView:
        """Return committed state (see adapter.LedgerService)."""
        return ScopedView(self._driver.replica.chain.store.view(seqno), self._owned)

    def configuration(self) -> Mapping[str, Any]:
        """Return what the consortium set (see adapter.LedgerService)."""
        return read_configuration(self._driver.replica.chain.store.view(), self._name)

    def status(self) -> NodeStatus:
        """Return a reading of the node."""
        return self._driver.replica.status()

    async def serve_http(self, handler: HTTPHandler) -> None:
        """Answer who comes to this adapter's port with ``handler`` until cancelled."""
        self._front.open(_Identified(self._name, handler, self._gate))
        await trio.sleep_forever()


class _Identified:
    """Says who asks before an adapter sees the request, and lets in only whom the consortium lets in."""

    def __init__(self, name: str, handler: HTTPHandler, gate: Gate) -> None:
        self._name = name
        self._handler = handler
        self._gate = gate

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        caller = self._admit(request)
        if isinstance(caller, Turned):
            return caller.answer()
        answer = self._handler.accept(attrs.evolve(request, caller=caller))
        if not isinstance(answer, WebSocketAnswer):
            return answer
        converse = answer.converse

        async def while_admitted(websocket: WebSocket) -> None:
            await converse(_AdmittedWebSocket(websocket, lambda: self._admit(request)))

        return attrs.evolve(answer, converse=while_admitted)

    def _admit(self, request: HTTPRequest) -> Caller | Turned:
        """Return who asks, or why they may not, by the tables as they are now."""
        return self._gate.admit(self._name, request)


class _AdmittedWebSocket:
    """A conversation that lasts while its client would still be let in: a request is over, this goes on."""

    def __init__(self, websocket: WebSocket, admit: Callable[[], Caller | Turned]) -> None:
        self._websocket = websocket
        self._admit = admit

    async def receive(self) -> str | bytes:
        message = await self._websocket.receive()
        await self._check()
        return message

    async def send(self, message: str | bytes) -> None:
        await self._check()
        await self._websocket.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._websocket.close(code, reason)

    async def _check(self) -> None:
        judged = self._admit()
        if isinstance(judged, Turned):
            await self._websocket.close(POLICY, judged.reason)
            raise WebSocketClosedError(POLICY, judged.reason)
