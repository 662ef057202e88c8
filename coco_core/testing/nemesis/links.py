"""The ways between node processes: a TCP proxy in front of every node, which knows who dialled.

A node publishes an address at which this proxy listens, and the proxy passes bytes on to where the node
really listens. What passes from one node to another, on connections either of them dialled, is one *way*;
troubles are put on ways and taken off again, and several may lie on one:

* *cut*: nothing passes, nobody is told; what was sent waits, as it does while TCP sends it again and again;
* *refused*: connections are reset, new ones too;
* *delay*, and *loss*: a share of what is sent comes a retransmission later, and holds up what is behind it.

Knows indices of nodes and bytes, which are TLS records to it; must not know what they mean.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from random import Random

import attrs
import trio

PIECE_BYTES = 64 * 1024
PIECES_MAX = 64
"""Pieces under way in one direction of one connection; beyond this the sender waits, as TCP makes it."""
RETRANSMISSION_S = (0.2, 0.4)
"""How much later something comes that was lost once (RFC 6298 with the usual least timeout of 200 ms)."""
LISTEN_BACKLOG = 64
_ENDED = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@attrs.frozen(kw_only=True, eq=False)
class Trouble:
    """What one fault does to the ways it lies on."""

    cut: bool = False
    refused: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    lost_share: float = 0.0


class Way:
    """What passes from one node to another."""

    def __init__(self, chance: Random) -> None:
        """Begin without trouble."""
        self.troubles: list[Trouble] = []
        self._chance = chance
        self._changed = trio.Event()

    @property
    def cut(self) -> bool:
        """Whether nothing passes."""
        return any(one.cut or one.refused for one in self.troubles)

    @property
    def refused(self) -> bool:
        """Whether connections are reset."""
        return any(one.refused for one in self.troubles)

    def changed(self) -> None:
        """Wake what waits for the way to be open."""
        self._changed.set()
        self._changed = trio.Event()

    async def until_open(self) -> None:
        """Return as soon as something passes."""
        while self.cut:
            await self._changed.wait()

    def delay_s(self) -> float:
        """Return how long the next piece takes."""
        delay = sum(one.delay_s + one.jitter_s * self._chance.random() for one in self.troubles)
        if any(self._chance.random() < one.lost_share for one in self.troubles):
            delay += self._chance.uniform(*RETRANSMISSION_S)
        return delay


class _Relay:
    """One connection a node dialled, and the one behind it."""

    def __init__(self, dialled: trio.SocketStream, forward: Way, backward: Way) -> None:
        self._streams = [dialled]
        self._forward = forward
        self._backward = backward
        self._scope = trio.CancelScope()

    def reset(self) -> None:
        """End it as a connection reset, on both sides."""
        for stream in self._streams:
            _reset_on_close(stream)
        self._scope.cancel()

    async def run(self, target: tuple[str, int]) -> None:
        """Pass bytes on until either side ends or the connection is reset."""
        (dialled,) = self._streams
        try:
            with self._scope:
                # The node behind is dialled with the first piece, so that a cut way keeps dialling out too.
                first = await dialled.receive_some(PIECE_BYTES)
                await trio.sleep(self._forward.delay_s())
                await self._forward.until_open()
                if not first:
                    return
                there = await trio.open_tcp_stream(*target)
                self._streams.append(there)
                for stream in self._streams:
                    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await there.send_all(first)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pump, dialled, there, self._forward)
                    nursery.start_soon(self._pump, there, dialled, self._backward)
        except* _ENDED:
            # Whoever dialled is told as a dead process tells it: by a reset.
            _reset_on_close(dialled)
        finally:
            for stream in self._streams:
                stream.socket.close()

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream, way: Way) -> None:
        push, pull = trio.open_memory_channel[tuple[float, bytes]](PIECES_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_deliver, pull, sink, way)
            async with push:
                try:
                    while data := await source.receive_some(PIECE_BYTES):
                        await push.send((trio.current_time() + way.delay_s(), bytes(data)))
                except _ENDED:
                    pass
        # An end travels the same way as the bytes before it.
        await way.until_open()
        self._scope.cancel()


async def _deliver(
    pieces: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.SocketStream, way: Way
) -> None:
    async with pieces:
        async for due, data in pieces:
            await trio.sleep_until(due)
            await way.until_open()
            await sink.send_all(data)


class Links:
    """Every way between the nodes, and the proxies that make them."""

    def __init__(self, who_dialled: Callable[[trio.SocketStream], int | None], chance: Random) -> None:
        """``who_dialled`` tells which node is at the other end of a connection; None for nobody known."""
        self._who_dialled = who_dialled
        self._chance = chance
        self._ways: dict[tuple[int, int], Way] = {}
        self._relays: dict[tuple[int, int], set[_Relay]] = {}
        self.on_change: Callable[[], None] = lambda: None
        """Called whenever what passes changes."""

    def way(self, sender: int, receiver: int) -> Way:
        """Return the way from one node to another."""
        return self._ways.setdefault((sender, receiver), Way(self._chance))

    def put(self, trouble: Trouble, ways: Iterable[tuple[int, int]]) -> None:
        """Put a trouble on ways; one that refuses resets what is connected there."""
        for sender, receiver in ways:
            self.way(sender, receiver).troubles.append(trouble)
            if trouble.refused:
                self.reset(sender, receiver)
        self.on_change()

    def take_off(self, trouble: Trouble) -> None:
        """Take a trouble off every way it lies on."""
        for way in self._ways.values():
            if trouble in way.troubles:
                way.troubles.remove(trouble)
                way.changed()
        self.on_change()

    def reset(self, one: int, other: int) -> None:
        """Reset every connection between two nodes."""
        for pair in ((one, other), (other, one)):
            for relay in list(self._relays.get(pair, ())):
                relay.reset()

    def both_ways(self, one: int, other: int) -> bool:
        """Whether both nodes reach each other."""
        return not self.way(one, other).cut and not self.way(other, one).cut

    async def serve(
        self, node: int, listeners: Sequence[trio.SocketListener], target: tuple[str, int]
    ) -> None:
        """Stand in front of ``node``, which really listens at ``target``, until cancelled."""

        async def accept(dialled: trio.SocketStream) -> None:
            dialler = self._who_dialled(dialled)
            if dialler is None or self.way(dialler, node).refused or self.way(node, dialler).refused:
                _reset_on_close(dialled)
                dialled.socket.close()
                return
            relay = _Relay(dialled, self.way(dialler, node), self.way(node, dialler))
            relays = self._relays.setdefault((dialler, node), set())
            relays.add(relay)
            try:
                await relay.run(target)
            finally:
                relays.discard(relay)

        await trio.serve_listeners(accept, list(listeners))


def _reset_on_close(stream: trio.SocketStream) -> None:
    # A socket that is closed already needs no reset.
    if stream.socket.fileno() >= 0:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
