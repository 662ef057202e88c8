"""Transaction processors for the node's event loop: ``start(...)``, and clients' messages handled.

Knows trio, and of the socket only the router's thread that serves it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Done, GiveUp, Processed, Unavailable
from coco_sawtooth.processors import (
    ClientMessage,
    ClientMessages,
    Dispatcher,
    Family,
    Job,
    Policy,
    envelope,
)
from coco_sawtooth.shell.router import NO_ANSWER, Handover, Router

SWITCH_INTERVAL_S: Final = 0.000_5
"""How long Python lets one thread go on while another waits: the router's waits at every message."""
_NOT_SERVED: Final = Unavailable("this node does not listen for transaction processors any longer")

_log: Final = logging.getLogger("coco.sawtooth")


class ProcessorHost:
    """Processors that connect to a component socket."""

    def __init__(
        self, endpoint: str, policy: Policy | None = None, clients: ClientMessages | None = None
    ) -> None:
        """Listen at ``endpoint`` at once (OperatorError when that fails), answer from ``serve`` on."""
        self._router = Router(endpoint, policy or Policy(), secrets.token_bytes(8))
        self._clients = clients
        self._waiting: dict[Job, Done] = {}
        self._is_over = False
        self._fault: BaseException | None = None
        self._ended = trio.Event()

    @property
    def endpoint(self) -> str:
        """Where processors and clients connect."""
        return self._router.endpoint

    def start(self, transaction: Transaction, context: Context, done: Done) -> Processed | GiveUp:
        """Have ``transaction`` processed by whoever is there for its family, as ``Processors`` says.

        The context belongs to the router's thread until ``done`` is told. When the socket is not served any
        more, everything is Unavailable.
        """
        if self._is_over:
            return _NOT_SERVED
        job = Job(transaction, context)
        self._waiting[job] = done
        self._router.command(partial(_submit, job))
        return partial(self._give_up, job)

    def _give_up(self, job: Job) -> None:
        if self._waiting.pop(job, None) is not None:
            self._router.command(partial(_withdraw, job))

    async def registered(self) -> dict[Family, int]:
        """Return how many processors each family has, when the router's thread gets to say so."""
        token, event = trio.lowlevel.current_trio_token(), trio.Event()
        found: dict[Family, int] = {}

        def look(dispatcher: Dispatcher, _now_ms: int) -> None:
            found.update(dispatcher.registered())
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

        self._router.command(look)
        await event.wait()
        return found

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the socket until cancelled; raises what the router's thread ended with."""
        token = trio.lowlevel.current_trio_token()
        # With 5 ms, Python's own, a busy event loop would make processors wait that long for each answer.
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        async with trio.open_nursery() as nursery:
            take: Callable[[], None]

            def wake() -> None:
                # When the event loop has ended there is nobody left to be told.
                with contextlib.suppress(trio.RunFinishedError):
                    token.run_sync_soon(take)

            handover = Handover(wake)
            take = partial(self._take, handover, nursery)
            self._router.start(handover)
            try:
                task_status.started()
                await self._ended.wait()
                nursery.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._router.stop)
                self._end()
        raise RuntimeError("the thread of the component socket ended") from self._fault

    def _take(self, handover: Handover, nursery: trio.Nursery) -> None:
        """Take what the thread handed over; runs on the event loop."""
        handover.begin()
        while handover.results:
            job, result = handover.results.popleft()
            done = self._waiting.pop(job, None)
            if done is not None:
                done(result)
        while handover.messages:
            self._handle(handover.messages.popleft(), handover, nursery)
        while handover.lost:
            identity = handover.lost.popleft()
            if self._clients is not None:
                self._clients.lost(identity)
        if handover.fault is not None and self._fault is None:
            self._fault = handover.fault
            self._ended.set()
            self._end()

    def _end(self) -> None:
        """Tell everybody who waits for a result that there will be none; the thread has ended."""
        self._is_over = True
        waiting = list(self._waiting.values())
        self._waiting.clear()
        for done in waiting:
            done(_NOT_SERVED)

    def _handle(self, message: ClientMessage, handover: Handover, nursery: trio.Nursery) -> None:
        if self._clients is None:
            handover.end(message)
            self._answer(message, NO_ANSWER, b"")
        elif not nursery.cancel_scope.cancel_called:
            nursery.start_soon(self._handle_one, self._clients, message, handover)

    async def _handle_one(self, clients: ClientMessages, message: ClientMessage, handover: Handover) -> None:
        is_answered = False

        def answer(message_type: int, content: bytes) -> None:
            nonlocal is_answered
            is_answered = True
            self._answer(message, message_type, content)

        try:
            await clients.handle(message, answer, partial(self._push, message.identity))
        except Exception:  # noqa: BLE001 - one client's message must not end the others'
            _log.exception("a message of a client, type %d, could not be handled", message.message_type)
        finally:
            handover.end(message)
        if not is_answered:
            self._answer(message, NO_ANSWER, b"")

    def _answer(self, message: ClientMessage, message_type: int, content: bytes) -> None:
        self._send(message.identity, envelope(message_type, message.correlation_id, content))

    def _push(self, identity: bytes, message_type: int, content: bytes) -> None:
        self._send(identity, envelope(message_type, secrets.token_hex(16), content))

    def _send(self, identity: bytes, frame: bytes) -> None:
        self._router.command(lambda dispatcher, _now_ms: dispatcher.outbox.append((identity, frame)))


def _submit(job: Job, dispatcher: Dispatcher, now_ms: int) -> None:
    dispatcher.submit(job, now_ms)


def _withdraw(job: Job, dispatcher: Dispatcher, _now_ms: int) -> None:
    dispatcher.withdraw(job)
