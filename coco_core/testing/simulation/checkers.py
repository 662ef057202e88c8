"""What must hold after every step of a simulated world, whatever the weather.

Each checker is incremental: it looks at what one event changed. Names in quotes are what a violation is
reported under.

* "election safety": at most one node leads a view, and it is a member.
* "log matching": one entry per (view, seqno), everywhere, with one predecessor.
* "leader completeness": who leads holds everything agreed in earlier views.
* "committed prefix": what one node saw committed every node sees, and it never changes.
* "durability": what is agreed stands on the disks of a majority of every set of members that has a say.
* "commit rule": a leader's own commit ends in an entry of its own view.
* "check-quorum": who does not hear a majority of every such set stops leading.
* "members", "retirement": see ``members``; nobody may end before that is agreed.
* "epochs": see ``epochs``; every agreed entry is sealed under the secret of its place.
* "bases", "roots": batches, state and Merkle roots are equal byte for byte, and equal to the model's.
* "acknowledged": what a client was told is in the committed ledger of the node that told it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.base import NodeID, limits
from coco_core.consensus import Entry, Role
from coco_core.ledger import Snapshot
from coco_core.replica import FIRST_VIEW
from coco_core.replica.effects import BatchCommitted, Persist, RoleChanged
from coco_core.testing.simulation.epochs import EpochJudge
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.members import Members, Proposer, Told, judge_told
from coco_core.testing.simulation.model import Model
from coco_core.testing.violation import ViolationError

BASES_COMPARED_EVERY = 16
"""Batches between two comparisons of a node's whole base with the model's."""


class Judge:
    """Remembers what was promised in one world."""

    def __init__(
        self,
        model: Model,
        members: Members,
        epochs: EpochJudge,
        hosts: Mapping[NodeID, Host],
        founder: NodeID,
        quorum_ticks: int,
    ) -> None:
        """Judge against ``model``; a leader may go ``quorum_ticks`` of its own without a majority."""
        self.model = model
        self.members = members
        self.epochs = epochs
        self.agreed: list[Entry] = []
        self._hosts = hosts
        self._leaders: dict[int, NodeID] = {FIRST_VIEW: founder}
        self._known: dict[tuple[int, int], tuple[Entry, int, Told | None]] = {}
        """Every entry any node stored, the term of the one before, and what it tells of the members."""
        self._agreed_in: dict[int, Entry] = {}
        """By view, the newest entry that was agreed in it; views ascend."""
        self._decided = 0
        """Where the newest agreed batch ends."""
        self._quorum_ticks = quorum_ticks

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────

    def persist(self, host: Host, effect: Persist) -> None:
        """Follow a node's log and check what it adds ("log matching", "committed prefix")."""
        if effect.truncate_after is not None:
            if effect.truncate_after < host.committed:
                raise ViolationError(
                    "committed prefix", f"{host.label} drops what is committed after {effect.truncate_after}"
                )
            del host.log[effect.truncate_after :]
            while host.told[-1].index > effect.truncate_after:
                host.told.pop()
        for entry in effect.entries:
            if entry.index != len(host.log) + 1:
                raise ViolationError("log matching", f"{host.label} stores {entry.index}, which leaves a gap")
            before = host.log[-1].term if host.log else 0
            known = self._known.get((entry.term, entry.index))
            if known is None:
                known = self._first_seen(host, entry, before)
            if known[1] != before or (known[0] is not entry and known[0] != entry):
                raise ViolationError(
                    "log matching", f"{host.label} holds another {entry.term}.{entry.index} than others"
                )
            host.log.append(entry)
            if known[2] is not None:
                host.told.append(known[2])
                host.leads_since_tick = host.ticks

    def _first_seen(self, host: Host, entry: Entry, before: int) -> tuple[Entry, int, Told | None]:
        told = self.members.read(entry, host.told[-1])
        if told is not None:
            agreed = next(one for one in reversed(host.told) if one.index <= host.committed)
            judge_told(told, host.told[-1], agreed, self._proposer(host))
        known = self._known[entry.term, entry.index] = entry, before, told
        return known

    def _proposer(self, host: Host) -> Proposer:
        needed = len(host.log) - limits.CAUGHT_UP_ENTRIES_MAX

        def up_to_date(name: NodeID) -> bool:
            if name == host.name:
                return True
            peer = self._hosts.get(name)
            lately = host.heard.get(name, -self._quorum_ticks) >= host.ticks - self._quorum_ticks
            return peer is not None and lately and peer.disk.durable_index >= needed

        return Proposer(host.label, host.name, host.committed, up_to_date)

    def install(self, host: Host, snapshot: Snapshot) -> None:
        """Follow a node that begins anew at a snapshot ("committed prefix", "bases", "roots")."""
        place = snapshot.place.txid
        if not host.committed < place.seqno <= len(self.agreed):
            raise ViolationError("committed prefix", f"{host.label} begins at {place}, out of place")
        self.begin(host, place.seqno)

    def begin(self, host: Host, seqno: int) -> None:
        """Follow a node whose log now is what is agreed up to ``seqno``, and nothing else."""
        batch = self.model.batches.get(seqno)
        committed = host.replica.chain.committed
        if batch is None or batch.txid != committed:
            raise ViolationError("committed prefix", f"{host.label} begins at {committed}, no agreed batch")
        host.log = self.agreed[:seqno]
        host.told = self.members.up_to(seqno)
        host.committed = seqno
        if host.replica.chain.tree.root(seqno + 1) != batch.root:
            raise ViolationError("roots", f"{host.label} has another Merkle root at {committed}")
        self.base(host)

    # ── leaders ──────────────────────────────────────────────────────────────────────────────────

    def role(self, host: Host, effect: RoleChanged) -> None:
        """Check a change of role ("election safety", "leader completeness")."""
        view = effect.leadership.term
        if effect.leadership.role is not Role.LEADER:
            return
        leader = self._leaders.setdefault(view, host.name)
        if leader != host.name:
            raise ViolationError("election safety", f"{host.label} and another node lead view {view}")
        if not any(host.name in voters for voters in self._active(host)):
            raise ViolationError("election safety", f"{host.label} leads view {view} and is no member")
        # Whoever is elected late, in a view before those that agreed on it, need not hold an entry.
        before = [entry for agreed_in, entry in self._agreed_in.items() if agreed_in < view]
        if before:
            self._holds(host, before[-1])

    def _active(self, host: Host) -> list[frozenset[NodeID]]:
        """Return the sets of voters that have a say as far as ``host`` knows, the newest first."""
        sets: list[frozenset[NodeID]] = []
        for told in reversed(host.told):
            sets.append(told.voters)
            if told.index <= host.committed:
                break
        return sets

    def _holds(self, leader: Host, entry: Entry) -> None:
        if len(leader.log) < entry.index or leader.log[entry.index - 1].term != entry.term:
            raise ViolationError(
                "leader completeness", f"{leader.label} leads without {entry.term}.{entry.index}"
            )

    def tick(self, host: Host) -> None:
        """Check that a leader hears a majority ("check-quorum")."""
        if host.leads_since is None:
            return
        silent_since = host.ticks - self._quorum_ticks
        if host.leads_since_tick >= silent_since:
            return
        for voters in self._active(host):
            heard = sum(one == host.name or host.heard.get(one, 0) >= silent_since for one in voters)
            if 2 * heard <= len(voters):
                raise ViolationError(
                    "check-quorum", f"{host.label} leads, hearing {heard} of {len(voters)} members"
                )

    # ── commits ──────────────────────────────────────────────────────────────────────────────────

    def commit(self, host: Host, effect: BatchCommitted) -> None:
        """Check one committed batch on one node."""
        txid = effect.txid
        if txid.seqno > len(host.log) or txid.seqno <= host.committed:
            raise ViolationError("committed prefix", f"{host.label} commits {txid} out of place")
        if any(entry.committable for entry in host.log[host.committed : txid.seqno - 1]):
            raise ViolationError("bases", f"{host.label} tells of {txid} and not of a batch before it")
        for entry in host.log[host.committed : txid.seqno]:
            if entry.index > len(self.agreed):
                self._agree(host, entry)
            elif self.agreed[entry.index - 1] != entry:
                raise ViolationError(
                    "committed prefix", f"{host.label} commits another entry {entry.term}.{entry.index}"
                )
        host.committed = txid.seqno
        batch = self.model.batches.get(txid.seqno)
        if batch is None or batch.txid != txid:
            raise ViolationError("committed prefix", f"{host.label} commits {txid}, which ends no batch")
        if batch.writes != {name: changes for name, changes in effect.writes.items() if changes}:
            raise ViolationError("bases", f"{host.label} applied other writes at {txid}")
        if host.replica.chain.tree.root(txid.seqno + 1) != batch.root:
            raise ViolationError("roots", f"{host.label} has another Merkle root at {txid}")
        # Several batches may be committed at once: the base has moved behind the last of them already.
        newest = host.replica.chain.committed.seqno == host.committed == len(self.agreed)
        if newest and len(self.model.batches) % BASES_COMPARED_EVERY == 0:
            self.base(host)

    def _agree(self, host: Host, entry: Entry) -> None:
        self.agreed.append(entry)
        self.model.agree(entry)
        told = self._known[entry.term, entry.index][2]
        if told is not None:
            self.members.agree(told)
        self.epochs.agree(entry, self.members.newest)
        if not entry.committable:
            return
        self._durable(entry)
        view = host.replica.status().view
        self._agreed_in[view] = entry
        for other in self._hosts.values():
            if other.leads_since is not None and other.leads_since > view:
                self._holds(other, entry)
        if host.leads_since is not None and entry.term < host.leads_since:
            self._own_view(host, entry)

    def _durable(self, entry: Entry) -> None:
        index, term = entry.index, entry.term
        for voters in self.members.deciding(self._decided, index):
            holders = 0
            for name in voters:
                host = self._hosts.get(name)
                holders += host is not None and host.disk.holds(index, term)
            if 2 * holders <= len(voters):
                raise ViolationError(
                    "durability", f"{term}.{index} is agreed, durable on {holders} of {len(voters)} members"
                )
        self._decided = index

    def _own_view(self, host: Host, entry: Entry) -> None:
        """A leader agrees on older entries only together with one of its own view."""
        own = host.replica.chain.committed
        if own.view != host.leads_since:
            raise ViolationError("commit rule", f"{host.label} commits {entry.term}.{entry.index} by itself")

    def retired(self, host: Host) -> None:
        """Check that a node which is told that it may end is needed by nobody ("retirement")."""
        newest = self.members.newest
        if host.name not in newest.ended:
            status = newest.status.get(host.name, "unknown")
            raise ViolationError("retirement", f"{host.label} may end, which is {status} as agreed")

    def base(self, host: Host) -> None:
        """Compare a node's whole committed base with the model's ("bases")."""
        store = host.replica.chain.store
        view = store.view()
        newest = host.committed == len(self.agreed)
        state = self.model.state if newest else self.model.state_at(host.committed)
        for name, expected in state.items():
            found = dict(view.items(name))
            if found != {key: value for key, value in expected.items() if value is not None}:
                raise ViolationError("bases", f"{host.label} holds another {name} at {host.committed}")
        if strangers := {name for name, (keys, _) in store.sizes().items() if keys} - state.keys():
            raise ViolationError("bases", f"{host.label} holds {sorted(strangers)} at {host.committed}")

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    def answer(
        self, host: Host, names: Iterable[str], fates: Iterable[Committed | Rejected | NotCommitted]
    ) -> None:
        """Check what a front end was told ("acknowledged")."""
        for name, fate in zip(names, fates, strict=True):
            if isinstance(fate, NotCommitted) or (isinstance(fate, Rejected) and fate.code != "duplicate"):
                continue
            placed = self.model.placed.get(name)
            if placed is None or placed.txid.seqno > host.committed:
                raise ViolationError(
                    "acknowledged", f"{host.label} told of {name}, which it has not committed"
                )
            if isinstance(fate, Committed) and (
                fate.txid != placed.txid or fate.receipt != b"%d" % placed.total
            ):
                raise ViolationError("acknowledged", f"{host.label} told {fate} of {name}, which is {placed}")

    def administered(self, host: Host, label: str, fate: Committed | Rejected | NotCommitted) -> None:
        """Check what was told of an administrative transaction ("acknowledged")."""
        if not isinstance(fate, Committed):
            return
        seqno = fate.txid.seqno
        if seqno > host.committed or self.agreed[seqno - 1].term != fate.txid.view:
            raise ViolationError(
                "acknowledged", f"{host.label} told {label} of {fate.txid}, not committed there"
            )
