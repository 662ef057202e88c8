"""On a backup: open replicated entries and check every signature before anything is acknowledged.

Entries are decrypted and their leaves recomputed as they arrive; a signature entry must carry the
root this node computed itself, signed by a node the tables trust. A backup that finds otherwise
raises IntegrityError, and its node stops: nothing unverified is ever acknowledged or applied.

A node's own old ledger is read back the same way: what the disk says is believed no more than a peer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coco_core.base import NodeID, TxID
from coco_core.consensus import Entry
from coco_core.crypto import PublicKey
from coco_core.errors import IntegrityError
from coco_core.governance import read_nodes, signing_keys
from coco_core.kv import Writes, maps
from coco_core.ledger import (
    CHUNK_AFTER,
    EntryOpener,
    OpenedEntry,
    check_root,
    is_signature,
    read_signature,
)
from coco_core.replica.chain import Chain
from coco_core.replica.lineage import Lineage


class Follower:
    """Adds entries somebody else sequenced to this node's chain."""

    def __init__(self, chain: Chain, opener: EntryOpener, lineage: Lineage) -> None:
        """Trust the nodes that the tables in the ledger name and the service has endorsed."""
        self._chain = chain
        self._opener = opener
        self._lineage = lineage
        self._keys: Mapping[NodeID, PublicKey] = {}
        self._nodes_changed = False
        self._service_changed = False

    def add(self, entries: Iterable[Entry]) -> None:
        """Open, check and add entries; raises IntegrityError when one contradicts its proof."""
        for entry in entries:
            opened = self._opener.open(entry.data)
            if (opened.txid.view, opened.txid.seqno) != (entry.term, entry.index):
                raise IntegrityError(f"log entry {entry.term}.{entry.index} holds transaction {opened.txid}")
            if is_signature(opened.writes) != entry.committable:
                raise IntegrityError(f"entry {opened.txid}: signature table and commit flag disagree")
            self._add(opened, len(entry.data))

    def read_back(self, raw: bytes, view: int) -> Entry | None:
        """Open, check and add an entry of this node's own ledger; return it as a log holds it.

        None, and nothing is added, when it is of another ``view`` than the one agreed at its place: it may
        begin an epoch that nobody else knows of. Raises IntegrityError when it contradicts its proof or does
        not follow.
        """
        opened = self._opener.open(raw)
        txid = opened.txid
        if txid.seqno != self._chain.head + 1:
            raise IntegrityError(f"entry {txid} does not follow seqno {self._chain.head}")
        if txid.view < self._chain.views.at(self._chain.head):
            raise IntegrityError(f"entry {txid} is of an earlier view than the one before it")
        if txid.view != view:
            return None
        self._add(opened, len(raw))
        return Entry(txid.view, txid.seqno, raw, is_signature(opened.writes))

    def _add(self, opened: OpenedEntry, size_bytes: int) -> None:
        signs = is_signature(opened.writes)
        if signs:
            self._check(opened.txid, opened.writes)
        self._chain.add(
            opened.txid,
            opened.leaf,
            opened.writes,
            signature=signs,
            size_bytes=size_bytes,
            ends_chunk=bool(opened.flags & CHUNK_AFTER),
        )
        if maps.NODES_INFO in opened.writes or maps.NODES_ENDORSED_CERTIFICATES in opened.writes:
            self._nodes_changed = True
        if maps.SERVICE_INFO in opened.writes:
            self._service_changed = True
        if signs:
            self._service_changed = False
        if signs and self._nodes_changed:
            self.refresh()

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``, and whom those entries made trusted."""
        self._chain.truncate(seqno)
        self.refresh()
        # What is left of a batch that was cut may have changed nodes: its new signature will tell.
        self._nodes_changed = self._service_changed = True

    def refresh(self) -> None:
        """Read the keys that may sign from the tables at the head of the chain."""
        self._keys = signing_keys(read_nodes(self._chain.store.head()))
        self._nodes_changed = False

    def _check(self, txid: TxID, writes: Writes) -> None:
        signature = read_signature(writes)
        if signature is None:
            raise IntegrityError(f"signature entry {txid} is incomplete")
        key = self._signing_keys(txid).get(signature.node)
        if key is None:
            raise IntegrityError(f"signature entry {txid} is by node {signature.node}, not a trusted one")
        check_root(signature, self._chain.tree.root(), txid, key)

    def _signing_keys(self, txid: TxID) -> Mapping[NodeID, PublicKey]:
        if not self._keys:
            # Before the first signature there are no tables yet: who founds the service signs what names it.
            return self._lineage.founding_keys(self._chain.newest_view(), txid)
        if self._service_changed:
            store, after = self._chain.store, self._chain.newest_view()
            before = store.head()
            if self._lineage.replaced(before, after, txid):
                return self._lineage.takeover_keys(before, store.head_version, after, txid)
        return self._keys
