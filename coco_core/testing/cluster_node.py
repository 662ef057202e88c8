"""One node of a :class:`Cluster`: a replica, and what it left with its host.

Must not know other nodes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from coco_core.adapter import (
    BatchResult,
    Committed,
    Fetched,
    LedgerAdapter,
    NotCommitted,
    Rejected,
    ScopedView,
)
from coco_core.base import NodeID, unreachable
from coco_core.consensus import Entry
from coco_core.errors import CallerError
from coco_core.governance import ADMINISTRATION, Fetching
from coco_core.ledger import IN_PROGRESS_HEADER, Snapshot
from coco_core.replica import (
    Agreed,
    LedgerKeys,
    Replica,
    Restoration,
    ServiceIdentity,
    make_receipt,
)
from coco_core.replica.effects import (
    AdapterFailed,
    BatchCommitted,
    Effect,
    Execute,
    LoadSnapshot,
    PeersChanged,
    Persist,
    ProveSnapshot,
    Retired,
    RoleChanged,
    StoreSnapshotPart,
    TakeSnapshot,
)
from coco_core.replica.events import BatchExecuted, Event, SnapshotLoaded, SnapshotProven, SnapshotTaken
from coco_core.testing.at_once import run_at_once
from coco_core.testing.shelf import SnapshotShelf
from coco_core.testing.stage import SafetyError, StageDisk

Fates = Sequence[Committed | Rejected | NotCommitted]


class ClusterDisk(StageDisk):
    """What one node has written; what it was told to write waits in ``pending``.

    A disk that began at a snapshot holds the entries before it for whoever judges, not for readers.
    """

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

    def begin_after(self, snapshot: Snapshot, entries: Sequence[Entry]) -> None:
        """Begin anew behind ``snapshot``, of whose past others hold ``entries``."""
        self.pending.clear()
        self.compacted_index = snapshot.place.txid.seqno
        self.entries = list(entries[: self.compacted_index])

    def file(self) -> tuple[str, bytes]:
        """Return the ledger as one chunk in progress, for the auditor."""
        return "ledger_1", IN_PROGRESS_HEADER + b"".join(entry.data for entry in self.entries)


@attrs.define(kw_only=True)
class ClusterNode:
    """One replica and its host's state."""

    name: NodeID
    replica: Replica = attrs.field(init=False)
    adapters: Sequence[LedgerAdapter]
    """The ledgers it runs, the first one first."""
    disk: ClusterDisk
    shelf: SnapshotShelf
    fetching: Fetching
    running: Execute | None = None
    answers: dict[int, Fates] = attrs.field(factory=dict)
    """What this node's front ends were told, by ticket."""
    batches: list[BatchCommitted] = attrs.field(factory=list)
    roles: list[RoleChanged] = attrs.field(factory=list)
    faults: list[AdapterFailed] = attrs.field(factory=list)
    """What its log would tell of its adapter."""
    peers: frozenset[NodeID] = frozenset()
    """To whom it may talk."""
    work: deque[TakeSnapshot | ProveSnapshot | LoadSnapshot] = attrs.field(factory=deque)
    """What it does beside everything else, oldest first."""
    retired: bool = False
    crashed: bool = False

    @property
    def adapter(self) -> LedgerAdapter:
        """The first ledger it runs."""
        return self.adapters[0]

    def ledger(self, name: str) -> LedgerAdapter:
        """Return the ledger called ``name``."""
        return next(adapter for adapter in self.adapters if adapter.manifest.name == name)

    def executed(self, running: Execute, now_ms: int) -> BatchExecuted:
        """Have its ledger execute a batch; return what comes of it."""
        result: BatchResult | Exception
        fetched: list[Fetched] = []
        try:
            if running.adapter == ADMINISTRATION:
                result = run_at_once(self.replica.administration.execute(running.batch, running.view))
            else:
                adapter = self.ledger(running.adapter)
                view = ScopedView(running.view, frozenset(adapter.manifest.maps))
                number, given = running.number, running.batch
                with self.fetching.during(number, given, running.view, adapter.manifest) as (batch, fetched):
                    result = run_at_once(adapter.execute(batch, view))
        except (ValueError, CallerError) as error:
            result = error  # Its own, or the view is gone: a snapshot took the state's place.
        return BatchExecuted(running.number, result, now_ms, running.number.to_bytes(32), tuple(fetched))

    def note(self, effect: Effect) -> None:
        """Take what concerns this node and its disk alone."""
        match effect:
            case Persist():
                self.disk.pending.append(effect)
            case AdapterFailed():
                self.faults.append(effect)
            case PeersChanged():
                self.peers = frozenset(effect.peers)
            case Retired():
                self.retired = True
            case StoreSnapshotPart():
                self.shelf.store(effect)
            case TakeSnapshot() | ProveSnapshot() | LoadSnapshot():
                self.work.append(effect)
            case _:
                unreachable(f"not for a node alone: {effect!r}")

    def do_work(self) -> Event | None:
        """Do the oldest piece of work; return what came of it, None when it must wait for the disk."""
        effect = self.work.popleft()
        match effect:
            case TakeSnapshot():
                return SnapshotTaken(effect.place.txid.seqno, self.shelf.take(effect))
            case LoadSnapshot():
                return SnapshotLoaded(effect.seqno, self.shelf.load(effect.seqno, effect.evidence))
        plan, entries = effect.evidence, self.disk.entries
        if self.disk.pending or len(entries) < plan.signature_seqno:
            # What is on the disk may be about to be cut.
            self.work.append(effect)
            return None
        raw, signature = entries[plan.seqno - 1].data, entries[plan.signature_seqno - 1].data
        receipt = make_receipt(plan, raw, signature, self.replica.chain.keys.secrets, cose=False)
        self.shelf.prove(effect.seqno, plan.seqno, receipt)
        return SnapshotProven(effect.seqno)

    def agreed(self) -> Agreed:
        """Return what is agreed, as this node knows it."""
        chain, view = self.replica.chain, self.replica.status().view
        return Agreed(committed=chain.committed, views=chain.views.runs(chain.committed.seqno), view=view)

    def restore(
        self, old: ClusterNode, agreed: Agreed, keys: LedgerKeys, service: ServiceIdentity
    ) -> Restoration:
        """Take over from the disk of ``old`` what may be kept."""
        restored = Restoration(keys, service.certificate, agreed, service.endorsements)
        snapshot = old.shelf.newest()
        if snapshot is not None and restored.begin_at(snapshot):
            self.shelf.proven = dict(old.shelf.proven)
        self.disk.compacted_index = old.disk.compacted_index
        for entry in old.disk.entries[restored.chain.head :]:
            if restored.read_back(entry.data) is None:
                break
        self.disk.entries = old.disk.entries[: restored.chain.committed.seqno]
        return restored

    def state(self) -> dict[str, dict[bytes, bytes]]:
        """Return the committed state, every map that holds anything."""
        store = self.replica.chain.store
        view = store.view()
        return {name: dict(view.items(name)) for name, (keys, _) in store.sizes().items() if keys}
