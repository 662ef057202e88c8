"""The bounds of a WebSocket conversation, and what breaks its protocol, over streams of the test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from wsproto import events
from wsproto.connection import Connection, ConnectionType

from coco_core.adapter import ANONYMOUS, Caller, WebSocket, WebSocketAnswer, WebSocketClosedError
from coco_core.base import limits
from coco_core.node.admitting import Turned
from coco_core.node.capacity import UnfinishedBytes
from coco_core.node.service import _AdmittedWebSocket
from coco_core.node.websocket import Conversation

MESSAGE_MAX = 1000


class Peer:
    """The client's end of a conversation, frame by frame."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.frames = Connection(ConnectionType.CLIENT)

    async def send(self, *sent: events.Event) -> None:
        await self.stream.send_all(b"".join(map(self.frames.send, sent)))

    async def until_closed(self) -> list[events.Event]:
        seen: list[events.Event] = []
        while data := await self.stream.receive_some():
            self.frames.receive_data(bytes(data))
            seen += self.frames.events()
        return seen


@asynccontextmanager
async def conversing(
    converse: Callable[[WebSocket], Awaitable[None]],
    unfinished: UnfinishedBytes | None = None,
    streams: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] = trio.testing.memory_stream_pair,
) -> AsyncIterator[Peer]:
    near, far = streams()
    held = unfinished or UnfinishedBytes()

    async def run() -> None:
        await Conversation(far, MESSAGE_MAX, held).run(WebSocketAnswer(converse=converse), b"")
        await far.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield Peer(near)
    assert held.held == 0


async def receive_for_ever(websocket: WebSocket) -> None:
    while True:
        await websocket.receive()


async def test_the_silent_are_pinged_and_left(autojump_clock: trio.testing.MockClock) -> None:
    async with conversing(receive_for_ever) as peer:
        seen = await peer.until_closed()
    assert seen == [events.Ping(), events.CloseConnection(code=1008, reason="no answer to a ping")]
    assert trio.current_time() == pytest.approx(limits.HTTP_IDLE_TIMEOUT_MS / 1000)


async def test_who_answers_pings_may_stay(autojump_clock: trio.testing.MockClock) -> None:
    async with conversing(receive_for_ever) as peer:
        while trio.current_time() < 3 * limits.HTTP_IDLE_TIMEOUT_MS / 1000:
            peer.frames.receive_data(bytes(await peer.stream.receive_some()))
            (ping,) = peer.frames.events()
            assert isinstance(ping, events.Ping)
            await peer.send(ping.response())
        await peer.send(events.CloseConnection(code=1001, reason="going"))
        assert await peer.until_closed() == [events.CloseConnection(code=1001, reason="going")]


async def test_messages_that_drip_in_lose_their_place(autojump_clock: trio.testing.MockClock) -> None:
    async with conversing(receive_for_ever) as peer, trio.open_nursery() as nursery:

        async def drip() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await peer.send(events.TextMessage(data="x", message_finished=False))
                    await trio.sleep(limits.WEBSOCKET_PING_MS / 2000)

        nursery.start_soon(drip)
        *_, closed = await peer.until_closed()
        assert closed == events.CloseConnection(code=1008, reason="the message did not arrive in time")
        nursery.cancel_scope.cancel()
    assert trio.current_time() >= limits.HTTP_REQUEST_TIMEOUT_MS / 1000


async def test_who_does_not_read_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    ended: list[str] = []

    async def flood(websocket: WebSocket) -> None:
        try:
            while True:
                await websocket.send("x" * 1000)
        except WebSocketClosedError as closed:
            ended.append(str(closed))
            raise

    # A send waits for the other side to read.
    async with conversing(flood, streams=trio.testing.lockstep_stream_pair) as peer:
        await peer.stream.receive_some(10)
        await trio.sleep(2 * limits.HTTP_IDLE_TIMEOUT_MS / 1000)
    assert ended == ["closed (1006) what was sent was not read in time"]


async def test_what_nobody_takes_is_not_read(autojump_clock: trio.testing.MockClock) -> None:
    """The peer is stopped by its own system; what is held for it is bounded and counted."""
    held, leave = UnfinishedBytes(), trio.Event()

    async def deaf(_websocket: WebSocket) -> None:
        await leave.wait()

    async with conversing(deaf, held) as peer:
        for _ in range(100):
            await peer.send(events.BytesMessage(data=bytes(500)))
        await trio.testing.wait_all_tasks_blocked()
        assert held.held == 500 * (limits.WEBSOCKET_WAITING_MESSAGES_MAX + 1)
        leave.set()
        assert await peer.until_closed() == [events.CloseConnection(code=1000, reason="")]


async def test_the_nodes_memory_is_shared(autojump_clock: trio.testing.MockClock) -> None:
    held = UnfinishedBytes(bytes_max=1500)

    async def deaf(_websocket: WebSocket) -> None:
        await trio.sleep(60)

    async with conversing(deaf, held) as peer:
        for _ in range(2):
            await peer.send(events.BytesMessage(data=bytes(800)))
            await trio.testing.wait_all_tasks_blocked()
        reason = "too much is arriving at once: send again later"
        assert await peer.until_closed() == [events.CloseConnection(code=1013, reason=reason)]


@pytest.mark.parametrize("code", [1000, None])
async def test_who_leaves_ends_a_conversation_that_does_not_listen(
    code: int | None, autojump_clock: trio.testing.MockClock
) -> None:
    cancelled: list[bool] = []

    async def deaf(_websocket: WebSocket) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(True)

    async with conversing(deaf) as peer:
        if code is None:
            await peer.stream.aclose()
        else:
            await peer.send(events.CloseConnection(code=code))
            await peer.until_closed()
    assert cancelled == [True]
    assert trio.current_time() == pytest.approx(limits.WEBSOCKET_CLOSING_MS / 1000)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05plain", 1002),  # not masked
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (b"\x83\x80\0\0\0\0", 1002),  # an unknown opcode
        (b"\x80\x80\0\0\0\0", 1002),  # a continuation of nothing
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),  # a long ping
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),  # not UTF-8
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),  # a closing code nobody may send
        (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),  # a length beyond 63 bits
    ],
)
async def test_frames_that_break_the_protocol(
    data: bytes, code: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with conversing(receive_for_ever) as peer:
        await peer.stream.send_all(data)
        *_, closed = await peer.until_closed()
        assert isinstance(closed, events.CloseConnection)
        assert closed.code == code


async def test_a_send_that_is_given_up_ends_the_conversation(autojump_clock: trio.testing.MockClock) -> None:
    """Part of its frame may be written, and nothing can follow that."""
    after: list[str] = []

    async def impatient(websocket: WebSocket) -> None:
        with trio.move_on_after(1):
            await websocket.send("x" * 1000)
        try:
            await websocket.send("y")
        except WebSocketClosedError as closed:
            after.append(str(closed))

    async with conversing(impatient, streams=trio.testing.lockstep_stream_pair) as peer:
        await trio.sleep(5)
        with contextlib.suppress(trio.BrokenResourceError):
            assert b"y" not in await peer.stream.receive_some()
    assert len(after) == 1


@pytest.mark.parametrize("sending", [True, False])
async def test_who_is_no_longer_let_in_is_sent_away(
    sending: bool, autojump_clock: trio.testing.MockClock
) -> None:
    judged: Caller | Turned = ANONYMOUS
    echoed = trio.Event()

    async def converse(websocket: WebSocket) -> None:
        admitted = _AdmittedWebSocket(websocket, lambda: judged)
        await admitted.send(await admitted.receive())
        await echoed.wait()
        await (admitted.send("more") if sending else admitted.receive())

    async with conversing(converse) as peer:
        await peer.send(events.TextMessage(data="x"))
        await trio.testing.wait_all_tasks_blocked()
        judged = Turned(503, "ledger 'x' is disabled by the consortium")
        echoed.set()
        await peer.send(events.TextMessage(data="y"))
        assert await peer.until_closed() == [
            events.TextMessage(data="x"),
            events.CloseConnection(code=1008, reason="ledger 'x' is disabled by the consortium"),
        ]
