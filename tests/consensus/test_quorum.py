"""Majority maths, checked against a slower definition."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import NodeID
from coco_core.consensus.raft.quorum import Configuration, VoteOutcome, majority

NODES = [NodeID(name) for name in "abcdefg"]
halves = st.frozensets(st.sampled_from(NODES), min_size=1)
configurations = st.builds(Configuration, st.lists(halves, min_size=1, max_size=4).map(tuple))
matches = st.dictionaries(st.sampled_from(NODES), st.integers(0, 9))
ballots = st.dictionaries(st.sampled_from(NODES), st.booleans())


def some_majority(half: frozenset[NodeID], nodes: set[NodeID]) -> bool:
    return any(set(chosen) <= nodes for chosen in combinations(half, len(half) // 2 + 1))


def decided_by(configuration: Configuration, nodes: set[NodeID]) -> bool:
    return all(some_majority(half, nodes) for half in configuration.parts)


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_majority_is_more_than_half(count: int, needed: int) -> None:
    assert majority(count) == needed


@given(configurations, matches)
def test_agreed_index_is_the_highest_a_quorum_holds(
    configuration: Configuration, match: dict[NodeID, int]
) -> None:
    held = [i for i in range(10) if decided_by(configuration, {n for n in NODES if match.get(n, 0) >= i})]
    assert configuration.agreed_index(match) == max(held)


@given(configurations, ballots)
def test_votes_are_won_by_a_quorum_and_lost_when_none_is_left(
    configuration: Configuration, votes: dict[NodeID, bool]
) -> None:
    granted = {node for node, vote in votes.items() if vote}
    possible = {node for node in NODES if votes.get(node) is not False}
    if decided_by(configuration, granted):
        expected = VoteOutcome.WON
    elif decided_by(configuration, possible):
        expected = VoteOutcome.PENDING
    else:
        expected = VoteOutcome.LOST
    assert configuration.outcome(votes) is expected
    assert configuration.is_quorum(granted) is decided_by(configuration, granted)


@given(configurations, st.data())
def test_quorums_intersect_across_a_joint_change(configuration: Configuration, data: st.DataObject) -> None:
    nodes = data.draw(st.frozensets(st.sampled_from(NODES)))
    others = frozenset(NODES) - nodes
    if configuration.is_quorum(nodes):
        assert not any(Configuration((half,)).is_quorum(others) for half in configuration.parts)


def test_nodes_are_those_of_every_part() -> None:
    a, b, c = NODES[:3]
    assert Configuration((frozenset({a, b}), frozenset({b, c}))).nodes == {a, b, c}
