"""The proxies between nodes: what passes, what waits, and what is reset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.lowlevel

from coco_core.testing.nemesis.links import Links, Trouble

TIMEOUT_S = 30


class Pair:
    """Node 1 behind its proxy, echoing; node 0 dials it."""

    def __init__(self, links: Links, received: list[bytes], dial: Callable) -> None:
        self.links = links
        self.received = received
        self.dial = dial


@asynccontextmanager
async def two_nodes(dialler: int | None = 0) -> AsyncIterator[Pair]:
    """Start a proxy in front of a listener that notes what it gets and sends it back."""
    received: list[bytes] = []

    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                while data := await stream.receive_some(1000):
                    received.append(bytes(data))
                    await stream.send_all(data)
            except trio.BrokenResourceError:
                pass

    links = Links(lambda stream: dialler, Random(1))
    with trio.fail_after(TIMEOUT_S):
        async with trio.open_nursery() as nursery:
            behind = await nursery.start(trio.serve_listeners, echo, await loopback())
            front = await loopback()
            target = behind[0].socket.getsockname()
            nursery.start_soon(links.serve, 1, front, target)
            port = front[0].socket.getsockname()[1]

            dialled: list[trio.SocketStream] = []

            async def dial() -> trio.SocketStream:
                dialled.append(await trio.open_tcp_stream("127.0.0.1", port))
                return dialled[-1]

            yield Pair(links, received, dial)
            nursery.cancel_scope.cancel()
    for stream in dialled:
        await trio.aclose_forcefully(stream)


async def loopback() -> list[trio.SocketListener]:
    return await trio.open_tcp_listeners(0, host="127.0.0.1")


async def exchange(stream: trio.SocketStream, data: bytes) -> bytes:
    await stream.send_all(data)
    return bytes(await stream.receive_some(1000))


async def test_bytes_pass_both_ways() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        assert await exchange(stream, b"one") == b"one"
        assert await exchange(stream, b"two") == b"two"
        await stream.send_eof()
        assert await stream.receive_some(1) == b""


async def test_what_was_sent_on_a_cut_way_comes_when_it_is_open_again() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        await exchange(stream, b"before")
        trouble = Trouble(cut=True)
        pair.links.put(trouble, [(0, 1)])
        assert not pair.links.both_ways(0, 1)
        await stream.send_all(b"held")
        # On the way back nothing is cut, and nothing comes, for nothing arrived.
        assert pair.received == [b"before"]
        pair.links.take_off(trouble)
        assert bytes(await stream.receive_some(1000)) == b"held"
        assert pair.received == [b"before", b"held"]
        assert pair.links.both_ways(0, 1)


async def test_one_direction_may_be_cut_alone() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        await exchange(stream, b"before")
        trouble = Trouble(cut=True)
        pair.links.put(trouble, [(1, 0)])
        await stream.send_all(b"heard")
        while pair.received != [b"before", b"heard"]:
            await trio.lowlevel.checkpoint()
        pair.links.take_off(trouble)
        assert bytes(await stream.receive_some(1000)) == b"heard"


async def test_two_troubles_on_a_way_are_both_to_be_taken_off() -> None:
    async with two_nodes() as pair:
        first, second = Trouble(cut=True), Trouble(cut=True)
        pair.links.put(first, [(0, 1)])
        pair.links.put(second, [(0, 1), (1, 0)])
        pair.links.take_off(first)
        assert pair.links.way(0, 1).cut
        pair.links.take_off(second)
        assert not pair.links.way(0, 1).cut
        assert not pair.links.way(1, 0).cut


async def test_refusal_resets_what_is_connected_and_what_dials() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        await exchange(stream, b"before")
        trouble = Trouble(refused=True)
        pair.links.put(trouble, [(1, 0)])
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)
        again = await pair.dial()
        with pytest.raises(trio.BrokenResourceError):
            await exchange(again, b"in vain")
        pair.links.take_off(trouble)
        assert await exchange(await pair.dial(), b"after") == b"after"


async def test_a_reset_ends_connections_that_either_dialled_and_no_others() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        await exchange(stream, b"before")
        pair.links.reset(1, 2)
        assert await exchange(stream, b"still there") == b"still there"
        pair.links.reset(1, 0)
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_strangers_are_not_let_through() -> None:
    async with two_nodes(dialler=None) as pair:
        stream = await pair.dial()
        with pytest.raises(trio.BrokenResourceError):
            await exchange(stream, b"hello")
        assert pair.received == []


async def test_delay_and_loss_keep_the_order() -> None:
    async with two_nodes() as pair:
        stream = await pair.dial()
        pair.links.put(Trouble(delay_s=0.01, jitter_s=0.01, lost_share=0.2), [(0, 1), (1, 0)])
        sent = [b"%d," % number for number in range(40)]
        for piece in sent:
            await stream.send_all(piece)
        answer = b""
        while len(answer) < len(b"".join(sent)):
            answer += bytes(await stream.receive_some(1000))
        assert answer == b"".join(sent)


def test_lost_pieces_are_a_retransmission_late() -> None:
    links = Links(lambda stream: None, Random(3))
    trouble = Trouble(lost_share=0.5, delay_s=0.05)
    links.put(trouble, [(0, 1)])
    delays = [links.way(0, 1).delay_s() for _ in range(200)]
    late = [delay for delay in delays if delay > 0.2]
    assert 60 < len(late) < 140
    assert all(0.25 <= delay <= 0.45 for delay in late)
    assert links.way(1, 0).delay_s() == 0
