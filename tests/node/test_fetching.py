"""Asking systems outside: whole answers of who holds the right certificate, within time and size."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from coco_core.adapter import Fetched, Origin
from coco_core.base import limits
from coco_core.crypto import Curve, PrivateKey, endorse, self_signed
from coco_core.errors import FetchError
from coco_core.node.fetching import OutsideGet, anchored_context

Serve = Callable[[trio.abc.Stream, bytes], Awaitable[None]]
START, END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2090))
ISSUER = PrivateKey.generate(Curve.P256)
ISSUER_PEM = self_signed(ISSUER, "Issuer", not_before=START, not_after=END, ca=True)


def server_context(folder: Path, *sans: str, issuer: str = ISSUER_PEM) -> ssl.SSLContext:
    key = PrivateKey.generate(Curve.P256)
    pem = endorse(key.public, "Server", ISSUER, issuer, not_before=START, not_after=END, sans=sans)
    (folder / "server.pem").write_text(pem + key.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on loopback; yield the port."""

    async def handle(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = await stream.receive_some()
                if not piece:
                    return
                request += bytes(piece)
            await serve(stream, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def answering(answer: bytes, requests: list[bytes] | None = None) -> Serve:
    async def serve(stream: trio.abc.Stream, request: bytes) -> None:
        if requests is not None:
            requests.append(request)
        await stream.send_all(answer)

    return serve


async def get(url: str, ca_certs: str | None = None) -> Fetched:
    return await OutsideGet()(url, Origin.of(url), ca_certs)


async def failure(url: str, ca_certs: str | None = None) -> str:
    with pytest.raises(FetchError) as caught:
        await get(url, ca_certs)
    return caught.value.code


def length(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (more, len(body), body)


async def test_one_request_and_its_answer() -> None:
    requests: list[bytes] = []
    async with serving(answering(length(b"1.25"), requests)) as port:
        url = f"http://127.0.0.1:{port}/rate?of=EUR%2FUSD"
        assert await get(url) == Fetched(url, 200, b"1.25")
    (request,) = requests
    assert request == (
        b"GET /rate?of=EUR%%2FUSD HTTP/1.1\r\nhost: 127.0.0.1:%d\r\naccept: */*\r\n"
        b"accept-encoding: identity\r\nuser-agent: coco\r\nconnection: close\r\n\r\n" % port
    )


TAKEN = {
    "in chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n7\r\n2\r\n89\r\n0\r\n\r\n",
        200,
        b"789",
    ),
    "after interim ones": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + length(b"7"),
        200,
        b"7",
    ),
    "an error": (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno", 503, b"no"),
    "a redirect, which nobody follows": (
        b"HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\n\r\n",
        302,
        b"",
    ),
    "of no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "as large as may be": (
        length(bytes(limits.FETCH_BODY_MAX_BYTES)),
        200,
        bytes(limits.FETCH_BODY_MAX_BYTES),
    ),
}


@pytest.mark.parametrize("kind", TAKEN)
async def test_answers_that_are_taken(kind: str) -> None:
    answer, status, body = TAKEN[kind]
    async with serving(answering(answer)) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await get(url) == Fetched(url, status, body)


REFUSED = {
    "nothing": (b"", "protocol"),
    "cut short": (length(b"1234")[:-1], "protocol"),
    "a chunk cut short": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n7",
        "protocol",
    ),
    "an end told by closing only": (b"HTTP/1.0 200 OK\r\n\r\n7", "protocol"),
    "not HTTP": (b"SSH-2.0-x\r\n\r\n", "protocol"),
    "two lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n77", "protocol"),
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n",
        "protocol",
    ),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "protocol",
    ),
    "encoded unasked": (length(b"7", b"content-encoding: gzip\r\n"), "protocol"),
    "too large as announced": (
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (limits.FETCH_BODY_MAX_BYTES + 1),
        "too-large",
    ),
    "too large in chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n" % (limits.FETCH_BODY_MAX_BYTES + 1, bytes(limits.FETCH_BODY_MAX_BYTES + 1)),
        "too-large",
    ),
    "endless headers": (
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * limits.HTTP_HEADERS_MAX_BYTES,
        "too-large",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_answers_that_are_not_taken(kind: str) -> None:
    answer, code = REFUSED[kind]
    async with serving(answering(answer)) as port:
        assert await failure(f"http://127.0.0.1:{port}/") == code


async def test_nobody_there() -> None:
    async with serving(answering(b"")) as port:
        pass
    assert await failure(f"http://127.0.0.1:{port}/") == "unreachable"
    assert await failure(f"https://127.0.0.1:{port}/") == "unreachable"


async def silent(_stream: trio.abc.Stream, _request: bytes) -> None:
    await trio.sleep_forever()


async def dripping(stream: trio.abc.Stream, _request: bytes) -> None:
    """Answer for ever, a line at a time and never late."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\n")
    while True:
        await stream.send_all(b"x: y\r\n")
        await trio.sleep(limits.FETCH_TIMEOUT_MS / 5_000)


@pytest.mark.parametrize("serve", [silent, dripping])
async def test_an_answer_has_one_deadline_however_it_comes(
    serve: Serve, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(serve) as port:
        assert await failure(f"http://127.0.0.1:{port}/") == "timeout"
        assert trio.current_time() == pytest.approx(limits.FETCH_TIMEOUT_MS / 1000)


async def test_a_handshake_counts_too(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(silent) as port:
        assert await failure(f"https://127.0.0.1:{port}/") == "timeout"


async def test_all_of_one_batch_have_one_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(silent) as port:
        url = f"http://127.0.0.1:{port}/"
        one = OutsideGet()
        codes = []
        for _ in range(4):
            with pytest.raises(FetchError) as caught:
                await one(url, Origin.of(url), None)
            codes.append(caught.value.code)
    assert codes == ["timeout", "timeout", "exhausted", "exhausted"]


async def test_a_server_shows_a_certificate_of_the_issuer_that_was_named(tmp_path: Path) -> None:
    async with serving(answering(length(b"7")), server_context(tmp_path, "127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/"
        assert (await get(url, ISSUER_PEM)).body == b"7"
        stranger = self_signed(PrivateKey.generate(Curve.P256), "X", not_before=START, not_after=END, ca=True)
        assert await failure(url, stranger) == "tls"
        assert await failure(url, None) == "tls"
        assert await failure(url, "no certificate") == "tls"


async def test_a_server_shows_a_certificate_of_its_own_name(tmp_path: Path) -> None:
    async with serving(answering(length(b"7")), server_context(tmp_path, "rates.example")) as port:
        assert await failure(f"https://127.0.0.1:{port}/", ISSUER_PEM) == "tls"


async def test_a_server_that_speaks_no_tls() -> None:
    async def plain(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(length(b"7"))

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, plain, listeners)
        port = listeners[0].socket.getsockname()[1]
        assert await failure(f"https://127.0.0.1:{port}/", ISSUER_PEM) == "tls"
        nursery.cancel_scope.cancel()


async def test_the_environment_sends_nobody_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    async with serving(answering(length(b"7")), server_context(tmp_path, "127.0.0.1")) as port:
        assert (await get(f"https://127.0.0.1:{port}/", ISSUER_PEM)).body == b"7"
    assert not (tmp_path / "keys").exists()


def test_the_systems_issuers_are_believed_only_when_none_was_named() -> None:
    named, system = anchored_context(ISSUER_PEM), anchored_context(None)
    assert len(named.get_ca_certs()) == 1
    for context in (named, system):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
