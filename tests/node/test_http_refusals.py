"""Refused clients of the HTTP server that are still sending: they learn why, and are not heard for ever."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from coco_core.adapter import HTTPRequest, HTTPResponse
from coco_core.base import limits
from coco_core.node.capacity import UnfinishedBytes
from coco_core.node.http import HTTPServer, _Connection
from coco_core.node.tls import frontend_context, service_client_context
from coco_core.testing import Consortium
from coco_core.wire.http import Message, MessageReader, render_request


class Nobody:
    """Is asked nothing: what arrives is refused before."""

    def accept(self, request: HTTPRequest) -> HTTPResponse:
        raise AssertionError(request)


async def answer_of(stream: trio.abc.ReceiveStream) -> Message:
    reader = MessageReader(requests=False)
    while True:
        data = await stream.receive_some()
        assert data, "closed without an answer"
        if found := reader.feed(bytes(data)):
            return found[0]


@pytest.mark.parametrize(
    ("encrypted", "plain", "reason"),
    [
        (False, True, (413, b"body exceeds the bound of 1000 bytes\n")),
        (True, True, (413, b"body exceeds the bound of 1000 bytes\n")),
        (False, False, (400, b"this port speaks TLS only: use https\n")),
    ],
)
async def test_clients_that_send_all_before_they_read_learn_why(
    encrypted: bool, plain: bool, reason: tuple[int, bytes], consortium: Consortium
) -> None:
    identity = consortium.identities[0]
    tls = frontend_context(identity.certificate, identity.key)
    server = HTTPServer(handler=Nobody(), tls=tls, plain_allowed=plain, body_max_bytes=1000)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, listeners)
        with trio.fail_after(30):
            host, port = listeners[0].socket.getsockname()
            stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
            if encrypted:
                stream = _encrypted(stream, service_client_context(consortium.service.certificate))
            async with stream:
                # More than the buffers of both ends hold: most of it is sent after the answer was.
                await stream.send_all(render_request("POST", "/", "h", bytes(20_000_000), "text/plain"))
                answer = await answer_of(stream)
        assert (answer.status, answer.body) == reason
        nursery.cancel_scope.cancel()


def _encrypted(stream: trio.abc.Stream, context: ssl.SSLContext) -> trio.abc.Stream:
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


@pytest.mark.parametrize("goes_on", [True, False])
async def test_clients_are_not_listened_to_for_ever(
    goes_on: bool, autojump_clock: trio.testing.MockClock
) -> None:
    near, far = trio.testing.memory_stream_pair()
    unfinished = UnfinishedBytes()
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            await near.send_all(b"POST / HTTP/1.1\r\ncontent-length: 1001\r\n\r\n")
            while goes_on:
                await near.send_all(b"x")
                await trio.sleep(limits.HTTP_LINGER_SILENT_MS / 2000)

        nursery.start_soon(send)
        await _Connection(far, Nobody(), 1000, unfinished).converse()
        held_ms = limits.HTTP_LINGER_MS if goes_on else limits.HTTP_LINGER_SILENT_MS
        assert trio.current_time() == pytest.approx(held_ms / 1000)
        assert unfinished.held == 0
        nursery.cancel_scope.cancel()
