"""A node that starts again begins with its old ledger: with what is proven and agreed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coco_core.ledger import audit
from coco_core.replica.events import HandOver
from coco_core.testing import ClusterNode
from coco_core.testing.lagging import compact, fill
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS


@pytest.fixture
def service(operate: Callable[..., Operating]) -> Operating:
    operating = operate(3, log_cache_max_bytes=1)
    fill(operating.cluster, 5)
    return operating


def ends_well(operating: Operating, node: ClusterNode) -> None:
    """Check that the node becomes a member like any other."""
    cluster = operating.cluster
    operating.until(lambda: operating.change_under_way is None)
    fill(cluster, 3, "on")
    cluster.run(3)
    cluster.check_equal()
    assert node.name in cluster.primary.replica.chain.membership.voters
    audit(
        [node.disk.file()],
        service_cert_pem=cluster.consortium.service.certificate,
        secrets=cluster.secrets,
    )


def first_stored(node: ClusterNode, operating: Operating) -> int:
    """Let the node catch up; return the seqno of the first entry that somebody sent it."""
    before = len(node.disk.entries)
    head = node.replica.chain.head
    ends_well(operating, node)
    assert head == before
    return before + 1


def test_whole_ledger_need_not_be_fetched_again(service: Operating) -> None:
    old = service.node(1)
    kept = list(old.disk.entries)
    node = service.restart(old, 3)
    assert node.disk.entries == kept
    assert node.replica.chain.committed.seqno == node.replica.chain.head == len(kept)
    # What it holds the log could not serve any more, and nobody made a snapshot.
    for other in service.cluster.alive:
        if other is not node:
            other.disk.compacted_index = len(kept) - 1
    assert first_stored(node, service) == len(kept) + 1
    assert node.disk.entries[: len(kept)] == kept


def test_state_is_there_before_anybody_was_heard_of(service: Operating) -> None:
    old = service.node(1)
    before = old.state()
    node = service.restart(old, 3)
    assert node.state() == before
    assert node.replica.chain.tree.root() == old.replica.chain.tree.root()
    assert node.replica.status().committed_seqno == old.replica.status().committed_seqno
    assert not node.replica.status().leader_known


def test_without_an_old_ledger_it_begins_empty(service: Operating) -> None:
    old = service.node(1)
    old.disk.entries.clear()
    node = service.restart(old, 3)
    assert node.replica.chain.head == 0
    ends_well(service, node)


@pytest.mark.parametrize("kept", range(1, 5))
def test_part_of_the_first_batch_is_worth_nothing_without_its_signature(
    kept: int, service: Operating
) -> None:
    old = service.node(1)
    del old.disk.entries[kept:]
    node = service.restart(old, 3)
    assert node.replica.chain.head == (4 if kept == 4 else 0)
    assert len(node.disk.entries) == node.replica.chain.head
    ends_well(service, node)


def test_unsigned_tail_is_cut(service: Operating) -> None:
    old = service.node(1)
    signed = [entry.index for entry in old.disk.entries if entry.committable]
    del old.disk.entries[-1]
    assert not old.disk.entries[-1].committable
    node = service.restart(old, 3)
    assert node.replica.chain.head == node.replica.chain.committed.seqno == signed[-2]
    assert len(node.disk.entries) == signed[-2]
    ends_well(service, node)


def test_tail_that_was_never_agreed_is_cut(service: Operating) -> None:
    """Nothing else stands in its place yet, but for the signature of the next view."""
    agreed = service.cluster.primary.replica.chain.committed
    old = service.lose_tail(3)
    assert len(old.disk.entries) > agreed.seqno + 6
    node = service.restart(old, 3)
    assert node.replica.chain.committed == agreed
    assert node.disk.entries == old.disk.entries[: agreed.seqno]
    ends_well(service, node)
    assert node.state()[COUNTERS] == {b"x": b"8"}


def test_tail_of_a_view_that_lost_is_cut(service: Operating) -> None:
    """Other entries stand in its place, further than it reaches."""
    agreed = service.cluster.primary.replica.chain.committed
    old = service.lose_tail(3)
    fill(service.cluster, 12, "instead")
    assert service.cluster.primary.replica.chain.committed.seqno > len(old.disk.entries)
    node = service.restart(old, 3)
    assert node.replica.chain.committed == agreed
    ends_well(service, node)
    assert node.state()[COUNTERS] == {b"x": b"20"}


def test_ledger_of_several_views(service: Operating) -> None:
    cluster = service.cluster
    for number in range(3):
        cluster.handle(cluster.primary, HandOver())
        cluster.run(20)
        cluster.elect()
        fill(cluster, 2, f"view{number}")
    old = cluster.backups[0]
    kept = len(old.disk.entries)
    node = service.restart(old, 3)
    assert node.replica.chain.committed.seqno == kept
    assert len(node.replica.chain.views.runs(kept)) == 4
    ends_well(service, node)


# ── from a snapshot ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def snapshotting(operate: Callable[..., Operating]) -> Operating:
    operating = operate(3, chunk_entries=8, log_cache_max_bytes=1)
    fill(operating.cluster, 12)
    return operating


@pytest.mark.parametrize("behind", [0, 1, 5])
def test_snapshot_and_the_ledger_behind_it(behind: int, snapshotting: Operating) -> None:
    operating, old = snapshotting, snapshotting.node(1)
    newest = max(old.shelf.proven)
    old.disk.compacted_index = newest
    del old.disk.entries[newest + behind :]
    node = operating.restart(old, 3)
    chain = node.replica.chain
    assert chain.tree.first_leaf > 0
    assert chain.begins_after == newest
    assert newest <= chain.committed.seqno <= newest + behind
    compact(operating.cluster)
    ends_well(operating, node)
    assert node.disk.compacted_index == newest
    assert node.shelf.proven.items() >= old.shelf.proven.items()


def test_node_that_began_again_at_a_snapshot_passes_it_on(snapshotting: Operating) -> None:
    operating, old = snapshotting, snapshotting.node(1)
    newest = max(old.shelf.proven)
    old.disk.compacted_index = newest
    node = operating.restart(old, 3)
    ends_well(operating, node)
    cluster = operating.cluster
    for _ in range(20):
        if cluster.primary is node:
            break
        cluster.handle(cluster.primary, HandOver())
        cluster.run(20)
        cluster.elect()
    assert cluster.primary is node
    compact(cluster)
    operating.replace([4], [0])
    operating.until(lambda: operating.node(4).replica.chain.head == node.replica.chain.head)
    assert operating.node(4).disk.compacted_index


def test_states_that_might_have_become_snapshots_are_let_go(snapshotting: Operating) -> None:
    old = snapshotting.node(1)
    assert len(old.shelf.proven) >= 3
    old.shelf.proven.clear()
    node = snapshotting.restart(old, 3)
    store = node.replica.chain.store
    assert [pin for pin in store._pins if not pin.released] == []
    ends_well(snapshotting, node)


def test_no_earlier_primary_is_followed(service: Operating) -> None:
    node = service.restart(service.node(1), 3)
    assert node.replica.status().view == service.cluster.primary.replica.status().view


@pytest.mark.parametrize("snapshot", [True, False])
def test_its_snapshots_are_those_of_the_others(snapshot: bool, snapshotting: Operating) -> None:
    """It finds the same places from where its old ledger ends."""
    cluster, old = snapshotting.cluster, snapshotting.node(1)
    if not snapshot:
        old.shelf.proven.clear()
    node = snapshotting.restart(old, 3)
    before = node.replica.chain.head
    ends_well(snapshotting, node)
    fill(cluster, 20, "u")
    for other in cluster.backups:
        newer = [seqno for seqno in other.shelf.proven if seqno > before]
        assert len(newer) >= 4
        assert all(node.shelf.proven[seqno] == other.shelf.proven[seqno] for seqno in newer)
