"""The HTTP server over real sockets: order, bounds, TLS, and what a fault of a handler or a client costs."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from coco_core.adapter import HTTPRequest, HTTPResponse, PendingResponse
from coco_core.base import limits
from coco_core.node.capacity import UnfinishedBytes
from coco_core.node.http import HTTPServer, _Connection
from coco_core.node.tls import frontend_context, service_client_context
from coco_core.testing import Consortium
from coco_core.wire.http import Message, MessageReader, render_request


class Echo:
    """Answers ``/slow/N`` after N more requests came, ``/raise`` with a fault, others at once."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.special: HTTPResponse | PendingResponse = HTTPResponse()
        self.arrived = trio.Event()

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        self.seen.append(request.target)
        self.arrived.set()
        self.arrived = trio.Event()
        if request.target == "/special":
            return self.special
        if request.target == "/raise":
            raise RuntimeError("the handler's own fault")
        response = HTTPResponse(body=request.target.encode() + b" " + request.body, content_type="text/plain")
        if not request.target.startswith("/slow/"):
            return response
        wanted = len(self.seen) + int(request.target.removeprefix("/slow/"))

        async def answer() -> HTTPResponse:
            while len(self.seen) < wanted:
                await self.arrived.wait()
            if request.body == b"raise":
                raise RuntimeError("later")
            return response

        return answer


class Client:
    """Reads whole answers from a stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.reader = MessageReader(requests=False)
        self.ready: list[Message] = []

    async def answers(self, count: int) -> list[tuple[int, bytes]]:
        while len(self.ready) < count:
            data = await self.stream.receive_some()
            assert data, f"closed after {len(self.ready)} of {count} answers"
            self.ready += self.reader.feed(bytes(data))
        taken, self.ready = self.ready[:count], self.ready[count:]
        return [(answer.status, answer.body) for answer in taken]

    async def send(self, *targets: str, body: bytes = b"") -> None:
        await self.stream.send_all(
            b"".join(render_request("POST", one, "h", body, "text/plain") for one in targets)
        )

    async def closed(self) -> bool:
        with trio.fail_after(5):
            try:
                return not await self.stream.receive_some()
            except trio.BrokenResourceError:
                return True


@pytest.fixture
def tls(consortium: Consortium) -> ssl.SSLContext:
    identity = consortium.identities[0]
    return frontend_context(identity.certificate, identity.key)


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def serving(tls: ssl.SSLContext, *, plain: bool = True) -> AsyncIterator[tuple[Echo, Connect]]:
    echo = Echo()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]

    streams: list[trio.SocketStream] = []

    async def connect() -> Client:
        streams.append(await trio.open_tcp_stream("127.0.0.1", port))
        return Client(streams[-1])

    try:
        async with trio.open_nursery() as nursery:
            server = HTTPServer(handler=echo, tls=tls, plain_allowed=plain, body_max_bytes=1000)
            nursery.start_soon(server.serve, listeners)
            with trio.fail_after(10):
                yield echo, connect
            nursery.cancel_scope.cancel()
    finally:
        for stream in streams:
            stream.socket.close()


async def test_pipelined_requests_are_answered_in_order(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (echo, connect):
        client = await connect()
        await client.send("/slow/2", "/b", "/slow/1", "/d")
        bodies = [body for _, body in await client.answers(4)]
        assert bodies == [b"/slow/2 ", b"/b ", b"/slow/1 ", b"/d "]
        assert echo.seen == ["/slow/2", "/b", "/slow/1", "/d"]


async def test_tls_and_plain_on_one_port(tls: ssl.SSLContext, consortium: Consortium) -> None:
    async with serving(tls) as (_, connect):
        plain, secured = await connect(), await connect()
        context = service_client_context(consortium.service.certificate)
        stream = trio.SSLStream(secured.stream, context, server_hostname="localhost", https_compatible=True)  # type: ignore[arg-type] # a stream
        for client in (plain, Client(stream)):
            await client.send("/a", body=b"x")
            assert await client.answers(1) == [(200, b"/a x")]


async def test_plain_is_refused_where_it_is_not_allowed(tls: ssl.SSLContext) -> None:
    async with serving(tls, plain=False) as (echo, connect):
        client = await connect()
        await client.stream.send_all(b"G")
        assert await client.answers(1) == [(400, b"this port speaks TLS only: use https\n")]
        assert await client.closed()
        assert echo.seen == []


async def test_a_stranger_to_tls_costs_nothing(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        broken, silent, good = await connect(), await connect(), await connect()
        await broken.stream.send_all(b"\x16nonsense that is no handshake at all")
        await silent.stream.aclose()
        await good.send("/a")
        assert await good.answers(1) == [(200, b"/a ")]


REFUSED = {
    "announced body": (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1001\r\n\r\n", 413),
    "chunked body": (
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n400\r\n" + bytes(1024) + b"\r\n",
        413,
    ),
    "headers": (b"GET / HTTP/1.1\r\nx: " + b"y" * limits.HTTP_HEADERS_MAX_BYTES + b"\r\n\r\n", 431),
    "target": (b"GET /" + b"y" * (limits.HTTP_HEADERS_MAX_BYTES + 1) + b" HTTP/1.1\r\n\r\n", 431),
    "nonsense": (b"nonsense\r\n\r\n", 400),
    "tunnel": (b"CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n", 501),
}


@pytest.mark.parametrize("fault", REFUSED)
async def test_refused_requests(fault: str, tls: ssl.SSLContext) -> None:
    data, status = REFUSED[fault]
    async with serving(tls) as (echo, connect):
        client = await connect()
        await client.send("/slow/0")
        await client.answers(1)
        await client.stream.send_all(data)
        ((answered, _),) = await client.answers(1)
        assert answered == status
        assert await client.closed()
        assert echo.seen == ["/slow/0"]


async def test_continue_is_told_to_those_who_wait_for_it(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        client = await connect()
        head = b"POST /a HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
        await client.stream.send_all(head)
        assert bytes(await client.stream.receive_some()) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.stream.send_all(b"abc")
        assert await client.answers(1) == [(200, b"/a abc")]


@pytest.mark.parametrize(
    "head", [b"GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", b"GET /a HTTP/1.0\r\n\r\n"]
)
async def test_connection_is_closed_when_asked(head: bytes, tls: ssl.SSLContext) -> None:
    async with serving(tls) as (echo, connect):
        client = await connect()
        await client.stream.send_all(head)
        assert await client.answers(1) == [(200, b"/a ")]
        assert await client.closed()
        assert echo.seen == ["/a"]


async def test_fault_of_the_handler_costs_one_answer(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        client = await connect()
        await client.send("/raise", "/a")
        await client.send("/slow/0", body=b"raise")
        await client.send("/b")
        failure = (500, b"internal error\n")
        assert await client.answers(4) == [failure, (200, b"/a "), failure, (200, b"/b ")]


UNWRITABLE = [
    HTTPResponse(body="text"),  # type: ignore[arg-type] # what an adapter without types may do
    HTTPResponse(headers={"x": "a\r\nb: c"}),
    HTTPResponse(headers={"x": "\u20ac"}),
    HTTPResponse(headers={"x": 1}),  # type: ignore[dict-item] # as above
    HTTPResponse(content_type="text/plain\r\n"),
    None,
]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("answer", UNWRITABLE, ids=repr)
async def test_answers_that_cannot_be_written_cost_one_answer(
    answer: HTTPResponse, at_once: bool, tls: ssl.SSLContext
) -> None:
    async with serving(tls) as (echo, connect):

        async def later() -> HTTPResponse:
            return answer

        echo.special = answer if at_once else later
        client = await connect()
        await client.send("/special", "/a")
        assert await client.answers(2) == [(500, b"internal error\n"), (200, b"/a ")]


async def test_headers_that_never_end_are_refused(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (echo, connect):
        client = await connect()
        await client.stream.send_all(b"GET /a HTTP/1.1\r\nx: ")
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(100):
                await client.stream.send_all(bytes(10_000).replace(b"\0", b"x"))
        good = await connect()
        await good.send("/a")
        assert await good.answers(1) == [(200, b"/a ")]
        assert echo.seen == ["/a"]


async def test_half_closed_client_still_gets_its_answers(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        client = await connect()
        await client.send("/a", "/slow/0")
        assert isinstance(client.stream, trio.SocketStream)
        await client.stream.send_eof()
        assert await client.answers(2) == [(200, b"/a "), (200, b"/slow/0 ")]
        assert await client.closed()


async def test_requests_in_pieces(tls: ssl.SSLContext) -> None:
    echo = Echo()
    near, far = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_Connection(far, echo, 1000, UnfinishedBytes()).converse)
        data = render_request("POST", "/a", "h", b"body", "text/plain")
        for position in range(len(data)):
            await near.send_all(data[position : position + 1])
        assert await Client(near).answers(1) == [(200, b"/a body")]
        await near.aclose()


async def test_idle_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await _Connection(far, Echo(), 1000, UnfinishedBytes()).converse()
            await far.aclose()

        nursery.start_soon(serve)
        client = Client(near)
        await client.send("/a")
        await client.answers(1)
        assert not await near.receive_some()
    assert trio.current_time() == pytest.approx(limits.HTTP_IDLE_TIMEOUT_MS / 1000)


@pytest.mark.parametrize(
    "before", [b"", b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"], ids=["alone", "after another"]
)
async def test_request_that_drips_in_loses_its_place(
    before: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    near, far = trio.testing.memory_stream_pair()
    unfinished = UnfinishedBytes()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await _Connection(far, Echo(), 1000, unfinished).converse()
            await far.aclose()

        async def drip() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                for byte in before + b"POST /b HTTP/1.1\r\ncontent-length: 900\r\n\r\n" + bytes(900):
                    await near.send_all(bytes([byte]))
                    await trio.sleep(limits.HTTP_IDLE_TIMEOUT_MS / 2000 if byte == 0 else 0)

        nursery.start_soon(serve)
        nursery.start_soon(drip)
        client = Client(near)
        answers = await client.answers(2 if before else 1)
        assert answers[-1] == (408, b"the request did not arrive in time\n")
        assert not await near.receive_some()
        assert trio.current_time() == pytest.approx(limits.HTTP_REQUEST_TIMEOUT_MS / 1000)
        assert unfinished.held == 0
        nursery.cancel_scope.cancel()


async def a_small_request_in_two_pieces(nursery: trio.Nursery, unfinished: UnfinishedBytes) -> None:
    """Be answered, whatever others hold."""
    near, far = trio.testing.memory_stream_pair()
    nursery.start_soon(_Connection(far, Echo(), 1000, unfinished).converse)
    other = Client(near)
    unfinished.held += unfinished.bytes_max
    await other.stream.send_all(b"POST /a HTTP/1.1\r\ncontent-length: 100\r\n\r\n" + bytes(50))
    await trio.testing.wait_all_tasks_blocked()
    await other.stream.send_all(bytes(50))
    assert (await other.answers(1))[0][0] == 200
    unfinished.held -= unfinished.bytes_max


async def test_unfinished_requests_share_one_budget() -> None:
    unfinished = UnfinishedBytes(bytes_max=1500, free_bytes=200)
    head = b"POST /a HTTP/1.1\r\ncontent-length: 900\r\n\r\n"
    async with trio.open_nursery() as nursery:
        clients = []
        for _ in range(2):
            near, far = trio.testing.memory_stream_pair()
            nursery.start_soon(_Connection(far, Echo(), 1000, unfinished).converse)
            clients.append(Client(near))
        for client in clients:
            await client.stream.send_all(head + bytes(800))
            await trio.testing.wait_all_tasks_blocked()
        assert await clients[1].answers(1) == [
            (503, b"too many requests are arriving at once: send again later\n")
        ]
        await a_small_request_in_two_pieces(nursery, unfinished)
        await clients[0].stream.send_all(bytes(100))
        ((status, _),) = await clients[0].answers(1)
        assert status == 200
        await trio.testing.wait_all_tasks_blocked()
        assert unfinished.held == 0
        nursery.cancel_scope.cancel()


async def test_client_that_never_reads_loses_its_connection(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.lockstep_stream_pair()  # A send waits for the other side to read.
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await _Connection(far, Echo(), 1000, UnfinishedBytes()).converse()
            await far.aclose()

        nursery.start_soon(serve)
        await near.send_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n" * 100)
        with pytest.raises(trio.BrokenResourceError):
            await near.send_all(b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n" * 100)
    assert trio.current_time() == pytest.approx(limits.HTTP_IDLE_TIMEOUT_MS / 1000)


async def test_what_is_whole_before_the_fault_is_answered(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (echo, connect):
        client = await connect()
        await client.stream.send_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\nnonsense\r\n\r\n")
        answers = await client.answers(2)
        assert [status for status, _ in answers] == [200, 400]
        assert echo.seen == ["/a"]


async def test_bytes_after_the_last_request_do_not_spoil_its_answer(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        client = await connect()
        await client.stream.send_all(b"GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\nmore")
        assert await client.answers(1) == [(200, b"/a ")]


async def test_head_is_answered_without_a_body(tls: ssl.SSLContext) -> None:
    async with serving(tls) as (_, connect):
        client = await connect()
        await client.stream.send_all(b"HEAD /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        received = b""
        while data := await client.stream.receive_some():
            received += data
        assert received.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n")
        assert received.endswith(b"\r\n\r\n")
