"""Percentiles, latencies, and a window of requests that survives nodes that refuse, stumble and vanish."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence

import pytest
import trio
import trio.testing

from coco_core.adapter import (
    RETRY_PREFIX,
    TRANSACTION_IDS_HEADER,
    HTTPRequest,
    HTTPResponse,
    Load,
    Told,
    TxID,
)
from coco_core.client import LoadResult, LoadSettings, percentiles_ms
from coco_core.client.http import Connection, ConnectionLostError
from coco_core.client.load import _wait_everywhere, _Window
from coco_core.crypto import Curve, PrivateKey, self_signed
from coco_core.wire.http import Message

CERTIFICATE = self_signed(
    PrivateKey.generate(Curve.P256),
    "Coco Service",
    not_before=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    not_after=datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC),
    ca=True,
)
"""Of a service nobody connects to here."""


def test_percentiles() -> None:
    assert percentiles_ms([]) is None
    assert percentiles_ms([0.002]) == {"p50": 2.0, "p95": 2.0, "p99": 2.0, "mean": 2.0}
    hundred = [number / 1000 for number in range(100, 0, -1)]
    assert percentiles_ms(hundred) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "mean": 50.5}


def test_latency_is_of_the_nth_node_to_commit() -> None:
    result = LoadResult(
        sent_at=[1.0, 2.0, 3.0, 4.0],
        places=[TxID(2, 5), None, TxID(2, 7), TxID(2, 9)],
        commits=[[(1.5, 6), (3.5, 8)], [(2.0, 7)], [(1.2, 4), (5.0, 8)]],
    )
    assert result.latencies(1) == [0.5, -1.0]
    assert result.latencies(2) == [1.0, 0.5]
    assert result.latencies(3) == [4.0, 2.0]


def told(load: Load, answer: HTTPResponse) -> Told:
    return Told(refused=json.loads(answer.body))


def load_of(body: bytes, count: int) -> Load:
    return Load(HTTPRequest.post("/", body), count)


def window(loads: Sequence[Load], outstanding: int = 100) -> _Window:
    settings = LoadSettings(
        endpoints=[], service_certificate=CERTIFICATE, outstanding=outstanding, per_request=2
    )
    return _Window(settings, iter(loads), told, None, LoadResult(commits=[]))


def answer(reasons: Sequence[str] = (), ids: str = "", status: int = 200) -> Message:
    return Message(
        status=status,
        headers={TRANSACTION_IDS_HEADER: ids} if ids else {},
        body=json.dumps(list(reasons)).encode(),
        keep_alive=True,
    )


async def sent(
    loads: Sequence[Load], outstanding: int = 100
) -> tuple[_Window, trio.testing.MemoryReceiveStream]:
    """Return a window whose loads were all sent, and what the node received."""
    near, far = trio.testing.memory_stream_pair()
    one = window(loads, outstanding)
    await one._send(Connection(near, "node"))
    return one, far.receive_stream


async def test_answers_are_taken_in_order() -> None:
    one, received = await sent([load_of(b"ab", 2), load_of(b"c", 1)])
    text = bytes(await received.receive_some())
    assert text.index(b"\r\n\r\nab") < text.index(b"\r\n\r\nc")
    one._take(answer(["refused"], "2.5,-"))
    one._take(answer((), "2.7"))
    assert one._result.places == [TxID(2, 5), None, TxID(2, 7)]
    assert one._result.refused == ["refused"]
    assert one._exhausted
    assert not one._unanswered


async def test_one_place_is_that_of_every_transaction_of_a_request() -> None:
    one, _ = await sent([load_of(b"ab", 2), load_of(b"c", 1)])
    one._take(answer((), "2.5"))
    assert one._result.places == [TxID(2, 5), TxID(2, 5), None]


@pytest.mark.parametrize("fault", [answer([f"{RETRY_PREFIX}busy"]), answer(status=503), answer(status=429)])
async def test_requests_a_node_cannot_take_now_stay_unanswered(fault: Message) -> None:
    one, _ = await sent([load_of(b"ab", 2), load_of(b"c", 1)])
    with pytest.raises(ConnectionLostError):
        one._take(fault)
    assert [each.load.request.body for each in one._unanswered] == [b"ab", b"c"]
    assert one._result.refused == []


async def test_unanswered_requests_are_sent_again_in_order() -> None:
    one, _ = await sent([load_of(b"ab", 2), load_of(b"c", 1)])
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one._converse, Connection(near, "other"))
        await trio.testing.wait_all_tasks_blocked()
        # The second leaves once the first is answered: a new primary may refuse what came too early.
        for body in (b"ab", b"c"):
            assert bytes(await far.receive_some()).endswith(b"\r\n\r\n" + body)
            await far.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")
    assert one._result.resent_requests == 2
    assert not one._unanswered


async def test_connection_that_ends_is_told() -> None:
    one, _ = await sent([load_of(b"ab", 2)])
    near, far = trio.testing.memory_stream_pair()
    await far.send_eof()
    with pytest.raises(ConnectionLostError, match="closed the connection"):
        await one._converse(Connection(near, "node"))
    assert len(one._unanswered) == 1


async def test_window_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    taken: list[int] = []

    def loads() -> Iterator[Load]:
        for number in range(5):
            taken.append(number)
            yield load_of(b"x", 2)

    one = window(list(loads()), outstanding=4)
    near, _ = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one._send, Connection(near, "node"))
        for answered in range(3):
            await trio.testing.wait_all_tasks_blocked()
            assert len(one._unanswered) == 2
            assert len(one._result.sent_at) == 4 + 2 * answered
            one._take(answer())
    assert one._exhausted


async def test_waiting_for_a_node_that_is_gone_ends(autojump_clock: trio.testing.MockClock) -> None:
    result = LoadResult(commits=[[(0.0, 5)], []])
    await _wait_everywhere(result, 5, timeout_s=7)
    assert trio.current_time() == 7
    result.commits[1].append((7.0, 6))
    await _wait_everywhere(result, 5, timeout_s=7)
    assert trio.current_time() == 7
