"""The component socket itself: clients, strangers, bytes that mean nothing, and the end of its thread."""

from __future__ import annotations

import contextlib
import logging

import pytest
import trio
import trio.testing
import zmq

from coco_core.errors import OperatorError
from coco_sawtooth.execution import Unavailable, Valid
from coco_sawtooth.messages import (
    Message,
    MessageType,
    TpProcessRequest,
    TpProcessResponse,
    TpRegisterRequest,
)
from coco_sawtooth.processors import ClientMessage, Policy, envelope
from coco_sawtooth.shell import router
from coco_sawtooth.shell.processor_host import ProcessorHost
from coco_sawtooth.shell.router import CLIENT_MESSAGES_MAX_BYTES, MESSAGE_SIZE_MAX_BYTES, Handover

ASK, ANSWER = MessageType.CLIENT_STATUS_GET_REQUEST, MessageType.CLIENT_STATUS_GET_RESPONSE
SOON = Policy(absent_ms=60_000, fresh_ms=0)
TIMEOUT_MS = 10_000


class Peer:
    """A connection as any client or processor makes one."""

    def __init__(self, endpoint: str, identity: bytes = b"") -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, TIMEOUT_MS)
        if identity:
            self.socket.setsockopt(zmq.IDENTITY, identity)
        self.socket.connect(endpoint)

    def send(self, kind: int, content: bytes = b"", correlation_id: str = "c") -> None:
        self.socket.send(envelope(kind, correlation_id, content))

    async def receive(self) -> Message:
        return Message.FromString(await trio.to_thread.run_sync(self.socket.recv))

    async def work(self) -> Message:
        """Receive a transaction; questions before it are left unanswered."""
        while (message := await self.receive()).message_type != MessageType.TP_PROCESS_REQUEST:
            pass
        return message

    async def ask(self, kind: int, content: bytes = b"") -> Message:
        self.send(kind, content)
        return await self.receive()

    def close(self) -> None:
        self.socket.close()
        self._context.term()


@pytest.fixture
def connect():
    """Connect to an endpoint until the test ends."""
    with contextlib.ExitStack() as stack:

        def run(endpoint: str, identity: bytes = b"") -> Peer:
            peer = Peer(endpoint, identity)
            stack.callback(peer.close)
            return peer

        yield run


class Echoes:
    """Answers with what it was sent, and pushes once when it is asked for events."""

    def __init__(self) -> None:
        self.pushes = []
        self.gone = []

    async def handle(self, message, answer, push):
        if message.content == b"break":
            raise ValueError("broken")
        if message.content == b"ignore":
            return
        if message.content == b"wait":
            await trio.sleep_forever()
        if message.message_type == MessageType.CLIENT_EVENTS_SUBSCRIBE_REQUEST:
            self.pushes.append(push)
        answer(message.message_type + 1, message.content)

    def lost(self, identity):
        self.gone.append(identity)


async def test_a_client_is_answered(serving, endpoint, connect):
    async with serving(endpoint, clients=Echoes()):
        answer = await connect(endpoint).ask(ASK, b"hello")
    assert (answer.message_type, answer.correlation_id, answer.content) == (ANSWER, "c", b"hello")


async def test_something_is_pushed_until_the_client_is_gone(serving, endpoint, connect):
    clients = Echoes()
    async with serving(endpoint, clients=clients):
        client = connect(endpoint, b"client 1")
        await client.ask(MessageType.CLIENT_EVENTS_SUBSCRIBE_REQUEST)
        (push,) = clients.pushes
        push(MessageType.CLIENT_EVENTS, b"news")
        push(MessageType.CLIENT_EVENTS, b"more")
        news = [await client.receive() for _ in range(2)]
        client.close()
        with trio.fail_after(TIMEOUT_MS / 1000):
            while not clients.gone:
                push(MessageType.CLIENT_EVENTS, b"anybody there")
                await trio.lowlevel.checkpoint()
    assert [each.content for each in news] == [b"news", b"more"]
    assert len({each.correlation_id for each in news}) == 2
    assert set(clients.gone) == {b"client 1"}


async def test_what_nobody_can_answer_is_answered_empty(serving, endpoint, connect, caplog):
    caplog.set_level(logging.CRITICAL, "coco.sawtooth")
    async with serving(endpoint):
        nobody = await connect(endpoint).ask(4_711)
    async with serving(endpoint, clients=Echoes()):
        broken = await connect(endpoint).ask(ASK, b"break")
        ignored = await connect(endpoint).ask(ASK, b"ignore")
    for answer in (nobody, broken, ignored):
        assert (answer.message_type, answer.correlation_id, answer.content) == (0, "c", b"")


@pytest.mark.parametrize(("bound", "most"), [("CLIENT_MESSAGES_MAX", 3), ("CLIENT_MESSAGES_MAX_BYTES", 13)])
async def test_too_many_at_a_time_are_answered_empty(serving, endpoint, connect, monkeypatch, bound, most):
    monkeypatch.setattr(router, bound, most)
    async with serving(endpoint, clients=Echoes()):
        client = connect(endpoint)
        for _ in range(3):
            client.send(ASK, b"wait")
        answer = await client.ask(ASK, b"too many")
    assert (answer.message_type, answer.content) == (0, b"")


def test_there_is_room_again_when_one_was_handled():
    handover = Handover(lambda: None)
    large = ClientMessage(b"i", ASK, "c", bytes(MESSAGE_SIZE_MAX_BYTES))
    most = CLIENT_MESSAGES_MAX_BYTES // MESSAGE_SIZE_MAX_BYTES
    assert [handover.admit(large) for _ in range(most + 1)] == [True] * most + [False]
    handover.end(handover.messages.popleft())
    assert [handover.admit(large) for _ in range(2)] == [True, False]


async def test_a_probe_is_echoed(serving, endpoint, connect):
    async with serving(endpoint):
        peer = connect(endpoint)
        peer.socket.send(b"")
        assert await trio.to_thread.run_sync(peer.socket.recv_multipart) == [b""]


@pytest.mark.parametrize(
    "frames",
    [[b"\xff" * 100], [b"", b""], [b"a", b"b", b"c"], [b"", envelope(ASK, "x", b"")], [bytes(10_000_000)]],
    ids=["no message", "two empty", "three", "with a delimiter", "10 MB"],
)
async def test_bytes_that_mean_nothing_do_no_harm(serving, endpoint, connect, frames):
    async with serving(endpoint, clients=Echoes()):
        peer = connect(endpoint)
        peer.socket.send_multipart(frames)
        assert (await peer.ask(ASK, b"still here")).content == b"still here"


async def test_a_message_beyond_the_bound_costs_the_connection_only(serving, endpoint, connect):
    async with serving(endpoint, clients=Echoes()):
        other = connect(endpoint)
        assert (await other.ask(ASK, b"1")).content == b"1"
        connect(endpoint).socket.send(bytes(MESSAGE_SIZE_MAX_BYTES + 1))
        assert (await other.ask(ASK, b"2")).content == b"2"


async def register(peer, **fields):
    request = TpRegisterRequest(family="f", version="1", **fields)
    return await peer.ask(MessageType.TP_REGISTER_REQUEST, request.SerializeToString())


def answer_valid(peer, request):
    response = TpProcessResponse(status=TpProcessResponse.OK)
    peer.send(MessageType.TP_PROCESS_RESPONSE, response.SerializeToString(), request.correlation_id)


async def test_a_processor_that_connects_again_under_its_name_takes_its_place(
    serving, endpoint, connect, sent
):
    async with serving(endpoint, SOON) as ledger:
        first = connect(endpoint, b"name")
        await register(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.run, sent)
            lost = TpProcessRequest.FromString((await first.receive()).content)
            second = connect(endpoint, b"name")
            await register(second)
            request = await second.work()
            assert TpProcessRequest.FromString(request.content).context_id != lost.context_id
            answer_valid(second, request)
        assert await ledger.host.registered() == {("f", "1"): 1}


async def test_a_connection_that_ends_is_noticed_at_once(serving, endpoint, connect, sent):
    async with serving(endpoint, SOON) as ledger:
        first, second = connect(endpoint), connect(endpoint)
        await register(first, max_occupancy=1)
        results = []

        async def run():
            results.append((await ledger.run(sent))[0])

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
                await first.receive()
                await register(second)
                first.close()
                answer_valid(second, await second.work())
    assert results == [Valid()]


async def test_who_comes_and_goes_is_logged(serving, endpoint, connect, caplog):
    caplog.set_level(logging.INFO, "coco.sawtooth")
    async with serving(endpoint, SOON) as ledger:
        peer = connect(endpoint)
        request = TpRegisterRequest(family="f\x1b[31m", version="1")
        await peer.ask(MessageType.TP_REGISTER_REQUEST, request.SerializeToString())
        peer.close()
        with trio.fail_after(5):
            while await ledger.host.registered():
                pass
        # Told of at the next tick, of which there is another one when somebody registers again.
        await register(connect(endpoint))
        with trio.fail_after(5):
            while "ended" not in caplog.text:
                await ledger.host.registered()
    assert "a transaction processor registered: f\\x1b[31m 1" in caplog.text
    assert "a transaction processor ended: f\\x1b[31m 1" in caplog.text


async def test_a_cancelled_call_leaves_nothing_behind(serving, endpoint, connect, sent):
    async with serving(endpoint, SOON) as ledger:
        peer = connect(endpoint)
        await register(peer, max_occupancy=1)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ledger.run, sent)
                request = await peer.receive()
                scope.cancel()
        answer_valid(peer, request)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.run, sent)
            answer_valid(peer, await peer.work())


async def test_two_cannot_listen_at_one_place(serving):
    async with serving("tcp://127.0.0.1:*") as ledger:
        with pytest.raises(OperatorError, match="cannot listen at tcp://127"):
            ProcessorHost(ledger.host.endpoint)


async def test_a_fault_of_the_thread_ends_serving_and_who_waits(endpoint, sent, ledger_of):
    host = ProcessorHost(endpoint, SOON)
    ended, results = [], []

    async def wait():
        results.append((await ledger_of(host).run(sent))[0])
        ended.append("waiting")

    async def serve():
        with pytest.raises(RuntimeError, match="thread of the component socket ended"):
            await host.serve()
        ended.append("serving")

    def fail(_dispatcher, _now_ms):
        raise ValueError("a fault")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(serve)
            await trio.testing.wait_all_tasks_blocked()
            host._router.command(fail)
    assert sorted(ended) == ["serving", "waiting"]
    results.append((await ledger_of(host).run(sent))[0])
    assert all(isinstance(each, Unavailable) for each in results)
    assert "does not listen" in results[0].message


async def test_who_waits_when_serving_ends_is_told(serving, endpoint, sent, ledger_of):
    results = []

    async def wait(host):
        results.append((await ledger_of(host).run(sent))[0])

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            async with serving(endpoint, SOON) as ledger:
                nursery.start_soon(wait, ledger.host)
                await trio.testing.wait_all_tasks_blocked()
            await wait(ledger.host)
    assert [type(each) for each in results] == [Unavailable] * 2
