"""WebSocket over real sockets with a client nobody here wrote: handshakes, messages, good-byes."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs
import pytest
import trio
import trio.testing
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from wsproto import events
from wsproto.connection import Connection, ConnectionType

from coco_core.adapter import (
    HTTPRequest,
    HTTPResponse,
    PendingResponse,
    WebSocket,
    WebSocketAnswer,
    WebSocketClosedError,
)
from coco_core.base import limits
from coco_core.node.http import HTTPServer
from coco_core.node.tls import frontend_context, service_client_context
from coco_core.testing import Consortium

MESSAGE_MAX = 1000
T = TypeVar("T")


class Handler:
    """Speaks WebSocket under every path but ``/plain``; ``closed`` is what its conversations ended with."""

    def __init__(self) -> None:
        self.closed: list[tuple[int, str]] = []
        self.requests: list[HTTPRequest] = []
        self.answer = WebSocketAnswer(converse=self.echo)

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        self.requests.append(request)
        if request.target == "/plain":
            return HTTPResponse(body=b"plain")
        if request.target == "/later":
            return self.later
        return HTTPResponse(status=404) if request.target == "/none" else self.answer

    async def later(self) -> HTTPResponse:
        return HTTPResponse(body=b"plain")

    async def echo(self, websocket: WebSocket) -> None:
        try:
            while (message := await websocket.receive()) != "leave":
                if message == "raise":
                    raise RuntimeError("the handler's own fault")
                await websocket.send(message)
        except WebSocketClosedError as closed:
            self.closed.append((closed.code, closed.reason))
            raise


@attrs.frozen
class Served:
    handler: Handler
    port: int
    context: ssl.SSLContext

    @asynccontextmanager
    async def client(self, path: str = "/", *, tls: bool = False, **options: object) -> AsyncIterator[Client]:
        url = f"{'wss' if tls else 'ws'}://localhost:{self.port}{path}"
        if tls:
            options["ssl"] = self.context

        def enter() -> tuple[ClientConnection, ClientConnection]:
            connecting = connect(url, proxy=None, compression=None, **options)  # type: ignore[arg-type] # of a test
            return connecting, connecting.__enter__()

        connecting, connected = await in_thread(enter)
        try:
            yield Client(connected)
        finally:
            await in_thread(lambda: connecting.__exit__(None, None, None))

    async def refused(self, path: str = "/", **options: object) -> tuple[int, bytes]:
        with pytest.raises(InvalidStatus) as caught:
            async with self.client(path, **options):  # type: ignore[arg-type] # as above
                pass
        return caught.value.response.status_code, caught.value.response.body or b""


@attrs.frozen
class Client:
    """The client's calls, each in a thread."""

    raw: ClientConnection

    async def send(self, message: str | bytes | list[str]) -> None:
        await in_thread(lambda: self.raw.send(message))

    async def receive(self) -> str | bytes:
        return await in_thread(lambda: self.raw.recv(timeout=10))

    async def closed(self) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as caught:
            await self.receive()
        frame = caught.value.rcvd
        assert frame is not None
        return frame.code, frame.reason


async def in_thread(call: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(call, abandon_on_cancel=True)


Serving = Callable[..., contextlib.AbstractAsyncContextManager[Served]]


@pytest.fixture
def serving(consortium: Consortium) -> Serving:
    identity = consortium.identities[0]
    tls = frontend_context(identity.certificate, identity.key)

    @asynccontextmanager
    async def serve(connections_max: int = 64) -> AsyncIterator[Served]:
        handler = Handler()
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        server = HTTPServer(
            handler=handler,
            tls=tls,
            plain_allowed=True,
            body_max_bytes=MESSAGE_MAX,
            connections_max=connections_max,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, listeners)
            with trio.fail_after(20):
                yield Served(handler, port, service_client_context(consortium.service.certificate))
            nursery.cancel_scope.cancel()

    return serve


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_messages_both_ways(serving: Serving, tls: bool) -> None:
    async with serving() as served:
        async with served.client("/events?x=1", tls=tls) as client:
            for message in ("text \u20ac", b"\x00binary", "", "x" * MESSAGE_MAX):
                await client.send(message)
                assert await client.receive() == message
            await client.send(["in ", "three ", "frames"])
            assert await client.receive() == "in three frames"
            await in_thread(lambda: client.raw.ping().wait(10))
        (request,) = served.handler.requests
        assert (request.target, request.websocket, request.tls) == ("/events?x=1", True, tls)
        while not served.handler.closed:
            await trio.testing.wait_all_tasks_blocked()
        assert served.handler.closed == [(1000, "")]


async def test_what_follows_the_handshake_at_once_is_read_and_what_came_before_it_answered(
    serving: Serving,
) -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        frame = Connection(ConnectionType.CLIENT).send(events.TextMessage(data="early"))
        await stream.send_all(b"GET /plain HTTP/1.1\r\nhost: h\r\n\r\n" + HANDSHAKE + frame)
        received = b""
        while not received.endswith(b"\x81\x05early"):
            received += await stream.receive_some()
        plain, shaken = received.split(b"plain", 1)
        assert plain.startswith(b"HTTP/1.1 200 ")
        # The key and its answer are the example of RFC 6455 §1.3.
        assert shaken.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in shaken
        await stream.aclose()


HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"GET", b"POST"), 400),
        ((b"Version: 13", b"Version: 8"), 426),
        ((b"Sec-WebSocket-Version: 13\r\n", b""), 426),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZQ=="), 400),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"?"), 400),
        ((b"Upgrade: websocket", b"Upgrade: h2c"), 426),
        ((b"GET /chat", b"CONNECT h:1"), 501),
        ((b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b""), 426),
    ],
)
async def test_faulty_handshakes(serving: Serving, change: tuple[bytes, bytes], status: int) -> None:
    async with serving() as served:
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        await stream.send_all(HANDSHAKE.replace(*change))
        answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert (b"\r\nsec-websocket-version: 13\r\n" in answer) == (status == 426)
        await stream.aclose()


async def test_where_nobody_speaks_it(serving: Serving) -> None:
    async with serving() as served:
        for path in ("/plain", "/later"):
            assert await served.refused(path) == (501, b"WebSocket is not spoken here\n")
        assert await served.refused("/none") == (404, b"")


async def test_pages_from_elsewhere_need_leave(serving: Serving) -> None:
    async with serving() as served:
        elsewhere = "https://example.org"
        for origin in (elsewhere, "null"):
            status, body = await served.refused(origin=origin)
            assert (status, body) == (403, f"pages of {origin} may not connect here\n".encode())
        async with served.client(origin=f"http://localhost:{served.port}"):
            pass
        for allowed in (elsewhere, "*"):
            served.handler.answer = attrs.evolve(served.handler.answer, origins=frozenset({allowed}))
            async with served.client(origin=elsewhere):
                pass


async def test_a_subprotocol_is_one_that_was_offered(serving: Serving) -> None:
    async with serving() as served:
        served.handler.answer = attrs.evolve(served.handler.answer, subprotocol="b")
        async with served.client(subprotocols=["a", "b"]) as client:
            assert client.raw.subprotocol == "b"
        status, _ = await served.refused(subprotocols=["a"])
        assert status == 500


@pytest.mark.parametrize(("last", "code"), [("leave", 1000), ("raise", 1011)])
async def test_a_conversation_that_ends_closes(serving: Serving, last: str, code: int) -> None:
    async with serving() as served, served.client() as client:
        await client.send(last)
        assert await client.closed() == (code, "")


async def test_the_handlers_own_good_bye(serving: Serving) -> None:
    refused: list[Exception] = []

    async def converse(websocket: WebSocket) -> None:
        with pytest.raises(ValueError, match="no closing code"):
            await websocket.close(1005)
        with pytest.raises(TypeError, match="not int"):
            await websocket.send(1)  # type: ignore[arg-type] # what an adapter without types may do
        await websocket.close(4001, "enough")
        with pytest.raises(WebSocketClosedError) as caught:
            await websocket.send("more")
        refused.append(caught.value)

    async with serving() as served:
        served.handler.answer = WebSocketAnswer(converse=converse)
        async with served.client() as client:
            assert await client.closed() == (4001, "enough")
    assert len(refused) == 1


async def test_messages_beyond_the_bounds(serving: Serving) -> None:
    async with serving() as served:
        async with served.client() as client:
            await client.send("x" * (MESSAGE_MAX + 1))
            assert await client.closed() == (1009, "a message has 1000 bytes at most")
        async with served.client() as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send([""] * (limits.WEBSOCKET_FRAMES_MAX + 2))
            assert await client.closed() == (1008, "a message has 4096 frames at most")
        async with served.client() as client:
            await client.send("\u20ac" * 334)
            assert await client.closed() == (1009, "a message has 1000 bytes at most")
        assert [code for code, _ in served.handler.closed] == [1009, 1008, 1009]


async def test_places_for_conversations_are_fewer_than_for_requests(serving: Serving) -> None:
    async with serving(connections_max=4) as served:
        async with served.client(), served.client():
            status, body = await served.refused()
            assert (status, body) == (503, b"too many conversations by WebSocket: try again later\n")
        async with served.client() as client:
            await client.send("again")
            assert await client.receive() == "again"
