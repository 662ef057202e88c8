"""Where snapshots are made: the same places and the same bytes on every node, which the ledger proves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from coco_core.base import NodeID, TxID
from coco_core.errors import IntegrityError
from coco_core.kv import maps
from coco_core.ledger import SnapshotName, read_public, read_snapshot, read_snapshot_evidence
from coco_core.replica import Chain
from coco_core.replica.effects import Effect, TakeSnapshot
from coco_core.replica.events import HandOver, SnapshotTaken
from coco_core.testing import Cluster, ClusterNode, Consortium, add


def founded(count: int = 3, *, make_due: bool = True, **bounds: Any) -> Cluster:
    cluster = Cluster.found(count, draw=random.Random(7).randint, **{"chunk_entries": 8, **bounds})
    cluster.settle()
    cluster.run(2)
    if make_due:
        fill(cluster, 12)
    return cluster


def fill(cluster: Cluster, count: int, name: str = "t") -> None:
    """Let so many transactions be agreed and applied everywhere, one batch each."""
    for number in range(count):
        cluster.submit(cluster.primary, add(f"{name}{number}", "x", 1))
        cluster.run(1)


def evidence(node: ClusterNode) -> dict[int, list[TxID]]:
    """Return which entries of a ledger are evidence, by the snapshot they are of."""
    found: dict[int, list[TxID]] = {}
    for entry in node.disk.entries:
        public = read_public(entry.data)
        recorded = read_snapshot_evidence(public.public)
        if recorded is not None:
            seqno, digest = recorded
            assert public.claims == digest
            found.setdefault(seqno, []).append(public.txid)
    return found


def chunk_ends(node: ClusterNode) -> list[int]:
    return [entry.index for entry in node.disk.entries if entry.data[1]]


def test_same_points_and_same_bytes_everywhere() -> None:
    cluster = founded()
    first, *others = cluster.alive
    assert len(first.shelf.proven) >= 3
    assert all(node.shelf.proven == first.shelf.proven for node in others)
    assert sorted(first.shelf.proven) == chunk_ends(first)
    assert evidence(first).keys() == first.shelf.proven.keys()
    assert all(len(places) == 1 for places in evidence(first).values())
    assert all(evidence(first)[seqno][0].seqno == at for seqno, (at, _) in first.shelf.proven.items())
    assert not any(node.replica.statistics()["snapshots_unproven"] for node in cluster.alive)


def test_what_a_snapshot_says() -> None:
    cluster = founded()
    chain = cluster.primary.replica.chain
    for seqno, (at, data) in cluster.primary.shelf.proven.items():
        name = str(SnapshotName(seqno, at))
        snapshot = read_snapshot(name, data, cluster.secrets, cluster.consortium.service.certificate)
        view = chain.store.view(seqno)
        assert snapshot.maps == {
            one: dict(view.items(one)) for one in chain.store.sizes() if any(view.items(one))
        }
        assert snapshot.tree().root() == chain.tree.root(seqno + 1)
        assert snapshot.place.views == chain.views.runs(seqno)


def test_points_are_ends_of_chunks_and_those_are_bounded_by_entries() -> None:
    cluster = founded(chunk_entries=20)
    fill(cluster, 12, "u")
    ends = [0, *chunk_ends(cluster.primary)]
    assert len(ends) > 2
    # A chunk ends with the batch in which it is full: three entries at most beside what filled it.
    assert all(20 < end - before <= 23 for before, end in pairwise(ends))


def test_bytes_end_a_chunk_too() -> None:
    cluster = founded(chunk_entries=1_000_000, chunk_size_bytes=10_000)
    assert sorted(cluster.primary.shelf.proven) == chunk_ends(cluster.primary) != []


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("bounds", [{"chunk_entries": 1}, {"chunk_size_bytes": 1}])
def test_evidence_does_not_call_for_the_next_snapshot(count: int, bounds: dict[str, int]) -> None:
    cluster = founded(count, **bounds)
    cluster.run(10)
    head = cluster.primary.replica.chain.head
    cluster.run(50)
    assert cluster.primary.replica.chain.head == head


def test_large_state_is_not_written_more_often_than_the_ledger_grows() -> None:
    config = {"counters": {f"counter{number:05}".translate(LETTERS): number for number in range(2000)}}
    cluster = Cluster.found(1, draw=random.Random(7).randint, config=config, chunk_entries=8)
    cluster.settle()
    fill(cluster, 40)
    node = cluster.primary
    state = node.replica.chain.store.state_size_bytes
    points = [0, *sorted(node.shelf.proven)]
    assert 2 < len(points) < len(chunk_ends(node))
    sizes = [len(entry.data) for entry in node.disk.entries]
    for before, point in pairwise(points[1:]):
        assert 2 * sum(sizes[before:point]) >= state


LETTERS = str.maketrans("0123456789", "abcdefghij")


# ── making ───────────────────────────────────────────────────────────────────────────────────────


def without_work(
    cluster: Cluster, idle: Sequence[ClusterNode], count: int, name: str = "t"
) -> dict[NodeID, list[Any]]:
    """Let so many transactions be agreed while ``idle`` nodes do no background work; return it."""
    held: dict[NodeID, list[Any]] = {node.name: [] for node in idle}

    def one_step() -> bool:
        busy = [cluster.persist(node) or cluster.execute(node) for node in cluster.alive]
        busy += [cluster.work(node) for node in cluster.alive if node not in idle]
        for node in idle:
            held[node.name] += node.work
            node.work.clear()
        if cluster.pool:
            cluster.deliver()
            return True
        return any(busy)

    for number in range(count):
        cluster.submit(cluster.primary, add(f"{name}{number}", "x", 1))
        for node in cluster.alive:
            cluster.tick(node)
        while one_step():
            pass
    while one_step():
        pass
    return held


def give_back(cluster: Cluster, node: ClusterNode, held: list[Any]) -> None:
    node.work.extend(held)
    cluster.settle()
    cluster.run(3)


@pytest.mark.parametrize("who", ["primary", "backup"])
def test_one_at_a_time_and_the_pin_of_a_point_that_is_left_out_is_released(who: str) -> None:
    cluster = founded(make_due=False)
    node = cluster.primary if who == "primary" else cluster.backups[0]
    held = without_work(cluster, [node], 12)[node.name]
    assert [type(effect) for effect in held] == [TakeSnapshot]
    assert len(chunk_ends(node)) >= 3
    store = node.replica.chain.store
    assert [pin for pin in store._pins if not pin.released] == [held[0].pinned]
    give_back(cluster, node, held)
    assert held[0].pinned.released
    assert held[0].place.txid.seqno in node.shelf.proven
    fill(cluster, 8, "u")
    assert node.shelf.proven.keys() < cluster.backups[-1].shelf.proven.keys() or who == "primary"
    assert all(
        node.shelf.proven[seqno] == other.shelf.proven[seqno]
        for other in cluster.alive
        for seqno in node.shelf.proven.keys() & other.shelf.proven.keys()
    )


def test_a_slow_node_proves_its_snapshot_with_the_evidence_of_long_ago() -> None:
    cluster = founded(make_due=False)
    node = cluster.backups[0]
    held = without_work(cluster, [node], 4)[node.name]
    seqno = held[0].place.txid.seqno
    assert evidence(cluster.primary)[seqno]
    assert seqno not in node.shelf.proven
    give_back(cluster, node, held)
    assert node.shelf.proven[seqno] == cluster.primary.shelf.proven[seqno]
    assert len(evidence(cluster.primary)[seqno]) == 1


def taken(cluster: Cluster, node: ClusterNode, effect: TakeSnapshot, digest: bytes | None) -> list[Effect]:
    effect.pinned.release()
    return cluster.handle(node, SnapshotTaken(effect.place.txid.seqno, digest))


def test_node_whose_state_differs_from_what_the_ledger_says_must_stop() -> None:
    cluster = founded(make_due=False)
    node = cluster.backups[0]
    (effect, *_) = without_work(cluster, [node], 5)[node.name]
    seqno = effect.place.txid.seqno
    assert evidence(node)[seqno]
    with pytest.raises(IntegrityError, match=f"state at {seqno} has digest abababababababab… here"):
        taken(cluster, node, effect, b"\xab" * 32)


def test_node_whose_state_differs_must_stop_when_the_ledger_says_so() -> None:
    cluster = founded(make_due=False)
    node, primary = cluster.backups[0], cluster.primary
    held = without_work(cluster, [node, primary], 3)
    (effect,) = held[node.name]
    seqno = effect.place.txid.seqno
    assert taken(cluster, node, effect, b"\xab" * 32) == []
    assert not evidence(primary)
    with pytest.raises(IntegrityError, match=f"state at {seqno} has digest abababababababab… here"):
        give_back(cluster, primary, held[primary.name])
    assert evidence(primary).keys() == {seqno}


@pytest.mark.parametrize("who", ["primary", "backup"])
def test_snapshot_that_could_not_be_written_is_none(who: str) -> None:
    cluster = founded(make_due=False)
    node = cluster.primary if who == "primary" else cluster.backups[0]
    (effect,) = without_work(cluster, [node], 3)[node.name]
    seqno = effect.place.txid.seqno
    assert taken(cluster, node, effect, None) == []
    fill(cluster, 12, "u")
    assert seqno not in node.shelf.proven
    # Only the primary tells the ledger; without it nobody has a proof, and the next one is as good.
    others = [one for one in cluster.alive if one is not node]
    assert all((seqno in one.shelf.proven) == (who == "backup") for one in others)
    assert max(node.shelf.proven) > seqno
    assert node.shelf.proven[max(node.shelf.proven)] == others[0].shelf.proven[max(node.shelf.proven)]


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────


def test_new_primary_records_what_the_old_one_did_not() -> None:
    cluster = founded(make_due=False)
    old = cluster.primary
    (effect,) = without_work(cluster, [old], 3)[old.name]
    seqno = effect.place.txid.seqno
    assert not evidence(old)
    cluster.handle(old, HandOver())
    without_work(cluster, [old], 0)
    assert cluster.elect() is not old
    cluster.run(2)
    assert [len(places) for places in evidence(cluster.primary).values()] == [1]
    give_back(cluster, old, [effect])
    assert all(seqno in node.shelf.proven for node in cluster.alive)


def test_evidence_that_was_lost_with_its_view_is_recorded_again() -> None:
    cluster = founded(make_due=False)
    old = cluster.primary
    (effect,) = without_work(cluster, [old], 3)[old.name]
    seqno = effect.place.txid.seqno
    cluster.cut(old)
    old.work.append(effect)
    cluster.work(old)
    cluster.tick(old)
    cluster.persist(old)
    lost = evidence(old)
    assert lost.keys() == {seqno}
    cluster.run(40)
    cluster.heal()
    cluster.elect()
    cluster.run(20)
    kept = evidence(old)
    assert len(kept[seqno]) == 1
    assert kept[seqno] != lost[seqno]
    assert all(node.shelf.proven.keys() == {seqno} for node in cluster.alive)
    assert len({node.shelf.proven[seqno] for node in cluster.alive}) == 1


def test_new_primary_does_not_record_again_what_is_recorded() -> None:
    cluster = founded()
    before = evidence(cluster.primary)
    for _ in range(3):
        cluster.handle(cluster.primary, HandOver())
        cluster.run(20)
        cluster.elect()
    cluster.run(5)
    assert evidence(cluster.primary) == before


# ── points ───────────────────────────────────────────────────────────────────────────────────────


def test_points_are_counted_from_the_point_before() -> None:
    def grow(chain: Chain, size_bytes: int, *, ends_chunk: bool, value: bytes = b"") -> bool:
        seqno = chain.head + 1
        leaf = seqno.to_bytes(32)
        writes = {"m": {b"k": value}} if value else {}
        chain.add(TxID(2, seqno), leaf, writes, signature=True, size_bytes=size_bytes, ends_chunk=ends_chunk)
        (layer,) = chain.commit(seqno)
        if layer.pinned is not None:
            layer.pinned.release()
        return layer.pinned is not None

    chain = Chain(Consortium.of(1).keys(0))
    assert not grow(chain, 100, ends_chunk=False, value=bytes(399))
    assert not grow(chain, 99, ends_chunk=True)
    assert not grow(chain, 1, ends_chunk=False)
    assert grow(chain, 0, ends_chunk=True)
    assert not grow(chain, 199, ends_chunk=True)
    assert grow(chain, 1, ends_chunk=True)


def test_items_know_nothing_of_points_that_are_not_agreed() -> None:
    chain = Chain(Consortium.of(1).keys(0))
    for seqno in (1, 2):
        chain.add(TxID(2, seqno), bytes(32), {}, signature=True, size_bytes=10, ends_chunk=True)
    chain.truncate(1)
    chain.add(TxID(3, 2), bytes(32), {maps.SERVICE_INFO: {b"k": b"v"}}, signature=True, size_bytes=10)
    layers = chain.commit(2)
    assert [(layer.txid, layer.pinned is not None) for layer in layers] == [
        (TxID(2, 1), True),
        (TxID(3, 2), False),
    ]
    assert all(layer.evidence is None for layer in layers)
