"""Consensus engines on a table: nodes, their disks, and a pool of messages that someone else moves.

A :class:`Stage` does what the hosts of a real network would (store, report, send), but only when told,
so a test or a scenario decides every order of events. After every step :class:`Judge` checks what must
hold whatever happened: one leader a term, log matching, and an agreed prefix that never changes.

Knows the consensus contract and the built-in engine; must not know sockets, time or randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from coco_core.base import NodeID
from coco_core.consensus import (
    Consensus,
    Effects,
    EntriesCompactedError,
    Entry,
    Event,
    Leadership,
    Persisted,
    Proposed,
    Received,
    Role,
    Send,
    Tick,
)
from coco_core.errors import IntegrityError


class SafetyError(AssertionError):
    """Nodes on the stage broke a promise of consensus."""


class StageDisk:
    """What one node's host holds: every entry it was told to store, some of it durable."""

    def __init__(self) -> None:
        """Begin empty."""
        self.entries: list[Entry] = []
        self.reads = 0
        self.compacted_index = 0
        """Entries up to here are gone for readers; the stage keeps them for the judge."""

    def read(self, first_index: int, last_index: int, max_bytes: int) -> Sequence[Entry]:
        """Meet :class:`coco_core.consensus.LogReader`."""
        if not 1 <= first_index <= last_index <= len(self.entries):
            raise IntegrityError(f"no entries {first_index} to {last_index} on this disk")
        if first_index <= self.compacted_index:
            raise EntriesCompactedError(f"entries up to {self.compacted_index} are compacted")
        self.reads += 1
        entries = self.entries[first_index - 1 : last_index]
        size, count = 0, 0
        for entry in entries:
            size += len(entry.data)
            if count and size > max_bytes:
                break
            count += 1
        return entries[:count]


@attrs.define
class StageNode:
    """One engine with its host's state."""

    node_id: NodeID
    engine: Consensus
    disk: StageDisk
    commit_index: int = 0
    persisted_index: int = 0
    applied: list[Entry] = attrs.field(factory=list)
    """The agreed entries, as the host saw them when they were agreed."""


@attrs.frozen
class Letter:
    """A message under way."""

    sender: NodeID
    to: NodeID
    message: bytes


class Judge:
    """Remembers what was promised, and raises SafetyError when a node breaks it."""

    def __init__(self) -> None:
        """Begin without memories."""
        self.leaders: dict[int, NodeID] = {}
        self.agreed: list[Entry] = []

    def judge(self, node: StageNode, effects: Effects) -> None:
        """Check what one node just did."""
        self._election_safety(effects.leadership)
        if effects.commit is None:
            return
        if not node.disk.entries[effects.commit - 1].committable:
            raise SafetyError(f"{node.node_id} agreed on {effects.commit}, which is not committable")
        for entry in node.disk.entries[node.commit_index : effects.commit]:
            if entry.index > len(self.agreed):
                self.agreed.append(entry)
            if self.agreed[entry.index - 1] != entry:
                raise SafetyError(f"{node.node_id} agreed on another entry {entry.index}")

    def durability(self, nodes: Sequence[StageNode], entry: Entry) -> None:
        """Check that an entry just agreed is durable on a majority of ``nodes``."""
        index = entry.index
        holders = [n for n in nodes if n.persisted_index >= index and n.disk.entries[index - 1] == entry]
        if 2 * len(holders) <= len(nodes):
            raise SafetyError(f"agreed entry {index} is durable on {len(holders)} of {len(nodes)} nodes")

    def log_matching(self, nodes: Sequence[StageNode]) -> None:
        """Check that logs which hold the same (term, index) are the same up to there."""
        for at, one in enumerate(nodes):
            for other in nodes[at + 1 :]:
                pairs = list(zip(one.disk.entries, other.disk.entries, strict=False))
                same = [a.term == b.term for a, b in pairs]
                last = max((i for i, equal in enumerate(same) if equal), default=-1)
                if any(a != b for a, b in pairs[: last + 1]):
                    raise SafetyError(
                        f"logs of {one.node_id} and {other.node_id} differ below a common entry"
                    )

    def _election_safety(self, leadership: Leadership | None) -> None:
        if leadership is None or leadership.leader is None:
            return
        known = self.leaders.setdefault(leadership.term, leadership.leader)
        if known != leadership.leader:
            raise SafetyError(f"term {leadership.term} has leaders {known} and {leadership.leader}")


Observer = Callable[[StageNode, Effects], None]


class Stage:
    """Nodes and a pool of letters; every method is one step of the world."""

    def __init__(self, observer: Observer | None = None) -> None:
        """Begin empty; ``observer`` sees every effect before it is carried out."""
        self.nodes: dict[NodeID, StageNode] = {}
        self.pool: list[Letter] = []
        self.judge = Judge()
        self._cut: set[tuple[NodeID, NodeID]] = set()
        self._observer = observer

    def add(self, node_id: NodeID, make: Callable[[StageDisk], Consensus]) -> StageNode:
        """Put a node on the table; ``make`` builds its engine over its disk."""
        disk = StageDisk()
        node = self.nodes[node_id] = StageNode(node_id, make(disk), disk)
        return node

    def handle(self, node_id: NodeID, event: Event) -> Effects:
        """Give one node an event and do what it asks for, in the order of the contract."""
        node = self.nodes[node_id]
        effects = node.engine.handle(event)
        if self._observer is not None:
            self._observer(node, effects)
        if effects.truncate_after is not None:
            if effects.truncate_after < node.commit_index:
                raise SafetyError(f"{node_id} dropped agreed entries after {effects.truncate_after}")
            del node.disk.entries[effects.truncate_after :]
            node.persisted_index = min(node.persisted_index, effects.truncate_after)
        node.disk.entries += effects.append
        for send in effects.send:
            self._post(node_id, send)
        self.judge.judge(node, effects)
        if effects.commit is not None:
            self.judge.durability(list(self.nodes.values()), node.disk.entries[effects.commit - 1])
            node.applied += node.disk.entries[node.commit_index : effects.commit]
            node.commit_index = effects.commit
        return effects

    def tick(self, node_id: NodeID) -> Effects:
        """Let one tick pass on one node."""
        return self.handle(node_id, Tick())

    def propose(self, node_id: NodeID, entries: Sequence[tuple[bytes, bool]]) -> Effects:
        """Let a leader propose; the place follows from its status."""
        status = self.nodes[node_id].engine.status()
        return self.handle(node_id, Proposed(status.term, status.last_index + 1, entries))

    def persist(self, node_id: NodeID) -> Effects | None:
        """Report all a node was told to store as durable; None when nothing is new."""
        node = self.nodes[node_id]
        if node.persisted_index == len(node.disk.entries):
            return None
        node.persisted_index = len(node.disk.entries)
        return self.handle(node_id, Persisted(node.persisted_index, node.disk.entries[-1].term))

    def deliver(self, position: int = 0, *, keep: bool = False) -> Effects | None:
        """Deliver one letter of the pool; ``keep`` leaves it there, to be delivered again.

        Returns None when the way is cut: the letter is lost then.
        """
        letter = self.pool[position] if keep else self.pool.pop(position)
        if (letter.sender, letter.to) in self._cut:
            return None
        return self.handle(letter.to, Received(letter.sender, letter.message))

    def settle(self, steps_max: int = 10_000) -> None:
        """Persist and deliver until nothing is left to do."""
        for _ in range(steps_max):
            for node_id in self.nodes:
                self.persist(node_id)
            if not self.pool:
                return
            self.deliver()
        raise SafetyError(f"the nodes did not come to rest in {steps_max} steps")

    def cut(self, *groups: Sequence[NodeID]) -> None:
        """Cut every way between nodes of different ``groups``; nodes in none are on their own."""
        side = {node_id: f"alone {node_id}" for node_id in self.nodes}
        side.update({node_id: f"group {at}" for at, group in enumerate(groups) for node_id in group})
        self._cut = {(a, b) for a in self.nodes for b in self.nodes if side[a] != side[b]}

    def heal(self) -> None:
        """Open every way."""
        self._cut = set()

    def leaders(self) -> list[NodeID]:
        """Return every node that believes it leads."""
        return [n.node_id for n in self.nodes.values() if n.engine.status().role is Role.LEADER]

    def _post(self, sender: NodeID, send: Send) -> None:
        if (sender, send.to) not in self._cut:
            self.pool.append(Letter(sender, send.to, send.message))
