"""A primary that hands over: it begins nothing more, so its successor's ledger is the longest there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coco_core.adapter import Committed, NotCommitted
from coco_core.base import limits
from coco_core.consensus.raft.messages import TimeoutNow
from coco_core.consensus.raft.messages import decode as decode_consensus
from coco_core.replica.events import DiskFull, HandOver
from coco_core.replica.messages import decode
from coco_core.replica.succession import Succession
from coco_core.testing import Cluster, add
from coco_core.testing.cluster import TIMING
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS

REQUESTS = [HandOver(), DiskFull(full=True)]


# ── the wish ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_wished_for_at_first() -> None:
    succession = Succession()
    for _ in range(2 * limits.HAND_OVER_TICKS):
        assert not succession.wanted
        succession.tick()


def test_successor_is_asked_for_once() -> None:
    succession = Succession()
    succession.begin()
    assert [succession.ask() for _ in range(3)] == [True, False, False]
    succession.begin()
    assert not succession.ask()
    assert succession.wanted


def test_time_passes_from_the_question_on() -> None:
    succession = Succession()
    succession.begin()
    for _ in range(2 * limits.HAND_OVER_TICKS):
        succession.tick()
    assert succession.wanted
    succession.ask()
    for _ in range(limits.HAND_OVER_TICKS):
        assert succession.wanted
        succession.begin()
        succession.tick()
    assert not succession.wanted


def test_each_wish_begins_anew() -> None:
    succession = Succession()
    for _ in range(2):
        succession.begin()
        assert succession.ask()
        succession.tick()
        succession.end()
        assert not succession.wanted
    succession.begin()
    succession.ask()
    for _ in range(limits.HAND_OVER_TICKS - 1):
        succession.tick()
    assert succession.wanted


# ── a primary that has it ────────────────────────────────────────────────────────────────────────


def successors_asked(cluster: Cluster) -> list[int]:
    """Return where in the pool it is that a node is asked to lead."""
    found = []
    for position, letter in enumerate(cluster.pool):
        message = decode(letter.message)
        if isinstance(message, bytes) and isinstance(decode_consensus(message), TimeoutNow):
            found.append(position)
    return found


def hear_nothing(cluster: Cluster) -> int:
    """Let one tick pass on every node, and no successor hear that it is asked; return how many were."""
    for node in cluster.alive:
        cluster.tick(node)
    asked = 0
    busy = True
    while busy or cluster.pool:
        for position in reversed(successors_asked(cluster)):
            asked += 1
            del cluster.pool[position]
        done = [cluster.persist(node) or cluster.execute(node) for node in cluster.alive]
        busy = any(done)
        if cluster.pool and not successors_asked(cluster):
            cluster.deliver()
    return asked


@pytest.mark.parametrize("request_", REQUESTS, ids=["hand over", "disk full"])
def test_hand_over_while_a_batch_is_executed(request_: HandOver | DiskFull, cluster: Cluster) -> None:
    old = cluster.primary
    ticket = cluster.submit(old, add("a", "x", 1))
    cluster.handle(old, request_)
    assert not successors_asked(cluster)
    cluster.settle()
    assert any(node.replica.is_primary for node in cluster.alive)
    assert not old.replica.is_primary
    cluster.run(3)
    assert [type(fate) for fate in old.answers[ticket]] == [Committed]
    assert cluster.primary.replica.status().view == 3


def test_nothing_more_is_begun(cluster: Cluster) -> None:
    old = cluster.primary
    running = cluster.submit(old, add("a", "x", 1))
    queued = cluster.submit(old, add("b", "x", 1))
    cluster.handle(old, HandOver())
    cluster.execute(old)
    assert old.running is None
    later = cluster.submit(old, add("c", "x", 1))
    cluster.tick(old)
    assert old.running is None
    assert old.replica.statistics()["queue_requests"] == 2
    assert not successors_asked(cluster), "nobody holds all there is yet"
    cluster.settle()
    cluster.run(3)
    assert isinstance(old.answers[running][0], Committed)
    for ticket in (queued, later):
        assert old.answers[ticket] == [NotCommitted("this node is no longer the primary")]
    assert cluster.primary.state()[COUNTERS] == {b"x": b"1"}


def test_it_goes_on_when_nobody_takes_over(cluster: Cluster) -> None:
    old = cluster.primary
    cluster.handle(old, HandOver())
    ticket = cluster.submit(old, add("a", "x", 1))
    asked = 0
    for _ in range(limits.HAND_OVER_TICKS - 1):
        asked += hear_nothing(cluster)
        assert ticket not in old.answers
    assert asked == 1
    hear_nothing(cluster)
    hear_nothing(cluster)
    assert old.replica.is_primary
    assert [type(fate) for fate in old.answers[ticket]] == [Committed]
    # Asked again, it begins to wait anew.
    cluster.handle(old, HandOver())
    later = cluster.submit(old, add("b", "x", 1))
    assert hear_nothing(cluster) == 1
    assert later not in old.answers


def test_what_it_writes_of_its_own_accord_waits_too(operating: Operating) -> None:
    cluster, old = operating.cluster, operating.cluster.primary
    operating.welcome(3)
    assert old.replica.waits_for() == [operating.name(3)]
    cluster.handle(old, HandOver())
    for _ in range(limits.HAND_OVER_TICKS - 1):
        hear_nothing(cluster)
        assert operating.change_under_way is not None
    assert old.replica.waits_for() == []
    hear_nothing(cluster)
    hear_nothing(cluster)
    assert operating.members == [0, 1, 2, 3]
    assert cluster.primary is old


def test_what_is_executed_may_take_longer_than_a_successor(cluster: Cluster) -> None:
    old = cluster.primary
    ticket = cluster.submit(old, add("a", "x", 1))
    running, old.running = old.running, None
    cluster.handle(old, HandOver())
    cluster.run(2 * limits.HAND_OVER_TICKS)
    assert old.replica.is_primary
    old.running = running
    cluster.settle()
    assert not old.replica.is_primary
    cluster.run(3)
    assert isinstance(old.answers[ticket][0], Committed)


def test_hand_over_goes_through_though_there_is_room_again(cluster: Cluster) -> None:
    """What is begun behind the question would be lost, and the election with it."""
    old = cluster.primary
    cluster.handle(old, DiskFull(full=True))
    cluster.handle(old, DiskFull(full=False))
    ticket = cluster.submit(old, add("a", "x", 1))
    assert old.running is None
    cluster.settle()
    assert not old.replica.is_primary
    assert cluster.primary.replica.status().view == 3
    assert isinstance(old.answers[ticket][0], NotCommitted)


def test_who_is_elected_later_has_no_such_wish(cluster: Cluster) -> None:
    old, third = cluster.primary, cluster.backups[1]
    cluster.crash(third)
    cluster.run(2 * TIMING.election_timeout_ticks_min)
    for _ in range(2):
        cluster.handle(cluster.primary, HandOver())
        cluster.settle()
    assert cluster.primary is old
    ticket = cluster.submit(old, add("a", "x", 1))
    cluster.run(1)
    assert isinstance(old.answers[ticket][0], Committed)


def test_who_has_nobody_to_hand_over_to_goes_on(single: Cluster) -> None:
    node = single.primary
    single.handle(node, HandOver())
    ticket = single.submit(node, add("a", "x", 1))
    single.settle()
    assert isinstance(node.answers[ticket][0], Committed)


def test_learner_is_nobody_to_hand_over_to(operate: Callable[..., Operating]) -> None:
    operating = operate(1)
    cluster = operating.cluster
    operating.ask(1)
    operating.change([1])
    cluster.handle(cluster.primary, HandOver())
    ticket = cluster.submit(cluster.primary, add("a", "x", 1))
    cluster.settle()
    assert isinstance(cluster.primary.answers[ticket][0], Committed)


def test_backup_has_nothing_to_hand_over(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    assert cluster.handle(backup, HandOver()) == []
    cluster.crash(cluster.primary)
    while not backup.replica.is_primary:
        cluster.run(1)
        for node in cluster.alive:
            if node.replica.is_primary and node is not backup:
                cluster.handle(node, HandOver())
    ticket = cluster.submit(backup, add("a", "x", 1))
    cluster.run(1)
    assert isinstance(backup.answers[ticket][0], Committed)
