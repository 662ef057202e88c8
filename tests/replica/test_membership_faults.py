"""A change of members survives what happens meanwhile: leaders end, ways are cut, nodes lag."""

from __future__ import annotations

import pytest

from coco_core.adapter import Committed, NotCommitted
from coco_core.base import limits
from coco_core.governance import RETIRED, TRUSTED, change_payload, join_payload
from coco_core.replica.events import HandOver
from coco_core.testing import Cluster, add
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS

STEPS = 40


def world_step(cluster: Cluster, number: int) -> None:
    """Do the next thing there is to do, in an order that leaves everything half done for a while."""
    nodes = cluster.alive
    node = nodes[number % len(nodes)]
    if not (cluster.execute(node) or cluster.persist(node)) and cluster.pool:
        cluster.deliver()
    if not cluster.pool:
        for one in nodes:
            cluster.tick(one)


def carry_through(operating: Operating) -> None:
    """Do what an operator would until node 3 has taken the place of node 0."""
    cluster = operating.cluster
    for _ in range(20):
        operating.until(operating.is_led)
        if operating.members == [1, 2, 3]:
            return
        if not operating.status(3):
            operating.begin(
                join_payload(cluster.consortium.joiner(3), cluster.consortium.proof(3)), operator=False
            )
        elif operating.change_under_way is None:
            operating.begin(change_payload([operating.name(3)], [operating.name(0)]))
        elif operating.name(3) not in cluster.nodes:
            cluster.seat(3)
        cluster.run(10)
    raise AssertionError("the change was never made")


def begun(operating: Operating, phase: str) -> None:
    """Bring a change as far as its ``phase`` begins."""
    cluster = operating.cluster
    if phase == "asking":
        operating.begin(
            join_payload(cluster.consortium.joiner(3), cluster.consortium.proof(3)), operator=False
        )
        return
    operating.ask(3)
    if phase == "changing":
        operating.begin(change_payload([operating.name(3)], [operating.name(0)]))
        return
    operating.change([3], [0])
    cluster.seat(3)


def ends_well(operating: Operating) -> None:
    cluster = operating.cluster
    carry_through(operating)
    cluster.run(10)
    operating.until(operating.is_led)
    ticket = cluster.submit(cluster.primary, add("on", "x", 1))
    operating.until(lambda: ticket in cluster.primary.answers)
    assert [type(fate) for fate in cluster.primary.answers[ticket]] == [Committed]
    cluster.run(3)
    for number in (1, 2, 3):
        node = operating.node(number)
        assert node.crashed or node.state() == cluster.primary.state()


@pytest.mark.parametrize("phase", ["asking", "changing", "learning"])
@pytest.mark.parametrize("steps", range(0, STEPS, 3))
def test_leader_ends_at_any_step(steps: int, phase: str, operating: Operating) -> None:
    begun(operating, phase)
    for number in range(steps):
        world_step(operating.cluster, number)
    operating.cluster.crash(operating.node(0))
    ends_well(operating)


@pytest.mark.parametrize("phase", ["asking", "changing", "learning"])
@pytest.mark.parametrize("steps", range(0, STEPS, 3))
def test_leader_is_cut_off_at_any_step(steps: int, phase: str, operating: Operating) -> None:
    cluster = operating.cluster
    begun(operating, phase)
    for number in range(steps):
        world_step(cluster, number)
    old = operating.node(0)
    cluster.cut(old)
    cluster.run(40)
    assert not old.replica.is_primary
    cluster.heal()
    ends_well(operating)
    operating.until(lambda: old.retired)


@pytest.mark.parametrize("phase", ["asking", "changing", "learning"])
@pytest.mark.parametrize("steps", range(0, STEPS, 4))
def test_leadership_moves_at_any_step(steps: int, phase: str, operating: Operating) -> None:
    cluster = operating.cluster
    begun(operating, phase)
    for number in range(steps):
        world_step(cluster, number)
    cluster.handle(operating.node(0), HandOver())
    cluster.run(5)
    ends_well(operating)
    operating.until(lambda: operating.node(0).retired)


def test_change_waits_while_the_new_majority_lags(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the three that were to be left two are cut off: made now, the change would stop the service."""
    monkeypatch.setattr(limits, "CAUGHT_UP_ENTRIES_MAX", 5)
    cluster = operating.cluster
    operating.replace([3, 4])
    away = [operating.node(3), operating.node(4)]
    cluster.cut(*away)
    for number in range(4):
        cluster.submit(cluster.primary, add(f"t{number}", "x", 1))
        cluster.run(1)
    first = operating.node(0)
    assert cluster.primary is first
    assert isinstance(operating.change(remove=[1, 2]), Committed)
    cluster.run(20)
    assert operating.change_under_way is not None
    assert first.replica.waits_for() == sorted(node.name for node in away)
    ticket = cluster.submit(first, add("meanwhile", "x", 1))
    cluster.run(1)
    assert [type(fate) for fate in first.answers[ticket]] == [Committed]
    cluster.heal()
    operating.until(lambda: operating.members == [0, 3, 4])
    assert first.replica.waits_for() == []


def test_new_majority_is_cut_off_once_the_change_is_made(operating: Operating) -> None:
    """Nothing is agreed, and nothing lost, until enough of the new members are back."""
    cluster = operating.cluster
    operating.welcome(3, 4, remove=[1, 2])
    primary = cluster.primary
    away = [operating.node(3), operating.node(4)]
    while operating.name(3) not in primary.replica.chain.membership.voters:
        for node in cluster.alive:
            cluster.persist(node)
        if cluster.pool:
            cluster.deliver()
        else:
            cluster.tick(primary)
    cluster.cut(*away)
    ticket = cluster.submit(primary, add("meanwhile", "x", 1))
    cluster.run(40)
    assert not operating.is_led()
    assert ticket not in primary.answers or isinstance(primary.answers[ticket][0], NotCommitted)
    cluster.heal()
    operating.until(lambda: operating.is_led() and operating.members == [0, 3, 4])
    cluster.run(10)
    assert all(operating.status(number) == RETIRED for number in (1, 2))


def test_half_of_the_old_and_half_of_the_new_do_not_decide(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace([3, 4, 5], [])
    operating.welcome(6, 7, remove=[0, 1, 2, 3])
    operating.until(lambda: operating.change_under_way is None)
    assert operating.members == [4, 5, 6, 7]
    cluster.run(3)
    cluster.cut(operating.node(6), operating.node(7))
    cluster.run(40)
    assert not any(operating.node(number).replica.is_primary for number in (4, 5, 6, 7))
    cluster.heal()
    operating.until(operating.is_led)
    ticket = cluster.submit(cluster.primary, add("on", "x", 1))
    operating.until(lambda: ticket in cluster.primary.answers)
    assert cluster.primary.state()[COUNTERS] == {b"x": b"1"}


def test_learner_that_ends_holds_up_the_change_until_it_is_taken_back(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CAUGHT_UP_ENTRIES_MAX", 5)
    cluster = operating.cluster
    operating.ask(3)
    operating.ask(4)
    operating.change([3, 4])
    cluster.seat(4)
    cluster.run(20)
    assert cluster.primary.replica.waits_for() == [operating.name(3)]
    assert operating.members == [0, 1, 2]
    assert isinstance(operating.cancel(), Committed)
    assert [operating.status(number) for number in (3, 4)] == ["", ""]
    operating.replace([5])
    operating.until(lambda: operating.members == [0, 1, 2, 5])


def test_new_leader_waits_until_it_heard_of_everybody(operating: Operating) -> None:
    """What the one before knew of the learner, its successor does not know yet."""
    cluster = operating.cluster
    operating.welcome(3)
    learner = operating.node(3)
    cluster.cut(learner)
    cluster.crash(operating.node(0))
    operating.until(operating.is_led)
    assert cluster.primary.replica.waits_for() == [learner.name]
    cluster.run(20)
    assert operating.members == [0, 1, 2]
    cluster.heal()
    operating.until(lambda: operating.status(3) == TRUSTED)
