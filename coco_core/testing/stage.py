"""Consensus engines on a table: nodes, their disks, and a pool of messages that someone else moves.

A :class:`Stage` does what the hosts of a real network would (store, report, send), but only when told,
so a test or a scenario decides every order of events. After every step :class:`Judge` checks what must
hold whatever happened: one leader a term, log matching, an agreed prefix that never changes and is durable
on a majority of every set of members that had a say in it.

An entry whose data reads ``{a,b/c}`` makes a and b the voters and c a learner: the hosts of the stage
read it, as the hosts of a real network read their tables.

Knows the consensus contract and the built-in engine; must not know sockets, time or randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from coco_core.base import NodeID
from coco_core.consensus import (
    Consensus,
    Effects,
    EntriesCompactedError,
    Entry,
    Event,
    Leadership,
    Membership,
    Persisted,
    Proposed,
    Received,
    Reconfigured,
    Role,
    Send,
    SendSnapshot,
    SnapshotAvailable,
    SnapshotFailed,
    SnapshotReceived,
    Tick,
)
from coco_core.errors import IntegrityError


class SafetyError(AssertionError):
    """Nodes on the stage broke a promise of consensus."""


def write_members(voters: Iterable[NodeID], learners: Iterable[NodeID] = ()) -> bytes:
    """Return the data of an entry that makes these nodes the members."""
    text = ",".join(sorted(voters)) + ("/" + ",".join(sorted(learners)) if learners else "")
    return f"{{{text}}}".encode()


def read_members(entry: Entry) -> Membership | None:
    """Return the set of members that ``entry`` carries, if it carries one."""
    if entry.data[:1] != b"{":
        return None
    voters, _, learners = entry.data.decode().strip("{}").partition("/")
    return Membership(entry.index, _names(voters), _names(learners))


def _names(text: str) -> frozenset[NodeID]:
    return frozenset(NodeID(name) for name in text.split(",") if name)


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


@attrs.frozen
class Shipment:
    """A snapshot under way."""

    sender: NodeID
    snapshot: SendSnapshot


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

    def membership_at(self, index: int, founding: frozenset[NodeID]) -> Membership:
        """Return the set of members in force at the agreed ``index``."""
        found = (read_members(entry) for entry in reversed(self.agreed[:index]))
        return next((m for m in found if m is not None), Membership(0, founding))

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
        self.shipments: list[Shipment] = []
        self.founding: frozenset[NodeID] = frozenset()
        """The voters before any entry says otherwise."""
        self.judge = Judge()
        self._cut: set[tuple[NodeID, NodeID]] = set()
        self._observer = observer

    def add(
        self, node_id: NodeID, make: Callable[[StageDisk], Consensus], *, founding: bool = True
    ) -> StageNode:
        """Put a node on the table; ``make`` builds its engine over its disk."""
        disk = StageDisk()
        if founding:
            self.founding |= {node_id}
        node = self.nodes[node_id] = StageNode(node_id, make(disk), disk)
        return node

    def handle(self, node_id: NodeID, event: Event) -> Effects:
        """Give one node an event and do what it asks for, in the order of the contract."""
        node = self.nodes[node_id]
        effects = node.engine.handle(event)
        if self._observer is not None:
            self._observer(node, effects)
        self._store(node, effects)
        for send in effects.send:
            self._post(node_id, send)
        self.shipments += [Shipment(node_id, snapshot) for snapshot in effects.send_snapshots]
        agreed_before = len(self.judge.agreed)
        self.judge.judge(node, effects)
        if effects.commit is not None:
            self._check_durable(agreed_before, effects.commit)
            node.applied += node.disk.entries[node.commit_index : effects.commit]
            node.commit_index = effects.commit
        for entry in effects.append:
            membership = read_members(entry)
            if membership is not None:
                self.handle(node_id, Reconfigured(membership))
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

    def snapshot(self, node_id: NodeID, compacted_index: int | None = None) -> Effects:
        """Let a node make a snapshot of what it agreed on; entries up to ``compacted_index`` go."""
        node = self.nodes[node_id]
        place = node.disk.entries[node.commit_index - 1]
        compacted_index = place.index if compacted_index is None else compacted_index
        node.disk.compacted_index = max(node.disk.compacted_index, compacted_index)
        return self.handle(node_id, SnapshotAvailable(place.index, place.term))

    def ship(self, position: int = 0) -> Effects:
        """Let one snapshot arrive; when the way is cut, its sender learns that it failed."""
        shipment = self.shipments.pop(position)
        snapshot = shipment.snapshot
        if (shipment.sender, snapshot.to) in self._cut:
            return self.handle(shipment.sender, SnapshotFailed(snapshot.to))
        membership = self.judge.membership_at(snapshot.index, self.founding)
        place = snapshot.index, snapshot.term, snapshot.leader_term
        return self.handle(snapshot.to, SnapshotReceived(*place, membership))

    def settle(self, steps_max: int = 10_000) -> None:
        """Persist and deliver until nothing is left to do."""
        for _ in range(steps_max):
            for node_id in self.nodes:
                self.persist(node_id)
            if self.pool:
                self.deliver()
            elif self.shipments:
                self.ship()
            else:
                return
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

    def _store(self, node: StageNode, effects: Effects) -> None:
        disk = node.disk
        if effects.truncate_after is not None:
            if effects.truncate_after < node.commit_index:
                raise SafetyError(f"{node.node_id} dropped agreed entries after {effects.truncate_after}")
            del disk.entries[effects.truncate_after :]
            node.persisted_index = min(node.persisted_index, effects.truncate_after)
        if effects.install is not None:
            index = disk.compacted_index = effects.install
            if not node.commit_index < index <= len(self.judge.agreed):
                raise SafetyError(f"{node.node_id} began at the snapshot {index}")
            disk.entries = self.judge.agreed[:index]
            node.applied = self.judge.agreed[:index]
            node.commit_index = node.persisted_index = index
        disk.entries += effects.append

    def _check_durable(self, before: int, commit: int) -> None:
        """Check that the sets of members that had a say hold durably what was agreed just now.

        A node may agree several times in one step, each time by the sets left then, so this looks for
        places between, each held by the set in force before it and by all up to it.
        """
        while before < commit:
            places = [at for at in range(before + 1, commit) if self.judge.agreed[at - 1].committable]
            held = [at for at in places if self._may_agree(before, at)]
            if not held:
                self._require_durable(before, commit)
                return
            before = held[-1]

    def _may_agree(self, before: int, index: int) -> bool:
        try:
            self._require_durable(before, index)
        except SafetyError:
            return False
        return True

    def _require_durable(self, before: int, index: int) -> None:
        sets = [self.judge.membership_at(before, self.founding)]
        sets += [m for m in map(read_members, self.judge.agreed[before:index]) if m is not None]
        for membership in sets:
            voters = [self.nodes[voter] for voter in sorted(membership.voters)]
            self.judge.durability(voters, self.judge.agreed[index - 1])

    def _post(self, sender: NodeID, send: Send) -> None:
        if (sender, send.to) not in self._cut:
            self.pool.append(Letter(sender, send.to, send.message))
