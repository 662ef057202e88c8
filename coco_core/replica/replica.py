"""The whole node as one pure state machine: ``handle(event) -> effects``.

This file dispatches and keeps the order of things; the work is in the files beside it. The law:

* an entry is sealed or checked, and in the chain, before the consensus engine's effects for it leave;
* a set of members that an entry tells of is handed to the engine before any other event;
* only the primary of the current view executes, one batch at a time per node, over the speculative
  head, with at most ``PIPELINE_BATCHES_MAX`` batches executed and not committed. What it writes of its
  own accord it writes between batches.

Errors: MalformedError and BusyError refuse a ``Submitted`` event and change nothing; PeerError
refuses a peer's message and changes nothing; IntegrityError means this node must stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from coco_core.adapter import BUNDLES, Batch, NodeStatus, NotCommitted, Rejected
from coco_core.base import NodeID, invariant, limits, unreachable
from coco_core.consensus import (
    Consensus,
    Leadership,
    Persisted,
    Received,
    Role,
    Tick,
    TransferRequested,
)
from coco_core.errors import AdapterError
from coco_core.governance import ADMINISTRATION, ADMINISTRATION_MAPS, Administration, NodeRecord, read_members
from coco_core.kv import Writes
from coco_core.replica import upkeep
from coco_core.replica.agreement import Agreement
from coco_core.replica.chain import Chain
from coco_core.replica.effects import (
    AdapterFailed,
    Effect,
    Execute,
    Retired,
    RoleChanged,
    SendToPeer,
)
from coco_core.replica.events import (
    BatchExecuted,
    DiskFull,
    Event,
    HandOver,
    LogPersisted,
    PeerLost,
    PeerSent,
    SnapshotLoaded,
    SnapshotProven,
    SnapshotTaken,
    Submitted,
    Ticked,
)
from coco_core.replica.following import Follower
from coco_core.replica.messages import (
    Forward,
    ForwardAnswer,
    MembershipQuestion,
    MembersNotice,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    decode,
)
from coco_core.replica.neighbours import Neighbours
from coco_core.replica.requests import Requests
from coco_core.replica.running import Executed, Running
from coco_core.replica.sequencing import Sequencer
from coco_core.replica.snapshots import Snapshots
from coco_core.replica.submission import Queued
from coco_core.replica.succession import Succession
from coco_core.replica.upkeep import Upkeep

_ADAPTER_FAULT = Rejected("adapter-fault", "the ledger adapter failed on this transaction")


class Replica:
    """One node of the network."""

    def __init__(
        self,
        *,
        node_id: NodeID,
        consensus: Consensus,
        chain: Chain,
        sequencer: Sequencer,
        follower: Follower,
        snapshots: Snapshots,
        administration: Administration,
        adapters: Mapping[str, frozenset[str]],
        entropy: Callable[[int], bytes],
        time_ms: int,
        randomness: bytes,
    ) -> None:
        """Run ``adapters`` (name to the maps each owns); entropy, time and randomness are the shell's."""
        self._node_id = node_id
        self._chain = chain
        self._sequencer = sequencer
        self._snapshots = snapshots
        self.administration = administration
        """Executes what was submitted to ADMINISTRATION, when the shell is told to."""
        self._owned = {**adapters, ADMINISTRATION: ADMINISTRATION_MAPS, BUNDLES: frozenset()}
        self._time_ms = time_ms
        self._randomness = randomness
        self._neighbours = Neighbours(node_id, self._emit)
        self._requests = Requests(chain, self._owned, self._emit_to_peer)
        self._running: Running | None = None
        self._batch_number = 0
        self._agreement = Agreement(consensus, chain, follower, snapshots, emit=self._emit)
        self._agreement.on_leadership = self._on_leadership
        self._agreement.on_committed = self._requests.committed
        self._agreement.on_members = self._on_members
        self._effects: list[Effect] = []
        self._succession = Succession()
        agreement = self._agreement
        self._upkeep = Upkeep(chain, lambda: agreement.match, agreement.evidence_due, entropy)

    # ── readings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def chain(self) -> Chain:
        """What this node holds of the ledger; for reading."""
        return self._chain

    @property
    def is_primary(self) -> bool:
        """Whether this node leads the current view, as far as it knows."""
        return self._agreement.leadership.role is Role.LEADER

    @property
    def leader(self) -> NodeID | None:
        """The primary this node knows of."""
        return self._agreement.leadership.leader

    @property
    def disk_full(self) -> bool:
        """Whether this node takes no requests because its disk takes no entries."""
        return self._requests.disk_full

    def status(self) -> NodeStatus:
        """Return a reading for front ends and operators."""
        return NodeStatus(
            node_id=self._node_id,
            role="primary" if self.is_primary else self._agreement.leadership.role.value,
            view=self._agreement.leadership.term,
            committed_seqno=self._chain.committed.seqno,
            leader_known=self._agreement.leadership.leader is not None,
        )

    def statistics(self) -> dict[str, int]:
        """Return sizes of everything that grows, for operators."""
        return {
            **self._requests.statistics(),
            "uncommitted_batches": self._chain.uncommitted_batches,
            "signatures": self._chain.signature_count,
            "head_seqno": self._chain.head,
            "committed_seqno": self._chain.committed.seqno,
            "log_cache_bytes": self._agreement.log_cache_bytes,
            **self._snapshots.statistics(),
        }

    def waits_for(self) -> list[NodeID]:
        """Return, on the primary, the nodes that the change of members under way waits for."""
        return upkeep.behind(self._chain.store.head(), self._agreement.match, self._chain.head, self._time_ms)

    # ── the one way in ───────────────────────────────────────────────────────────────────────────

    def handle(self, event: Event) -> list[Effect]:
        """Advance by one event and return what the shell must do, in order."""
        match event:
            case PeerSent():
                self._on_peer(event)
            case LogPersisted():
                self._agreement.handle(Persisted(event.index, event.term))
            case Submitted():
                self._requests.submit(event, self.leader, leads=self.is_primary)
            case BatchExecuted():
                self._on_executed(event)
            case Ticked():
                self._on_tick(event.time_ms)
            case PeerLost():
                self._on_peer_lost(event.peer)
            case HandOver():
                self._hand_over()
            case DiskFull():
                self._on_disk_full(full=event.full)
            case SnapshotTaken():
                self._agreement.snapshot_taken(event)
            case SnapshotProven():
                self._agreement.snapshot_proven(event.seqno)
            case SnapshotLoaded():
                self._agreement.snapshot_loaded(event)
            case _:
                unreachable(f"no such event: {event!r}")
        return self._take_effects()

    def found(self, writes: list[Writes]) -> list[Effect]:
        """As the only node, place the first entries of a new or a recovered service: ``writes``, each one."""
        all_agreed = self._chain.head == self._chain.committed.seqno
        invariant(self.is_primary and all_agreed, "only the founder founds, behind what is agreed")
        self._time_ms = max(self._time_ms, self._sequencer.newest_time_ms())
        placed = self._sequencer.place_writes(writes, self._agreement.leadership.term, self._time_ms)
        self._on_members()
        self._agreement.propose(placed)
        return self._take_effects()

    def join(self, nodes: Mapping[NodeID, NodeRecord]) -> list[Effect]:
        """As a node that was welcomed, say whom to talk to: ``nodes``, and whom its own old ledger names."""
        self._neighbours.join(nodes)
        if self._chain.head:
            self._on_members()
        return self._take_effects()

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def _emit_to_peer(self, effect: Effect) -> None:
        """Pass on what may be for a node that was removed, or is no learner any more, since it asked."""
        if not isinstance(effect, SendToPeer) or effect.to in self._neighbours:
            self._effects.append(effect)

    def _take_effects(self) -> list[Effect]:
        self._execute_next()
        effects, self._effects = self._effects, []
        return effects

    def _on_tick(self, time_ms: int) -> None:
        self._time_ms = max(self._time_ms, time_ms)
        self._requests.tick()
        effects = self._agreement.decide(Tick())
        if not (self.is_primary or self._chain.signature_count):
            # A node without one signed entry has nothing to lead with: were such nodes to elect one of
            # their own while a large genesis is under way, the service would begin without it. So it
            # asks for no votes, but time passes for it: it must not trust a silent leader for ever.
            effects = attrs.evolve(effects, send=())
        self._agreement.carry_out(effects)
        self._agreement.tick()
        self._neighbours.tick(alone=self.leader is None)
        self._succession.tick()
        self._upkeep.due = True

    def _on_disk_full(self, *, full: bool) -> None:
        """Take nothing while nothing can be stored, and let another node lead."""
        self._requests.disk_full = full
        if full:
            self._hand_over()

    def _hand_over(self) -> None:
        """Begin nothing more from now on, unless nobody is there to take over."""
        if self.is_primary and read_members(self._chain.store.head()).voters != {self._node_id}:
            self._succession.begin()

    # ── peers ────────────────────────────────────────────────────────────────────────────────────

    def _on_peer(self, event: PeerSent) -> None:
        sender, message = event.sender, decode(event.message)
        match message:
            case bytes():
                self._agreement.handle(Received(sender, message))
            case Forward():
                self._requests.forward(sender, message, leads=self.is_primary)
            case ForwardAnswer():
                self._requests.answered(sender, message)
            case SnapshotOffer():
                self._effects += self._snapshots.offered(sender, message, self._chain.committed.seqno)
            case SnapshotRequest():
                self._effects += self._snapshots.requested(sender, message)
            case SnapshotPart():
                self._effects += self._snapshots.arrived(sender, message)
            case MembersNotice():
                self._neighbours.told(message, self._chain.committed.seqno)
            case MembershipQuestion.ASKED:
                self._neighbours.asked(sender, self._chain.store.view())
            case MembershipQuestion.RETIRED:
                self._emit(Retired())

    def _on_peer_lost(self, peer: NodeID) -> None:
        self._requests.peer_lost(peer)
        self._agreement.peer_lost(peer)

    # ── executing ────────────────────────────────────────────────────────────────────────────────

    def _execute_next(self) -> None:
        """Start the next batch if this node leads, is idle, and the pipeline has room."""
        while self._running is None and self.is_primary:
            if self._succession.wanted:
                if self._succession.ask():
                    self._agreement.handle(TransferRequested())
                return
            if self._chain.uncommitted_batches >= limits.PIPELINE_BATCHES_MAX:
                return
            if self._upkeep.due:
                self._keep_up()
                continue
            if not self._requests:
                return
            items, term = self._requests.take(), self._agreement.leadership.term
            self._batch_number += 1
            self._running = Running(self._batch_number, term, items, self._owned)
            batch = Batch(
                requests=tuple(item.request for item in items),
                view=term,
                first_seqno=self._chain.head + 1,
                time_ms=self._time_ms,
                randomness=self._randomness,
            )
            self._carry_on(self._running, self._running.begin(batch, self._chain.store.head()))

    def _on_executed(self, event: BatchExecuted) -> None:
        self._time_ms = max(self._time_ms, event.time_ms)
        self._randomness = event.randomness
        if self._running is None or self._running.number != event.number:
            unreachable(f"batch {event.number} was executed but is not running")
        self._carry_on(self._running, self._running.advance(event.result, event.fetched))

    def _carry_on(self, running: Running, step: Execute | Executed) -> None:
        """Have the next step executed; after the last one sequence what the batch gave, or refuse it."""
        if isinstance(step, Execute):
            self._emit(step)
            return
        self._running = None
        if not self.is_primary or running.term != self._agreement.leadership.term:
            reason = "leadership moved while the transaction was executed"
            self._requests.refuse(running.items, NotCommitted(reason))
            return
        try:
            checked = running.checked(step)
        except AdapterError as error:
            self._on_adapter_fault(running.adapter, running.items, str(error))
            return
        placed = self._sequencer.place(checked, running.term, self._time_ms, running.record)
        self._requests.decide(running.items, placed.fates)
        if placed.entries:
            self._agreement.propose(placed)

    def _on_adapter_fault(self, adapter: str, items: Sequence[Queued], reason: str) -> None:
        """Write nothing; find the request at fault by having each executed in a batch of its own."""
        self._emit(AdapterFailed(adapter, len(items), reason))
        if len(items) > 1:
            self._requests.push_back_singly(items)
        else:
            self._requests.refuse(items, _ADAPTER_FAULT)

    # ── what a primary does of its own accord ────────────────────────────────────────────────────

    def _keep_up(self) -> None:
        """Write what became possible or due since the last time; at most one thing, the next comes after."""
        found = self._upkeep.take(self._time_ms)
        if found is not None:
            writes, claims = found
            term = self._agreement.leadership.term
            placed = self._sequencer.place_writes([writes], term, self._time_ms, claims=claims)
            self._agreement.propose(placed)

    # ── what agreement brings ────────────────────────────────────────────────────────────────────

    def _on_members(self) -> None:
        self._upkeep.members_changed()
        chain, leader = self._chain, self._agreement.heard
        self._neighbours.follow(chain.newest_view(), chain.store.view(), chain.taking_part, leader)

    def _on_leadership(self, before: Leadership) -> None:
        leadership = self._agreement.leadership
        self._emit(RoleChanged(leadership))
        self._succession.end()
        if before.role is Role.LEADER and leadership.role is not Role.LEADER:
            self._requests.leads_no_longer()
        if leadership.leader != before.leader or leadership.term != before.term:
            self._requests.leader_changed(leadership.leader)
        if leadership.role is Role.LEADER and before.role is not Role.LEADER:
            self._upkeep.members_changed()
            # The clocks of those who led before may have been ahead of this node's.
            self._time_ms = max(self._time_ms, self._sequencer.newest_time_ms())
            # Commits what earlier views left: only an entry of its own view commits anything.
            self._agreement.propose(self._sequencer.place_writes([], leadership.term, self._time_ms))
