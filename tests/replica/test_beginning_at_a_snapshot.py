"""A node whose ledger begins behind a snapshot is one like the others, but for what it cannot know."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from coco_core.adapter import Committed, NotCommitted
from coco_core.base import TxID
from coco_core.errors import CallerError
from coco_core.governance import change_payload
from coco_core.ledger import audit, verify_receipt
from coco_core.replica import TransactionStatus, make_receipt, plan_receipt, status_of
from coco_core.replica.effects import TakeSnapshot
from coco_core.replica.events import HandOver
from coco_core.testing import Cluster, ClusterNode, Tally, add
from coco_core.testing.lagging import Lagging, compact, fill
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS


def begun() -> Lagging:
    lagging = Lagging.found(3, draw=random.Random(7).randint)
    lagging.catch_up()
    return lagging


def lead(cluster: Cluster, node: ClusterNode) -> None:
    """Hand leadership over until ``node`` has it."""
    for _ in range(20):
        if cluster.primary is node:
            return
        cluster.handle(cluster.primary, HandOver())
        cluster.run(20)
        cluster.elect()
    raise AssertionError("it never led")


def test_no_receipts_of_what_was_before() -> None:
    lagging = begun()
    node, chain = lagging.node, lagging.node.replica.chain
    began = node.disk.compacted_index
    for seqno in (1, 4, began - 1, began):
        txid = TxID(2, seqno)
        assert status_of(chain, txid) is TransactionStatus.COMMITTED
        assert status_of(chain, TxID(3, seqno)) is TransactionStatus.INVALID
        with pytest.raises(
            CallerError, match=f"began from a snapshot behind transaction {txid}: ask another"
        ):
            plan_receipt(chain, txid)


def test_receipts_from_there_on() -> None:
    lagging = begun()
    cluster, node, chain = lagging.cluster, lagging.node, lagging.node.replica.chain
    began = node.disk.compacted_index
    entries = node.disk.entries
    covered = [seqno for seqno in range(began + 1, chain.head + 1) if chain.signature_covering(seqno)]
    assert len(covered) > 5
    for seqno in covered:
        plan = plan_receipt(chain, TxID(2, seqno))
        raw, signature = entries[plan.seqno - 1].data, entries[plan.signature_seqno - 1].data
        receipt = make_receipt(plan, raw, signature, cluster.secrets, cose=False)
        verified = verify_receipt(receipt, cluster.consortium.service.certificate)
        assert verified.txid == TxID(2, seqno)
        assert plan == plan_receipt(cluster.primary.replica.chain, TxID(2, seqno))


def test_adapter_is_told_and_misses_nothing_after_it() -> None:
    lagging = begun()
    adapter = lagging.node.adapter
    assert isinstance(adapter, Tally)
    assert all(batch.txid.seqno > lagging.node.disk.compacted_index for batch in adapter.batches)
    assert len(adapter.batches) >= 2


def test_it_leads_signs_and_ends_chunks_where_the_others_would() -> None:
    lagging = begun()
    cluster, node = lagging.cluster, lagging.node
    lead(cluster, node)
    fill(cluster, 20, "led")
    cluster.run(3)
    cluster.check_equal()
    fill_entries, ends = 0, []
    for entry in cluster.backups[0].disk.entries:
        if entry.committable:
            assert bool(entry.data[1]) == (fill_entries >= 8)
        fill_entries = 0 if entry.data[1] else fill_entries + 1
        ends += [entry.index] if entry.data[1] else []
    assert len([end for end in ends if end > node.disk.compacted_index]) >= 4
    audit(
        [node.disk.file()],
        service_cert_pem=cluster.consortium.service.certificate,
        secrets=cluster.secrets,
    )


def test_its_own_snapshots_are_those_of_the_others() -> None:
    lagging = begun()
    fill(lagging.cluster, 20, "u")
    for other in lagging.cluster.backups:
        newer = [seqno for seqno in other.shelf.proven if seqno >= lagging.node.disk.compacted_index]
        assert len(newer) >= 4
        assert all(lagging.node.shelf.proven[seqno] == other.shelf.proven[seqno] for seqno in newer)


def test_it_passes_on_what_it_began_with() -> None:
    lagging = begun()
    cluster, node = lagging.cluster, lagging.node
    began = node.disk.compacted_index
    (other,) = [one for one in cluster.backups if one is not node]
    lead(cluster, node)
    assert node.replica.chain.committed.seqno > began
    newest = max(node.shelf.proven)
    node.disk.compacted_index = newest
    cluster.cut(other)
    fill(cluster, 10, "u")
    compact(cluster)
    cluster.heal()
    Lagging(cluster, other).catch_up()


def test_snapshot_that_was_being_made_when_another_took_its_place() -> None:
    """A slow disk: the evidence is agreed, then the node is cut off, and begins anew behind it all."""
    cluster = Cluster.found(3, draw=random.Random(7).randint, chunk_entries=8, log_cache_max_bytes=1)
    cluster.settle()
    cluster.run(2)
    node = cluster.backups[0]
    held: list[TakeSnapshot] = []
    for number in range(6):
        cluster.submit(cluster.primary, add(f"a{number}", "x", 1))
        for one in cluster.alive:
            cluster.tick(one)
        while cluster.pool or any(one.disk.pending or one.running for one in cluster.alive):
            for one in cluster.alive:
                cluster.persist(one)
                cluster.execute(one)
                if one is node:
                    held += node.work
                    node.work.clear()
                cluster.work(one)
            if cluster.pool:
                cluster.deliver()
    (effect,) = held
    seqno = effect.place.txid.seqno
    assert seqno in cluster.primary.shelf.proven
    cluster.cut(node)
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    lagging = Lagging(cluster, node)
    lagging.catch_up()
    assert node.disk.compacted_index > seqno
    node.work.append(effect)
    cluster.settle()
    assert effect.pinned.released
    cluster.run(5)
    fill(cluster, 10, "u")
    cluster.check_equal()
    assert max(node.shelf.proven) == max(cluster.primary.shelf.proven)


def test_batch_under_way_on_a_primary_that_was_cut_off_and_begins_anew() -> None:
    cluster = Cluster.found(3, draw=random.Random(7).randint, chunk_entries=8, log_cache_max_bytes=1)
    cluster.settle()
    cluster.run(2)
    old = cluster.primary
    ticket = cluster.submit(old, add("lost", "x", 100))
    running, old.running = old.running, None
    waiting = cluster.submit(old, add("queued", "x", 100))
    cluster.cut(old)
    cluster.run(20)
    assert cluster.primary is not old
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    Lagging(cluster, old).catch_up()
    assert isinstance(old.answers[waiting][0], NotCommitted)
    assert ticket not in old.answers
    old.running = running
    cluster.execute(old)
    assert isinstance(old.answers[ticket][0], NotCommitted)
    assert cluster.primary.state()[COUNTERS] == {b"x": b"14"}
    cluster.check_equal()


# ── members ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gone", [1, 2])
def test_members_that_changed_meanwhile(gone: int, operate: Callable[..., Operating]) -> None:
    operating = operate(4, chunk_entries=8, log_cache_max_bytes=1)
    cluster, node = operating.cluster, operating.node(3)
    cluster.cut(node)
    operating.replace([4], [gone])
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    for step in range(2000):
        if node.replica.chain.committed == cluster.primary.replica.chain.committed:
            break
        cluster.run(1)
        assert step < 1999
    assert node.disk.compacted_index
    members = node.replica.chain.membership
    assert members.voters == cluster.primary.replica.chain.membership.voters
    assert members.index == node.disk.compacted_index
    assert node.peers == frozenset(cluster.nodes) - {node.name}
    cluster.crash(cluster.primary)
    cluster.run(20)
    ticket = cluster.submit(cluster.primary, add("on", "x", 1))
    cluster.run(3)
    assert [type(fate) for fate in cluster.primary.answers[ticket]] == [Committed]


def test_learner_of_a_change_that_stands_in_the_snapshot(operate: Callable[..., Operating]) -> None:
    """The change began before the snapshot, and is made after it."""
    operating = operate(3, chunk_entries=8, log_cache_max_bytes=1)
    cluster = operating.cluster
    operating.ask(3)
    operating.change([3])
    fill(cluster, 12)
    compact(cluster)
    joiner = cluster.seat(3)
    operating.until(lambda: operating.members == [0, 1, 2, 3])
    cluster.run(3)
    assert joiner.disk.compacted_index
    cluster.check_equal()


def test_node_that_was_removed_meanwhile(operate: Callable[..., Operating]) -> None:
    """Nobody serves it any more, so it begins nowhere; but it asks, and is told."""
    operating = operate(4, chunk_entries=8, log_cache_max_bytes=1)
    cluster, node = operating.cluster, operating.node(3)
    cluster.cut(node)
    operating.begin(change_payload([], [node.name]))
    operating.until(lambda: operating.members == [0, 1, 2])
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    operating.until(lambda: node.retired)
    assert not node.disk.compacted_index
