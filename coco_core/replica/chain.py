"""The sequence this node holds: Merkle tree, state layers and view history, moving as one.

Primary and backup feed it the same way, entry by entry; the primary with entries it sealed, a
backup with entries it opened. A signature entry closes the layer of everything since the one
before. Truncation and commit are the only other moves, so tree, state and history cannot disagree.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping

import attrs

from coco_core.base import TxID, invariant
from coco_core.kv import Store, Writes, merge
from coco_core.ledger import MerkleTree

Changes = Mapping[str, Mapping[bytes, bytes | None]]


@attrs.frozen(slots=True)
class _Item:
    txid: TxID
    writes: Changes
    size_bytes: int
    ends_chunk: bool


@attrs.frozen(slots=True)
class _Layer:
    """One signed batch that is not committed yet."""

    items: tuple[_Item, ...]
    writes: Changes
    chunk_fill_bytes: int
    """How full the newest ledger chunk is after the layer's last entry."""

    @property
    def txid(self) -> TxID:
        return self.items[-1].txid


class ViewHistory:
    """Which view each seqno was ordered in, as runs."""

    def __init__(self) -> None:
        """Start without any entry."""
        self._starts: list[int] = []
        self._views: list[int] = []

    def extend(self, txid: TxID) -> None:
        """Note that ``txid`` is the newest entry."""
        if not self._views or self._views[-1] != txid.view:
            invariant(not self._views or txid.view > self._views[-1], "views only grow along the ledger")
            self._starts.append(txid.seqno)
            self._views.append(txid.view)

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``."""
        while self._starts and self._starts[-1] > seqno:
            self._starts.pop()
            self._views.pop()

    def at(self, seqno: int) -> int:
        """Return the view of ``seqno``, 0 when there is no such entry."""
        run = bisect_right(self._starts, seqno)
        return self._views[run - 1] if run else 0


class Chain:
    """Everything this node holds of the ledger, in memory."""

    def __init__(self, store: Store, tree: MerkleTree) -> None:
        """Start at the position ``store`` and ``tree`` are in (empty for a new node)."""
        self.store = store
        self.tree = tree
        self.views = ViewHistory()
        self._open: list[_Item] = []
        self._layers: deque[_Layer] = deque()
        self._signatures = array("Q")
        self._committed = TxID(0, 0)
        self._chunk_fill = 0
        self._committed_chunk_fill = 0

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
    def chunk_fill_bytes(self) -> int:
        """Bytes of entries since the last one that ended a ledger chunk, whoever sequenced them."""
        return self._chunk_fill

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
        self._chunk_fill = _fill_after(self._chunk_fill, item)
        if signature:
            merged: Writes = {}
            for item in self._open:
                merge(merged, item.writes)
            self._layers.append(_Layer(tuple(self._open), merged, self._chunk_fill))
            self._open.clear()
            self._signatures.append(txid.seqno)
            self.store.append(txid.seqno, merged)

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``; committed entries cannot be forgotten."""
        invariant(seqno >= self._committed.seqno, f"truncation to {seqno} below commit {self._committed}")
        items = self._open
        while self._layers and self._layers[-1].txid.seqno > seqno:
            items = [*self._layers.pop().items, *items]
        # A cut inside a batch leaves its first entries open again.
        self._open = [item for item in items if item.txid.seqno <= seqno]
        self._chunk_fill = self._layers[-1].chunk_fill_bytes if self._layers else self._committed_chunk_fill
        for item in self._open:
            self._chunk_fill = _fill_after(self._chunk_fill, item)
        while self._signatures and self._signatures[-1] > seqno:
            self._signatures.pop()
        self.store.rollback(seqno)
        self.views.truncate(seqno)
        self.tree.truncate(seqno + 1)

    def commit(self, seqno: int) -> list[tuple[TxID, Changes]]:
        """Commit every batch up to ``seqno``; return place and writes of each, oldest first."""
        batches: list[tuple[TxID, Changes]] = []
        while self._layers and self._layers[0].txid.seqno <= seqno:
            layer = self._layers.popleft()
            self.store.commit(layer.txid.seqno)
            self._committed = layer.txid
            self._committed_chunk_fill = layer.chunk_fill_bytes
            batches.append((layer.txid, layer.writes))
        invariant(self._committed.seqno == seqno, f"commit of {seqno}, which is no signature entry")
        return batches

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
        """How many signature entries the ledger holds so far."""
        return len(self._signatures)


def _fill_after(fill_bytes: int, item: _Item) -> int:
    return 0 if item.ends_chunk else fill_bytes + item.size_bytes
