"""The node-to-node channel: mutually authenticated TLS, one connection per direction and pair.

Each node dials every other and sends on the connection it dialled; it receives on those it
accepted. A connection that breaks loses what was queued on it (consensus repairs itself) and is
reported, so that requests waiting for that peer are answered; the same happens when a peer cannot be
reached for PEER_UNREACHABLE_MS. A dial that fails before loses nothing: answers may be waiting on the
way back to a node whose own connection to us is sound. Frames are collected: what queued up while
one write was under way leaves in the next.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence

import attrs
import structlog
import trio

from coco_core.base import NodeID, limits, split_address
from coco_core.errors import AttestationError, PeerError
from coco_core.node.tls import peer_id
from coco_core.replica.effects import Channel
from coco_core.wire.framing import FrameReader, frame

_RECEIVE_BYTES = 256 * 1024
_REDIAL_FIRST_S, _REDIAL_MOST_S = 0.05, 1.0
_CONNECT_TIMEOUT_S = limits.PEER_CONNECT_TIMEOUT_MS / 1000
_UNREACHABLE_S = limits.PEER_UNREACHABLE_MS / 1000
_CONNECTION_ENDED = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError)

_log = structlog.get_logger("coco.peers")


@attrs.define(eq=False)
class _Link:
    """What waits to be sent to one peer."""

    peer: NodeID
    address: str
    frames: list[bytes] = attrs.field(factory=list)
    size_bytes: int = 0
    overflows: int = 0
    overflowed: bool = False
    wake: trio.Event = attrs.field(factory=trio.Event)
    sending: trio.CancelScope | None = None
    """Around what sends on the established connection; None while there is none."""
    dialling: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Around all that concerns the link."""
    leaving: bool = False
    """Whether the peer was removed: it is told so while it can be reached, and not looked for for ever."""

    def push(self, message: bytes) -> None:
        """Queue a message; beyond the bound the connection is given up, with all that waits on it.

        Dropping single messages would leave requests waiting for answers that never come.
        """
        if self.size_bytes + len(message) > limits.PEER_SEND_QUEUE_MAX_BYTES:
            self.overflows += not self.overflowed
            self.overflowed = True
            self.wake.set()
            if self.sending is not None:
                # A peer that hangs holds the sender in the middle of a write.
                self.sending.cancel()
            return
        self.frames.append(frame(message))
        self.size_bytes += len(message)
        self.wake.set()

    def take(self) -> bytes:
        """Take everything queued, ready to be written."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.clear()
        return data

    def clear(self) -> None:
        """Forget everything queued."""
        self.frames.clear()
        self.size_bytes = 0
        self.overflowed = False
        self.wake = trio.Event()


class PeerNetwork:
    """This node's connections to all others."""

    def __init__(self, *, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        """Know of nobody yet."""
        self._server = server
        self._client = client
        self._links: dict[NodeID, _Link] = {}
        self._nursery: trio.Nursery | None = None
        self._handshakes: dict[trio.SocketStream, trio.CancelScope] = {}
        self._receiving: dict[NodeID, trio.CancelScope] = {}

    def talk_to(self, peers: Mapping[NodeID, Channel]) -> None:
        """Open the channel to ``peers``, close it to all others."""
        for peer in self._links.keys() - peers.keys():
            self._links.pop(peer).dialling.cancel()
            if receiving := self._receiving.get(peer):
                receiving.cancel()
        for peer, channel in peers.items():
            link = self._links.get(peer)
            if link is None:
                link = self._links[peer] = _Link(peer, channel.address)
                if self._nursery is not None:
                    self._nursery.start_soon(self._dial, link)
            link.leaving = channel.leaving

    def send(self, to: NodeID, message: bytes) -> None:
        """Queue ``message`` for ``to``; it may be lost."""
        if link := self._links.get(to):
            link.push(message)

    @property
    def connected(self) -> bool:
        """Whether anything sent now reaches any peer, as far as this node knows."""
        return any(link.sending is not None for link in self._links.values())

    def statistics(self) -> dict[str, dict[str, int]]:
        """Return queue sizes per peer."""
        return {
            peer: {"queued_bytes": link.size_bytes, "overflows": link.overflows}
            for peer, link in self._links.items()
        }

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        on_message: Callable[[NodeID, bytes], None],
        on_lost: Callable[[NodeID], None],
    ) -> None:
        """Accept and dial until cancelled.

        ``on_message`` may raise PeerError, which drops the channel; ``on_lost`` tells of a broken one.
        """
        self._on_message = on_message
        self._on_lost = on_lost
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for link in self._links.values():
                nursery.start_soon(self._dial, link)
            await trio.serve_listeners(self._accept, list(listeners))

    # ── receiving ────────────────────────────────────────────────────────────────────────────────

    async def _accept(self, raw: trio.SocketStream) -> None:
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with trio.CancelScope() as newest:
                stream = await self._judge(raw)
                sender = peer_id(stream.getpeercert(binary_form=True))
                if sender not in self._links:
                    _log.warning("refused a connection from a node that is no member", node=sender)
                    return
                # A peer dials again when its connection broke, perhaps before this side notices.
                if older := self._receiving.get(sender):
                    older.cancel()
                self._receiving[sender] = newest
                try:
                    await self._receive(sender, stream)
                finally:
                    if self._receiving.get(sender) is newest:
                        del self._receiving[sender]
        except (*_CONNECTION_ENDED, AttestationError, trio.TooSlowError) as error:
            _log.debug("peer connection ended", reason=repr(error))
        finally:
            await trio.aclose_forcefully(raw)

    async def _judge(self, raw: trio.SocketStream) -> trio.SSLStream[trio.SocketStream]:
        """Find out who dialled; raises TooSlowError, also when others wait and this one waited longest."""
        stream = trio.SSLStream(raw, self._server, server_side=True)
        if len(self._handshakes) >= limits.PEER_HANDSHAKES_MAX:
            self._handshakes.pop(next(iter(self._handshakes))).cancel()
        with trio.move_on_after(_CONNECT_TIMEOUT_S) as scope:
            self._handshakes[raw] = scope
            try:
                await stream.do_handshake()
                return stream
            finally:
                self._handshakes.pop(raw, None)
        raise trio.TooSlowError

    async def _receive(self, sender: NodeID, stream: trio.abc.ReceiveStream) -> None:
        reader = FrameReader()
        try:
            while data := await stream.receive_some(_RECEIVE_BYTES):
                for message in reader.feed(bytes(data)):
                    self._on_message(sender, message)
        except PeerError as error:
            _log.warning("peer broke the protocol", node=sender, reason=str(error))
        finally:
            self._on_lost(sender)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def _dial(self, link: _Link) -> None:
        """Keep a connection to one peer until it is none any more, redialling with growing pauses.

        A peer that is leaving is dialled only when there is something to say to it.
        """
        with link.dialling:
            await self._keep_dialling(link)

    async def _keep_dialling(self, link: _Link) -> None:
        pause, reached = _REDIAL_FIRST_S, trio.current_time()
        while True:
            if link.leaving:
                await link.wake.wait()
            connected = False
            try:
                stream = await self._connect(link)
                connected = True
                try:
                    await self._pump(link, stream)
                finally:
                    await trio.aclose_forcefully(stream)
            except (*_CONNECTION_ENDED, AttestationError, trio.TooSlowError, ValueError) as error:
                # ValueError: an address that no resolver takes.
                _log.debug("cannot send to peer", node=link.peer, reason=repr(error))
            if connected:
                pause, reached = _REDIAL_FIRST_S, trio.current_time()
            if connected or link.overflowed or trio.current_time() - reached >= _UNREACHABLE_S:
                link.clear()
                self._on_lost(link.peer)
            await trio.sleep(pause)
            pause = min(2 * pause, _REDIAL_MOST_S)

    async def _connect(self, link: _Link) -> trio.SSLStream[trio.SocketStream]:
        host, port = split_address(link.address)
        with trio.fail_after(_CONNECT_TIMEOUT_S):
            raw = await trio.open_tcp_stream(host, port)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = trio.SSLStream(raw, self._client)
            try:
                await stream.do_handshake()
                found = peer_id(stream.getpeercert(binary_form=True))
                if found != link.peer:
                    raise AttestationError(f"{link.address} is node {found}, not {link.peer}")
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
        return stream

    async def _pump(self, link: _Link, stream: trio.SSLStream[trio.SocketStream]) -> None:
        """Send what is queued as it comes; end when the peer closes or too much waits for it."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                # Peers never send on this connection: anything received means it ended.
                with contextlib.suppress(*_CONNECTION_ENDED):
                    await stream.receive_some(1)
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            link.sending = nursery.cancel_scope
            try:
                while not link.overflowed:
                    await link.wake.wait()
                    if link.frames:
                        await stream.send_all(link.take())
            except _CONNECTION_ENDED:
                pass
            finally:
                link.sending = None
                nursery.cancel_scope.cancel()
