"""Two nodes' networks over real TLS on loopback: delivery, identity, redial, and frames beyond the bound."""

from __future__ import annotations

import contextlib

import attrs
import pytest
import trio
import trio.testing

from coco_core.base import NodeID, limits
from coco_core.errors import AttestationError, PeerError
from coco_core.node.peers import PeerNetwork, _Link
from coco_core.node.tls import peer_client_context, peer_id, peer_server_context
from coco_core.replica.effects import Channel
from coco_core.testing import Consortium


@attrs.define
class Peer:
    network: PeerNetwork
    listeners: list[trio.SocketListener]
    send: trio.MemorySendChannel[tuple[NodeID, bytes]]
    received: trio.MemoryReceiveChannel[tuple[NodeID, bytes]]
    lost: list[NodeID] = attrs.field(factory=list)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def on_message(self, sender: NodeID, message: bytes) -> None:
        if message == b"nonsense":
            raise PeerError("nonsense")
        self.send.send_nowait((sender, message))

    async def run(self) -> None:
        with self.scope:
            await self.network.run(self.listeners, self.on_message, self.lost.append)


async def peer(consortium: Consortium, number: int, ports: list[list[trio.SocketListener]]) -> Peer:
    identity = consortium.identities[number]
    certificate = consortium.service.certificate
    addresses = {
        other.node_id: f"127.0.0.1:{ports[at][0].socket.getsockname()[1]}"
        for at, other in enumerate(consortium.identities[:2])
        if at != number
    }
    network = PeerNetwork(
        server=peer_server_context(identity.certificate, identity.key, certificate),
        client=peer_client_context(identity.certificate, identity.key, certificate),
    )
    network.talk_to({name: Channel(address) for name, address in addresses.items()})
    send, received = trio.open_memory_channel[tuple[NodeID, bytes]](1000)
    return Peer(network, ports[number], send, received)


async def pair(consortium: Consortium) -> tuple[Peer, Peer]:
    ports = [await trio.open_tcp_listeners(0, host="127.0.0.1") for _ in range(2)]
    return await peer(consortium, 0, ports), await peer(consortium, 1, ports)


async def alone(consortium: Consortium) -> Peer:
    """Return the second node of a pair whose first does not run."""
    one, other = await pair(consortium)
    for listener in one.listeners:
        await listener.aclose()
    return other


async def ends(stream: trio.abc.ReceiveStream) -> bool:
    try:
        return not await stream.receive_some()
    except trio.BrokenResourceError:
        return True


async def repeat(one: Peer, to: NodeID, message: bytes) -> None:
    """Send until cancelled: what is queued while the channel is down is lost, as documented."""
    while True:
        one.network.send(to, message)
        await trio.sleep(0.01)


async def test_messages_arrive_in_order_from_who_sent_them(consortium: Consortium) -> None:
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            nursery.start_soon(other.run)
            large = bytes(300_000)
            for message in (b"first", b"", large):
                one.network.send(names[1], message)
            other.network.send(names[0], b"back")
            assert [await other.received.receive() for _ in range(3)] == [
                (names[0], b"first"),
                (names[0], b""),
                (names[0], large),
            ]
            assert await one.received.receive() == (names[1], b"back")
            assert one.network.statistics() == {names[1]: {"queued_bytes": 0, "overflows": 0}}
            nursery.cancel_scope.cancel()


async def test_protocol_breach_drops_the_channel_which_is_dialled_again(consortium: Consortium) -> None:
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            nursery.start_soon(other.run)
            one.network.send(names[1], b"nonsense")
            nursery.start_soon(repeat, one, names[1], b"again")
            assert await other.received.receive() == (names[0], b"again")
            assert names[0] in other.lost
            nursery.cancel_scope.cancel()


async def test_frame_beyond_the_bound_drops_the_channel(consortium: Consortium) -> None:
    other = await alone(consortium)
    identity = consortium.identities[0]
    context = peer_client_context(identity.certificate, identity.key, consortium.service.certificate)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            port = other.listeners[0].socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", port) as raw:
                stream = trio.SSLStream(raw, context)
                await stream.send_all((limits.MESSAGE_SIZE_MAX_BYTES + 1).to_bytes(4, "little") + b"x")
                assert await ends(stream)
            assert identity.node_id in other.lost
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("who", ["other service", "no member"])
async def test_strangers_are_refused(consortium: Consortium, who: str) -> None:
    other = await alone(consortium)
    others = Consortium.of(1, first_key=5000)
    stranger = others.identities[0] if who == "other service" else consortium.identities[2]
    context = peer_client_context(stranger.certificate, stranger.key, consortium.service.certificate)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            port = other.listeners[0].socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", port) as raw:
                stream = trio.SSLStream(raw, context)
                with contextlib.suppress(trio.BrokenResourceError):
                    await stream.send_all(b"\x01\x00\x00\x00x")
                assert await ends(stream)
            assert stranger.node_id not in other.lost
            assert other.received.statistics().current_buffer_used == 0
            nursery.cancel_scope.cancel()


async def test_wrong_node_at_an_address_is_not_talked_to(consortium: Consortium) -> None:
    one, other = await pair(consortium)
    link = _Link(consortium.identities[2].node_id, f"127.0.0.1:{other.listeners[0].socket.getsockname()[1]}")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            with pytest.raises(AttestationError, match="is node"):
                await one.network._connect(link)
            nursery.cancel_scope.cancel()
    for listener in one.listeners:
        await listener.aclose()


async def closed_port() -> trio.socket.SocketType:
    """Hold a port where dials are refused until its socket listens: nobody else can take it meanwhile."""
    held = trio.socket.socket()
    await held.bind(("127.0.0.1", 0))
    return held


@pytest.mark.parametrize("address", ["a..b:80", "a" * 64 + ":80", "nowhere", "host:99999"])
async def test_address_that_cannot_be_dialled_ends_nothing(consortium: Consortium, address: str) -> None:
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    one.network._links[names[2]] = _Link(names[2], address)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            nursery.start_soon(other.run)
            await trio.testing.wait_all_tasks_blocked(0.05)
            one.network.send(names[1], b"still here")
            assert await other.received.receive() == (names[0], b"still here")
            nursery.cancel_scope.cancel()


async def test_dials_that_fail_keep_what_is_queued(consortium: Consortium) -> None:
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    held = await closed_port()
    one.network._links[names[1]].address = f"127.0.0.1:{held.getsockname()[1]}"
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            one.network.send(names[1], b"an answer")
            nursery.start_soon(one.run)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert one.lost == []
            await other.listeners[0].aclose()
            held.listen()
            other.listeners = [trio.SocketListener(held)]
            nursery.start_soon(other.run)
            assert await other.received.receive() == (names[0], b"an answer")
            nursery.cancel_scope.cancel()


async def test_peer_out_of_reach_is_given_up(
    consortium: Consortium, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await alone(consortium)
    (link,) = one.network._links.values()

    async def refused(*_: object) -> trio.SocketStream:
        raise ConnectionRefusedError

    monkeypatch.setattr(trio, "open_tcp_stream", refused)
    with trio.move_on_after(limits.PEER_UNREACHABLE_MS / 1000 + 1.5):
        one.network.send(link.peer, b"x")
        await one.run()
    assert one.lost
    assert link.size_bytes == 0


async def test_peer_that_hangs_does_not_hold_the_sender(consortium: Consortium) -> None:
    """It accepts and never reads: the queue overflows in the middle of a write, which must end then."""
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    accepted = trio.Event()

    async def hang(raw: trio.SocketStream) -> None:
        stream = trio.SSLStream(raw, other.network._server, server_side=True)
        await stream.do_handshake()
        accepted.set()
        await trio.sleep_forever()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, hang, other.listeners)
            nursery.start_soon(one.run)
            await accepted.wait()
            one.network.send(names[1], bytes(limits.MESSAGE_SIZE_MAX_BYTES))
            await trio.testing.wait_all_tasks_blocked(0.05)
            for _ in range(3):
                one.network.send(names[1], bytes(limits.MESSAGE_SIZE_MAX_BYTES))
            while not one.lost:
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert one.network.statistics()[names[1]] == {"queued_bytes": 0, "overflows": 1}
            nursery.cancel_scope.cancel()


async def test_strangers_that_say_nothing_leave_room_for_peers(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PEER_HANDSHAKES_MAX", 3)
    one, other = await pair(consortium)
    names = [identity.node_id for identity in consortium.identities]
    port = other.listeners[0].socket.getsockname()[1]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            strangers = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(9)]
            nursery.start_soon(one.run)
            one.network.send(names[1], b"first")
            assert await other.received.receive() == (names[0], b"first")
            assert await ends(strangers[0])
            assert len(other.network._handshakes) <= 3
            nursery.cancel_scope.cancel()
    for stranger in strangers:
        await stranger.aclose()


async def test_a_peer_holds_one_connection(consortium: Consortium) -> None:
    other = await alone(consortium)
    identity = consortium.identities[0]
    context = peer_client_context(identity.certificate, identity.key, consortium.service.certificate)
    port = other.listeners[0].socket.getsockname()[1]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            streams = []
            for number in (b"1", b"2"):
                raw = await trio.open_tcp_stream("127.0.0.1", port)
                streams.append(trio.SSLStream(raw, context))
                await streams[-1].send_all(b"\x01\x00\x00\x00" + number)
                assert await other.received.receive() == (identity.node_id, number)
            assert await ends(streams[0])
            await streams[1].send_all(b"\x01\x00\x00\x003")
            assert await other.received.receive() == (identity.node_id, b"3")
            nursery.cancel_scope.cancel()
    for stream in streams:
        await trio.aclose_forcefully(stream)


def test_queue_to_a_peer_is_bounded() -> None:
    link = _Link(NodeID("peer"), "127.0.0.1:1")
    large = bytes(limits.MESSAGE_SIZE_MAX_BYTES)
    for _ in range(3):
        link.push(large)
    assert (link.overflows, link.size_bytes) == (1, limits.PEER_SEND_QUEUE_MAX_BYTES)
    assert link.overflowed
    assert link.wake.is_set()
    link.clear()
    link.push(b"x")
    assert link.take() == b"\x01\x00\x00\x00x"


def test_peer_without_a_certificate() -> None:
    with pytest.raises(AttestationError, match="no certificate"):
        peer_id(None)
