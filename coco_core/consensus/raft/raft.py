"""The built-in consensus engine: Raft with pre-vote, check-quorum and signature-bounded commit.

This file only dispatches: it decodes, brings the node to the term of a message, and hands the event
to the concern it belongs to. Each concern's head states its law.

* ``roles``: follower, pre-candidate, candidate, leader, and the ways between them
* ``election``: who may lead, and the argument why nothing agreed is lost
* ``replication``: appends, acknowledgements, the commit rule
* ``membership``: who has a say, and the argument why one entry can change it
* ``snapshots``: followers that the log alone cannot serve
* ``transfer``: handing leadership over

Sources: Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014); Ongaro's
thesis "Consensus: Bridging Theory and Practice" (2014); CCF's raft for committable entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

from coco_core.base import NodeID, unreachable
from coco_core.consensus.contract import (
    Effects,
    Event,
    LogReader,
    Membership,
    Persisted,
    Proposed,
    Received,
    Reconfigured,
    Role,
    SnapshotAvailable,
    SnapshotFailed,
    SnapshotReceived,
    Status,
    Tick,
    TransferRequested,
)
from coco_core.consensus.raft import election, membership, replication, roles, snapshots, transfer
from coco_core.consensus.raft.core import Core, Draw
from coco_core.consensus.raft.log import Log, LogStart
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    Reject,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    decode,
)
from coco_core.consensus.raft.settings import RaftSettings
from coco_core.errors import PeerError


class Raft:
    """One node's engine; meets :class:`coco_core.consensus.Consensus`."""

    __slots__ = ("_core",)

    def __init__(
        self, settings: RaftSettings, *, draw: Draw, reader: LogReader, start: LogStart | None = None
    ) -> None:
        """Begin as a follower that knows no leader, with an empty log or the one ``start`` tells of.

        ``draw(low, high)`` is the only source of randomness; ``reader`` gives back entries that left
        memory.
        """
        start = start or LogStart()
        log = Log(start, reader, settings.log_cache_max_bytes)
        core = Core(
            settings=settings,
            draw=draw,
            log=log,
            memberships=(Membership(0, settings.members, settings.learners),),
            term=max(settings.first_term, start.last_term, start.agreed_term),
        )
        roles.become_follower(core, core.term, None)
        core.take_effects()
        self._core = core

    @classmethod
    def founder(
        cls, settings: RaftSettings, *, draw: Draw, reader: LogReader, start: LogStart | None = None
    ) -> Self:
        """Begin as the leader of the first term with an empty log: the first node of a new service.

        Or as the leader of ``start.agreed_term`` with the log ``start`` tells of, all agreed: of a service
        that lost its other nodes for good, which are no members any more. Only one node of a service may
        ever be made so, for it leads without having been elected; safe because every other node begins in
        this same term and asks for votes in later ones only. No effects tell of this leadership: the host
        reads ``status()`` and proposes.
        """
        raft = cls(settings, draw=draw, reader=reader, start=start)
        core = raft._core
        core.term -= 1
        roles.become_candidate(core)
        roles.become_leader(core)
        core.take_effects()
        return raft

    def handle(self, event: Event) -> Effects:
        """Advance by one event. Raises PeerError for a malformed message; state is then unchanged."""
        core = self._core
        match event:
            case Received():
                self._receive(event.sender, event.message)
            case Persisted():
                replication.on_persisted(core, event)
            case Proposed():
                replication.propose(core, event)
            case Tick():
                transfer.on_tick(core)
                election.on_tick(core)
            case TransferRequested():
                transfer.on_requested(core, event)
            case Reconfigured():
                _reconfigure(core, event)
            case SnapshotAvailable():
                snapshots.on_available(core, event)
            case SnapshotFailed():
                snapshots.on_failed(core, event)
            case SnapshotReceived():
                snapshots.on_received(core, event)
            case _:
                unreachable(f"no such event: {event!r}")
        return core.take_effects()

    def status(self) -> Status:
        """Return a reading for operators and tests."""
        core = self._core
        return Status(
            role=core.role,
            term=core.term,
            leader=core.leader,
            last_index=core.log.last_index,
            last_term=core.log.last_term,
            commit_index=core.log.commit_index,
            persisted_index=core.log.persisted_index,
            match={peer: progress.match_index for peer, progress in core.progress.items()},
            heard=frozenset(peer for peer, one in core.progress.items() if one.active or one.was_active),
            log_cache_bytes=core.log.cache_bytes,
            memberships=core.memberships,
            awaiting_snapshot={
                peer: progress.snapshot_index
                for peer, progress in core.progress.items()
                if progress.snapshot_index is not None
            },
        )

    # ── messages ─────────────────────────────────────────────────────────────────────────────────

    def _receive(self, sender: NodeID, data: bytes) -> None:
        core = self._core
        if sender == core.node_id:
            raise PeerError("consensus message from this node itself")
        message = decode(data)
        if sender not in core.members and not isinstance(message, _FROM_ANYONE):
            # An answer that comes late: the sender was removed since it was asked.
            return
        if message.term < core.term:
            _answer_stale(core, sender, message)
            return
        if isinstance(message, _FROM_LEADER):
            _check_leader(core, sender, message)
        if message.term > core.term and not _enter_term(core, sender, message):
            return
        _HANDLERS[type(message)](core, sender, message)


def _answer_stale(core: Core, sender: NodeID, message: Message) -> None:
    """Tell a leader or candidate of an earlier term that it is over; leave the rest unanswered."""
    if isinstance(message, VoteRequest):
        core.send(sender, VoteReply(core.term, message.pre, granted=False))
    elif isinstance(message, _FROM_LEADER):
        core.send(sender, StaleTerm(core.term))


def _check_leader(core: Core, sender: NodeID, message: Append | CommitNotice | TimeoutNow) -> None:
    """Raise PeerError if ``sender`` claims to lead a term that another node leads."""
    if message.term == core.term and core.leader not in (None, sender):
        raise PeerError(f"{sender} claims to lead term {core.term}, which {core.leader} leads")


def _enter_term(core: Core, sender: NodeID, message: Message) -> bool:
    """Follow a message into its later term if it may take us there; return whether to handle it."""
    if isinstance(message, VoteRequest):
        if election.ignores(core, message):
            return False
        if message.pre:
            return True
    if isinstance(message, VoteReply) and message.pre and message.granted:
        # The term asked about, not one that has begun.
        return True
    roles.become_follower(core, message.term, sender if isinstance(message, _FROM_LEADER) else None)
    return True


def _reconfigure(core: Core, event: Reconfigured) -> None:
    known = core.progress.keys()
    membership.on_reconfigured(core, event)
    if core.role is Role.LEADER:
        replication.introduce(core, known)


def _acknowledged(core: Core, sender: NodeID, message: Acknowledge) -> None:
    replication.on_acknowledge(core, sender, message)
    transfer.continue_to(core, sender)


def _nothing(_core: Core, _sender: NodeID, _message: StaleTerm) -> None:
    """Do no more: the term of the message has done its work."""


_FROM_LEADER: Final = (Append, CommitNotice, TimeoutNow)
_FROM_ANYONE: Final = (*_FROM_LEADER, VoteRequest)

_HANDLERS: Final[dict[type[Message], Callable[[Core, NodeID, Any], None]]] = {
    Append: replication.on_append,
    CommitNotice: replication.on_commit_notice,
    Acknowledge: _acknowledged,
    Reject: replication.on_reject,
    StaleTerm: _nothing,
    VoteRequest: election.on_vote_request,
    VoteReply: election.on_vote_reply,
    TimeoutNow: election.on_timeout_now,
}
