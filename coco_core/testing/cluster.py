"""Whole replicas on a table: a channel whose messages someone else moves, disks, adapters, front ends.

A :class:`Cluster` is what ``node.driver`` is for one real node, for several at once and without a clock:
it carries effects out in order, but persists, executes and delivers only when told, so a test decides
every order of events. It remembers what every front end was answered and what every node committed, and
raises SafetyError as soon as two nodes commit something different at one place.

Randomness is an argument. Must not know sockets, files or time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import (
    ANONYMOUS,
    BatchResult,
    Committed,
    CommittedBatch,
    LedgerAdapter,
    NotCommitted,
    Rejected,
    ScopedView,
)
from coco_core.base import NodeID, TxID
from coco_core.consensus import Entry, Role
from coco_core.kv.write_set import encode_domain
from coco_core.ledger import IN_PROGRESS_HEADER
from coco_core.replica import (
    Parts,
    Replica,
    Timing,
    found_service,
    join_service,
)
from coco_core.replica.effects import (
    AdapterFailed,
    Answer,
    BatchCommitted,
    Effect,
    Execute,
    Persist,
    RoleChanged,
    SendToPeer,
)
from coco_core.replica.events import (
    BatchExecuted,
    Event,
    LogPersisted,
    PeerLost,
    PeerSent,
    Submitted,
    Ticked,
)
from coco_core.testing.consortium import Consortium
from coco_core.testing.stage import Letter, SafetyError, StageDisk
from coco_core.testing.tally import Tally

Fates = Sequence[Committed | Rejected | NotCommitted]

TICK_MS: Final = 10
TIMING: Final = Timing(election_timeout_ticks_min=5, election_timeout_ticks_max=9, heartbeat_ticks=1)
_EPOCH_MS = 1_700_000_000_000


class ClusterDisk(StageDisk):
    """What one node has written; what it was told to write waits in ``pending``."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.pending: list[Persist] = []

    def write(self) -> Entry | None:
        """Carry out everything pending; return the newest entry it stored that is still there."""
        newest: Entry | None = None
        for persist in self.pending:
            if persist.truncate_after is not None:
                del self.entries[persist.truncate_after :]
                if newest is not None and newest.index > persist.truncate_after:
                    newest = None
            if persist.entries:
                if persist.entries[0].index != len(self.entries) + 1:
                    raise SafetyError(f"entry {persist.entries[0].index} leaves a gap on the disk")
                self.entries += persist.entries
                newest = persist.entries[-1]
        self.pending.clear()
        return newest

    def file(self) -> tuple[str, bytes]:
        """Return the ledger as one chunk in progress, for the auditor."""
        return "ledger_1", IN_PROGRESS_HEADER + b"".join(entry.data for entry in self.entries)


@attrs.define(kw_only=True)
class ClusterNode:
    """One replica and its host's state."""

    name: NodeID
    replica: Replica
    adapter: LedgerAdapter
    disk: ClusterDisk
    running: Execute | None = None
    answers: dict[int, Fates] = attrs.field(factory=dict)
    """What this node's front ends were told, by ticket."""
    batches: list[BatchCommitted] = attrs.field(factory=list)
    roles: list[RoleChanged] = attrs.field(factory=list)
    faults: list[AdapterFailed] = attrs.field(factory=list)
    """What its log would tell of its adapter."""
    crashed: bool = False

    def state(self) -> dict[str, dict[bytes, bytes]]:
        """Return the committed state, every map that holds anything."""
        store = self.replica.chain.store
        view = store.view()
        return {name: dict(view.items(name)) for name, (keys, _) in store.sizes().items() if keys}


@attrs.define(kw_only=True)
class Cluster:
    """Replicas of one service; every method is one step of the world."""

    nodes: dict[NodeID, ClusterNode] = attrs.field(factory=dict)
    pool: list[Letter] = attrs.field(factory=list)
    consortium: Consortium
    now_ms: int = _EPOCH_MS
    committed: dict[int, tuple[TxID, bytes, bytes]] = attrs.field(factory=dict)
    """Signature seqno to place, root and writes, as the first node to commit it saw them."""
    _cut: set[frozenset[NodeID]] = attrs.field(factory=set)
    _tickets: int = 0

    @classmethod
    def found(
        cls,
        count: int,
        *,
        draw: Callable[[int, int], int],
        make: Callable[[], LedgerAdapter] = Tally,
        config: Mapping[str, Any] | None = None,
        consortium: Consortium | None = None,
        chunk_size_bytes: int = 64 * 1024,
    ) -> Cluster:
        """Put ``count`` nodes on the table, the first of which founds a service running ``make()``."""
        consortium = consortium if consortium is not None else Consortium.of(count)
        cluster = cls(consortium=consortium)
        adapters = [make() for _ in consortium.identities]
        for identity, adapter in zip(consortium.identities, adapters, strict=True):
            disk = ClusterDisk()
            parts = Parts(
                identity=identity,
                service=consortium.service,
                secrets=consortium.secrets,
                nodes=consortium.nodes,
                manifests=[adapter.manifest],
                timing=TIMING,
                draw=draw,
                reader=disk,
                time_ms=_EPOCH_MS,
                randomness=bytes(32),
                chunk_size_bytes=chunk_size_bytes,
            )
            effects: Sequence[Effect] = ()
            if cluster.nodes:
                replica = join_service(parts)
            else:
                genesis = adapter.genesis(config if config is not None else {"counters": {}})
                replica, effects = found_service(parts, genesis)
            node = ClusterNode(name=identity.node_id, replica=replica, adapter=adapter, disk=disk)
            cluster.nodes[node.name] = node
            cluster._carry_out(node, effects)
        return cluster

    # ── readings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> list[ClusterNode]:
        """The nodes that did not crash."""
        return [node for node in self.nodes.values() if not node.crashed]

    @property
    def primary(self) -> ClusterNode:
        """The primary of the newest view; raises SafetyError when nobody leads."""
        leading = [node for node in self.alive if node.replica.is_primary]
        if not leading:
            raise SafetyError("no node leads")
        return max(leading, key=lambda node: node.replica.status().view)

    @property
    def backups(self) -> list[ClusterNode]:
        """Every living node but the primary."""
        return [node for node in self.alive if node is not self.primary]

    # ── steps ────────────────────────────────────────────────────────────────────────────────────

    def handle(self, node: ClusterNode, event: Event) -> list[Effect]:
        """Give one node an event and carry out what it asks for."""
        if node.crashed:
            return []
        effects = node.replica.handle(event)
        self._carry_out(node, effects)
        return effects

    def submit(self, node: ClusterNode, *payloads: bytes) -> int:
        """Let a front end of ``node`` submit; return the ticket that its answer will have."""
        self._tickets += 1
        name = node.adapter.manifest.name
        self.handle(node, Submitted(self._tickets, name, payloads, ANONYMOUS))
        return self._tickets

    def tick(self, node: ClusterNode) -> None:
        """Let one tick pass on one node."""
        self.now_ms += TICK_MS
        self.handle(node, Ticked(self.now_ms))

    def persist(self, node: ClusterNode) -> bool:
        """Make everything ``node`` was told to store durable; return whether there was anything."""
        if node.crashed or not node.disk.pending:
            return False
        newest = node.disk.write()
        if newest is not None:
            self.handle(node, LogPersisted(newest.index, newest.term))
        return True

    def execute(self, node: ClusterNode) -> bool:
        """Let ``node``'s adapter execute the batch it was given; return whether there was one."""
        running, node.running = node.running, None
        if node.crashed or running is None:
            return False
        view = ScopedView(running.view, frozenset(node.adapter.manifest.maps))
        result: BatchResult | Exception
        try:
            result = run_at_once(node.adapter.execute(running.batch, view))
        except ValueError as error:
            result = error
        randomness = running.number.to_bytes(32)
        self.handle(node, BatchExecuted(running.number, result, self.now_ms, randomness))
        return True

    def deliver(self, position: int = 0) -> None:
        """Deliver one letter of the pool."""
        letter = self.pool[position]
        if frozenset((letter.sender, letter.to)) in self._cut:
            self.lose(position)
            return
        self.pool.pop(position)
        self.handle(self.nodes[letter.to], PeerSent(letter.sender, letter.message))

    def lose(self, position: int = 0) -> None:
        """Lose one letter of the pool, as a connection that breaks does: both ends are told."""
        letter = self.pool.pop(position)
        self.handle(self.nodes[letter.sender], PeerLost(letter.to))
        self.handle(self.nodes[letter.to], PeerLost(letter.sender))

    def settle(self, steps_max: int = 10_000) -> None:
        """Persist, execute and deliver until nothing is left to do."""
        for _ in range(steps_max):
            busy = [self.persist(node) or self.execute(node) for node in self.alive]
            if self.pool:
                self.deliver()
            elif not any(busy):
                return
        raise SafetyError(f"the nodes did not come to rest in {steps_max} steps")

    def run(self, ticks: int) -> None:
        """Let time pass on every node and everything happen in between."""
        for _ in range(ticks):
            for node in self.alive:
                self.tick(node)
            self.settle()

    def crash(self, node: ClusterNode) -> None:
        """End one node for ever; what it sent last may still be under way."""
        node.crashed = True
        node.running = None
        for other in self.alive:
            self.handle(other, PeerLost(node.name))

    def cut(self, *nodes: ClusterNode) -> None:
        """Cut every way between ``nodes`` and the others, and tell both ends."""
        names = {node.name for node in nodes}
        for one in sorted(names):
            for other in sorted(self.nodes.keys() - names):
                self._cut.add(frozenset((one, other)))
                self.handle(self.nodes[one], PeerLost(other))
                self.handle(self.nodes[other], PeerLost(one))

    def heal(self) -> None:
        """Open every way."""
        self._cut = set()

    def elect(self, ticks_max: int = 200) -> ClusterNode:
        """Let time pass until one node leads all the living; return it."""
        for _ in range(ticks_max):
            leading = [node for node in self.alive if node.replica.is_primary]
            if len(leading) == 1 and all(node.replica.leader == leading[0].name for node in self.alive):
                return leading[0]
            self.run(1)
        raise SafetyError("nobody was elected")

    def check_equal(self) -> None:
        """Raise SafetyError unless all living nodes hold the same ledger and the same state."""
        first, *others = self.alive
        for other in others:
            if other.replica.chain.committed != first.replica.chain.committed:
                raise SafetyError("nodes committed to different places")
            if other.replica.chain.tree.root() != first.replica.chain.tree.root():
                raise SafetyError("nodes have different trees")
            if other.state() != first.state():
                raise SafetyError("nodes have different stores")

    # ── effects ──────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, node: ClusterNode, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendToPeer():
                    self.pool.append(Letter(node.name, effect.to, effect.message))
                case Persist():
                    node.disk.pending.append(effect)
                case Execute():
                    if node.running is not None:
                        raise SafetyError(f"{node.name} executes two batches at once")
                    node.running = effect
                case Answer():
                    if effect.ticket in node.answers:
                        raise SafetyError(f"ticket {effect.ticket} was answered twice")
                    node.answers[effect.ticket] = effect.outcomes
                case BatchCommitted():
                    self._on_committed(node, effect)
                case AdapterFailed():
                    node.faults.append(effect)
                case RoleChanged():
                    self._on_role(node, effect)

    def _on_committed(self, node: ClusterNode, effect: BatchCommitted) -> None:
        node.batches.append(effect)
        seqno = effect.txid.seqno
        seen = effect.txid, node.replica.chain.tree.root(seqno + 1), encode_domain(effect.writes)
        if self.committed.setdefault(seqno, seen) != seen:
            raise SafetyError(f"{node.name} committed another batch at {effect.txid}")
        owned = {name: effect.writes[name] for name in node.adapter.manifest.maps if name in effect.writes}
        if owned:
            node.adapter.committed(CommittedBatch(effect.txid, owned))

    def _on_role(self, node: ClusterNode, effect: RoleChanged) -> None:
        node.roles.append(effect)
        if effect.leadership.role is not Role.LEADER:
            return
        view = effect.leadership.term
        for other in self.nodes.values():
            led = [role for role in other.roles if role.leadership.role is Role.LEADER]
            if other is not node and any(role.leadership.term == view for role in led):
                raise SafetyError(f"{node.name} and {other.name} both lead view {view}")


def run_at_once(execution: Any) -> BatchResult:
    """Run an adapter's coroutine that never waits; raises SafetyError when it does."""
    try:
        execution.send(None)
    except StopIteration as done:
        result: BatchResult = done.value
        return result
    execution.close()
    raise SafetyError("the adapter waits for something; a cluster has no time for that")
