"""What must hold after every step of a simulated world, whatever the weather.

Each checker is incremental: it looks at what one event changed. Names in quotes are what a violation is
reported under.

* "election safety": at most one node leads a view.
* "log matching": one entry per (view, seqno), everywhere, with one predecessor.
* "leader completeness": who leads holds everything agreed in earlier views.
* "committed prefix": what one node saw committed every node sees, and it never changes.
* "durability": what is agreed stands on the disks of a majority.
* "commit rule": a leader's own commit ends in an entry of its own view.
* "check-quorum": who does not hear a majority stops leading.
* "bases", "roots": batches, state and Merkle roots are equal byte for byte, and equal to the model's.
* "acknowledged": what a client was told is in the committed ledger of the node that told it.
* "answers": every submission is answered once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.base import NodeID
from coco_core.consensus import Entry, Role
from coco_core.replica import FIRST_VIEW
from coco_core.replica.effects import BatchCommitted, Persist, RoleChanged
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.model import Model
from coco_core.testing.violation import ViolationError

BASES_COMPARED_EVERY = 16
"""Batches between two comparisons of a node's whole base with the model's."""


class Judge:
    """Remembers what was promised in one world."""

    def __init__(self, model: Model, founder: Host, quorum_ticks: int) -> None:
        """Judge against ``model``; a leader may go ``quorum_ticks`` of its own without a majority."""
        self.model = model
        self.agreed: list[Entry] = []
        self._leaders: dict[int, NodeID] = {FIRST_VIEW: founder.name}
        self._known: dict[tuple[int, int], tuple[Entry, int]] = {}
        self._agreed_in: dict[int, Entry] = {}
        """By view, the newest entry that was agreed in it; views ascend."""
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
        for entry in effect.entries:
            if entry.index != len(host.log) + 1:
                raise ViolationError("log matching", f"{host.label} stores {entry.index}, which leaves a gap")
            before = host.log[-1].term if host.log else 0
            known = self._known.setdefault((entry.term, entry.index), (entry, before))
            if known[1] != before or (known[0] is not entry and known[0] != entry):
                raise ViolationError(
                    "log matching", f"{host.label} holds another {entry.term}.{entry.index} than others"
                )
            host.log.append(entry)

    def role(self, host: Host, effect: RoleChanged) -> None:
        """Check a change of role ("election safety", "leader completeness")."""
        view = effect.leadership.term
        if effect.leadership.role is not Role.LEADER:
            return
        leader = self._leaders.setdefault(view, host.name)
        if leader != host.name:
            raise ViolationError("election safety", f"{host.label} and another node lead view {view}")
        # Whoever is elected late, in a view before those that agreed on it, need not hold an entry.
        before = [entry for agreed_in, entry in self._agreed_in.items() if agreed_in < view]
        if before:
            self._holds(host, before[-1])

    def _holds(self, leader: Host, entry: Entry) -> None:
        if len(leader.log) < entry.index or leader.log[entry.index - 1].term != entry.term:
            raise ViolationError(
                "leader completeness", f"{leader.label} leads without {entry.term}.{entry.index}"
            )

    def tick(self, host: Host, peers: Collection[NodeID]) -> None:
        """Check that a leader hears a majority ("check-quorum")."""
        if host.leads_since is None:
            return
        silent_since = host.ticks - self._quorum_ticks
        if host.leads_since_tick >= silent_since:
            return
        heard = 1 + sum(host.heard.get(peer, 0) >= silent_since for peer in peers)
        if 2 * heard <= len(peers) + 1:
            raise ViolationError("check-quorum", f"{host.label} leads, hearing {heard} of {len(peers) + 1}")

    # ── commits ──────────────────────────────────────────────────────────────────────────────────

    def commit(self, host: Host, effect: BatchCommitted, hosts: Collection[Host]) -> None:
        """Check one committed batch on one node."""
        txid = effect.txid
        if txid.seqno > len(host.log) or txid.seqno <= host.committed:
            raise ViolationError("committed prefix", f"{host.label} commits {txid} out of place")
        if any(entry.committable for entry in host.log[host.committed : txid.seqno - 1]):
            raise ViolationError("bases", f"{host.label} tells of {txid} and not of a batch before it")
        for entry in host.log[host.committed : txid.seqno]:
            if entry.index > len(self.agreed):
                self._agree(host, entry, hosts)
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

    def _agree(self, host: Host, entry: Entry, hosts: Collection[Host]) -> None:
        self.agreed.append(entry)
        self.model.agree(entry)
        if not entry.committable:
            return
        index = entry.index
        holders = sum(
            len(one.disk.entries) >= index and one.disk.entries[index - 1].term == entry.term for one in hosts
        )
        if 2 * holders <= len(hosts):
            raise ViolationError(
                "durability", f"{entry.term}.{index} is agreed, durable on {holders} of {len(hosts)} nodes"
            )
        view = host.replica.status().view
        self._agreed_in[view] = entry
        for other in hosts:
            if other.leads_since is not None and other.leads_since > view:
                self._holds(other, entry)
        if host.leads_since is not None and entry.term < host.leads_since:
            self._own_view(host, entry)

    def _own_view(self, host: Host, entry: Entry) -> None:
        """A leader agrees on older entries only together with one of its own view."""
        own = host.replica.chain.committed
        if own.view != host.leads_since:
            raise ViolationError("commit rule", f"{host.label} commits {entry.term}.{entry.index} by itself")

    def base(self, host: Host) -> None:
        """Compare a node's whole committed base with the model's ("bases")."""
        view = host.replica.chain.store.view()
        for name, expected in self.model.state.items():
            found = dict(view.items(name))
            if found != {key: value for key, value in expected.items() if value is not None}:
                raise ViolationError("bases", f"{host.label} holds another {name} at {host.committed}")

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
