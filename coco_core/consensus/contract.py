"""The contract every consensus engine meets: ``handle(event) -> effects``.

The host's four duties, in this order, for every ``Effects`` value it gets back:

1. If ``truncate_after`` is set, forget every entry with a larger index (log, tree, state), and do not
   hand over reports of ``Persisted`` that were made before: they speak of a disk that is no more. If
   ``install`` is set, put log, tree and state at the snapshot last reported with ``SnapshotReceived``
   in the same way: everything before is replaced by it.
2. Store ``append`` durably, in order. Storing may go on in the background; once entries up to an
   index are durable, tell the engine with ``Persisted``. The engine counts or acknowledges an entry
   only after that, so **no message ever promises what a disk does not hold**; the host may therefore
   send at once.
3. Deliver ``send`` (each message may be lost, repeated or reordered).
   ``send_snapshots`` names snapshots for peers that cannot be served from the log: the host transfers
   them by ways of its own, and says so with ``SnapshotFailed`` when that did not work out.
4. When ``commit`` is set, everything up to that index is agreed for ever: apply it. It is durable on a
   quorum; this node's own disk may still be at work on it.

``leadership`` is set when role, term or known leader changed. A node that became leader must
propose a committable entry in the new term at once: only that commits what earlier terms left
(Raft §5.4.2).

Only *committable* entries (for us: signature entries) can be the last agreed one. Entries after the
last committable one are provisional: a new leader drops its own provisional tail first.

**Members** are what entries say, and entries are opaque here, so the host reads them: for every entry
that carries a member set, be it in ``append`` or its own proposal, it hands over ``Reconfigured`` before
any other event. A set has a say from the moment it stands in the log, together with all sets from the
last agreed one on; when it is agreed it has the say alone. The host may switch a removed node off
once an entry is agreed that was proposed after the removal was agreed: until then its vote may be
needed by nodes that do not know of the agreement yet.

Terms and votes are not made durable: a node's identity lives as long as its process, and a
restarted node joins as a new one, so no node can vote twice (see ADR on node identity).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import attrs

from coco_core.base import NodeID
from coco_core.errors import IntegrityError


@attrs.frozen(slots=True)
class Entry:
    """One log entry: ``data`` is opaque; ``committable`` entries may end the agreed prefix."""

    term: int
    index: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    committable: bool


@attrs.frozen(slots=True)
class Membership:
    """Who takes part from the entry at ``index`` on.

    ``voters`` elect and agree. ``learners`` receive the log and count for nothing: a node catches up
    as one of them before a later set makes it a voter.
    """

    index: int
    voters: frozenset[NodeID]
    learners: frozenset[NodeID] = frozenset()


class Role(enum.Enum):
    """What this node currently is to the others."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@attrs.frozen(slots=True)
class Leadership:
    """Role, term and known leader after an event changed one of them."""

    role: Role
    term: int
    leader: NodeID | None


# ── events ───────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen(slots=True)
class Tick:
    """One tick interval of the host's monotonic clock has passed."""


@attrs.frozen(slots=True)
class Received:
    """A message from ``sender``, authenticated by the channel it came through.

    The host admits nodes of its service only. Whether one is a member just now is not for the host to
    say: this node's log may lag behind the one that made it a member, or removed it.
    """

    sender: NodeID
    message: bytes


@attrs.frozen(slots=True)
class Proposed:
    """The host, being leader in ``term``, appends entries; the first gets index ``first_index``.

    ``entries`` are ``(data, committable)`` pairs. Stale proposals (another term, another place)
    are a bug of the host and break an invariant.
    """

    term: int
    first_index: int
    entries: Sequence[tuple[bytes, bool]]


@attrs.frozen(slots=True)
class Persisted:
    """Entries up to ``index``, the last of which has ``term``, are durable on this node.

    One report covers all before it, and one acknowledgement answers it: report as seldom as the disk
    syncs. A report of an entry that another has since replaced is ignored.
    """

    index: int
    term: int


@attrs.frozen(slots=True)
class TransferRequested:
    """The host asks the leader to hand over (to ``target``, or to the most advanced follower).

    A host that asks should stop proposing: what is behind the last committable entry is lost to the
    change. Raises OperatorError for a target that is no member; does nothing on other nodes.
    """

    target: NodeID | None = None


@attrs.frozen(slots=True)
class Reconfigured:
    """The entry at ``membership.index`` of this node's log says who takes part from there on.

    Sets come in the order of the log, each before any other event that follows its entry. A set without
    voters, or out of its place, is a bug of the host and breaks an invariant.
    """

    membership: Membership


@attrs.frozen(slots=True)
class SnapshotAvailable:
    """The host holds a durable snapshot of the state after the agreed entry at ``index`` of ``term``.

    Peers that need entries the ``LogReader`` no longer has are sent the newest one. A host that begins from
    a snapshot says so too.
    """

    index: int
    term: int


@attrs.frozen(slots=True)
class SnapshotFailed:
    """The transfer to ``peer`` that the engine asked for came to nothing; it will ask again later."""

    peer: NodeID


@attrs.frozen(slots=True)
class SnapshotReceived:
    """The host holds a verified, durable snapshot and offers it; it is not in use yet.

    ``leader_term`` is what ``SendSnapshot`` said (or any term in which its sender knew that the state is
    agreed); ``membership`` is the set in force at ``index``. If the effects say ``install``, the host puts
    itself at the snapshot; if not, the log holds that place already and the snapshot is of no use.
    """

    index: int
    term: int
    leader_term: int
    membership: Membership


Event = (
    Tick
    | Received
    | Proposed
    | Persisted
    | TransferRequested
    | Reconfigured
    | SnapshotAvailable
    | SnapshotFailed
    | SnapshotReceived
)


# ── effects ──────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen(slots=True)
class Send:
    """One message to one peer."""

    to: NodeID
    message: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(slots=True)
class SendSnapshot:
    """One peer needs the snapshot at ``index`` of ``term``: entries it lacks are no longer in the log.

    ``leader_term``, the term this node leads, travels with it.
    """

    to: NodeID
    index: int
    term: int
    leader_term: int


@attrs.frozen(slots=True)
class Effects:
    """What the host must do, in the order of the fields (duties in the module's head)."""

    truncate_after: int | None = None
    install: int | None = None
    append: tuple[Entry, ...] = ()
    send: tuple[Send, ...] = ()
    send_snapshots: tuple[SendSnapshot, ...] = ()
    commit: int | None = None
    leadership: Leadership | None = None


@attrs.frozen(slots=True)
class Status:
    """A reading of the engine for operators and tests."""

    role: Role
    term: int
    leader: NodeID | None
    last_index: int
    last_term: int
    commit_index: int
    persisted_index: int
    match: dict[NodeID, int]
    """Leader only: highest index known durable on each peer."""
    heard: frozenset[NodeID]
    """Leader only: the peers that answered lately, in this or the last period of check-quorum."""
    log_cache_bytes: int
    """Bytes of entries held in memory for followers; agreed and durable ones are bounded."""
    memberships: tuple[Membership, ...]
    """The sets that have a say now, in the order of the log: the last agreed one, then those not agreed."""
    awaiting_snapshot: dict[NodeID, int]
    """Leader only: the snapshot under way to each peer that needs one; 0 while there is none to send."""


class EntriesCompactedError(IntegrityError):
    """A ``LogReader`` was asked for entries that a snapshot has replaced on purpose."""


class LogReader(Protocol):
    """Where an engine reads back entries it does not hold in memory.

    Asked only for what was reported with ``Persisted`` and is agreed, or was there at the start. The
    call is part of a ``handle``: it may block for a read of the disk, and must not call the engine.
    """

    def read(self, first_index: int, last_index: int, max_bytes: int) -> Sequence[Entry]:
        """Return consecutive entries from ``first_index`` on, at least one, none after ``last_index``.

        Their data together is at most ``max_bytes``, but the first is returned whatever its size.
        Raises EntriesCompactedError for entries below a snapshot that are gone, IntegrityError when
        storage does not hold what was once persisted.
        """
        ...


class Consensus(Protocol):
    """A pure consensus engine."""

    def handle(self, event: Event) -> Effects:
        """Advance by one event. Raises PeerError for a malformed message; state is then unchanged."""
        ...

    def status(self) -> Status:
        """Return a reading for operators and tests."""
        ...
