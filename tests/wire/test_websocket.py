"""Frames from bytes: the same messages whatever the cuts, and any bytes do no more than end it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from wsproto import events
from wsproto.connection import Connection, ConnectionType

from coco_core.base import limits
from coco_core.wire.websocket import Arrived, Ended, Ping, WebSocketCodec

MESSAGE_MAX = 200

texts = st.text(max_size=60).map(lambda text: events.TextMessage(data=text))
binaries = st.binary(max_size=60).map(lambda data: events.BytesMessage(data=data))
pings = st.binary(max_size=125).map(lambda data: events.Ping(payload=data))


def frames(sent: list[events.Event]) -> bytes:
    client = Connection(ConnectionType.CLIENT)
    return b"".join(client.send(each) for each in sent)


def read(data: bytes, piece: int) -> list[Arrived]:
    """Feed ``data`` in pieces, until it is over."""
    codec, arrived = WebSocketCodec(MESSAGE_MAX), []
    for start in range(0, len(data), piece):
        arrived += codec.feed(data[start : start + piece])
        assert codec.unfinished_bytes <= MESSAGE_MAX + piece + 3
        if arrived and isinstance(arrived[-1], Ended):
            break
    return arrived


@given(st.lists(st.one_of(texts, binaries, pings), max_size=8), st.integers(1, 50))
def test_every_cut_gives_the_same_messages(sent: list[events.Event], piece: int) -> None:
    wanted = [
        Ping(each.payload) if isinstance(each, events.Ping) else each.data  # type: ignore[attr-defined] # messages
        for each in sent
    ]
    arrived = read(frames([*sent, events.CloseConnection(code=1001, reason="bye")]), piece)
    assert arrived == [*wanted, Ended(1001, "bye", by_peer=True)]


@given(st.binary(max_size=400), st.integers(1, 400))
def test_any_bytes_are_messages_or_the_end(data: bytes, piece: int) -> None:
    arrived = read(data, piece)
    assert all(isinstance(each, str | bytes | Ping | Ended) for each in arrived)
    assert not any(isinstance(each, Ended) for each in arrived[:-1])
    assert read(data, 1) == arrived


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.integers(1, 20))
def test_a_message_in_frames_is_put_together(parts: list[str], piece: int) -> None:
    sent: list[events.Event] = [
        events.TextMessage(data=part, message_finished=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    whole = "".join(parts)
    (arrived,) = read(frames(sent), piece)
    if len(whole.encode()) <= MESSAGE_MAX:
        assert arrived == whole
    else:
        assert isinstance(arrived, Ended)
        assert arrived.code == 1009


def test_a_message_is_bounded_before_it_is_whole() -> None:
    codec = WebSocketCodec(MESSAGE_MAX)
    announced = b"\x82\xff" + (2**40).to_bytes(8) + bytes(4)
    assert codec.feed(announced + bytes(MESSAGE_MAX)) == []
    (ended,) = codec.feed(b"x")
    assert isinstance(ended, Ended)
    assert (ended.code, ended.by_peer) == (1009, False)


def test_frames_without_bytes_are_bounded_too() -> None:
    client = Connection(ConnectionType.CLIENT)
    empty = [client.send(events.BytesMessage(data=b"", message_finished=False)) for _ in range(5000)]
    arrived = read(b"".join(empty), 4096)
    (ended,) = arrived
    assert isinstance(ended, Ended)
    assert (ended.code, str(limits.WEBSOCKET_FRAMES_MAX) in ended.reason) == (1008, True)
