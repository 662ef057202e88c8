"""Messages from bytes and back: what is too long, malformed or cannot be written is refused."""

from __future__ import annotations

import time

import pytest

from coco_core.base import limits
from coco_core.wire.http import HTTPMessageError, MessageReader, render_request, render_response

CHUNKED = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: ",
        b"GET / HTTP/1.1\r\n",
        b"GET /",
        CHUNKED + b"1\r\na\r\n0\r\nx: ",
        CHUNKED + b"1;",
    ],
    ids=["value", "name", "target", "trailer", "chunk extension"],
)
@pytest.mark.parametrize("piece", [1000, 256 * 1024])
def test_what_never_ends_is_stopped(head: bytes, piece: int) -> None:
    reader = MessageReader(requests=True)
    reader.feed(head)
    begin, room = time.process_time(), 2 * limits.HTTP_HEADERS_MAX_BYTES
    with pytest.raises(HTTPMessageError) as caught:
        [reader.feed(b"x" * piece) for _ in range(room // piece + 1)]
    assert caught.value.status == 431
    assert time.process_time() - begin < 1


def test_headers_within_the_bound_are_taken_whatever_the_pieces() -> None:
    head = b"GET / HTTP/1.1\r\nx: " + b"x" * (limits.HTTP_HEADERS_MAX_BYTES - 100)
    reader = MessageReader(requests=True)
    for start in range(0, len(head), 7):
        assert not reader.feed(head[start : start + 7])
    assert reader.unfinished_bytes > limits.HTTP_HEADERS_MAX_BYTES - 100
    (message,) = reader.feed(b"\r\n\r\n")
    assert len(message.headers["x"]) == limits.HTTP_HEADERS_MAX_BYTES - 100
    assert reader.unfinished_bytes == 0


def test_unfinished_bodies_are_counted() -> None:
    reader = MessageReader(requests=True)
    assert not reader.feed(b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n" + bytes(60_000))
    assert 60_000 <= reader.unfinished_bytes < 60_100
    assert reader.feed(bytes(40_000))
    assert reader.unfinished_bytes == 0


@pytest.mark.parametrize(
    "headers", [{"x": "a\r\nset-cookie: b"}, {"x\r\ny": "a"}, {"x": "\0"}, {"": "a"}, {"x": "€"}]
)
def test_headers_that_would_break_their_line_are_not_written(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        render_response(200, b"", "text/plain", headers, keep_alive=True)


# ── whole messages ───────────────────────────────────────────────────────────────────────────────


def test_requests_are_read_one_after_another() -> None:
    reader = MessageReader(requests=True)
    data = (
        b"GET /one?x=1 HTTP/1.1\r\nHost: h\r\nAccept: a\r\naccept: b\r\n\r\n"
        b"POST /two HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody"
    )
    one, two = reader.feed(data)
    assert (one.method, one.target, one.body, one.keep_alive) == ("GET", "/one?x=1", b"", True)
    assert one.headers == {"host": "h", "accept": "a, b"}
    assert (two.method, two.target, two.body, two.keep_alive) == ("POST", "/two", b"body", False)
    assert one.status == two.status == 0


def test_every_cut_of_the_stream_gives_the_same_messages() -> None:
    data = CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + render_request("GET", "/", "h", b"", "")
    expected = MessageReader(requests=True).feed(data)
    assert [message.body for message in expected] == [b"abcde", b""]
    for at in range(len(data)):
        reader = MessageReader(requests=True)
        assert reader.feed(data[:at]) + reader.feed(data[at:]) == expected
        assert reader.unfinished_bytes == 0


@pytest.mark.parametrize(
    ("status", "reason"), [(200, "OK"), (404, "Not Found"), (503, "Service Unavailable"), (599, "Unknown")]
)
@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_response_that_was_written_is_read(status: int, reason: str, keep_alive: bool) -> None:
    data = render_response(status, b'{"a":1}', "application/json", {"x-one": "é"}, keep_alive=keep_alive)
    assert data.startswith(b"HTTP/1.1 %d %s\r\n" % (status, reason.encode()))
    (message,) = MessageReader(requests=False).feed(data)
    assert (message.status, message.body, message.keep_alive) == (status, b'{"a":1}', keep_alive)
    assert (message.method, message.target) == ("", "")
    closing = {} if keep_alive else {"connection": "close"}
    expected = {"content-length": "7", "content-type": "application/json", "x-one": "é", **closing}
    assert message.headers == expected


def test_a_response_without_a_body_has_no_type() -> None:
    data = render_response(204, b"", "text/plain", {}, keep_alive=True)
    assert data == b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"


def test_the_answer_to_head_says_what_it_leaves_out() -> None:
    whole = render_response(200, b"body", "text/plain", {}, keep_alive=True)
    assert render_response(200, b"body", "text/plain", {}, keep_alive=True, head_only=True) == whole[:-4]


@pytest.mark.parametrize(
    ("method", "body", "typed"),
    [("GET", b"", False), ("GET", b"x", True), ("POST", b"", True), ("POST", b'{"a":1}', True)],
)
def test_a_request_that_was_written_is_read(method: str, body: bytes, typed: bool) -> None:
    (message,) = MessageReader(requests=True).feed(
        render_request(method, "/a?b=c", "host:80", body, "application/json")
    )
    assert (message.method, message.target, message.body) == (method, "/a?b=c", body)
    sized = {"content-type": "application/json", "content-length": str(len(body))} if typed else {}
    assert message.headers == {"host": "host:80", **sized}
    assert message.keep_alive


def test_only_bytes_are_a_body() -> None:
    body: bytes = "text"  # type: ignore[assignment] # What an adapter may do.
    with pytest.raises(TypeError, match="a body is bytes, not str"):
        render_response(200, body, "text/plain", {}, keep_alive=True)


def test_who_waits_for_a_word_before_its_body_is_told_once() -> None:
    reader = MessageReader(requests=True)
    head = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n"
    assert not reader.feed(head + b"Expect: 100-Continue\r\n\r\n")
    assert [reader.take_continue() for _ in range(2)] == [True, False]
    assert [message.body for message in reader.feed(b"body" + head + b"\r\n")] == [b"body"]
    assert not reader.take_continue()


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


def refused(*pieces: bytes, status: int, body_max_bytes: int = 10) -> HTTPMessageError:
    """Feed all pieces, expect the last to be refused, and that nothing follows."""
    reader = MessageReader(requests=True, body_max_bytes=body_max_bytes)
    for piece in pieces[:-1]:
        assert reader.feed(piece) == []
    with pytest.raises(HTTPMessageError) as caught:
        reader.feed(pieces[-1])
    assert caught.value is reader.fault
    assert caught.value.status == status
    return caught.value


@pytest.mark.parametrize(
    "pieces",
    [
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 11\r\n\r\n",),
        (CHUNKED, b"b\r\n0123456789a"),
        (CHUNKED + b"6\r\n012345\r\n", b"5\r\n01234\r\n"),
    ],
    ids=["announced", "in one chunk", "in several"],
)
def test_a_body_beyond_the_bound(pieces: tuple[bytes, ...]) -> None:
    assert str(refused(*pieces, status=413)) == "body exceeds the bound of 10 bytes"


def test_a_body_at_the_bound_is_taken() -> None:
    for data in (
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n0123456789",
        CHUNKED + b"5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
    ):
        (message,) = MessageReader(requests=True, body_max_bytes=10).feed(data)
        assert message.body == b"0123456789"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: \xb2\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        CHUNKED + b"x\r\n",
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    assert "malformed HTTP" in str(refused(data, status=400))


@pytest.mark.parametrize("lines", [1, 1000])
def test_whole_headers_beyond_the_bound(lines: int) -> None:
    """Each may be small, and all may have come: together they are what the node would hold."""
    size = limits.HTTP_HEADERS_MAX_BYTES // lines
    head = b"GET / HTTP/1.1\r\n" + b"".join(b"x: " + b"y" * size + b"\r\n" for _ in range(lines))
    assert "headers exceed" in str(refused(head[:1000], head[1000:] + b"\r\n", status=431))


@pytest.mark.parametrize("piece", [1, 10_000, 10_000_000])
@pytest.mark.parametrize("before", [b"", b"GET /one HTTP/1.1\r\nx: " + b"x" * 20_000 + b"\r\n\r\n"])
def test_an_upgrade_is_a_message_and_what_comes_behind_it(before: bytes, piece: int) -> None:
    head = b"GET /two HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    reader = MessageReader(requests=True, ends_http=lambda message: message.target == "/two")
    data, messages, start = before + head + b"\x81frames", [], 0
    while reader.beyond is None:
        messages += reader.feed(data[start : start + piece])
        start += piece
    assert [message.target for message in messages] == (["/one"] if before else []) + ["/two"]
    assert (reader.beyond + data[start:], reader.fault) == (b"\x81frames", None)
    assert reader.unfinished_bytes == 0


OFFERS = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAEAAEAA\r\nupgrade: h2c\r\n"
"""As Java's and curl's clients send it with the first request of a connection without TLS."""


@pytest.mark.parametrize("piece", [1, 7, 10_000_000])
def test_offers_of_protocols_that_are_not_spoken_are_read_over(piece: int) -> None:
    """Source: RFC 9110 §7.8, a server may ignore them."""
    data = b"".join(
        (
            b"POST /one HTTP/1.1\r\nhost: h\r\n" + OFFERS + b"content-length: 4\r\n\r\nbody",
            b"GET /two HTTP/1.1\r\nhost: h\r\n" + OFFERS + b"\r\n",
            b"POST /three HTTP/1.1\r\nhost: h\r\n" + OFFERS + b"transfer-encoding: chunked\r\n\r\n",
            b"2\r\nab\r\n0\r\n\r\n",
            b"GET /four HTTP/1.1\r\nhost: h\r\n\r\n",
        )
    )
    reader = MessageReader(requests=True, ends_http=lambda _: False)
    read = [each for at in range(0, len(data), piece) for each in reader.feed(data[at : at + piece])]
    assert [(each.target, each.body, each.keep_alive) for each in read] == [
        ("/one", b"body", True),
        ("/two", b"", True),
        ("/three", b"ab", True),
        ("/four", b"", True),
    ]
    assert (reader.beyond, reader.fault, reader.unfinished_bytes) == (None, None, 0)


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET /one HTTP/1.0\r\nconnection: keep-alive, upgrade\r\nupgrade: h2c\r\n\r\n", True),
        (b"GET /one HTTP/1.0\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", False),
        (b"GET /one HTTP/1.1\r\nhost: h\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n", False),
    ],
)
def test_an_offer_changes_nothing_about_whether_the_connection_stays(head: bytes, keep_alive: bool) -> None:
    without = head.replace(b", upgrade", b"").replace(b"upgrade: h2c\r\n", b"")
    (offered,), (plain,) = (MessageReader(requests=True).feed(each) for each in (head, without))
    assert offered.keep_alive == plain.keep_alive == keep_alive


def test_behind_an_offer_nonsense_is_nonsense() -> None:
    reader = MessageReader(requests=True)
    (message,) = reader.feed(b"GET /one HTTP/1.1\r\nhost: h\r\n" + OFFERS + b"\r\nnonsense\r\n\r\n")
    assert message.target == "/one"
    assert reader.fault is not None
    assert reader.fault.status == 400


def test_an_upgrade_nobody_asked_for_is_refused() -> None:
    reader = MessageReader(requests=False)
    with pytest.raises(HTTPMessageError, match="no protocol upgrade was asked for"):
        reader.feed(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")


def test_what_is_whole_before_a_fault_is_returned_first() -> None:
    reader = MessageReader(requests=True)
    (message,) = reader.feed(b"GET /one HTTP/1.1\r\nhost: h\r\n\r\nnonsense\r\n\r\n")
    assert message.target == "/one"
    assert reader.fault is not None
    assert reader.fault.status == 400
