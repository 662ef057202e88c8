"""Parts of a snapshot that are gone, late, repeated, foreign or wrong are not used, and asked for anew."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_core.base import TxID, limits
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.replica.effects import LoadSnapshot, SendToPeer, StoreSnapshotPart
from coco_core.replica.events import PeerSent, SnapshotLoaded
from coco_core.replica.messages import (
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    encode_snapshot_offer,
    encode_snapshot_part,
    encode_snapshot_request,
)
from coco_core.testing import Cluster, ClusterNode
from coco_core.testing.lagging import PART_BYTES, Lagging

pytestmark = pytest.mark.usefixtures("small_parts")


def test_snapshot_that_is_gone_when_it_is_offered(lagging: Lagging, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = lagging.cluster.primary.shelf
    kept, looks = dict(shelf.proven), []
    monkeypatch.setattr(shelf, "look", lambda seqno: looks.append(seqno) or type(shelf).look(shelf, seqno))
    shelf.proven.clear()
    lagging.cluster.run(10)
    assert looks
    assert lagging.node.replica.chain.head == 4
    shelf.proven.update(kept)
    lagging.catch_up()


def test_snapshot_that_is_gone_while_it_is_sent(lagging: Lagging) -> None:
    shelf = lagging.cluster.primary.shelf
    lagging.receive(2)
    kept = dict(shelf.proven)
    shelf.proven.clear()
    lagging.cluster.run(20)
    assert lagging.received == 2 * PART_BYTES
    shelf.proven.update(kept)
    assert min(lagging.catch_up()) == 2 * PART_BYTES


def test_part_that_is_lost_is_asked_for_again(lagging: Lagging) -> None:
    cluster = lagging.cluster
    lagging.receive(2)
    lagging.until(lambda: any(letter.message[:1] == b"D" for letter in cluster.pool))
    cluster.pool = [letter for letter in cluster.pool if letter.message[:1] != b"D"]
    ticks = 0
    while lagging.received == 2 * PART_BYTES:
        cluster.run(1)
        ticks += 1
    assert ticks == limits.SNAPSHOT_ASK_AGAIN_TICKS
    lagging.catch_up()


def test_receiver_that_is_silent_is_given_up(lagging: Lagging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_IDLE_MAX_TICKS", 7)
    cluster, primary = lagging.cluster, lagging.cluster.primary
    lagging.receive(2)
    offered = []
    for tick in range(1, 31):
        cluster.tick(primary)
        # No connection breaks, but nothing of what is sent arrives.
        if any(one.message[:1] == b"S" for one in cluster.pool):
            offered.append(tick)
        cluster.pool = [one for one in cluster.pool if lagging.node.name not in (one.sender, one.to)]
        cluster.settle()
    assert len(offered) == 3
    lagging.catch_up()


def sends(cluster: Cluster, to: ClusterNode, sender: ClusterNode, message: bytes) -> list[Any]:
    return list(cluster.handle(to, PeerSent(sender.name, message)))


def test_late_repeated_and_foreign_parts_are_left(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    (other,) = [one for one in cluster.backups if one is not node]
    part = encode_snapshot_part(SnapshotPart(lagging.seqno, 0, b"data"))
    assert sends(cluster, node, primary, part) == []
    lagging.receive(2)
    seqno, offset = lagging.seqno, lagging.received
    for stranger in (
        SnapshotPart(seqno, 0, b"data"),
        SnapshotPart(seqno, offset - 1, b"data"),
        SnapshotPart(seqno, offset + 1, b"data"),
        SnapshotPart(seqno + 1, offset, b"data"),
        SnapshotPart(seqno - 1, offset, b"data"),
    ):
        assert sends(cluster, node, primary, encode_snapshot_part(stranger)) == []
    fitting = encode_snapshot_part(SnapshotPart(seqno, offset, b"data"))
    assert sends(cluster, node, other, fitting) == []
    assert lagging.received == offset
    lagging.catch_up()


def test_part_beyond_what_was_offered_is_the_peers_fault(lagging: Lagging) -> None:
    node, primary = lagging.node, lagging.cluster.primary
    lagging.until(lambda: lagging.size - lagging.received < PART_BYTES)
    offset = lagging.received
    long = SnapshotPart(lagging.seqno, offset, bytes(lagging.size - offset + 1))
    with pytest.raises(PeerError, match=f"snapshot {lagging.seqno} is longer than the {lagging.size} bytes"):
        node.replica.handle(PeerSent(primary.name, encode_snapshot_part(long)))
    assert lagging.received == offset
    lagging.catch_up()


def test_last_part_has_it_judged(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    lagging.until(lambda: lagging.size - lagging.received < PART_BYTES)
    seqno, offset = lagging.seqno, lagging.received
    evidence, data = primary.shelf.proven[seqno]
    last = encode_snapshot_part(SnapshotPart(seqno, offset, data[offset:]))
    effects = sends(cluster, node, primary, last)
    assert effects == [StoreSnapshotPart(seqno, offset, data[offset:]), LoadSnapshot(seqno, evidence)]
    # While it is judged, nothing is asked for, and nothing more is taken.
    assert sends(cluster, node, primary, last) == []
    assert sends(cluster, node, primary, encode_snapshot_part(SnapshotPart(seqno, len(data), b"x"))) == []
    offer = SnapshotOffer(TxID(2, seqno + 100), seqno + 104, 9, 5)
    assert sends(cluster, node, primary, encode_snapshot_offer(offer)) == []
    lagging.catch_up()


def test_judging_may_take_long(lagging: Lagging, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node says from time to time that it is at work, so nobody gives up."""
    monkeypatch.setattr(limits, "SNAPSHOT_IDLE_MAX_TICKS", 60)
    cluster, node = lagging.cluster, lagging.node
    lagging.until(lambda: lagging.received == lagging.size)
    (held,) = node.work
    node.work.clear()
    lagging.seen.clear()
    for _ in range(200):
        for one in cluster.alive:
            cluster.tick(one)
        while cluster.pool:
            lagging.step()
    still = SnapshotRequest(lagging.seqno, lagging.size)
    assert lagging.seen == [still] * 4
    assert lagging.sending == 1
    node.work.append(held)
    assert lagging.catch_up() == []


def test_snapshot_that_is_not_sound_is_fetched_anew(lagging: Lagging) -> None:
    cluster, node = lagging.cluster, lagging.node
    lagging.until(lambda: bool(node.work) or lagging.received == lagging.size)
    seqno = lagging.seqno
    node.work.clear()
    assert [one for one in cluster.handle(node, SnapshotLoaded(seqno, None)) if one] == []
    assert lagging.received == 0
    assert node.replica.chain.head == 4
    assert min(lagging.catch_up()) == 0


def test_snapshot_that_is_another_than_was_offered_is_left(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    seqno = lagging.seqno
    evidence, data = primary.shelf.proven[seqno]
    offer = SnapshotOffer(TxID(3, seqno), evidence, 3, len(data))
    sends(cluster, node, primary, encode_snapshot_offer(offer))
    for offset in range(0, len(data), PART_BYTES):
        part = SnapshotPart(seqno, offset, data[offset : offset + PART_BYTES])
        sends(cluster, node, primary, encode_snapshot_part(part))
    cluster.work(node)
    assert node.replica.chain.head == 4
    lagging.catch_up()


def test_snapshot_with_a_changed_byte_is_refused(lagging: Lagging) -> None:
    primary, node = lagging.cluster.primary, lagging.node
    seqno = lagging.seqno
    evidence, data = primary.shelf.proven[seqno]
    primary.shelf.proven[seqno] = evidence, data[:-500] + bytes([data[-500] ^ 1]) + data[-499:]
    with pytest.raises(IntegrityError, match=f"snapshot_{seqno}_{evidence}.committed"):
        lagging.cluster.run(20)
    assert node.replica.chain.head == 4


def test_loaded_snapshot_nobody_waits_for(lagging: Lagging) -> None:
    cluster, node = lagging.cluster, lagging.node
    snapshot = cluster.primary.shelf.newest()
    for target in (node, cluster.primary):
        assert cluster.handle(target, SnapshotLoaded(lagging.seqno, snapshot)) == []
    lagging.receive(1)
    assert cluster.handle(node, SnapshotLoaded(lagging.seqno - 1, snapshot)) == []
    lagging.catch_up()


def test_offer_of_what_is_committed_already(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    lagging.catch_up()
    committed = node.replica.chain.committed.seqno
    for seqno in (1, node.disk.compacted_index, committed):
        offer = SnapshotOffer(TxID(2, seqno), committed + 4, 2, 100)
        assert sends(cluster, node, primary, encode_snapshot_offer(offer)) == []
    assert sends(cluster, primary, node, encode_snapshot_offer(offer)) == []
    assert not node.replica.statistics()["snapshot_received_bytes"]


def test_offer_of_an_earlier_leader_is_left(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    (other,) = [one for one in cluster.backups if one is not node]
    seqno = lagging.seqno
    evidence, data = primary.shelf.proven[seqno]
    newer = SnapshotOffer(TxID(2, seqno), evidence, 3, len(data))
    request = SendToPeer(primary.name, encode_snapshot_request(SnapshotRequest(seqno, 0)))
    assert sends(cluster, node, primary, encode_snapshot_offer(newer)) == [request]
    older = encode_snapshot_offer(attrs.evolve(newer, leader_term=2))
    assert sends(cluster, node, other, older) == []
    part = encode_snapshot_part(SnapshotPart(seqno, 0, data[:PART_BYTES]))
    assert sends(cluster, node, other, part) == []
    again = encode_snapshot_offer(attrs.evolve(newer, leader_term=4))
    elsewhere = SendToPeer(other.name, encode_snapshot_request(SnapshotRequest(seqno, 0)))
    assert sends(cluster, node, other, again) == [elsewhere]


def test_requests_for_what_was_not_offered(lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    (other,) = [one for one in cluster.backups if one is not node]
    lagging.receive(1)
    seqno, size = lagging.seqno, lagging.size
    for sender, request in (
        (other, SnapshotRequest(seqno, 0)),
        (node, SnapshotRequest(seqno - 1, 0)),
        (node, SnapshotRequest(seqno, size)),
        (node, SnapshotRequest(seqno, size + 1)),
    ):
        assert sends(cluster, primary, sender, encode_snapshot_request(request)) == []
    assert sends(cluster, other, node, encode_snapshot_request(SnapshotRequest(seqno, 0))) == []
    lagging.catch_up()


def test_receiver_gives_up_who_does_not_answer(lagging: Lagging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_IDLE_MAX_TICKS", 120)
    cluster, node = lagging.cluster, lagging.node
    lagging.receive(2)
    lagging.until(lambda: any(one.message[:1] == b"D" for one in cluster.pool))
    cluster.pool.clear()
    asked = []
    for tick in range(1, 200):
        cluster.tick(node)
        if any(one.sender == node.name and one.message[:1] == b"G" for one in cluster.pool):
            asked.append(tick)
        cluster.pool.clear()
    assert len(asked) == 2
    assert min(lagging.catch_up()) == 2 * PART_BYTES


def test_reader_says_that_there_is_none(lagging: Lagging) -> None:
    """What the tests above rely on."""
    shelf = lagging.cluster.primary.shelf
    for missing in (lambda: shelf.look(1), lambda: shelf.read(1, 0, 10)):
        with pytest.raises(OperatorError):
            missing()
