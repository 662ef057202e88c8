"""Asks systems outside: one GET on one connection of its own, bounded in time and size.

Only here does a node dial what is no node. No proxy and no variable of the environment has a say in whom it
dials; certificates must be issued by whom the consortium named, or else by whom this system believes.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Final

import trio

from coco_core.adapter import Fetched, Origin
from coco_core.base import limits
from coco_core.errors import FetchError
from coco_core.wire.http import HTTPMessageError, Message, MessageReader

_RECEIVE_BYTES: Final = 64 * limits.KIB
_EACH_S: Final = limits.FETCH_TIMEOUT_MS / 1000
_ALL_S: Final = limits.FETCHES_TIMEOUT_MS / 1000


class OutsideGet:
    """What one batch asks for (see governance.fetching.Get), within the time it has."""

    def __init__(self) -> None:
        """Begin with all of it."""
        self._left_s = _ALL_S

    async def __call__(self, url: str, origin: Origin, ca_certs: str | None) -> Fetched:
        """Return the answer; raises FetchError."""
        if self._left_s <= 0:
            raise FetchError("exhausted", "a batch waits only so long for others: try again with the next")
        began = trio.current_time()
        try:
            with trio.fail_after(min(_EACH_S, self._left_s)):
                answer = await _ask(origin, ca_certs)
        except trio.TooSlowError as error:
            raise FetchError("timeout", f"{origin.text} did not answer in time") from error
        finally:
            self._left_s -= trio.current_time() - began
        return Fetched(url, answer.status, answer.body)


def anchored_context(ca_certs: str | None) -> ssl.SSLContext:
    """Return a TLS context that believes the issuers ``ca_certs`` (PEM), or else the system's.

    Made by hand: a default context would write its keys to where SSLKEYLOGFILE says. Raises FetchError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_certs is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    try:
        context.load_verify_locations(cadata=ca_certs)
    except (ssl.SSLError, ValueError) as error:
        raise FetchError("tls", f"the certificates of issuers cannot be used: {error}") from error
    return context


async def _ask(origin: Origin, ca_certs: str | None) -> Message:
    tls = anchored_context(ca_certs) if origin.encrypted else None
    stream: trio.abc.Stream
    try:
        stream = await trio.open_tcp_stream(origin.host, origin.port)
    except OSError as error:
        raise FetchError("unreachable", f"{origin.text}: {error.__cause__ or error}") from error
    if tls is not None:
        stream = trio.SSLStream(stream, tls, server_hostname=origin.host, https_compatible=True)
    try:
        if isinstance(stream, trio.SSLStream):
            await _shake_hands(stream, origin)
        return await _converse(stream, origin)
    finally:
        await trio.aclose_forcefully(stream)


async def _shake_hands(stream: trio.SSLStream[trio.SocketStream], origin: Origin) -> None:
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        raise FetchError("tls", f"{origin.text}: {error.__cause__ or error}") from error


async def _converse(stream: trio.abc.Stream, origin: Origin) -> Message:
    """Ask, and return the answer; one whose end would be told by closing only could be cut by anybody."""
    authority = origin.text.partition("://")[2]
    fields = f"host: {authority}\r\naccept: */*\r\naccept-encoding: identity\r\nuser-agent: coco\r\n"
    reader = MessageReader(requests=False, body_max_bytes=limits.FETCH_BODY_MAX_BYTES)
    try:
        request = f"GET {origin.target} HTTP/1.1\r\n{fields}connection: close\r\n\r\n"
        # Who answers before it has read may have closed already.
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(request.encode("ascii"))
        while data := await stream.receive_some(_RECEIVE_BYTES):
            for message in reader.feed(bytes(data)):
                if message.status >= 200:
                    return _whole(message, origin)
    except trio.BrokenResourceError as error:
        raise FetchError("unreachable", f"{origin.text} broke the connection: {error}") from error
    except HTTPMessageError as error:
        code = "too-large" if error.status in (413, 431) else "protocol"
        raise FetchError(code, f"{origin.text} answered what is not taken: {error}") from error
    raise FetchError("protocol", f"{origin.text} ended before its answer did, or did not state its length")


def _whole(message: Message, origin: Origin) -> Message:
    encoding = message.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise FetchError("protocol", f"{origin.text} encoded its answer unasked: {encoding[:40]}")
    return message
