"""What the simulation reads of the members from entries, and what it judges about who writes of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import attrs
import pytest

from coco_core.base import NodeID
from coco_core.governance import PENDING, RETIRED, TRUSTED
from coco_core.testing.simulation import ViolationError
from coco_core.testing.simulation.members import Members, Proposer, Told, judge_told

A, B, C, D = (NodeID(name) for name in "abcd")


def told(index: int, add: tuple[NodeID, ...] = (), ended: str = "", **status: str) -> Told:
    nodes = {NodeID(name): value for name, value in status.items()}
    return Told(index, 2, nodes, frozenset(map(NodeID, ended)), add, ())


def proposer(*late: NodeID) -> Proposer:
    return Proposer("n0", A, 0, lambda name: name not in late)


FOUNDED = told(1, a=TRUSTED, b=TRUSTED, c=TRUSTED)
LEARNING = told(5, add=(D,), a=TRUSTED, b=TRUSTED, c=TRUSTED, d=PENDING)
CHANGED = told(9, a=TRUSTED, b=TRUSTED, c=RETIRED, d=TRUSTED)


def test_a_change_step_by_step() -> None:
    asked = told(3, a=TRUSTED, b=TRUSTED, c=TRUSTED, d=PENDING)
    ended = attrs.evolve(CHANGED, ended=frozenset({C}))
    steps = [FOUNDED, asked, LEARNING, CHANGED, ended]
    for before, after in pairwise(steps):
        judge_told(after, before, before, proposer())


@pytest.mark.parametrize(
    ("after", "before", "late", "reason"),
    [
        (CHANGED, FOUNDED, (), "becomes Trusted after unknown"),
        (CHANGED, attrs.evolve(LEARNING, add=()), (), "takes in who did not learn before"),
        (CHANGED, LEARNING, (D,), "takes in who has not caught up"),
        (CHANGED, LEARNING, (B, A), "with 1 of 3 up to date"),
        (told(11, a=TRUSTED, b=TRUSTED, c=TRUSTED, d=TRUSTED), CHANGED, (), "becomes Trusted after Retired"),
    ],
)
def test_a_change_that_is_wrong(after: Told, before: Told, late: tuple[NodeID, ...], reason: str) -> None:
    with pytest.raises(ViolationError, match=reason):
        judge_told(after, before, before, proposer(*late))


def test_an_end_is_said_when_the_removal_is_agreed() -> None:
    ended = attrs.evolve(CHANGED, index=11, ended=frozenset({C}))
    judge_told(ended, CHANGED, CHANGED, proposer())
    with pytest.raises(ViolationError, match="before its removal is agreed"):
        judge_told(ended, CHANGED, LEARNING, proposer())


def test_who_must_hold_an_entry() -> None:
    members = Members([A, B, C], Counter())
    for one in (FOUNDED, LEARNING, CHANGED):
        members.agree(one)
    old, new = frozenset({A, B, C}), frozenset({A, B, D})
    assert members.deciding(5, 8) == [old]
    assert members.deciding(6, 9) == [new, old]
    assert members.deciding(9, 12) == [new]
    assert members.up_to(5)[-1] is LEARNING
