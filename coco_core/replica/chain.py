"""The sequence this node holds: tree, state layers, view history, members and secrets, moving as one.

Primary and backup feed it the same way, entry by entry; the primary with entries it sealed, a
backup with entries it opened. A signature entry closes the layer of everything since the one
before. Truncation, commit and beginning anew at a snapshot are the only other moves, so nothing of it can
disagree with the rest.

It also knows *snapshot points*: signature entries that end a ledger chunk, when since the last point the
ledger grew by half of what the state holds, so that writing snapshots costs at most a few times
what writing the ledger does. Every node finds the same ones.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

import attrs

from coco_core.base import NodeID, TxID, invariant
from coco_core.consensus import Membership
from coco_core.governance import Members, read_members, tells_members
from coco_core.kv import Pinned, Store, View, Writes, maps, merged
from coco_core.ledger import MerkleTree, Snapshot, SnapshotPlace
from coco_core.replica.ledger_keys import LedgerKeys
from coco_core.replica.views import ViewHistory

Changes = Mapping[str, Mapping[bytes, bytes | None]]


@attrs.frozen(slots=True)
class _Item:
    txid: TxID
    writes: Changes
    size_bytes: int
    ends_chunk: bool


@attrs.frozen(slots=True)
class ChunkFill:
    """How full the newest ledger chunk is."""

    size_bytes: int = 0
    entries: int = 0

    def after(self, item: _Item) -> ChunkFill:
        """Return how full it is with one more entry: not at all behind one that ends a chunk."""
        if item.ends_chunk:
            return ChunkFill()
        return ChunkFill(self.size_bytes + item.size_bytes, self.entries + 1)


@attrs.frozen(slots=True)
class _Layer:
    """One signed batch that is not committed yet."""

    items: tuple[_Item, ...]
    writes: Writes
    fill: ChunkFill
    """How full the newest ledger chunk is after the layer's last entry."""

    @property
    def txid(self) -> TxID:
        return self.items[-1].txid

    def writer_of(self, name: str) -> TxID | None:
        """Return the last entry that writes map ``name``."""
        return next((item.txid for item in reversed(self.items) if name in item.writes), None)


@attrs.frozen(slots=True)
class CommittedLayer:
    """One batch that is committed now."""

    txid: TxID
    writes: Writes
    evidence: TxID | None
    """The entry that records a snapshot's digest, if one does."""
    pinned: Pinned | None
    """The state after it, when this is a snapshot point; to be released."""


class Chain:
    """Everything this node holds of the ledger, in memory."""

    def __init__(self, keys: LedgerKeys, members: Members | None = None) -> None:
        """Start with an empty ledger; ``members`` take part until its entries say who does."""
        self.keys = keys
        self.store = Store()
        self.tree = MerkleTree()
        self.views = ViewHistory()
        self.begins_after = 0
        """Seqno of the snapshot this ledger begins behind: entries up to there are not at hand."""
        self._open: list[_Item] = []
        self._layers: deque[_Layer] = deque()
        self._signatures = array("Q")
        self._committed = TxID(0, 0)
        self._fill = ChunkFill()
        self._committed_fill = ChunkFill()
        self._since_point = 0
        """Bytes of committed entries since the last snapshot point."""
        self._first_members = members
        self._members: list[tuple[int, Members]] = []
        """Sets of members by the entries that tell of them; the last agreed one and all later ones."""
        self._untold = 0

    @property
    def head(self) -> int:
        """Seqno of the newest entry."""
        return self.tree.size - 1

    @property
    def committed(self) -> TxID:
        """Place of the newest committed signature entry."""
        return self._committed

    @property
    def uncommitted_batches(self) -> int:
        """How many signed batches wait for commit."""
        return len(self._layers)

    @property
    def fill(self) -> ChunkFill:
        """How full the newest ledger chunk is, whoever sequenced what is in it."""
        return self._fill

    # ── growing ──────────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        txid: TxID,
        leaf: bytes,
        writes: Changes,
        *,
        signature: bool,
        size_bytes: int,
        ends_chunk: bool = False,
    ) -> None:
        """Append one entry of ``size_bytes``; a signature entry closes the layer."""
        invariant(txid.seqno == self.head + 1, f"entry {txid} does not follow seqno {self.head}")
        self.tree.append(leaf)
        self.views.extend(txid)
        item = _Item(txid, writes, size_bytes, ends_chunk)
        self._open.append(item)
        self._fill = self._fill.after(item)
        if tells_members(writes):
            self._note_members(txid.seqno)
        self.keys.took(txid.seqno, writes, self.newest_view)
        if signature:
            layer_writes = self._open_writes()
            self._layers.append(_Layer(tuple(self._open), layer_writes, self._fill))
            self._open.clear()
            self._signatures.append(txid.seqno)
            self.store.append(txid.seqno, layer_writes)

    def newest_view(self) -> View:
        """Return the state after the newest entry, signed or not."""
        head = self.store.head()
        return head.over(self._open_writes()) if self._open else head

    def _open_writes(self) -> Writes:
        return merged(item.writes for item in self._open)

    @property
    def taking_part(self) -> frozenset[NodeID]:
        """Every node of the last agreed set of members and of those after it."""
        sets = [members.voters | members.learners for _, members in self._members]
        return frozenset[NodeID]().union(*sets)

    # ── members ──────────────────────────────────────────────────────────────────────────────────

    def take_memberships(self) -> list[Membership]:
        """Return the sets of members that entries added since the last call tell of."""
        news = self._members[len(self._members) - self._untold :] if self._untold else []
        self._untold = 0
        return [Membership(seqno, members.voters, members.learners) for seqno, members in news]

    def take_over(self, members: Members) -> None:
        """Let nobody but ``members`` take part behind the newest entry: all others are lost for good."""
        self._members = [(self.head, members)]
        self._untold = 0

    def _note_members(self, seqno: int) -> None:
        members = read_members(self.newest_view())
        if members != (self._members[-1][1] if self._members else self._first_members):
            self._members.append((seqno, members))
            self._untold += 1

    # ── shrinking ────────────────────────────────────────────────────────────────────────────────

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``; committed entries cannot be forgotten."""
        invariant(seqno >= self._committed.seqno, f"truncation to {seqno} below commit {self._committed}")
        items = self._open
        while self._layers and self._layers[-1].txid.seqno > seqno:
            items = [*self._layers.pop().items, *items]
        # A cut inside a batch leaves its first entries open again.
        self._open = [item for item in items if item.txid.seqno <= seqno]
        self._fill = self._layers[-1].fill if self._layers else self._committed_fill
        for item in self._open:
            self._fill = self._fill.after(item)
        while self._signatures and self._signatures[-1] > seqno:
            self._signatures.pop()
        while self._members and self._members[-1][0] > seqno:
            self._members.pop()
        self.keys.truncate(seqno)
        self.store.rollback(seqno)
        self.views.truncate(seqno)
        self.tree.truncate(seqno + 1)

    # ── what is agreed ───────────────────────────────────────────────────────────────────────────

    def commit(self, seqno: int) -> list[CommittedLayer]:
        """Commit every batch up to ``seqno``; return each, oldest first."""
        batches: list[CommittedLayer] = []
        while self._layers and self._layers[0].txid.seqno <= seqno:
            layer = self._layers.popleft()
            self.store.commit(layer.txid.seqno)
            self._committed = layer.txid
            self._committed_fill = layer.fill
            pinned = self.store.pin(layer.txid.seqno) if self._is_point(layer) else None
            evidence = layer.writer_of(maps.SNAPSHOT_EVIDENCE)
            batches.append(CommittedLayer(layer.txid, layer.writes, evidence, pinned))
        invariant(self._committed.seqno == seqno, f"commit of {seqno}, which is no signature entry")
        while len(self._members) > 1 and self._members[1][0] <= seqno:
            del self._members[0]
        return batches

    def _is_point(self, layer: _Layer) -> bool:
        self._since_point += sum(item.size_bytes for item in layer.items)
        if not layer.items[-1].ends_chunk or 2 * self._since_point < self.store.state_size_bytes:
            return False
        self._since_point = 0
        return True

    def snapshot_place(self, seqno: int) -> SnapshotPlace:
        """Return where the snapshot at the committed signature entry ``seqno`` stands."""
        return SnapshotPlace(
            txid=TxID(self.views.at(seqno), seqno),
            leaf=self.tree.leaf(seqno),
            views=self.views.runs(seqno),
        )

    def restart(self, snapshot: Snapshot) -> None:
        """Begin anew behind ``snapshot``, which is ahead of what is committed."""
        place = snapshot.place
        self.store.restore(place.txid.seqno, snapshot.maps)
        self.keys.restart(self.store.view(), place.txid.seqno)
        self.tree = snapshot.tree()
        self.views = ViewHistory(place.views)
        self.begins_after = place.txid.seqno
        self._open.clear()
        self._layers.clear()
        self._signatures = array("Q", [place.txid.seqno])
        self._committed = place.txid
        self._fill = self._committed_fill = ChunkFill()
        self._since_point = 0
        self._members = [(place.txid.seqno, read_members(self.store.head()))]
        self._untold = 0

    @property
    def membership(self) -> Membership:
        """The set of members that the newest entry leaves in force."""
        invariant(self._members, "an empty ledger tells of nobody")
        seqno, members = self._members[-1]
        return Membership(seqno, members.voters, members.learners)

    # ── signatures ───────────────────────────────────────────────────────────────────────────────

    def signature_covering(self, seqno: int) -> int | None:
        """Return the seqno of the first committed signature entry after ``seqno``, or None.

        A signature entry at n covers leaves 0..n-1, so one does not cover itself.
        """
        at = bisect_left(self._signatures, seqno + 1)
        if at == len(self._signatures) or self._signatures[at] > self._committed.seqno:
            return None
        return self._signatures[at]

    @property
    def signature_count(self) -> int:
        """How many signature entries this node knows of so far."""
        return len(self._signatures)
