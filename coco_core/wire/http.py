"""HTTP/1.1 without I/O: bytes in, whole messages out, over ``httptools`` (the llhttp parser).

Servers and clients of the shell share this file. It enforces the bounds on headers and bodies while
bytes arrive, so that no peer makes a node hold more than one bounded message per connection.
Source: RFC 9112.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Final

import attrs
import httptools

from coco_core.base import limits
from coco_core.errors import MalformedError

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_OFFERS: Final = frozenset({"connection", "http2-settings", "upgrade"})
"""Headers of a request that offers another protocol; the first says that they concern one hop."""

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class HTTPMessageError(MalformedError):
    """What arrived is not an acceptable HTTP message; ``status`` is what to answer with."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


@attrs.frozen(slots=True, kw_only=True)
class Message:
    """One complete request or response; header names are in lower case."""

    method: str = ""
    target: str = ""
    status: int = 0
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    keep_alive: bool


class _Collector:
    """Receives the parser's callbacks and assembles messages."""

    def __init__(self, body_max_bytes: int) -> None:
        self.complete: list[Message] = []
        self.expects_continue = False
        self.progress = False
        """Set when headers end, a piece of a body comes or a message ends; whoever reads it resets it."""
        self._body_max = body_max_bytes
        self._parser: httptools.HttpRequestParser | httptools.HttpResponseParser | None = None
        self._reset()

    def attach(self, parser: httptools.HttpRequestParser | httptools.HttpResponseParser) -> None:
        self._parser = parser

    @property
    def held_bytes(self) -> int:
        return self._header_bytes + self._body_bytes

    def _reset(self) -> None:
        self._url: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        self._url.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value))
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self.progress = True
        announced = self._headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > self._body_max:
            self._too_large()
        if self._headers.get("expect", "").lower() == "100-continue":
            self.expects_continue = True

    def on_body(self, body: bytes) -> None:
        self.progress = True
        self._body_bytes += len(body)
        if self._body_bytes > self._body_max:
            self._too_large()
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.progress = True
        parser = self._parser
        self.complete.append(
            Message(
                method=(
                    parser.get_method().decode("latin-1")
                    if isinstance(parser, httptools.HttpRequestParser)
                    else ""
                ),
                target=b"".join(self._url).decode("latin-1"),
                status=parser.get_status_code() if isinstance(parser, httptools.HttpResponseParser) else 0,
                headers=self._headers,
                body=b"".join(self._body),
                keep_alive=parser is not None and bool(parser.should_keep_alive()),
            )
        )
        self._reset()

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > limits.HTTP_HEADERS_MAX_BYTES:
            raise _headers_too_large()

    def _too_large(self) -> None:
        raise HTTPMessageError(413, f"body exceeds the bound of {self._body_max} bytes")


def _headers_too_large() -> HTTPMessageError:
    return HTTPMessageError(431, f"headers exceed {limits.HTTP_HEADERS_MAX_BYTES} bytes")


class MessageReader:
    """Turns a connection's bytes into messages, either requests (server) or responses (client)."""

    def __init__(
        self,
        *,
        requests: bool,
        body_max_bytes: int = limits.HTTP_BODY_MAX_BYTES,
        ends_http: Callable[[Message], bool] | None = None,
    ) -> None:
        """Read requests or responses with bodies of at most ``body_max_bytes``.

        ``ends_http`` says of a request that offers other protocols whether one of them is spoken here. The
        others are read on as if they offered nothing (RFC 9110 §7.8): many clients offer HTTP/2 first.
        """
        self._collector = _Collector(body_max_bytes)
        self._requests = requests
        self._ends_http = ends_http
        self._parser = self._new_parser()
        self.fault: HTTPMessageError | None = None
        self.beyond: bytes | None = None
        """Set when the last message returned ends HTTP here: what came behind it. Feed no more."""
        self._quiet_bytes = 0
        """Bytes fed since headers, a piece of a body or a message ended: the parser holds most of them."""

    def _new_parser(self) -> httptools.HttpRequestParser | httptools.HttpResponseParser:
        make = httptools.HttpRequestParser if self._requests else httptools.HttpResponseParser
        parser = make(self._collector)
        self._collector.attach(parser)
        return parser

    @property
    def unfinished_bytes(self) -> int:
        """Bytes of a message that is not complete yet; zero between messages."""
        return self._collector.held_bytes + self._quiet_bytes

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages completed by ``data``.

        Raises HTTPMessageError, then discard the reader. If messages were complete before the fault
        they are returned, and ``fault`` says what follows them.
        """
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            # The parser has passed the message on already.
            if isinstance(self._parser, httptools.HttpResponseParser):
                self._collector.complete.pop()
                self.fault = HTTPMessageError(501, "no protocol upgrade was asked for")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            known = cause if isinstance(cause, HTTPMessageError) else None
            self.fault = known or HTTPMessageError(400, f"malformed HTTP: {error}")
        except httptools.HttpParserError as error:
            self.fault = HTTPMessageError(400, f"malformed HTTP: {error}")
        except HTTPMessageError as error:
            self.fault = error
        complete, self._collector.complete = self._collector.complete, []
        if self.fault is not None and not complete:
            raise self.fault
        return complete

    def _feed(self, data: bytes) -> None:
        """Feed the parser piece by piece, and stop it in a header that does not end.

        It tells of a header only when the header is complete, and joins the pieces of an unfinished one
        at a cost that grows with the square of its length. So the raw bytes are counted, of headers,
        trailers and the lines between chunks alike.
        """
        collector, start, whole = self._collector, 0, memoryview(data)
        while start < len(data):
            piece = whole[start : start + limits.HTTP_HEADERS_MAX_BYTES]
            collector.progress = False
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                start += upgrade.args[0]
                self._quiet_bytes = 0
                if self._is_end(collector.complete[-1]):
                    self.beyond = data[start:]
                    raise
                self._read_over_offer(collector.complete.pop())
                continue
            start += len(piece)
            self._quiet_bytes = 0 if collector.progress else self._quiet_bytes + len(piece)
            if self._quiet_bytes > limits.HTTP_HEADERS_MAX_BYTES:
                raise _headers_too_large()

    def _read_over_offer(self, message: Message) -> None:
        """Begin a message again without its offer: the parser leaves off where its body would begin."""
        version = self._parser.get_http_version()
        self._parser = self._new_parser()
        fields = [each for each in message.headers.items() if each[0] not in _OFFERS]
        # HTTP/1.0 closes unless it is told otherwise, later versions the other way round.
        fields.append(("connection", "keep-alive" if message.keep_alive else "close"))
        head = [
            f"{message.method} {message.target} HTTP/{version}",
            *(f"{name}: {value}" for name, value in fields),
        ]
        self._parser.feed_data("\r\n".join([*head, "", ""]).encode("latin-1"))

    def _is_end(self, message: Message) -> bool:
        """Return whether what follows a message that offers or takes another protocol is no HTTP."""
        if not self._requests or message.method == "CONNECT":
            return True
        return self._ends_http is not None and self._ends_http(message)

    def take_continue(self) -> bool:
        """Tell, once, whether the peer waits for ``100 Continue`` before it sends a body."""
        expects, self._collector.expects_continue = self._collector.expects_continue, False
        return expects


def render_response(
    status: int,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str],
    *,
    keep_alive: bool,
    head_only: bool = False,
) -> bytes:
    """Return a whole response as bytes; without its body for a HEAD request (RFC 9110 §9.3.2).

    Raises ValueError or TypeError for what cannot be written: a header that would end its line or is
    beyond latin-1 (RFC 9110 §5.5), a body that is not bytes.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(f"a body is bytes, not {type(body).__name__}")
    fields = [("content-length", str(len(body)))]
    if body:
        fields.append(("content-type", content_type))
    else:
        _check_field("content-type", content_type)
    fields += headers.items()
    if not keep_alive:
        fields.append(("connection", "close"))
    return render_head(status, fields) + (b"" if head_only else body)


def render_head(status: int, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return a status line and headers, with the empty line behind them; raises as render_response."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}"]
    for name, value in fields:
        _check_field(name, value)
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _check_field(name: str, value: str) -> None:
    if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        raise ValueError(f"header {name!r} cannot be written: {value!r}")


def render_request(method: str, target: str, host: str, body: bytes, content_type: str) -> bytes:
    """Return a whole request as bytes."""
    head = f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"
    if body or method == "POST":
        head += f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return head.encode("latin-1") + b"\r\n" + body
