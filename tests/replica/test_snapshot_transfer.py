"""A node that the log cannot serve is sent a snapshot, in parts that it asks for, whatever interrupts it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from coco_core.adapter import Committed
from coco_core.base import TxID, limits
from coco_core.replica.events import HandOver, PeerLost
from coco_core.replica.messages import SnapshotOffer, SnapshotRequest
from coco_core.testing import Cluster, add
from coco_core.testing.lagging import PART_BYTES, Lagging, compact, fill
from coco_core.testing.operating import Operating

pytestmark = pytest.mark.usefixtures("small_parts")


def test_lagging_backup_is_served_from_a_snapshot(lagging: Lagging) -> None:
    lagging.catch_up()
    shelf = lagging.node.shelf
    assert (
        shelf.proven[lagging.node.disk.compacted_index]
        == (lagging.cluster.primary.shelf.proven[lagging.node.disk.compacted_index])
    )


def test_parts_are_asked_for_one_by_one(lagging: Lagging) -> None:
    size, seqno = lagging.size, lagging.seqno
    lagging.catch_up()
    offer, *rest = lagging.seen
    evidence = lagging.node.shelf.proven[seqno][0]
    assert offer == SnapshotOffer(TxID(2, seqno), evidence, 2, size)
    offsets = list(range(0, size, PART_BYTES))
    assert [(one.seqno, one.offset) for one in rest[0::2]] == [(seqno, offset) for offset in offsets]
    assert all(isinstance(one, SnapshotRequest) for one in rest[0::2])
    assert [(one.offset, len(one.data)) for one in rest[1::2]] == [
        (offset, min(PART_BYTES, size - offset)) for offset in offsets
    ]


def test_service_goes_on_meanwhile(lagging: Lagging) -> None:
    cluster = lagging.cluster
    lagging.receive(2)
    ticket = cluster.submit(cluster.primary, add("meanwhile", "x", 1))
    lagging.until(lambda: ticket in cluster.primary.answers)
    assert lagging.received
    assert [type(fate) for fate in cluster.primary.answers[ticket]] == [Committed]
    lagging.catch_up()


def test_submission_of_a_lagging_backup_is_answered_once_it_is_there(lagging: Lagging) -> None:
    cluster, node = lagging.cluster, lagging.node
    lagging.until(lambda: node.replica.leader is not None)
    ticket = cluster.submit(node, add("mine", "x", 1))
    lagging.receive(3)
    assert node.replica.statistics()["waiting_groups"] == 1
    assert ticket not in node.answers
    lagging.catch_up()
    assert [type(fate) for fate in node.answers[ticket]] == [Committed]


def test_submission_that_the_snapshot_holds_already_is_answered_with_it() -> None:
    """Forwarded and decided before the node was cut off; agreed and compacted since."""
    cluster = Cluster.found(3, draw=random.Random(7).randint, chunk_entries=8, log_cache_max_bytes=1)
    cluster.settle()
    cluster.run(2)
    node = cluster.backups[0]
    ticket = cluster.submit(node, add("mine", "x", 1))
    while node.replica.statistics()["waiting_groups"] == 0:
        cluster.pool.sort(key=lambda letter: letter.message[:1] == b"C" and letter.to == node.name)
        for one in cluster.alive:
            if one is not node:
                cluster.persist(one)
                cluster.execute(one)
        cluster.deliver()
    cluster.cut(node)
    cluster.settle()
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    assert ticket not in node.answers
    lagging = Lagging(cluster, node)
    lagging.catch_up()
    (fate,) = node.answers[ticket]
    assert isinstance(fate, Committed)
    assert fate.txid.seqno < node.disk.compacted_index


# ── interrupted ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [0, 1, 4])
@pytest.mark.parametrize("who", ["both", "sender", "receiver"])
def test_connection_that_breaks(parts: int, who: str, lagging: Lagging) -> None:
    cluster, node, primary = lagging.cluster, lagging.node, lagging.cluster.primary
    lagging.receive(parts) if parts else lagging.until(lambda: lagging.sending > 0)
    cluster.pool = [one for one in cluster.pool if node.name not in (one.sender, one.to)]
    if who in ("both", "sender"):
        cluster.handle(primary, PeerLost(node.name))
        assert not lagging.sending
    if who in ("both", "receiver"):
        cluster.handle(node, PeerLost(primary.name))
    assert lagging.received == parts * PART_BYTES
    lagging.catch_up()


def test_another_leader_goes_on_where_the_one_before_stopped(lagging: Lagging) -> None:
    cluster, node, old = lagging.cluster, lagging.node, lagging.cluster.primary
    lagging.receive(3)
    cluster.pool.clear()
    cluster.handle(old, HandOver())
    lagging.until(lambda: not old.replica.is_primary and any(one.replica.is_primary for one in cluster.alive))
    assert not node.replica.is_primary
    assert min(lagging.catch_up()) == 3 * PART_BYTES
    assert old.replica.statistics()["snapshots_sending"] == 0


def test_leader_that_ends() -> None:
    lagging = Lagging.found(5, draw=random.Random(7).randint)
    cluster = lagging.cluster
    lagging.receive(3)
    cluster.crash(cluster.primary)
    lagging.until(lambda: any(node.replica.is_primary for node in cluster.alive))
    assert min(lagging.catch_up()) == 3 * PART_BYTES


def test_newer_snapshot_takes_the_place_of_the_one_under_way(lagging: Lagging) -> None:
    cluster, node, old = lagging.cluster, lagging.node, lagging.seqno
    lagging.receive(3)
    cluster.cut(node)
    fill(cluster, 8, "u")
    compact(cluster)
    cluster.heal()
    assert lagging.seqno > old
    lagging.catch_up()
    assert old not in node.shelf.proven


def test_snapshot_that_is_not_needed_any_more_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next leader still has what the node lacks, so the log serves it; who offered it is gone."""
    lagging = Lagging.found(5, draw=random.Random(7).randint)
    monkeypatch.setattr(limits, "RETIRED_NODES_KEPT_MAX", 0)
    cluster, node, old = lagging.cluster, lagging.node, lagging.cluster.primary
    lagging.receive(2)
    for other in cluster.alive:
        other.disk.compacted_index = 0
    cluster.crash(old)
    cluster.elect()
    cluster.run(5)
    cluster.check_equal()
    assert lagging.received == 0
    operating = Operating(cluster)
    for number in (0, 4):
        operating.replace(remove=[number])
        operating.until(lambda: not operating.change_under_way)
    cluster.run(2 * limits.SNAPSHOT_ASK_AGAIN_TICKS)
    assert old.name not in node.peers


# ── joining ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lag", [10, 1_000_000])
def test_joiner_far_behind_begins_at_a_snapshot(lag: int, operate: Callable[..., Operating]) -> None:
    operating = operate(3, chunk_entries=8, snapshot_lag_entries=lag)
    cluster = operating.cluster
    fill(cluster, 12)
    operating.replace([3])
    joiner = operating.node(3)
    cluster.run(3)
    began = joiner.disk.compacted_index
    assert (began in cluster.primary.shelf.proven) == (lag == 10)
    assert operating.members == [0, 1, 2, 3]
    cluster.check_equal()


def test_joiner_of_a_service_whose_past_is_gone(operate: Callable[..., Operating]) -> None:
    operating = operate(1, chunk_entries=8, log_cache_max_bytes=1)
    cluster = operating.cluster
    fill(cluster, 12)
    compact(cluster)
    operating.replace([1, 2])
    cluster.run(3)
    assert all(node.disk.compacted_index > 0 for node in cluster.alive)
    cluster.check_equal()
