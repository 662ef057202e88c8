"""Majority maths over one set of voters, or over several during a change. Pure functions of values.

The law: any two majorities of one set share a node; a joint configuration decides only what *each* of
its sets decides (Ongaro's thesis §4.3), so any quorum of the joint one shares a node with every
majority of each of its sets. Knows nothing of terms, logs or messages.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Set

import attrs

from coco_core.base import NodeID


class VoteOutcome(enum.Enum):
    """What the votes received so far decide."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


@attrs.frozen(slots=True)
class Configuration:
    """Who decides: each of ``parts``, which are sets of voters, the newest last."""

    parts: tuple[frozenset[NodeID], ...]

    @property
    def nodes(self) -> frozenset[NodeID]:
        """Return every node that has a say."""
        return frozenset[NodeID]().union(*self.parts)

    def agreed_index(self, match: Mapping[NodeID, int]) -> int:
        """Return the highest index that a quorum holds; nodes missing from ``match`` hold nothing."""
        return min([_agreed_index(voters, match) for voters in self.parts])

    def outcome(self, votes: Mapping[NodeID, bool]) -> VoteOutcome:
        """Return what ``votes`` (True: granted) decide; votes of strangers do not count."""
        outcomes = {_outcome(voters, votes) for voters in self.parts}
        if VoteOutcome.LOST in outcomes:
            return VoteOutcome.LOST
        return VoteOutcome.PENDING if VoteOutcome.PENDING in outcomes else VoteOutcome.WON

    def is_quorum(self, nodes: Set[NodeID]) -> bool:
        """Return whether ``nodes`` contain a quorum."""
        return self.outcome(dict.fromkeys(nodes, True)) is VoteOutcome.WON


def majority(count: int) -> int:
    """Return the size of the smallest majority of ``count`` nodes."""
    return count // 2 + 1


def _agreed_index(voters: frozenset[NodeID], match: Mapping[NodeID, int]) -> int:
    descending = sorted((match.get(voter, 0) for voter in voters), reverse=True)
    return descending[majority(len(descending)) - 1]


def _outcome(voters: frozenset[NodeID], votes: Mapping[NodeID, bool]) -> VoteOutcome:
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    refused = sum(1 for voter in voters if votes.get(voter) is False)
    needed = majority(len(voters))
    if granted >= needed:
        return VoteOutcome.WON
    return VoteOutcome.LOST if len(voters) - refused < needed else VoteOutcome.PENDING
