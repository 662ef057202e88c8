"""Messages from bytes: headers that never end are stopped early, and what cannot be written is refused."""

from __future__ import annotations

import time

import pytest

from coco_core.base import limits
from coco_core.wire.http import HTTPMessageError, MessageReader, render_response

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
