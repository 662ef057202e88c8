"""WebSocket without I/O (RFC 6455): the handshake's rules, and bytes to whole messages, over ``wsproto``.

Bounds are kept while bytes arrive: on a message, and on the frames it may come in. Extensions are not
offered, compression among them: a few bytes would stand for many.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import attrs
from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import generate_accept_token

from coco_core.base import limits
from coco_core.wire.http import HTTPMessageError, Message, render_head

VERSION: Final = "13"
SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014})
"""RFC 6455 §7.4 and its registry; 3000 to 4999 are for frameworks and applications."""


@attrs.frozen
class Ping:
    """The peer wants to know whether somebody is there."""

    payload: bytes


@attrs.frozen
class Ended:
    """Nothing more will come: the peer closed, or (not ``by_peer``) broke the protocol or a bound."""

    code: int
    reason: str
    by_peer: bool


Arrived = str | bytes | Ping | Ended


def is_asked_for(message: Message) -> bool:
    """Tell whether a request that ends HTTP on its connection does so for WebSocket."""
    offered = message.headers.get("upgrade", "").lower().split(",")
    return message.method != "CONNECT" and "websocket" in [one.strip() for one in offered]


def check_handshake(message: Message) -> None:
    """Raise HTTPMessageError unless the request is a WebSocket handshake that can be accepted (§4.2.1)."""
    headers = message.headers
    if message.method != "GET" or message.body:
        raise HTTPMessageError(400, "a WebSocket handshake is a GET without a body")
    if headers.get("sec-websocket-version", "") != VERSION:
        raise HTTPMessageError(426, f"this server speaks version {VERSION} of WebSocket")
    try:
        key = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 16:
        raise HTTPMessageError(400, "sec-websocket-key is 16 bytes in base64")


def check_origin(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raise HTTPMessageError (403) for a web page that is neither from here nor among the ``allowed``.

    "Here" is what the request calls this host, so that a proxy which speaks TLS for us changes nothing.
    Clients that are no browsers send no origin and pass.
    """
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    _, _, place = origin.partition("://")
    if not place or place.lower() != headers.get("host", "").lower():
        raise HTTPMessageError(403, f"pages of {origin} may not connect here")


def render_acceptance(headers: Mapping[str, str], subprotocol: str) -> bytes:
    """Return the answer to a handshake; raises ValueError for a subprotocol that was not offered."""
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    if subprotocol and subprotocol not in offered:
        raise ValueError(f"subprotocol {subprotocol!r} was not offered")
    accept = generate_accept_token(headers["sec-websocket-key"].encode("latin-1")).decode("ascii")
    fields = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accept)]
    if subprotocol:
        fields.append(("sec-websocket-protocol", subprotocol))
    return render_head(101, fields)


class WebSocketCodec:
    """The server's side of one conversation after the handshake."""

    def __init__(self, message_max_bytes: int) -> None:
        """Take messages of at most ``message_max_bytes``."""
        self._connection = Connection(ConnectionType.SERVER)
        self._message_max = message_max_bytes
        self._held = bytearray()
        self._frames = 0

    def feed(self, data: bytes) -> list[Arrived]:
        """Return what ``data`` completes; behind an Ended nothing is read any more."""
        self._connection.receive_data(data)
        return list(self._arrived())

    def _arrived(self) -> Iterator[Arrived]:
        for event in self._connection.events():
            match event:
                case events.Ping():
                    yield Ping(bytes(event.payload))
                case events.CloseConnection():
                    by_peer = self._connection.state is not ConnectionState.OPEN
                    yield Ended(int(event.code), event.reason or "", by_peer)
                    return
                case events.TextMessage() | events.BytesMessage():
                    taken = self._take(event)
                    if taken is not None:
                        yield taken
                    if isinstance(taken, Ended):
                        return

    def _take(self, event: events.TextMessage | events.BytesMessage) -> str | bytes | Ended | None:
        """Keep a piece of a message; return the message it completes, or the bound it breaks."""
        is_text = isinstance(event, events.TextMessage)
        # Text too is counted in bytes, and kept as such: pieces may be as small as a character.
        self._held += event.data.encode() if isinstance(event, events.TextMessage) else event.data
        self._frames += event.frame_finished
        if len(self._held) > self._message_max:
            return Ended(
                CloseReason.MESSAGE_TOO_BIG, f"a message has {self._message_max} bytes at most", by_peer=False
            )
        if self._frames > limits.WEBSOCKET_FRAMES_MAX:
            return Ended(
                CloseReason.POLICY_VIOLATION,
                f"a message has {limits.WEBSOCKET_FRAMES_MAX} frames at most",
                by_peer=False,
            )
        if not event.message_finished:
            return None
        whole = bytes(self._held)
        self._held, self._frames = bytearray(), 0
        return whole.decode() if is_text else whole

    @property
    def unfinished_bytes(self) -> int:
        """Bytes of a message that is not complete yet; zero between messages."""
        return len(self._held)

    @property
    def open(self) -> bool:
        """Whether messages may still be sent."""
        return self._connection.state is ConnectionState.OPEN

    def message(self, message: str | bytes) -> bytes:
        """Return a message as one frame, while open. Raises TypeError for what is neither str nor bytes."""
        if isinstance(message, str):
            return self._connection.send(events.TextMessage(data=message))
        if isinstance(message, bytes | bytearray | memoryview):
            return self._connection.send(events.BytesMessage(data=bytes(message)))
        raise TypeError(f"a message is str or bytes, not {type(message).__name__}")

    def ping(self) -> bytes:
        """Return a ping."""
        return self._connection.send(events.Ping())

    def pong(self, ping: Ping) -> bytes:
        """Return the answer to a ping."""
        return self._connection.send(events.Pong(payload=ping.payload))

    def close(self, code: int, reason: str = "") -> bytes:
        """Return a closing frame, nothing when one was sent. Raises ValueError for a code nobody may send."""
        if not (code in SENDABLE or 3000 <= code <= 4999):
            raise ValueError(f"{code} is no closing code a server may send")
        if self._connection.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        return self._connection.send(events.CloseConnection(code=code, reason=reason))
