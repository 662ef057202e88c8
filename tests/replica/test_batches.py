"""Batches on the primary: grouping, order, refusals, deferral, bounds, and what every node ends up with."""

import pytest

from coco_core.adapter import Committed, Rejected
from coco_core.base import TxID, limits
from coco_core.errors import BusyError, MalformedError
from coco_core.replica.effects import Execute
from coco_core.testing import Cluster, Tally, add
from coco_core.testing.tally import COUNTERS, SEEN


def test_one_batch_one_signature(cluster: Cluster) -> None:
    ticket = cluster.submit(cluster.primary, add("a", "x", 5), add("b", "x", -7))
    cluster.settle()
    assert cluster.primary.answers[ticket] == [
        Committed(TxID(2, 5), b"5"),
        Committed(TxID(2, 6), b"-2"),
    ]
    places = [(entry.index, entry.committable) for entry in cluster.primary.disk.entries[4:]]
    assert places == [(5, False), (6, False), (7, False), (8, True)]  # two, the closing block, the signature
    cluster.run(1)
    cluster.check_equal()
    assert cluster.backups[0].state()[COUNTERS] == {b"x": b"-2"}


def test_what_queues_up_meanwhile_is_the_next_batch(cluster: Cluster) -> None:
    primary = cluster.primary
    tickets = [cluster.submit(primary, add(f"t{n}", "x", 1)) for n in range(5)]
    assert primary.running is not None
    assert len(primary.running.batch.requests) == 1
    cluster.execute(primary)
    assert primary.running is not None
    assert len(primary.running.batch.requests) == 4
    assert primary.replica.statistics()["queue_requests"] == 0
    cluster.settle()
    receipts = [fate.receipt for ticket in tickets for fate in primary.answers[ticket]]  # type: ignore[union-attr] # all committed
    assert receipts == [b"1", b"2", b"3", b"4", b"5"]


def test_batch_sees_uncommitted_batches_before_it(cluster: Cluster) -> None:
    primary = cluster.primary
    for name in ("a", "b"):
        cluster.submit(primary, add(name, "x", 1))
        cluster.execute(primary)
    assert primary.replica.statistics()["uncommitted_batches"] == 2
    assert primary.replica.chain.store.head().get(COUNTERS, b"x") == b"2"
    assert primary.replica.chain.store.view().get(COUNTERS, b"x") is None


def test_pipeline_is_bounded(cluster: Cluster) -> None:
    primary = cluster.primary
    for number in range(limits.PIPELINE_BATCHES_MAX + 1):
        cluster.submit(primary, add(f"t{number}", "x", 1))
        cluster.execute(primary)
    assert primary.running is None
    assert primary.replica.statistics()["queue_requests"] == 1
    cluster.settle()
    assert primary.replica.chain.store.view().get(COUNTERS, b"x") == b"%d" % (limits.PIPELINE_BATCHES_MAX + 1)


def test_rejections_write_nothing(cluster: Cluster) -> None:
    primary = cluster.primary
    before = primary.replica.chain.head
    ticket = cluster.submit(primary, b"nonsense", b"")
    cluster.settle()
    rejected = Rejected("malformed", "expected: add ID COUNTER NUMBER")
    assert primary.answers[ticket] == [rejected, rejected]
    assert primary.replica.chain.head == before
    assert not primary.disk.pending


def test_rejected_between_applied(cluster: Cluster) -> None:
    ticket = cluster.submit(cluster.primary, add("a", "x", 1), b"bad", add("a", "x", 1), add("b", "x", 1))
    cluster.settle()
    fates = cluster.primary.answers[ticket]
    assert [type(fate) for fate in fates] == [Committed, Rejected, Rejected, Committed]
    assert fates[2].code == "duplicate"  # type: ignore[union-attr] # the line above says so
    assert cluster.primary.state()[SEEN] == {b"a": b"5", b"b": b"6"}


def test_deferred_come_first_in_the_next_batch() -> None:
    cluster = Cluster.found(1, draw=lambda low, _: low, make=lambda: Tally(batch_max=2))
    cluster.settle()
    primary = cluster.primary
    first = cluster.submit(primary, add("hold", "x", 0))
    group = cluster.submit(primary, *(add(f"t{n}", "x", 1) for n in range(5)))
    last = cluster.submit(primary, add("last", "x", 0))
    cluster.settle()
    fates = [*primary.answers[first], *primary.answers[group], *primary.answers[last]]
    assert [fate.receipt for fate in fates] == [b"0", b"1", b"2", b"3", b"4", b"5", b"5"]  # type: ignore[union-attr] # all committed
    seqnos = [fate.txid.seqno for fate in fates]  # type: ignore[union-attr] # as above
    assert seqnos == sorted(seqnos)
    assert len(primary.batches) == 1 + 1 + 3


def test_answer_waits_for_the_whole_group() -> None:
    cluster = Cluster.found(3, draw=lambda low, _: low, make=lambda: Tally(batch_max=1))
    cluster.settle()
    primary = cluster.primary
    ticket = cluster.submit(primary, add("a", "x", 1), add("b", "x", 1))
    cluster.execute(primary)
    cluster.persist(primary)
    while cluster.pool:
        for node in cluster.backups:
            cluster.persist(node)
        cluster.deliver()
    assert primary.replica.status().committed_seqno == 7
    assert ticket not in primary.answers
    cluster.settle()
    assert [fate.txid.seqno for fate in primary.answers[ticket]] == [5, 8]  # type: ignore[union-attr] # committed


@pytest.mark.parametrize("where", ["primary", "backup"])
def test_malformed_submissions_change_nothing(cluster: Cluster, where: str) -> None:
    node = cluster.primary if where == "primary" else cluster.backups[0]
    before = node.replica.statistics()
    with pytest.raises(MalformedError, match="nothing submitted"):
        cluster.submit(node)
    with pytest.raises(MalformedError, match="exceeds the bound"):
        cluster.submit(node, add("a", "x", 1), bytes(limits.PAYLOAD_SIZE_MAX_BYTES + 1))
    assert node.replica.statistics() == before
    assert not cluster.pool
    assert node.running is None


@pytest.mark.parametrize("where", ["primary", "backup"])
def test_queue_of_requests_is_bounded(cluster: Cluster, where: str) -> None:
    node = cluster.primary if where == "primary" else cluster.backups[0]
    cluster.submit(node, b"one")
    cluster.submit(node, *[b"x"] * (limits.QUEUE_REQUESTS_MAX - 1))
    with pytest.raises(BusyError, match="send again later"):
        cluster.submit(node, b"x", b"y")


@pytest.mark.parametrize("where", ["primary", "backup"])
def test_queue_of_bytes_is_bounded(cluster: Cluster, where: str) -> None:
    node = cluster.primary if where == "primary" else cluster.backups[0]
    large = bytes(limits.PAYLOAD_SIZE_MAX_BYTES)
    cluster.submit(node, *[large] * 8)
    kept = limits.QUEUE_PAYLOAD_MAX_BYTES if where == "primary" else limits.FORWARDED_PAYLOAD_MAX_BYTES
    with pytest.raises(BusyError, match="send again later"):
        cluster.submit(node, *[large] * (kept // len(large) - (-1 if where == "primary" else 7)))
    if where == "backup":
        cluster.settle()
        cluster.submit(node, *[large] * 16)


def test_batches_are_bounded_in_requests(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, b"first")
    cluster.submit(primary, *[b"x"] * (limits.BATCH_REQUESTS_MAX + 1))
    cluster.execute(primary)
    assert primary.running is not None
    assert len(primary.running.batch.requests) == limits.BATCH_REQUESTS_MAX


def test_batches_are_bounded_in_bytes(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, b"first")
    cluster.submit(primary, *[bytes(limits.PAYLOAD_SIZE_MAX_BYTES)] * 9)
    cluster.execute(primary)
    assert primary.running is not None
    sizes = [len(request.payload) for request in primary.running.batch.requests]
    assert sum(sizes) == limits.BATCH_PAYLOAD_MAX_BYTES


def test_batch_carries_place_time_and_randomness(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.tick(primary)
    cluster.settle()
    cluster.submit(primary, add("a", "x", 1))
    running = primary.running
    assert isinstance(running, Execute)
    assert running.batch.first_seqno == 5
    assert running.batch.view == 2
    assert running.batch.time_ms == cluster.now_ms
    cluster.execute(primary)
    cluster.submit(primary, add("b", "x", 1))
    assert primary.running is not None
    assert primary.running.batch.randomness == (1).to_bytes(32)


def test_time_never_runs_backwards(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.tick(primary)
    newest = cluster.now_ms
    cluster.now_ms -= 1_000_000
    cluster.tick(primary)
    cluster.submit(primary, add("a", "x", 1))
    assert primary.running is not None
    assert primary.running.batch.time_ms == newest


def test_large_ledger_ends_chunks() -> None:
    cluster = Cluster.found(1, draw=lambda low, _: low, chunk_size_bytes=2000)
    cluster.settle()
    for number in range(8):
        cluster.submit(cluster.primary, add(f"t{number}", "x", 1))
        cluster.settle()
    flags = [entry.data[1] for entry in cluster.primary.disk.entries if entry.committable]
    assert 1 in flags
    assert 0 in flags
    assert not any(entry.data[1] for entry in cluster.primary.disk.entries if not entry.committable)
