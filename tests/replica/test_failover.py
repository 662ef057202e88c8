"""The primary ends, steps down or is cut off at every point of a request's way."""

import random
from collections.abc import Callable

import pytest

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.replica.events import HandOver
from coco_core.testing import Cluster, ClusterNode, add
from coco_core.testing.cluster import TIMING
from coco_core.testing.tally import COUNTERS

STEPS = 14


def world_step(cluster: Cluster, number: int) -> None:
    """Do the next thing there is to do, in an order that leaves everything half done for a while."""
    nodes = cluster.alive
    node = nodes[number % len(nodes)]
    if not (cluster.execute(node) or cluster.persist(node)) and cluster.pool:
        cluster.deliver()


def retried(cluster: Cluster, node: ClusterNode, ticket: int, payload: bytes) -> list[bytes]:
    """Send until an answer says that it is committed or was before; return codes of the answers."""
    codes: list[bytes] = []
    for _ in range(20):
        (fate,) = node.answers[ticket]
        match fate:
            case Committed():
                return [*codes, b"committed"]
            case Rejected():
                return [*codes, fate.code.encode()]
            case NotCommitted():
                codes.append(b"not committed")
                ticket = cluster.submit(node, payload)
                cluster.run(3)
    raise AssertionError(f"never committed: {codes}")


@pytest.mark.parametrize("steps", range(STEPS))
@pytest.mark.parametrize("front_end", ["backup", "other backup"])
def test_primary_ends_at_any_step(steps: int, front_end: str, cluster: Cluster) -> None:
    primary = cluster.primary
    node = cluster.backups[0 if front_end == "backup" else 1]
    ticket = cluster.submit(node, add("a", "x", 3))
    for number in range(steps):
        world_step(cluster, number)
    cluster.crash(primary)
    cluster.elect()
    cluster.run(3)
    codes = retried(cluster, node, ticket, add("a", "x", 3))
    assert codes[-1] in (b"committed", b"duplicate")
    cluster.run(2)
    cluster.check_equal()
    assert node.state()[COUNTERS] == {b"x": b"3"}


@pytest.mark.parametrize("steps", range(STEPS))
def test_own_requests_of_a_primary_that_is_cut_off(steps: int, cluster: Cluster) -> None:
    primary = cluster.primary
    ticket = cluster.submit(primary, add("a", "x", 3))
    for number in range(steps):
        world_step(cluster, number)
    queued = cluster.submit(primary, add("b", "x", 4))
    cluster.cut(primary)
    cluster.run(40)
    assert not primary.replica.is_primary
    cluster.heal()
    cluster.elect()
    cluster.run(10)
    cluster.check_equal()
    counted = 0
    for one, number in ((ticket, 3), (queued, 4)):
        (fate,) = primary.answers[one]
        assert isinstance(fate, Committed | NotCommitted)
        counted += number * isinstance(fate, Committed)
    assert cluster.primary.state().get(COUNTERS, {b"x": b"0"}) == {b"x": b"%d" % counted}


def hand_over(cluster: Cluster) -> ClusterNode:
    old = cluster.primary
    cluster.handle(old, HandOver())
    cluster.settle()
    cluster.elect()
    assert cluster.primary is not old
    return old


def test_hand_over_loses_nothing(cluster: Cluster) -> None:
    ticket = cluster.submit(cluster.primary, add("a", "x", 1))
    cluster.settle()
    old = hand_over(cluster)
    assert [type(fate) for fate in old.answers[ticket]] == [Committed]
    later = cluster.submit(old, add("b", "x", 1))
    cluster.settle()
    cluster.run(1)
    assert [fate.receipt for fate in old.answers[later]] == [b"2"]  # type: ignore[union-attr] # committed


def test_stepping_down_refuses_the_queue(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, add("a", "x", 1))
    queued = cluster.submit(primary, add("b", "x", 1), add("c", "x", 1))
    cluster.cut(primary)
    while primary.replica.is_primary:
        cluster.tick(primary)
    assert primary.answers[queued] == [NotCommitted("this node is no longer the primary")] * 2
    assert primary.replica.statistics()["queue_requests"] == 0


def step_down(cluster: Cluster, primary: ClusterNode) -> None:
    """Let ``primary`` give up, for it hears of nobody; nobody leads then."""
    cluster.cut(primary)
    while primary.replica.is_primary:
        cluster.tick(primary)
    cluster.heal()


def depose(cluster: Cluster, primary: ClusterNode) -> None:
    """Let another be elected, and ``primary`` hear of it before it has noticed anything."""
    cluster.cut(primary)
    others = [node for node in cluster.alive if node is not primary]
    while not any(node.replica.is_primary for node in others):
        for node in others:
            cluster.tick(node)
        cluster.settle()
    assert primary.replica.is_primary
    cluster.heal()
    cluster.tick(cluster.primary)
    cluster.settle()
    assert primary.replica.leader == cluster.primary.name


@pytest.mark.parametrize("lose", [step_down, depose])
def test_batch_executed_after_stepping_down(
    cluster: Cluster, lose: Callable[[Cluster, ClusterNode], None]
) -> None:
    primary = cluster.primary
    ticket = cluster.submit(primary, add("a", "x", 1), add("b", "x", 1))
    running, primary.running = primary.running, None
    lose(cluster, primary)
    assert ticket not in primary.answers
    head = primary.replica.chain.head
    primary.running = running
    cluster.execute(primary)
    reason = "leadership moved while the transaction was executed"
    assert primary.answers[ticket] == [NotCommitted(reason)] * 2
    assert primary.replica.chain.head == head


def test_batch_executed_in_a_later_view_of_the_same_primary(cluster: Cluster) -> None:
    primary = cluster.primary
    ticket = cluster.submit(primary, add("a", "x", 1))
    running, primary.running = primary.running, None
    depose(cluster, primary)
    (third,) = [node for node in cluster.backups if node is not primary]
    cluster.crash(third)
    cluster.run(2 * TIMING.election_timeout_ticks_min)
    hand_over(cluster)
    assert cluster.primary is primary
    assert ticket not in primary.answers
    primary.running = running
    cluster.execute(primary)
    assert [type(fate) for fate in primary.answers[ticket]] == [NotCommitted]
    assert COUNTERS not in primary.state()


def test_new_primary_commits_what_the_old_one_left(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, add("a", "x", 5))
    cluster.execute(primary)
    for letter in list(cluster.pool):
        cluster.deliver(cluster.pool.index(letter))
    cluster.pool.clear()
    cluster.crash(primary)
    cluster.elect()
    cluster.run(3)
    cluster.check_equal()
    assert cluster.primary.state()[COUNTERS] == {b"x": b"5"}
    assert cluster.primary.replica.chain.views.at(5) == 2
    assert cluster.primary.replica.chain.committed.view > 2


def test_places_of_a_lost_view_are_not_committed(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.cut(primary)
    ticket = cluster.submit(primary, add("lost", "x", 1), b"bad")
    cluster.execute(primary)
    cluster.persist(primary)
    assert primary.replica.chain.head == 7
    cluster.run(40)
    others = [node for node in cluster.alive if node is not primary]
    (leader,) = [node for node in others if node.replica.is_primary]
    for number in range(3):
        cluster.submit(leader, add(f"kept{number}", "x", 1))
        cluster.settle()
    cluster.heal()
    cluster.run(10)
    lost, bad = primary.answers[ticket]
    assert isinstance(lost, NotCommitted)
    assert "transaction 2.5 was dropped" in lost.reason
    assert bad == NotCommitted("the state it was refused over was dropped when view 3 began")
    cluster.check_equal()


@pytest.mark.parametrize("front_end", ["primary", "backup"])
def test_refusal_stands_only_if_the_state_it_is_about_does(cluster: Cluster, front_end: str) -> None:
    """Told "duplicate" of a transaction that is dropped afterwards, a client would never send it again."""
    primary = cluster.primary
    node = primary if front_end == "primary" else cluster.backups[0]
    cluster.submit(primary, add("a", "x", 1))
    cluster.execute(primary)
    cluster.pool.clear()
    again = cluster.submit(node, add("a", "x", 1))
    if node is not primary:
        cluster.deliver()
    cluster.execute(primary)
    while node is not primary and cluster.pool:
        cluster.deliver(-1)  # The answer; what goes to the other backup comes with it or is lost.
        cluster.pool = [letter for letter in cluster.pool if letter.message[0] == ord("A")]
    assert again not in node.answers
    cluster.cut(primary)
    cluster.run(40)
    cluster.heal()
    cluster.run(20)
    (fate,) = node.answers[again]
    assert isinstance(fate, NotCommitted)
    assert COUNTERS not in cluster.primary.state()


def test_refusal_over_committed_state_is_told_at_once(cluster: Cluster) -> None:
    ticket = cluster.submit(cluster.primary, b"nonsense")
    cluster.execute(cluster.primary)
    assert [type(fate) for fate in cluster.primary.answers[ticket]] == [Rejected]


def test_chunks_end_by_what_is_in_them_whoever_sequenced_it() -> None:
    cluster = Cluster.found(3, draw=random.Random(3).randint, chunk_size_bytes=10_000)
    cluster.settle()
    cluster.run(2)
    for number in range(12):
        cluster.submit(cluster.primary, add(f"t{number}", "x", 1))
        cluster.settle()
        if number % 2:
            cluster.handle(cluster.primary, HandOver())
            cluster.run(20)
            cluster.elect()
    fill_bytes, ended = 0, 0
    for entry in cluster.primary.disk.entries:
        if entry.committable:
            assert bool(entry.data[1]) == (fill_bytes >= 10_000)
        fill_bytes = 0 if entry.data[1] else fill_bytes + len(entry.data)
        ended += entry.data[1]
    assert ended >= 3
    assert len({entry.term for entry in cluster.primary.disk.entries}) > 3
