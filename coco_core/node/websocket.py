"""One WebSocket conversation on trio: a listening task beside the adapter's own, within the node's bounds.

The listening task answers pings, asks the silent whether they are there, and stops reading while the adapter
does not take what came. Everything held for the peer counts among the node's unfinished bytes.
"""

from __future__ import annotations

import contextlib
import functools
import math
import ssl
from collections.abc import Callable
from typing import Final

import structlog
import trio

from coco_core.adapter import WebSocketAnswer, WebSocketClosedError
from coco_core.base import limits
from coco_core.node.capacity import UnfinishedBytes
from coco_core.wire.websocket import SENDABLE, Ended, Ping, WebSocketCodec

RECEIVE_BYTES: Final = 64 * 1024
CONNECTION_ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError)
NORMAL, ABNORMAL, POLICY, FAULT, TRY_AGAIN = 1000, 1006, 1008, 1011, 1013
_PING_S = limits.WEBSOCKET_PING_MS / 1000
_IDLE_S = limits.HTTP_IDLE_TIMEOUT_MS / 1000
_MESSAGE_S = limits.HTTP_REQUEST_TIMEOUT_MS / 1000
_CLOSING_S = limits.WEBSOCKET_CLOSING_MS / 1000

_log = structlog.get_logger("coco.http")


class Conversation:
    """The node's side of a WebSocket; to the adapter it is its WebSocket."""

    def __init__(self, stream: trio.abc.Stream, message_max_bytes: int, unfinished: UnfinishedBytes) -> None:
        """Converse on ``stream``, on which hands were shaken."""
        self._stream = stream
        self._codec = WebSocketCodec(message_max_bytes)
        self._sending = trio.Lock()
        self._unfinished = unfinished
        self._waiting_bytes = 0
        self._held = 0
        self._arrivals, self._arrived = trio.open_memory_channel[str | bytes](
            limits.WEBSOCKET_WAITING_MESSAGES_MAX
        )
        self._broken = False
        self._over = trio.Event()
        self._end = Ended(ABNORMAL, "", by_peer=True)

    # --- what the adapter holds ---------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """Return the next message (see adapter.WebSocket)."""
        try:
            message = await self._arrived.receive()
        except trio.EndOfChannel:
            raise self._closed() from None
        self._account(-len(message))
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message (see adapter.WebSocket)."""
        await self._write(lambda: self._codec.message(message))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say good-bye (see adapter.WebSocket)."""
        await self._write(lambda: self._codec.close(code, reason))

    # --- the node's side ------------------------------------------------------------------------------

    async def run(self, answer: WebSocketAnswer, received: bytes) -> None:
        """Run the adapter's side until it ends; ``received`` came behind the handshake."""
        try:
            async with trio.open_nursery() as nursery:
                conversing = trio.CancelScope()
                nursery.start_soon(self._listen, received)
                nursery.start_soon(self._end_soon, conversing)
                with conversing:
                    await self._take_leave(await self._converse(answer))
                nursery.cancel_scope.cancel()
        finally:
            self._unfinished.held -= self._held

    async def _converse(self, answer: WebSocketAnswer) -> int:
        """Run the adapter's side; return with which code to close."""
        try:
            await answer.converse(self)
        except WebSocketClosedError:
            pass
        except Exception:  # noqa: BLE001 - the handler's fault costs the caller this conversation only
            _log.exception("conversation failed")
            return FAULT
        return NORMAL

    async def _take_leave(self, code: int) -> None:
        """Close, and wait a while for the peer to do the same, so that it reads what was sent before."""
        self._arrived.close()
        with trio.move_on_after(_CLOSING_S), contextlib.suppress(WebSocketClosedError):
            await self._write(lambda: self._codec.close(code), closing=True)
            await self._over.wait()

    async def _end_soon(self, conversing: trio.CancelScope) -> None:
        """Give an adapter whose peer is gone time to end."""
        await self._over.wait()
        await trio.sleep(_CLOSING_S)
        conversing.cancel()

    async def _listen(self, data: bytes) -> None:
        """Read until the peer ends the conversation or loses its place in it, and say which."""
        try:
            with contextlib.suppress(WebSocketClosedError):
                self._end = end = await self._hear(data)
                code = end.code if end.code in SENDABLE or end.code >= 3000 else NORMAL
                await self._write(lambda: self._codec.close(code, end.reason), closing=True)
        finally:
            self._arrivals.close()
            self._over.set()
        if not self._end.by_peer:
            # Whatever is not read would make the system reset the connection before the peer reads why.
            with trio.move_on_after(_CLOSING_S), contextlib.suppress(*CONNECTION_ENDED):
                while await self._stream.receive_some(RECEIVE_BYTES):
                    pass

    async def _hear(self, data: bytes) -> Ended:
        begun: float | None = None
        while True:
            before = self._held
            ended, whole = await self._take(data)
            if ended is not None:
                return ended
            if whole:
                begun = None
            self._account()
            if self._unfinished.exceeded and self._held > before:
                return Ended(TRY_AGAIN, "too much is arriving at once: send again later", by_peer=False)
            if not self._codec.unfinished_bytes:
                begun = None
            elif begun is None:
                begun = trio.current_time()
            try:
                data = await self._receive(begun)
            except trio.TooSlowError as error:
                return Ended(POLICY, str(error), by_peer=False)
            except CONNECTION_ENDED:
                data = b""
            if not data:
                return Ended(ABNORMAL, "the connection broke", by_peer=True)

    async def _take(self, data: bytes) -> tuple[Ended | None, bool]:
        """Take what arrived; return the end if that is in it, and whether a message became whole.

        With this frame goes the last message: a conversation that is idle keeps none.
        """
        whole = False
        for arrived in self._codec.feed(data):
            match arrived:
                case Ended():
                    return arrived, whole
                case Ping():
                    await self._write(functools.partial(self._codec.pong, arrived))
                case _:
                    whole = True
                    await self._hand_over(arrived)
        return None, whole

    async def _hand_over(self, message: str | bytes) -> None:
        self._account(len(message))
        # Once the adapter's side is over nobody takes what still comes.
        with contextlib.suppress(trio.BrokenResourceError):
            await self._arrivals.send(message)

    async def _receive(self, begun: float | None) -> bytes:
        """Return the next bytes; raises TooSlowError for a peer that is silent, or a message that drips."""
        silent_since, asked = trio.current_time(), False
        in_time = math.inf if begun is None else begun + _MESSAGE_S
        while True:
            patience = silent_since + (_IDLE_S if asked else _PING_S)
            with trio.move_on_at(min(patience, in_time)):
                return bytes(await self._stream.receive_some(RECEIVE_BYTES))
            if trio.current_time() >= in_time:
                raise trio.TooSlowError("the message did not arrive in time")
            if asked:
                raise trio.TooSlowError("no answer to a ping")
            asked = True
            await self._write(self._codec.ping)

    async def _write(self, render: Callable[[], bytes], *, closing: bool = False) -> None:
        """Send a frame; raises WebSocketClosedError when the peer is gone, closed or does not read."""
        async with self._sending:
            if self._broken or not (closing or self._codec.open):
                raise self._closed()
            data = render()
            self._broken = True
            try:
                with trio.fail_after(_IDLE_S):
                    await self._stream.send_all(data)
                self._broken = False
            except trio.TooSlowError:
                self._end = Ended(ABNORMAL, "what was sent was not read in time", by_peer=True)
                raise self._closed() from None
            except CONNECTION_ENDED:
                raise self._closed() from None
            finally:
                if self._broken:
                    # Part of a frame may be written: nothing can follow it, and the listening task shall end.
                    await trio.aclose_forcefully(self._stream)

    def _closed(self) -> WebSocketClosedError:
        return WebSocketClosedError(self._end.code, self._end.reason)

    def _account(self, change: int = 0) -> None:
        """Count what is held for the peer: what arrived and was not taken, and what is not complete."""
        self._waiting_bytes += change
        held = self._waiting_bytes + self._codec.unfinished_bytes
        self._unfinished.held += held - self._held
        self._held = held
