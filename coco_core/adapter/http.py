"""HTTP as an adapter sees it: values in, values out. Sockets, TLS and limits are the node's.

A handler works in two steps, so that requests pipelined on one connection keep their order without
waiting for each other's commit: ``accept`` is called in order of arrival and does what must be in
order (parse, submit); what it returns is awaited later, and answers are written in order.

A client that asks to speak WebSocket (RFC 6455) may be given a conversation instead of an answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, Self

import attrs

from coco_core.adapter.caller import ANONYMOUS, Caller
from coco_core.errors import CallerError


@attrs.frozen(kw_only=True)
class HTTPRequest:
    """One request: ``target`` as sent, header names in lower case, the whole body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    peer_certificate: bytes | None = attrs.field(default=None, repr=False)
    """The certificate (DER) that the client presented and the listener's TLS believed; None without one."""
    caller: Caller = ANONYMOUS
    """Who asks, as the consortium's tables tell; hand it on with what is submitted for this request."""
    tls: bool = False
    """Whether it came over TLS; behind a proxy that may not be what the client speaks."""
    websocket: bool = False
    """Whether the client asks to speak WebSocket; then a WebSocketAnswer may be the answer."""

    @classmethod
    def get(cls, target: str) -> Self:
        """Return a client's request to read ``target``."""
        return cls(method="GET", target=target, headers={}, body=b"")

    @classmethod
    def post(cls, target: str, body: bytes, content_type: str = "application/json") -> Self:
        """Return a client's request to post ``body`` to ``target``."""
        return cls(method="POST", target=target, headers={"content-type": content_type}, body=body)


@attrs.frozen(kw_only=True)
class HTTPResponse:
    """One answer; the node adds Content-Length and connection headers."""

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=lambda data: f"<{len(data)} bytes>")
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)


PendingResponse = Callable[[], Awaitable[HTTPResponse]]


class WebSocketClosedError(CallerError):
    """The client left, was too slow or broke the protocol; ``code`` says how (RFC 6455 §7.4)."""

    def __init__(self, code: int, reason: str) -> None:
        """Keep the code beside the reason."""
        super().__init__(f"closed ({code}) {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket(Protocol):
    """One conversation as the adapter holds it: whole messages, each a str (text) or bytes (binary).

    Pings, fragments, bounds and the handshakes at both ends are the node's. Tasks may share it; only one
    may receive.
    """

    def receive(self) -> Awaitable[str | bytes]:
        """Return the client's next message; raises WebSocketClosedError behind the last one."""
        ...

    def send(self, message: str | bytes) -> Awaitable[None]:
        """Return once the client's system took the message; raises WebSocketClosedError when it is gone.

        A client that does not read holds the sender for HTTP_IDLE_TIMEOUT_MS at most and then counts as gone.
        So whoever sends what others cause bounds what waits for it.
        """
        ...

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """Say good-bye; nothing can be sent after it. ``reason`` is cut at 123 bytes."""
        ...


@attrs.frozen(kw_only=True)
class WebSocketAnswer:
    """What ``accept`` returns to begin a conversation; the node shakes hands, then awaits ``converse``."""

    converse: Callable[[WebSocket], Awaitable[None]]
    """The conversation is over when it returns. Once the client is gone it has WEBSOCKET_CLOSING_MS to end
    and is cancelled then; a WebSocketClosedError may leave it, any other exception closes with code 1011."""
    subprotocol: str = ""
    """The one chosen of those that ``Sec-WebSocket-Protocol`` offers, if any."""
    origins: frozenset[str] = frozenset()
    """Web pages that may connect, as browsers name them (``https://example.org``), or ``*`` for all.

    A page that came from the same host and port always may. Browsers let every page open WebSockets to
    every address, so without this any page that somebody visits could read a node on their machine.
    """


class HTTPHandler(Protocol):
    """An adapter's front end on HTTP."""

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        """Begin one request: answer at once, or return what to await for the answer.

        Must not block. An exception is answered with status 500 and logged; the connection stays. A
        WebSocketAnswer to a client that did not ask for one becomes a 426; any success in place of one,
        for a client that asked, a 501.
        """
        ...
