"""HTTP on trio: listeners, TLS, pipelining and bounds around an adapter's or a node's handler.

One task per connection reads requests and hands each to the handler in order of arrival; a second
one awaits the answers in the same order and writes them. At most ``HTTP_PIPELINED_REQUESTS_MAX`` are
under way per connection; beyond that the connection is simply not read. A request must arrive whole
within HTTP_REQUEST_TIMEOUT_MS, and those that are not answered yet share one budget of memory over the whole
node, so that neither slow nor many clients hold what others need. What is answered is let go of at once: most
connections of a node are idle.

A conversation by WebSocket takes its turn as an answer does, and its connection with it.

A listener speaks TLS. On a loopback address it may also be allowed to speak plain HTTP on the same
port (told apart by the first byte), because wallets and tools on the same machine expect that.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

import attrs
import structlog
import trio

from coco_core.adapter import HTTPHandler, HTTPRequest, HTTPResponse, PendingResponse, WebSocketAnswer
from coco_core.base import limits
from coco_core.node.capacity import UnfinishedBytes
from coco_core.node.websocket import CONNECTION_ENDED, Conversation
from coco_core.wire.http import CONTINUE, HTTPMessageError, Message, MessageReader, render_response
from coco_core.wire.websocket import VERSION, check_handshake, check_origin, is_asked_for, render_acceptance

_RECEIVE_BYTES = 256 * 1024
_TLS_HANDSHAKE = 0x16
_IDLE_TIMEOUT_S = limits.HTTP_IDLE_TIMEOUT_MS / 1000
_REQUEST_TIMEOUT_S = limits.HTTP_REQUEST_TIMEOUT_MS / 1000
_LINGER_S = limits.HTTP_LINGER_MS / 1000
_LINGER_SILENT_S = limits.HTTP_LINGER_SILENT_MS / 1000

_log = structlog.get_logger("coco.http")


@attrs.frozen
class _Underway:
    """One request's answer, ready or not, in the order of the connection."""

    answer: HTTPResponse | PendingResponse
    keep_alive: bool
    head_only: bool = False
    size: int = 0
    """Bytes of the request, held until it is answered."""
    for_websocket: bool = False
    """Whether WebSocket was asked for: anything else than an error would say that it was granted."""


@attrs.frozen
class _Upgrade:
    """A conversation by WebSocket, in its turn; HTTP on this connection ends with it."""

    answer: WebSocketAnswer
    asked: Message
    received: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class HTTPServer:
    """Serves one handler."""

    handler: HTTPHandler
    tls: ssl.SSLContext
    plain_allowed: bool = False
    """Also accept plain HTTP; only ever set for loopback listeners."""
    body_max_bytes: int = limits.HTTP_BODY_MAX_BYTES
    connections_max: int = limits.HTTP_CONNECTIONS_MAX
    unfinished: UnfinishedBytes = attrs.field(factory=UnfinishedBytes)
    """Shared by all servers of a node."""

    async def serve(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serve connections until cancelled; beyond ``connections_max`` new ones are closed."""
        places = trio.Semaphore(self.connections_max)
        websockets = trio.Semaphore(min(limits.WEBSOCKETS_MAX, self.connections_max // 2))

        async def connection(stream: trio.SocketStream) -> None:
            try:
                places.acquire_nowait()
            except trio.WouldBlock:
                await trio.aclose_forcefully(stream)
                return
            try:
                await self._connection(stream, websockets)
            finally:
                places.release()

        await trio.serve_listeners(connection, list(listeners))

    async def _connection(self, raw: trio.SocketStream, websockets: trio.Semaphore) -> None:
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with trio.fail_after(_REQUEST_TIMEOUT_S):
                stream = await self._secured(raw)
            if stream is not None:
                async with stream:
                    connection = _Connection(
                        stream, self.handler, self.body_max_bytes, self.unfinished, websockets
                    )
                    await connection.converse()
        except (*CONNECTION_ENDED, trio.TooSlowError):
            return
        finally:
            await trio.aclose_forcefully(raw)

    async def _secured(self, raw: trio.SocketStream) -> trio.abc.Stream | None:
        """Return the stream to converse on: TLS, or plain where that is allowed."""
        first = await raw.socket.recv(1, socket.MSG_PEEK)
        if not first:
            return None
        if first[0] != _TLS_HANDSHAKE:
            if self.plain_allowed:
                return raw
            message = b"this port speaks TLS only: use https\n"
            await raw.send_all(render_response(400, message, "text/plain", {}, keep_alive=False))
            await raw.send_eof()
            await _linger(raw)
            return None
        stream = trio.SSLStream(raw, self.tls, server_side=True, https_compatible=True)
        await stream.do_handshake()
        return stream


class _Connection:
    """One connection: a reading and a writing task around a bounded queue of answers."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        handler: HTTPHandler,
        body_max_bytes: int,
        unfinished: UnfinishedBytes,
        websockets: trio.Semaphore | None = None,
    ) -> None:
        self._stream = stream
        self._peer_certificate: bytes | None = None
        if isinstance(stream, trio.SSLStream):
            self._peer_certificate = stream.getpeercert(binary_form=True)
        self._handler = handler
        self._reader = MessageReader(requests=True, body_max_bytes=body_max_bytes, ends_http=is_asked_for)
        self._body_max_bytes = body_max_bytes
        self._unfinished = unfinished
        self._websockets = websockets or trio.Semaphore(limits.WEBSOCKETS_MAX)
        self._held = 0
        """What the budget was told that this connection holds."""
        self._answering = 0
        """Bytes of complete requests that are not answered yet."""
        self._begun: float | None = None
        """When the request that is not complete yet began to arrive."""
        self._sending = trio.Lock()
        self._answers, self._underway = trio.open_memory_channel[_Underway | _Upgrade](
            limits.HTTP_PIPELINED_REQUESTS_MAX
        )

    async def converse(self) -> None:
        """Serve the connection until the peer closes, idles too long or breaks the protocol."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                async with self._answers:
                    refused = await self._read()
                if refused:
                    await _linger(self._stream)
        except* CONNECTION_ENDED:
            pass
        finally:
            self._unfinished.held -= self._held
            self._held = 0

    async def _receive(self) -> bytes | None:
        """Return the next bytes, empty at the end, None when nothing came for too long.

        Raises HTTPMessageError when a request takes too long to arrive.
        """
        while True:
            begun = self._begun
            wait_s = (
                _IDLE_TIMEOUT_S if begun is None else max(0, begun + _REQUEST_TIMEOUT_S - trio.current_time())
            )
            with trio.move_on_after(wait_s):
                return bytes(await self._stream.receive_some(_RECEIVE_BYTES))
            if begun is not None:
                raise HTTPMessageError(408, "the request did not arrive in time")
            if not self._answers.statistics().current_buffer_used:
                return None

    def _feed(self, data: bytes) -> list[Message]:
        """Return the requests that ``data`` completes; raises HTTPMessageError, also for want of memory."""
        messages = self._reader.feed(data)
        before = self._held
        self._answering += sum(len(message.body) for message in messages)
        self._count()
        if not self._reader.unfinished_bytes:
            self._begun = None
        elif messages or self._begun is None:
            self._begun = trio.current_time()
        if before < self._held > self._unfinished.free_bytes and self._unfinished.exceeded and not messages:
            raise HTTPMessageError(503, "too many requests are arriving at once: send again later")
        return messages

    def _count(self) -> None:
        """Tell the budget what this connection holds."""
        size = self._reader.unfinished_bytes + self._answering
        self._unfinished.held += size - self._held
        self._held = size

    async def _read(self) -> bool:
        """Read until no request is to come; return whether that is because what came was refused."""
        try:
            while await self._read_some():
                # Whose frame ended keeps nothing: an idle connection holds none of its last request.
                pass
        except HTTPMessageError as error:
            self._reader = MessageReader(requests=True)
            self._count()
            await self._answers.send(_Underway(_refusal(error), keep_alive=False))
            return True
        return False

    async def _read_some(self) -> bool:
        """Read once and begin what requests are complete; return whether others may follow.

        Raises HTTPMessageError for what is no acceptable request; nothing behind it is read as one.
        """
        data = await self._receive()
        if not data:
            return False
        messages = self._feed(data)
        for message in messages:
            if self._reader.beyond is not None and message is messages[-1]:
                await self._answers.send(self._upgrade(message, self._reader.beyond))
                return False
            answer, size = self._accept(message), len(message.body)
            await self._answers.send(_Underway(answer, message.keep_alive, message.method == "HEAD", size))
            if not message.keep_alive:
                return False
        if self._reader.fault is not None:
            raise self._reader.fault
        if self._reader.take_continue():
            async with self._sending:
                await self._stream.send_all(CONTINUE)
        return True

    def _accept(self, message: Message) -> HTTPResponse | PendingResponse:
        answer = self._ask_handler(message, websocket=False)
        if isinstance(answer, WebSocketAnswer):
            return _refusal(HTTPMessageError(426, "only WebSocket is spoken here"))
        return answer

    def _upgrade(self, message: Message, received: bytes) -> _Underway | _Upgrade:
        """Begin a request that ends HTTP on this connection: for WebSocket, or a tunnel, which is refused."""
        try:
            if not is_asked_for(message):
                raise HTTPMessageError(501, "tunnels are not offered here")
            check_handshake(message)
            answer = self._ask_handler(message, websocket=True)
            if not isinstance(answer, WebSocketAnswer):
                return _Underway(answer, keep_alive=False, for_websocket=True)
            check_origin(message.headers, answer.origins)
        except HTTPMessageError as error:
            return _Underway(_refusal(error), keep_alive=False)
        return _Upgrade(answer, message, received)

    def _ask_handler(
        self, message: Message, *, websocket: bool
    ) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        request = HTTPRequest(
            method=message.method,
            target=message.target,
            headers=message.headers,
            body=message.body,
            peer_certificate=self._peer_certificate,
            tls=isinstance(self._stream, trio.SSLStream),
            websocket=websocket,
        )
        try:
            return self._handler.accept(request)
        except Exception:  # noqa: BLE001 - the handler's fault costs the caller this answer only
            _log.exception("handler failed", target=message.target)
            return _failure()

    async def _write(self, scope: trio.CancelScope) -> None:
        """Await and write answers in order; a connection that cannot be written to is not read either."""
        try:
            while await self._write_one():
                pass
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
        except (*CONNECTION_ENDED, trio.TooSlowError):
            # Also a peer that never reads: it may not keep its place among the connections.
            scope.cancel()

    async def _write_one(self) -> bool:
        """Await and write the next answer; return whether another may follow."""
        try:
            underway = await self._underway.receive()
        except trio.EndOfChannel:
            return False
        if isinstance(underway, _Upgrade):
            await self._speak_websocket(underway)
            return False
        await self._send(await _rendered(underway))
        self._answering -= underway.size
        self._count()
        return True

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            with trio.fail_after(_IDLE_TIMEOUT_S):
                await self._stream.send_all(data)

    async def _speak_websocket(self, upgrade: _Upgrade) -> None:
        """Shake hands and converse, while there is a place for it."""
        try:
            self._websockets.acquire_nowait()
        except trio.WouldBlock:
            full = HTTPMessageError(503, "too many conversations by WebSocket: try again later")
            await self._send(_render(_refusal(full), _Underway(_failure(), keep_alive=False)))
            return
        try:
            await self._send(render_acceptance(upgrade.asked.headers, upgrade.answer.subprotocol))
            conversation = Conversation(self._stream, self._body_max_bytes, self._unfinished)
            await conversation.run(upgrade.answer, upgrade.received)
        except ValueError:
            _log.exception("handler failed", target=upgrade.asked.target)
            await self._send(_render(_failure(), _Underway(_failure(), keep_alive=False)))
        finally:
            self._websockets.release()


async def _linger(stream: trio.abc.ReceiveStream) -> None:
    """Take and drop what a refused client still sends, for a while.

    Most clients read no answer before they have sent all of a request, and a connection that is closed with
    bytes unread is reset: they would never learn why they were refused (RFC 9112 §9.6).
    """
    with trio.move_on_after(_LINGER_S):
        received = True
        while received:
            received = False
            with trio.move_on_after(_LINGER_SILENT_S):
                received = bool(await stream.receive_some(_RECEIVE_BYTES))


async def _rendered(underway: _Underway) -> bytes:
    """Await an answer and return its bytes; an answer that fails or cannot be written becomes a 500."""
    answer = underway.answer
    try:
        response = answer if isinstance(answer, HTTPResponse) else await answer()
        if underway.for_websocket and response.status < 400:
            response = _refusal(HTTPMessageError(501, "WebSocket is not spoken here"))
        return _render(response, underway)
    except Exception:  # noqa: BLE001 - the handler's fault costs the caller this answer only
        _log.exception("handler failed")
        return _render(_failure(), underway)


def _render(response: HTTPResponse, underway: _Underway) -> bytes:
    return render_response(
        response.status,
        response.body,
        response.content_type,
        response.headers,
        keep_alive=underway.keep_alive,
        head_only=underway.head_only,
    )


def _failure() -> HTTPResponse:
    return HTTPResponse(status=500, body=b"internal error\n", content_type="text/plain")


def _refusal(error: HTTPMessageError) -> HTTPResponse:
    headers = {"upgrade": "websocket", "sec-websocket-version": VERSION} if error.status == 426 else {}
    return HTTPResponse(
        status=error.status, body=f"{error}\n".encode(), content_type="text/plain", headers=headers
    )
