"""Requests of this node's front ends and of backups, from submission to answer.

The law: a request is answered once, when its fate is certain on the node whose front end took it. On
the primary it waits in the queue for a batch; on a backup it is forwarded, and then waits for this node's
own commit. When leadership moves, everything that waited for it is answered.

Knows the queue, forwards and who waits; must not execute, sequence or know consensus.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

import attrs

from coco_core.adapter import NotCommitted, Rejected, Request
from coco_core.base import NodeID, TxID
from coco_core.errors import BusyError
from coco_core.replica.chain import Chain
from coco_core.replica.effects import Answer, Effect, SendToPeer
from coco_core.replica.events import Submitted
from coco_core.replica.messages import Fate, Forward, ForwardAnswer, encode_answer, encode_forward
from coco_core.replica.submission import Forwarded, Group, Queued, RequestQueue, Waiting, check_payloads

_DISK_FULL = "the disk of this node is full: send to another node, or again when there is room"


class Requests:
    """What one node owes answers for."""

    def __init__(self, chain: Chain, adapters: Container[str], emit: Callable[[Effect], None]) -> None:
        """Take requests for ``adapters``; what is to be sent or answered goes to ``emit``."""
        self._chain = chain
        self._adapters = adapters
        self._emit = emit
        self._queue = RequestQueue()
        self._waiting = Waiting()
        self._forwarded = Forwarded()
        self.disk_full = False
        """Whether this node can store nothing, and so takes nothing."""

    def __bool__(self) -> bool:
        """Whether any request is in line for a batch."""
        return bool(self._queue)

    def statistics(self) -> dict[str, int]:
        """Return sizes for operators."""
        return {
            "queue_requests": len(self._queue),
            "waiting_groups": len(self._waiting),
            "forwarded_groups": len(self._forwarded),
        }

    # ── coming in ────────────────────────────────────────────────────────────────────────────────

    def submit(self, event: Submitted, leader: NodeID | None, *, leads: bool) -> None:
        """Take what a front end of this node submits; raises MalformedError or BusyError."""
        check_payloads(event.payloads)
        if self.disk_full:
            raise BusyError(_DISK_FULL)
        group = _group(event.ticket, event.adapter, None, len(event.payloads))
        if leads:
            self._queue.push(group, [Request(payload, event.caller) for payload in event.payloads])
            return
        if leader is None:
            raise BusyError("no primary is known at the moment: send again later")
        group = attrs.evolve(group, peer=leader, size_bytes=sum(map(len, event.payloads)))
        self._forwarded.add(group, waiting=self._waiting.requests)
        forward = Forward(event.ticket, event.adapter, event.payloads, event.caller)
        self._emit(SendToPeer(leader, encode_forward(forward)))

    def forward(self, sender: NodeID, forward: Forward, *, leads: bool) -> None:
        """Take what a backup forwards, or answer why not."""
        group = _group(forward.ticket, forward.adapter, sender, len(forward.payloads))
        refusal: Fate | None = None
        if not leads:
            refusal = NotCommitted("the node asked is not the primary")
        elif self.disk_full:
            refusal = NotCommitted("the primary's disk is full: send again later")
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

    def answered(self, sender: NodeID, answer: ForwardAnswer) -> None:
        """Take the primary's answer to a forward."""
        group = self._forwarded.get(answer.ticket)
        if group is None or group.peer != sender or len(answer.fates) != len(group.fates):
            return  # An answer that comes after this node gave up on it.
        self._forwarded.remove(group)
        group.peer = None
        group.fates = list(answer.fates)
        group.basis = answer.basis
        self._answer(group)

    # ── batches ──────────────────────────────────────────────────────────────────────────────────

    def take(self) -> list[Queued]:
        """Take the next batch out of the queue."""
        return self._queue.take()

    def decide(self, items: Sequence[Queued], fates: Iterable[Fate | None]) -> None:
        """Note what became of a batch just sequenced; whoever was deferred is first in line again."""
        deferred: list[Queued] = []
        head = self._chain.head
        basis = TxID(self._chain.views.at(head), head)
        for item, fate in zip(items, fates, strict=True):
            if fate is None:
                deferred.append(item)
                continue
            item.group.basis = basis
            if item.group.decide(item.index, fate):
                self._answer(item.group)
        self._queue.push_back(deferred)

    def refuse(self, items: Sequence[Queued], fate: Fate) -> None:
        """Answer all of ``items`` alike, whatever the state."""
        for item in items:
            if item.group.decide(item.index, fate):
                self._answer(item.group)

    def push_back_singly(self, items: Sequence[Queued]) -> None:
        """Have each of ``items`` be a batch of its own, before all others."""
        self._queue.push_back_singly(items)

    # ── going out ────────────────────────────────────────────────────────────────────────────────

    def committed(self) -> None:
        """Answer whoever is certain now that more is committed."""
        for group in self._waiting.resolve(self._chain.committed, self._chain.views):
            self._emit(Answer(group.ticket, group.all_fates()))

    def tick(self) -> None:
        """Let one tick pass, and give up on forwards that waited too long."""
        self._abandon(self._forwarded.tick(), "the primary did not answer in time; it may still commit")

    def peer_lost(self, peer: NodeID) -> None:
        """Give up on forwards to a peer whose connection broke."""
        reason = "the connection to the primary broke before it answered"
        self._abandon([group for group in self._forwarded.all() if group.peer == peer], reason)

    def leader_changed(self, leader: NodeID | None) -> None:
        """Give up on forwards to whoever led before."""
        stale = [group for group in self._forwarded.all() if group.peer != leader]
        self._abandon(stale, "the primary changed before it answered")

    def leads_no_longer(self) -> None:
        """Refuse everything in line."""
        self.refuse(self._queue.clear(), NotCommitted("this node is no longer the primary"))

    def _abandon(self, groups: list[Group], reason: str) -> None:
        """Answer forwarded groups whose primary may never answer."""
        for group in groups:
            self._forwarded.remove(group)
            self._emit(Answer(group.ticket, [NotCommitted(reason)] * len(group.fates)))

    def _answer(self, group: Group) -> None:
        """Pass on the fates of a decided group: to the backup it came from, or once certain here."""
        if group.peer is not None:
            message = encode_answer(ForwardAnswer(group.ticket, group.all_fates(), group.basis))
            self._emit(SendToPeer(group.peer, message))
        else:
            self._waiting.add(group)
            self.committed()


def _group(ticket: int, adapter: str, peer: NodeID | None, size: int) -> Group:
    return Group(ticket, adapter, peer, [None] * size, size)
