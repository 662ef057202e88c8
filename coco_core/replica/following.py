"""On a backup: open replicated entries and check every signature before anything is acknowledged.

Entries are decrypted and their leaves recomputed as they arrive; a signature entry must carry the
root this node computed itself, signed by a node the tables trust. A backup that finds otherwise
raises IntegrityError, and its node stops: nothing unverified is ever acknowledged or applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coco_core.base import NodeID, TxID
from coco_core.consensus import Entry
from coco_core.crypto import PublicKey
from coco_core.errors import IntegrityError
from coco_core.kv import Writes, maps
from coco_core.ledger import CHUNK_AFTER, EntryOpener, check_root, is_signature, read_signature
from coco_core.replica.chain import Chain
from coco_core.replica.membership import read_nodes, signing_keys


class Follower:
    """Adds entries somebody else sequenced to this node's chain."""

    def __init__(self, chain: Chain, opener: EntryOpener, keys: Mapping[NodeID, PublicKey]) -> None:
        """Trust ``keys`` until the tables in the ledger say who may sign."""
        self._chain = chain
        self._opener = opener
        self._founding_keys = dict(keys)
        self._keys = self._founding_keys
        self._nodes_changed = False

    def add(self, entries: Iterable[Entry]) -> None:
        """Open, check and add entries; raises IntegrityError when one contradicts its proof."""
        for entry in entries:
            opened = self._opener.open(entry.data)
            txid = opened.txid
            if (txid.view, txid.seqno) != (entry.term, entry.index):
                raise IntegrityError(f"log entry {entry.term}.{entry.index} holds transaction {txid}")
            signs = is_signature(opened.writes)
            if signs != entry.committable:
                raise IntegrityError(f"entry {txid}: signature table and commit flag disagree")
            if signs:
                self._check(txid, opened.writes)
            self._chain.add(
                txid,
                opened.leaf,
                opened.writes,
                signature=signs,
                size_bytes=len(entry.data),
                ends_chunk=bool(opened.flags & CHUNK_AFTER),
            )
            if maps.NODES_INFO in opened.writes or maps.NODES_ENDORSED_CERTIFICATES in opened.writes:
                self._nodes_changed = True
            if signs and self._nodes_changed:
                self.refresh()

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``, and whom those entries made trusted."""
        self._chain.truncate(seqno)
        self.refresh()
        # What is left of a batch that was cut may have changed nodes: its new signature will tell.
        self._nodes_changed = True

    def refresh(self) -> None:
        """Read the keys that may sign from the tables at the head of the chain."""
        nodes = read_nodes(self._chain.store.head())
        # Before the first signature there are no tables yet: who founds the service signs it.
        self._keys = signing_keys(nodes) if nodes else self._founding_keys
        self._nodes_changed = False

    def _check(self, txid: TxID, writes: Writes) -> None:
        signature = read_signature(writes)
        if signature is None:
            raise IntegrityError(f"signature entry {txid} is incomplete")
        key = self._keys.get(signature.node)
        if key is None:
            raise IntegrityError(f"signature entry {txid} is by node {signature.node}, not a trusted one")
        check_root(signature, self._chain.tree.root(), txid, key)
