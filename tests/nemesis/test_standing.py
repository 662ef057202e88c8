"""Whether a majority could go on, and what share of that time saw commits."""

from __future__ import annotations

import pytest

from coco_core.testing.nemesis.standing import (
    CALM,
    Happened,
    Share,
    Standing,
    availability,
    majority_connected,
)


def cut(*pairs: tuple[int, int]):
    """Every pair reaches each other but these."""
    broken = {frozenset(pair) for pair in pairs}
    return lambda one, other: frozenset((one, other)) not in broken


def test_a_majority_must_be_usable_and_reach_each_other() -> None:
    assert majority_connected({0, 1, 2}, {0, 1}, cut())
    assert not majority_connected({0, 1, 2}, {0}, cut())
    assert majority_connected({0, 1, 2}, {0, 1, 2}, cut((0, 1)))
    assert not majority_connected({0, 1, 2}, {0, 1, 2}, cut((0, 1), (1, 2), (0, 2)))
    # Everybody reaches node 0 and nobody else: there are no three of five that all reach each other.
    star = cut(*((one, other) for one in range(1, 5) for other in range(1, one)))
    assert not majority_connected(set(range(5)), set(range(5)), star)


def test_a_node_is_usable_again_when_every_reason_is_gone() -> None:
    standing = Standing(range(3), cut(), iter(range(100)).__next__)
    standing.unusable(1)
    standing.unusable(1)
    standing.unusable(2)
    standing.usable(1)
    assert [connected for _, connected in standing.turns] == [True, False]
    standing.usable(1)
    assert [connected for _, connected in standing.turns] == [True, False, True]


def test_the_dead_count_as_members_and_nodes_are_spare_while_a_majority_is_left() -> None:
    standing = Standing(range(5), cut(), lambda: 0.0)
    assert standing.spare == 2
    standing.died(0)
    standing.died(4)
    assert (standing.spare, standing.alive) == (0, [1, 2, 3])
    standing.unusable(3)
    assert standing.turns[-1] == (0.0, False)


def test_windows_without_a_commit_count_for_the_faults_that_were_on() -> None:
    fault = Happened("pause", "node 1", 10.0, 11.0)
    # No commit for half a second after the fault came.
    commits = [at / 100 for at in range(2_000) if not 1_000 <= at < 1_050]
    found = availability(0.0, 20.0, commits, [(0.0, True)], [fault])
    assert (found[""].good, found[""].windows) == (195, 200)
    assert found["pause"].windows == 30
    assert found["pause"].good == 25
    assert found["pause"].longest_s == pytest.approx(0.5)
    assert found[CALM] == Share(170, 170, 0.0)


def test_windows_without_a_majority_count_for_nothing() -> None:
    turns = [(0.0, True), (1.0, False), (3.0, True)]
    found = availability(0.0, 4.0, [0.05 + at / 10 for at in range(10)], turns, [])
    assert (found[""].good, found[""].windows) == (10, 20)
    # What went before it without a commit is no part of a gap after it.
    assert found[""].longest_s == pytest.approx(1.0)


def test_shares_add_up() -> None:
    assert Share(1, 2, 0.1) + Share(3, 4, 0.3) == Share(4, 6, 0.3)
    assert str(Share()) == "no such time"
    assert str(Share(9, 10, 0.1)) == " 90.00 % of 1 s, longest gap 0.1 s"
