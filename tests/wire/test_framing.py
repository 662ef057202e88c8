"""Frames survive any splitting of the stream; oversize lengths close it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base.invariants import BrokenInvariantError
from coco_core.base.limits import MESSAGE_SIZE_MAX_BYTES
from coco_core.errors import PeerError
from coco_core.wire import FrameReader, frame


@given(st.lists(st.binary(max_size=200), max_size=20), st.lists(st.integers(1, 40), min_size=1))
def test_frames_come_back_however_the_stream_is_split(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(message) for message in messages)
    reader, got, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        got += reader.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert got == messages
    assert reader.pending_bytes == 0


def test_length_is_little_endian_u32() -> None:
    assert frame(b"abc") == b"\x03\x00\x00\x00abc"


def test_oversize_frame_is_refused_before_its_body_arrives() -> None:
    reader = FrameReader(size_max_bytes=10)
    assert reader.feed(frame(bytes(10))) == [bytes(10)]
    with pytest.raises(PeerError, match="11 bytes exceeds the bound of 10"):
        reader.feed(b"\x0b\x00\x00\x00")


def test_unfinished_frame_is_visible() -> None:
    reader = FrameReader()
    assert reader.feed(frame(b"whole") + b"\x05\x00\x00\x00ab") == [b"whole"]
    assert reader.pending_bytes == 6


def test_sending_an_oversize_frame_is_our_own_bug() -> None:
    with pytest.raises(BrokenInvariantError):
        frame(bytes(MESSAGE_SIZE_MAX_BYTES + 1))
