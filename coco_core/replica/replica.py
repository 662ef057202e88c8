"""The whole node as one pure state machine: ``handle(event) -> effects``.

This file dispatches and keeps the order of things; the work is in the files beside it. The law:

* an entry is sealed or checked, and in the chain, before the consensus engine's effects for it leave;
* only the primary of the current view executes, one batch at a time per node, over the speculative
  head, with at most ``PIPELINE_BATCHES_MAX`` batches executed and not committed;
* a request is answered once: when its fate is certain on the node whose front end took it.

Errors: MalformedError and BusyError refuse a ``Submitted`` event and change nothing; PeerError
refuses a peer's message and changes nothing; IntegrityError means this node must stop.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from coco_core.adapter import Batch, NodeStatus, NotCommitted, Rejected, Request
from coco_core.base import NodeID, TxID, invariant, limits, unreachable
from coco_core.consensus import (
    Consensus,
    Effects,
    Leadership,
    Persisted,
    Proposed,
    Received,
    Role,
    Tick,
    TransferRequested,
)
from coco_core.errors import AdapterError, BusyError
from coco_core.kv import Writes
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_result
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
    HandOver,
    LogPersisted,
    PeerLost,
    PeerSent,
    Submitted,
    Ticked,
)
from coco_core.replica.following import Follower
from coco_core.replica.messages import (
    Fate,
    Forward,
    ForwardAnswer,
    decode,
    encode_answer,
    encode_consensus,
    encode_forward,
)
from coco_core.replica.sequencing import Placed, Sequencer
from coco_core.replica.submission import Forwarded, Group, Queued, RequestQueue, Waiting, check_payloads

_ADAPTER_FAULT = Rejected("adapter-fault", "the ledger adapter failed on this transaction")


@attrs.frozen(slots=True)
class _Running:
    """The batch an adapter is executing now."""

    number: int
    term: int
    items: list[Queued]


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
        adapters: Mapping[str, frozenset[str]],
        time_ms: int,
        randomness: bytes,
    ) -> None:
        """Run ``adapters`` (name to the maps each owns); time and randomness are the shell's."""
        self._node_id = node_id
        self._consensus = consensus
        self._chain = chain
        self._sequencer = sequencer
        self._follower = follower
        self._adapters = adapters
        self._time_ms = time_ms
        self._randomness = randomness
        self._queue = RequestQueue()
        self._waiting = Waiting()
        self._forwarded = Forwarded()
        self._running: _Running | None = None
        self._batch_number = 0
        status = consensus.status()
        self._leadership = Leadership(status.role, status.term, status.leader)
        self._effects: list[Effect] = []

    # ── readings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def chain(self) -> Chain:
        """What this node holds of the ledger; for reading."""
        return self._chain

    @property
    def is_primary(self) -> bool:
        """Whether this node leads the current view, as far as it knows."""
        return self._leadership.role is Role.LEADER

    @property
    def leader(self) -> NodeID | None:
        """The primary this node knows of."""
        return self._leadership.leader

    def status(self) -> NodeStatus:
        """Return a reading for front ends and operators."""
        return NodeStatus(
            node_id=self._node_id,
            role="primary" if self.is_primary else self._leadership.role.value,
            view=self._leadership.term,
            committed_seqno=self._chain.committed.seqno,
            leader_known=self._leadership.leader is not None,
        )

    def statistics(self) -> dict[str, int]:
        """Return sizes of everything that grows, for operators."""
        return {
            "queue_requests": len(self._queue),
            "waiting_groups": len(self._waiting),
            "forwarded_groups": len(self._forwarded),
            "uncommitted_batches": self._chain.uncommitted_batches,
            "signatures": self._chain.signature_count,
            "head_seqno": self._chain.head,
            "committed_seqno": self._chain.committed.seqno,
            "log_cache_bytes": self._consensus.status().log_cache_bytes,
        }

    # ── the one way in ───────────────────────────────────────────────────────────────────────────

    def handle(self, event: Event) -> list[Effect]:
        """Advance by one event and return what the shell must do, in order."""
        match event:
            case PeerSent():
                self._on_peer(event)
            case LogPersisted():
                self._consent(self._consensus.handle(Persisted(event.index, event.term)))
            case Submitted():
                self._on_submitted(event)
            case BatchExecuted():
                self._on_executed(event)
            case Ticked():
                self._on_tick(event.time_ms)
            case PeerLost():
                self._on_peer_lost(event.peer)
            case HandOver():
                self._consent(self._consensus.handle(TransferRequested()))
            case _:
                unreachable(f"no such event: {event!r}")
        self._execute_next()
        effects, self._effects = self._effects, []
        return effects

    def found(self, writes: list[Writes]) -> list[Effect]:
        """As the first primary, place a new service's first entries: ``writes``, one entry each."""
        invariant(self.is_primary and self._chain.head == 0, "only the founder of an empty ledger founds")
        self._propose(self._sequencer.place_writes(writes, self._leadership.term, self._time_ms))
        self._follower.refresh()
        effects, self._effects = self._effects, []
        return effects

    def _on_tick(self, time_ms: int) -> None:
        self._time_ms = max(self._time_ms, time_ms)
        self._abandon(self._forwarded.tick(), "the primary did not answer in time; it may still commit")
        effects = self._consensus.handle(Tick())
        if not (self.is_primary or self._chain.signature_count):
            # A node without one signed entry has nothing to lead with: were such nodes to elect one of
            # their own while a large genesis is under way, the service would begin without it. So it
            # asks for no votes, but time passes for it: it must not trust a silent leader for ever.
            effects = attrs.evolve(effects, send=())
        self._consent(effects)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    def _on_submitted(self, event: Submitted) -> None:
        check_payloads(event.payloads)
        group = _group(event.ticket, event.adapter, None, len(event.payloads))
        if self.is_primary:
            self._queue.push(group, [Request(payload, event.caller) for payload in event.payloads])
            return
        leader = self._leadership.leader
        if leader is None:
            raise BusyError("no primary is known at the moment: send again later")
        group = attrs.evolve(group, peer=leader, size_bytes=sum(map(len, event.payloads)))
        self._forwarded.add(group, waiting=self._waiting.requests)
        forward = Forward(event.ticket, event.adapter, event.payloads, event.caller)
        self._effects.append(SendToPeer(leader, encode_forward(forward)))

    def _on_peer(self, event: PeerSent) -> None:
        message = decode(event.message)
        if isinstance(message, Forward):
            self._on_forward(event.sender, message)
        elif isinstance(message, ForwardAnswer):
            self._on_forward_answer(event.sender, message)
        else:
            self._consent(self._consensus.handle(Received(event.sender, message)))

    def _on_forward(self, sender: NodeID, forward: Forward) -> None:
        group = _group(forward.ticket, forward.adapter, sender, len(forward.payloads))
        refusal: Fate | None = None
        if not self.is_primary:
            refusal = NotCommitted("the node asked is not the primary")
        elif forward.adapter not in self._adapters:
            refusal = Rejected("unknown-adapter", f"no ledger {forward.adapter!r} on this network")
        else:
            try:
                self._queue.push(group, [Request(payload, forward.caller) for payload in forward.payloads])
            except BusyError as error:
                refusal = NotCommitted(str(error))
        if refusal is not None:
            group.fates = [refusal] * len(forward.payloads)
            self._answer(group)

    def _on_forward_answer(self, sender: NodeID, answer: ForwardAnswer) -> None:
        group = self._forwarded.get(answer.ticket)
        if group is None or group.peer != sender or len(answer.fates) != len(group.fates):
            return  # An answer that comes after this node gave up on it.
        self._forwarded.remove(group)
        group.peer = None
        group.fates = list(answer.fates)
        group.basis = answer.basis
        self._answer(group)

    def _on_peer_lost(self, peer: NodeID) -> None:
        reason = "the connection to the primary broke before it answered"
        self._abandon([group for group in self._forwarded.all() if group.peer == peer], reason)

    def _abandon(self, groups: list[Group], reason: str) -> None:
        """Answer forwarded groups whose primary may never answer."""
        for group in groups:
            self._forwarded.remove(group)
            self._effects.append(Answer(group.ticket, [NotCommitted(reason)] * len(group.fates)))

    def _answer(self, group: Group) -> None:
        """Pass on the fates of a decided group: to the backup it came from, or once certain here."""
        if group.peer is not None:
            message = encode_answer(ForwardAnswer(group.ticket, group.all_fates(), group.basis))
            self._effects.append(SendToPeer(group.peer, message))
        else:
            self._waiting.add(group)
            self._answer_certain()

    def _answer_certain(self) -> None:
        for group in self._waiting.resolve(self._chain.committed, self._chain.views):
            self._effects.append(Answer(group.ticket, group.all_fates()))

    # ── executing ────────────────────────────────────────────────────────────────────────────────

    def _execute_next(self) -> None:
        """Start the next batch if this node leads, is idle, and the pipeline has room."""
        if (
            self._running is not None
            or not self._queue
            or not self.is_primary
            or self._chain.uncommitted_batches >= limits.PIPELINE_BATCHES_MAX
        ):
            return
        items = self._queue.take()
        self._batch_number += 1
        self._running = _Running(self._batch_number, self._leadership.term, items)
        batch = Batch(
            requests=tuple(item.request for item in items),
            view=self._leadership.term,
            first_seqno=self._chain.head + 1,
            time_ms=self._time_ms,
            randomness=self._randomness,
        )
        adapter = items[0].group.adapter
        self._effects.append(Execute(self._batch_number, adapter, batch, self._chain.store.head()))

    def _on_executed(self, event: BatchExecuted) -> None:
        self._time_ms = max(self._time_ms, event.time_ms)
        self._randomness = event.randomness
        running, self._running = self._running, None
        if running is None or running.number != event.number:
            unreachable(f"batch {event.number} was executed but is not running")
        if not self.is_primary or running.term != self._leadership.term:
            self._refuse(running.items, NotCommitted("leadership moved while the transaction was executed"))
            return
        adapter = running.items[0].group.adapter
        try:
            result = check_result(event.result, len(running.items), self._adapters[adapter])
        except AdapterError as error:
            self._on_adapter_fault(adapter, running.items, str(error))
            return
        placed = self._sequencer.place(result, running.term, self._time_ms)
        self._decide(running.items, placed)
        if placed.entries:
            self._propose(placed)

    def _on_adapter_fault(self, adapter: str, items: list[Queued], reason: str) -> None:
        """Write nothing; find the request at fault by having each executed in a batch of its own."""
        self._effects.append(AdapterFailed(adapter, len(items), reason))
        if len(items) > 1:
            self._queue.push_back_singly(items)
        else:
            self._refuse(items, _ADAPTER_FAULT)

    def _decide(self, items: list[Queued], placed: Placed) -> None:
        deferred: list[Queued] = []
        head = self._chain.head
        basis = TxID(self._chain.views.at(head), head)
        for item, fate in zip(items, placed.fates, strict=True):
            if fate is None:
                deferred.append(item)
                continue
            item.group.basis = basis
            if item.group.decide(item.index, fate):
                self._answer(item.group)
        self._queue.push_back(deferred)

    def _refuse(self, items: list[Queued], fate: Fate) -> None:
        for item in items:
            if item.group.decide(item.index, fate):
                self._answer(item.group)

    # ── consensus ────────────────────────────────────────────────────────────────────────────────

    def _propose(self, placed: Placed) -> None:
        proposal = Proposed(self._leadership.term, placed.first_seqno, placed.entries)
        self._consent(self._consensus.handle(proposal))

    def _consent(self, effects: Effects) -> None:
        """Carry the consensus engine's effects on, in the order its contract demands."""
        if effects.truncate_after is not None:
            self._follower.truncate(effects.truncate_after)
        if effects.append:
            # A primary's own proposals are in its chain already.
            self._follower.add(entry for entry in effects.append if entry.index > self._chain.head)
        if effects.append or effects.truncate_after is not None:
            self._effects.append(Persist(effects.truncate_after, effects.append))
        for send in effects.send:
            self._effects.append(SendToPeer(send.to, encode_consensus(send.message)))
        if effects.commit is not None and effects.commit > self._chain.committed.seqno:
            for txid, writes in self._chain.commit(effects.commit):
                self._effects.append(BatchCommitted(txid, writes))
            self._answer_certain()
        if effects.leadership is not None and effects.leadership != self._leadership:
            self._on_leadership(effects.leadership)

    def _on_leadership(self, leadership: Leadership) -> None:
        before, self._leadership = self._leadership, leadership
        self._effects.append(RoleChanged(leadership))
        if before.role is Role.LEADER and leadership.role is not Role.LEADER:
            self._refuse(self._queue.clear(), NotCommitted("this node is no longer the primary"))
        if leadership.leader != before.leader or leadership.term != before.term:
            stale = [group for group in self._forwarded.all() if group.peer != leadership.leader]
            self._abandon(stale, "the primary changed before it answered")
        if leadership.role is Role.LEADER and before.role is not Role.LEADER:
            # The clocks of those who led before may have been ahead of this node's.
            self._time_ms = max(self._time_ms, self._sequencer.newest_time_ms())
            # Commits what earlier views left: only an entry of its own view commits anything.
            self._propose(self._sequencer.place_writes([], leadership.term, self._time_ms))


def _group(ticket: int, adapter: str, peer: NodeID | None, size: int) -> Group:
    return Group(ticket, adapter, peer, [None] * size, size)
