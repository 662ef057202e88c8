"""Whole replicas on a table: a channel whose messages someone else moves, disks, adapters, front ends.

A ``Cluster`` is what ``node.driver`` is for one real node, for several at once and without a clock:
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
    Caller,
    CommittedBatch,
    LedgerAdapter,
    ScopedView,
)
from coco_core.base import NodeID, TxID
from coco_core.consensus import Role
from coco_core.crypto import read_certificate
from coco_core.governance import ADMINISTRATION, TRUSTED, Fetching, NodeRecord, read_nodes
from coco_core.kv.write_set import encode_domain
from coco_core.ledger import LedgerSecrets, Snapshot
from coco_core.replica import (
    LedgerKeys,
    Parts,
    Restoration,
    Timing,
    found_service,
    join_service,
    recover_service,
)
from coco_core.replica.effects import (
    Answer,
    BatchCommitted,
    Effect,
    Execute,
    InstallSnapshot,
    RoleChanged,
    SendToPeer,
)
from coco_core.replica.events import (
    Event,
    LogPersisted,
    PeerLost,
    PeerSent,
    Submitted,
    Ticked,
)
from coco_core.testing.cluster_node import ClusterDisk, ClusterNode
from coco_core.testing.consortium import Consortium
from coco_core.testing.scripted_web import ScriptedWeb
from coco_core.testing.shelf import SnapshotShelf
from coco_core.testing.stage import Letter, SafetyError
from coco_core.testing.tally import Tally

TICK_MS: Final = 10
TIMING: Final = Timing(election_timeout_ticks_min=5, election_timeout_ticks_max=9, heartbeat_ticks=1)
_EPOCH_MS = 1_700_000_000_000


@attrs.define(kw_only=True)
class Cluster:
    """Replicas of one service; every method is one step of the world."""

    nodes: dict[NodeID, ClusterNode] = attrs.field(factory=dict)
    pool: list[Letter] = attrs.field(factory=list)
    consortium: Consortium
    draw: Callable[[int, int], int]
    make: Callable[[], Sequence[LedgerAdapter]]
    bounds: Mapping[str, Any]
    now_ms: int = _EPOCH_MS
    committed: dict[int, tuple[TxID, bytes, bytes]] = attrs.field(factory=dict)
    """Signature seqno to place, root and writes, as the first node to commit it saw them."""
    web: ScriptedWeb = attrs.field(factory=ScriptedWeb)
    """What systems outside answer."""
    _cut: set[frozenset[NodeID]] = attrs.field(factory=set)
    _tickets: int = 0

    @classmethod
    def found(
        cls,
        count: int,
        *,
        draw: Callable[[int, int], int],
        make: Callable[[], LedgerAdapter] = Tally,
        beside: Callable[[], Sequence[LedgerAdapter]] = tuple,
        config: Mapping[str, Any] | None = None,
        consortium: Consortium | None = None,
        **bounds: Any,
    ) -> Cluster:
        """Put the first ``count`` nodes of a consortium on the table; the first founds a service.

        ``draw(low, high)`` chooses each timeout, ``min`` the shortest. After ``run(1)`` there is a primary.
        Nodes run ``make()``, and what ``beside()`` returns; ``bounds`` are fields of ``replica.Parts``.
        """
        consortium = consortium if consortium is not None else Consortium.of(count)
        bounds = {"chunk_size_bytes": 64 * 1024, **bounds}
        cluster = cls(consortium=consortium, draw=draw, make=lambda: (make(), *beside()), bounds=bounds)
        nodes = consortium.first(count)
        for number in range(count):
            parts, node = cluster._parts(number, nodes, LedgerSecrets(consortium.secrets.epochs))
            if number:
                node.replica, effects = join_service(parts)
            else:
                wanted = {"counters": {}} if config is None else config
                genesis = [one for each in node.adapters for one in each.genesis(wanted, bytes(32))]
                node.replica, effects = found_service(parts, genesis, [consortium.operator])
            cluster._seat(node, effects)
        return cluster

    def _parts(
        self, number: int, nodes: Mapping[NodeID, NodeRecord], secrets: LedgerSecrets
    ) -> tuple[Parts, ClusterNode]:
        """Return what node ``number`` is made of, and its place on the table without a replica yet."""
        consortium, adapters, disk = self.consortium, self.make(), ClusterDisk()
        keys = LedgerKeys(secrets, consortium.identities[number])
        shelf = SnapshotShelf(keys, consortium.service.certificate)
        parts = consortium.parts(
            number,
            nodes,
            manifests=[adapter.manifest for adapter in adapters],
            draw=self.draw,
            reader=disk,
            snapshots=shelf,
            timing=TIMING,
            time_ms=self.now_ms,
            secrets=secrets,
            **self.bounds,
        )
        name, fetching = parts.identity.node_id, Fetching(lambda: self.web)
        return parts, ClusterNode(name=name, adapters=adapters, disk=disk, shelf=shelf, fetching=fetching)

    def _seat(self, node: ClusterNode, effects: Sequence[Effect]) -> None:
        self.nodes[node.name] = node
        self._carry_out(node, effects)

    # ── members ──────────────────────────────────────────────────────────────────────────────────

    def administer(self, node: ClusterNode, payload: bytes, *, operator: bool = True) -> int:
        """Let an operator, or nobody in particular, submit an administrative transaction at ``node``."""
        identity = read_certificate(self.consortium.operator).fingerprint
        caller = Caller(kind="operator", identity=identity) if operator else ANONYMOUS
        self._tickets += 1
        self.handle(node, Submitted(self._tickets, ADMINISTRATION, [payload], caller))
        return self._tickets

    def seat(self, number: int, *, old: ClusterNode | None = None) -> ClusterNode:
        """Put node ``number``, which the service has welcomed, on the table; ``old`` had its disk before."""
        asked = self.primary
        records = read_nodes(asked.replica.chain.store.view())
        name = self.consortium.identities[number].node_id
        nodes = {one: node for one, node in records.items() if node.status == TRUSTED or one == name}
        chain = asked.replica.chain
        parts, node = self._parts(number, nodes, chain.keys.secrets.begun_by(chain.committed.seqno))
        restored: Restoration | None = None
        if old is not None:
            keys = LedgerKeys(parts.secrets, parts.identity)
            restored = node.restore(old, asked.agreed(), keys, self.consortium.service)
        node.replica, effects = join_service(parts, restored)
        self._seat(node, effects)
        return node

    def recover(self, old: ClusterNode, restored: Restoration, first: Any) -> None:
        """Put node 0 on the table as the only one, going on behind what was restored of ``old``'s ledger."""
        parts, node = self._parts(0, self.consortium.first(1), restored.chain.keys.secrets)
        node.disk.entries = old.disk.entries[: restored.chain.committed.seqno]
        node.replica, effects = recover_service(parts, restored, first)
        self._seat(node, effects)

    @property
    def secrets(self) -> LedgerSecrets:
        """Those of the ledger, as the node that knows most of it holds them."""
        chains = [node.replica.chain for node in self.nodes.values()]
        return max(chains, key=lambda chain: chain.committed.seqno).keys.secrets

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
        """Give one node an event and carry out what it asks for; what is administrative executes at once."""
        if node.crashed:
            return []
        effects = node.replica.handle(event)
        self._carry_out(node, effects)
        if node.running is not None and node.running.adapter == ADMINISTRATION:
            self.execute(node)
        return effects

    def submit(self, node: ClusterNode, *payloads: bytes, to: str = "", caller: Caller = ANONYMOUS) -> int:
        """Let a front end of ``node`` submit, to its first ledger unless told; return the answer's ticket.

        Once it is known ``node.answers[ticket]`` holds the fate of each payload, in order.
        """
        self._tickets += 1
        name = to or node.adapter.manifest.name
        self.handle(node, Submitted(self._tickets, name, payloads, caller))
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
        self.handle(node, node.executed(running, self.now_ms))
        return True

    def work(self, node: ClusterNode) -> bool:
        """Let ``node`` do the oldest of what it does in the background; return whether there was any."""
        if node.crashed or not node.work:
            return False
        event = node.do_work()
        if event is None:
            return bool(node.disk.pending)
        self.handle(node, event)
        return True

    def deliver(self, position: int = 0) -> None:
        """Deliver one letter of the pool."""
        letter = self.pool[position]
        if frozenset((letter.sender, letter.to)) in self._cut:
            self.lose(position)
            return
        self.pool.pop(position)
        if letter.to not in self.nodes or letter.sender not in self.nodes[letter.to].peers:
            return  # Not one of the service, as far as the receiver knows: it does not open the door.
        self.handle(self.nodes[letter.to], PeerSent(letter.sender, letter.message))

    def lose(self, position: int = 0) -> None:
        """Lose one letter of the pool, as a connection that breaks does: both ends are told."""
        letter = self.pool.pop(position)
        if letter.to not in self.nodes:
            return
        self.handle(self.nodes[letter.sender], PeerLost(letter.to))
        self.handle(self.nodes[letter.to], PeerLost(letter.sender))

    def settle(self, steps_max: int = 10_000) -> None:
        """Persist, execute and deliver until nothing is left to do."""
        for _ in range(steps_max):
            busy = [self.persist(node) or self.execute(node) or self.work(node) for node in self.alive]
            if self.pool:
                self.deliver()
            elif not any(busy):
                return
        raise SafetyError(f"the nodes did not come to rest in {steps_max} steps")

    def skip(self, ms: int) -> None:
        """Let ``ms`` milliseconds pass on every clock at once, and one tick on every node.

        For rules that depend on a batch's time: no timeout of a node's own, which it counts in ticks, runs.
        """
        self.now_ms += ms
        self.run(1)

    def run(self, ticks: int) -> None:
        """Let ticks pass, TICK_MS (10 ms) at each node in turn, and everything happen in between."""
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
                    if effect.to not in node.peers:
                        raise SafetyError(f"{node.name} writes to a node that is no peer")
                    self.pool.append(Letter(node.name, effect.to, effect.message))
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
                case RoleChanged():
                    self._on_role(node, effect)
                case InstallSnapshot():
                    self._on_install(node, effect.snapshot)
                case _:
                    node.note(effect)

    def _on_install(self, node: ClusterNode, snapshot: Snapshot) -> None:
        seqno = snapshot.place.txid.seqno
        holders = [one for one in self.nodes.values() if one is not node and len(one.disk.entries) >= seqno]
        agreed = [one for one in holders if one.replica.chain.committed.seqno >= seqno]
        node.disk.begin_after(snapshot, agreed[0].disk.entries)
        view = node.replica.chain.store.view()
        for adapter in node.adapters:
            adapter.restored(ScopedView(view, frozenset(adapter.manifest.maps)))

    def _on_committed(self, node: ClusterNode, effect: BatchCommitted) -> None:
        node.batches.append(effect)
        seqno = effect.txid.seqno
        seen = effect.txid, node.replica.chain.tree.root(seqno + 1), encode_domain(effect.writes)
        if self.committed.setdefault(seqno, seen) != seen:
            raise SafetyError(f"{node.name} committed another batch at {effect.txid}")
        for adapter in node.adapters:
            owned = {name: effect.writes[name] for name in adapter.manifest.maps if name in effect.writes}
            if owned:
                adapter.committed(CommittedBatch(effect.txid, owned))

    def _on_role(self, node: ClusterNode, effect: RoleChanged) -> None:
        node.roles.append(effect)
        if effect.leadership.role is not Role.LEADER:
            return
        view = effect.leadership.term
        for other in self.nodes.values():
            led = [role for role in other.roles if role.leadership.role is Role.LEADER]
            if other is not node and any(role.leadership.term == view for role in led):
                raise SafetyError(f"{node.name} and {other.name} both lead view {view}")
