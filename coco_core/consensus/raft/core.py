"""The mutable state of one Raft node, and the effects one event has collected so far.

This is the only mutable value the concerns (roles, election, replication, membership, snapshots,
transfer) share. It holds state and decides nothing; the one thing it does on its own is to keep what
follows from the members (``configure``): who decides, who is known, and a ``Progress`` for each peer.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from coco_core.base import NodeID
from coco_core.consensus.contract import Effects, Entry, Leadership, Membership, Role, Send, SendSnapshot
from coco_core.consensus.raft.log import Log
from coco_core.consensus.raft.messages import Message, encode
from coco_core.consensus.raft.progress import Progress
from coco_core.consensus.raft.quorum import Configuration
from coco_core.consensus.raft.settings import RaftSettings

Draw = Callable[[int, int], int]
"""``draw(low, high)`` returns an integer from low to high, both included: the only randomness."""


@attrs.define(slots=True)
class Transfer:
    """A leadership transfer under way."""

    target: NodeID
    asked: bool = False
    """The target was caught up and told to stand."""
    elapsed: int = 0
    """Ticks since it was requested."""


@attrs.define(slots=True)
class EncodedAppend:
    """The last append encoded: followers in step get the same bytes, so they are made once."""

    place: tuple[int, int, int, int]
    """Term, next index, last index of the log and commit index it was made for."""
    last_index: int
    message: bytes


@attrs.define(slots=True, kw_only=True)
class Core:
    """Everything one node knows."""

    settings: RaftSettings
    draw: Draw
    log: Log
    memberships: tuple[Membership, ...]
    """The active sets of members, in the order of the log: the last agreed one first."""
    term: int
    role: Role = Role.FOLLOWER
    leader: NodeID | None = None
    configuration: Configuration = attrs.field(init=False)
    """The voters of every active set."""
    members: frozenset[NodeID] = attrs.field(init=False)
    """Every node of every active set, learners and this node included."""
    voted_for: NodeID | None = None

    commit_term: int = 0
    """The term this node was in when it last learned that something is agreed."""
    matched_index: int = 0
    """Follower: the log agrees with that of the leader of this term up to here."""
    votes: dict[NodeID, bool] = attrs.field(factory=dict)
    """Candidate: the answers so far, its own included."""
    progress: dict[NodeID, Progress] = attrs.field(factory=dict)
    """Leader: one for each other member, in the order of their IDs."""
    transfer: Transfer | None = None
    encoded_append: EncodedAppend | None = None
    read_back: bool = False
    """Whether the event under way has read entries back from storage already."""

    election_elapsed: int = 0
    election_timeout: int = 0
    heartbeat_elapsed: int = 0

    _truncate_after: int | None = None
    _install: int | None = None
    _append: tuple[Entry, ...] = ()
    _send: list[Send] = attrs.field(factory=list)
    _send_snapshots: list[SendSnapshot] = attrs.field(factory=list)
    _commit: int | None = None
    _reported: Leadership | None = None

    @property
    def node_id(self) -> NodeID:
        """Return who this node is."""
        return self.settings.node_id

    def __attrs_post_init__(self) -> None:
        """Derive what follows from the members."""
        self.configure(self.memberships)

    @property
    def peers(self) -> tuple[NodeID, ...]:
        """Return the other members, in a fixed order."""
        return tuple(sorted(self.members - {self.node_id}))

    def configure(self, memberships: tuple[Membership, ...]) -> None:
        """Let ``memberships`` be the active sets; a leader begins to serve peers new to it."""
        self.memberships = memberships
        self.configuration = Configuration(tuple(m.voters for m in memberships))
        self.members = self.configuration.nodes.union(*(m.learners for m in memberships))
        known, last_index = self.progress, self.log.last_index
        self.progress = {}
        if self.role is Role.LEADER:
            self.progress = {peer: known.get(peer) or Progress(last_index + 1) for peer in self.peers}
        if self.transfer is not None and self.transfer.target not in memberships[-1].voters:
            self.transfer = None

    # ── effects ──────────────────────────────────────────────────────────────────────────────────

    def send(self, to: NodeID, message: Message) -> None:
        """Add a message to the effects."""
        self._send.append(Send(to, encode(message)))

    def send_encoded(self, to: NodeID, message: bytes) -> None:
        """Add a message already encoded to the effects."""
        self._send.append(Send(to, message))

    def truncate_after(self, index: int) -> None:
        """Cut the log after ``index`` and tell the host; raises IntegrityError below what is agreed."""
        self.log.truncate_after(index)
        self._truncate_after = index

    def install(self, index: int, term: int) -> None:
        """Begin the log anew behind a snapshot and tell the host."""
        self.log.install(index, term)
        self.commit_term = self.term
        self._install = index

    def send_snapshot(self, to: NodeID, index: int, term: int) -> None:
        """Add a snapshot to be transferred to the effects."""
        self._send_snapshots.append(SendSnapshot(to, index, term, self.term))

    def append(self, entries: tuple[Entry, ...]) -> None:
        """Add ``entries`` to the log and tell the host to store them."""
        self.log.append(entries)
        self._append = entries

    def commit(self, index: int) -> bool:
        """Note that everything up to ``index`` is agreed and tell the host; return whether that is news."""
        news = self.log.commit(index)
        if news:
            self._commit = index
            self.commit_term = self.term
        return news

    def take_effects(self) -> Effects:
        """Return what was collected since the last call, and begin anew."""
        leadership = Leadership(self.role, self.term, self.leader)
        effects = Effects(
            truncate_after=self._truncate_after,
            install=self._install,
            append=self._append,
            send=tuple(self._send),
            send_snapshots=tuple(self._send_snapshots),
            commit=self._commit,
            leadership=None if leadership == self._reported else leadership,
        )
        self._reported = leadership
        self._truncate_after, self._install, self._append, self._commit = None, None, (), None
        self.read_back = False
        self._send.clear()
        self._send_snapshots.clear()
        return effects
