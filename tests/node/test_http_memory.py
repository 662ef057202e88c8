"""What connections hold of a node's memory: counted until they are answered, and let go of then."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import trio
import trio.testing
from wsproto import events
from wsproto.connection import Connection, ConnectionType

from coco_core.adapter import HTTPRequest, HTTPResponse, PendingResponse, WebSocket, WebSocketAnswer
from coco_core.node.capacity import UnfinishedBytes
from coco_core.node.http import _Connection
from coco_core.node.websocket import Conversation
from coco_core.wire.http import Message, MessageReader, render_request


class Patient:
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_answer = trio.Event()
        self.asked: list[weakref.ref[HTTPRequest]] = []

    def accept(self, request: HTTPRequest) -> PendingResponse:
        self.asked.append(weakref.ref(request))

        async def answer() -> HTTPResponse:
            await self.may_answer.wait()
            return HTTPResponse(body=b"%d" % len(request.body))

        return answer


async def answers(stream: trio.abc.ReceiveStream, count: int) -> list[tuple[int, bytes]]:
    reader, found = MessageReader(requests=False), list[Message]()
    while len(found) < count:
        found += reader.feed(bytes(await stream.receive_some()))
    return [(answer.status, answer.body) for answer in found]


def post(body: bytes) -> bytes:
    return render_request("POST", "/", "h", body, "text/plain")


async def test_requests_count_until_they_are_answered_and_are_let_go_of_then() -> None:
    patient, budget = Patient(), UnfinishedBytes(bytes_max=1_000)
    async with trio.open_nursery() as nursery:
        near, far = trio.testing.memory_stream_pair()
        nursery.start_soon(_Connection(far, patient, 1_000, budget).converse)
        await near.send_all(post(bytes(300)) + post(bytes(400)))
        await trio.testing.wait_all_tasks_blocked()
        assert budget.held == 700
        patient.may_answer.set()
        assert await answers(near, 2) == [(200, b"300"), (200, b"400")]
        await trio.testing.wait_all_tasks_blocked()
        assert budget.held == 0
        # The connection is idle, and waits for another request.
        gc.collect()
        assert [asked() for asked in patient.asked] == [None, None]
        await near.send_all(post(b"x"))
        assert await answers(near, 1) == [(200, b"1")]
        nursery.cancel_scope.cancel()


async def test_what_waits_for_answers_leaves_no_room_for_more() -> None:
    patient, budget = Patient(), UnfinishedBytes(bytes_max=1_000, free_bytes=100)
    async with trio.open_nursery() as nursery:
        streams = []
        for _ in range(2):
            near, far = trio.testing.memory_stream_pair()
            streams.append(near)
            nursery.start_soon(_Connection(far, patient, 1_000, budget).converse)
        await streams[0].send_all(post(bytes(900)))
        await trio.testing.wait_all_tasks_blocked()
        await streams[1].send_all(post(bytes(200))[:-1])
        ((status, _),) = await answers(streams[1], 1)
        assert status == 503
        patient.may_answer.set()
        assert await answers(streams[0], 1) == [(200, b"900")]
        nursery.cancel_scope.cancel()


async def test_a_connection_that_breaks_gives_back_what_it_held() -> None:
    patient, budget = Patient(), UnfinishedBytes(bytes_max=1_000)
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_Connection(far, patient, 1_000, budget).converse)
        await near.send_all(post(bytes(300)) + post(bytes(400))[:-1])
        await trio.testing.wait_all_tasks_blocked()
        assert budget.held > 700
        nursery.cancel_scope.cancel()
    assert budget.held == 0


async def test_an_idle_conversation_keeps_no_message() -> None:
    lengths, size = list[int](), 4_000_000
    budget = UnfinishedBytes()

    async def converse(websocket: WebSocket) -> None:
        while True:
            lengths.append(len(await websocket.receive()))

    near, far = trio.testing.memory_stream_pair()
    frame = Connection(ConnectionType.CLIENT).send(events.BytesMessage(bytes(size)))
    async with trio.open_nursery() as nursery:
        conversation = Conversation(far, size, budget)
        nursery.start_soon(conversation.run, WebSocketAnswer(converse=converse), b"")
        tracemalloc.start()
        try:
            for _ in range(2):
                await near.send_all(frame)
                await trio.testing.wait_all_tasks_blocked()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert lengths == [size, size]
        assert kept < size / 2
        nursery.cancel_scope.cancel()
