"""On the primary: from executed batches to ledger entries, closed by a signature.

One applied outcome is one entry; a batch's closing writes are one more, and what it fetched another; then
comes the signature over the tree so far. Results are checked before they come here (see ``checking``): a
batch is placed whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_core.adapter import NO_CLAIMS, Applied, BatchResult, Committed, Rejected, Writes
from coco_core.base import TxID, limits
from coco_core.governance import tells_members
from coco_core.kv import maps
from coco_core.ledger import CHUNK_AFTER, SIGNATURE_MAPS, EntrySealer, LedgerSigner, signed_at_s
from coco_core.replica.chain import Chain
from coco_core.replica.running import AppliedBundle, BundlesResult


@attrs.frozen(slots=True)
class Placed:
    """Entries ready to propose, and the fate of each request (None: deferred)."""

    first_seqno: int
    entries: list[tuple[bytes, bool]]
    fates: list[Committed | Rejected | None]
    tells_members: bool = False
    """Whether an entry may change who takes part, or who may sign."""


class Sequencer:
    """Seals entries in the order of the ledger and adds them to this node's chain."""

    def __init__(
        self,
        chain: Chain,
        sealer: EntrySealer,
        signer: LedgerSigner,
        chunk_size_bytes: int = limits.CHUNK_SIZE_TARGET_BYTES,
        chunk_entries: int = limits.CHUNK_TARGET_ENTRIES,
    ) -> None:
        """Sign with ``signer``; end a ledger chunk once so many bytes or entries are in it."""
        self._chain = chain
        self._sealer = sealer
        self._signer = signer
        self._chunk_size = chunk_size_bytes
        self._chunk_entries = chunk_entries

    def place(
        self, result: BatchResult | BundlesResult, term: int, time_ms: int, record: Writes | None = None
    ) -> Placed:
        """Turn a checked result into entries, ``record`` the last of them; empty when nothing was applied."""
        entries: list[tuple[bytes, bool]] = []
        fates: list[Committed | Rejected | None] = []
        first = self._chain.head + 1
        for outcome in result.outcomes:
            applied = outcome
            if isinstance(outcome, AppliedBundle):
                for one in outcome.before:
                    self._append(entries, term, one.writes, one.claims)
                applied = outcome.own
            if isinstance(applied, Applied):
                txid = self._append(entries, term, applied.writes, applied.claims)
                fates.append(Committed(txid, applied.receipt))
            else:
                fates.append(outcome if isinstance(outcome, Rejected) else None)
        if isinstance(result, BatchResult) and result.closing:
            self._append(entries, term, result.closing, NO_CLAIMS)
        if entries and record:
            self._append(entries, term, record, NO_CLAIMS)
        if entries:
            self._sign(entries, term, time_ms)
        told = any(isinstance(one, Applied) and tells_members(one.writes) for one in result.outcomes)
        return Placed(first, entries, fates, told)

    def place_writes(
        self, writes: Sequence[Writes], term: int, time_ms: int, *, claims: bytes = NO_CLAIMS
    ) -> Placed:
        """Turn the core's own writes, which make ``claims``, into entries and a signature.

        Only a signature when there are none.
        """
        entries: list[tuple[bytes, bool]] = []
        first = self._chain.head + 1
        for one in writes:
            self._append(entries, term, one, claims)
        self._sign(entries, term, time_ms)
        return Placed(first, entries, [], any(map(tells_members, writes)))

    def newest_time_ms(self) -> int:
        """Return a time that no batch in the ledger is later than; 0 for an empty ledger.

        The newest signature states its time in whole seconds, so this is the end of that second.
        """
        head = self._chain.store.head()
        values = {name: head.get(name, maps.SINGLETON_KEY) for name in SIGNATURE_MAPS}
        signed: Writes = {
            name: {maps.SINGLETON_KEY: value} for name, value in values.items() if value is not None
        }
        return signed_at_s(signed) * 1000 + 999 if signed else 0

    def _append(self, entries: list[tuple[bytes, bool]], term: int, writes: Writes, claims: bytes) -> TxID:
        txid = TxID(term, self._chain.head + 1)
        sealed = self._sealer.seal(txid, writes, claims=claims)
        self._chain.add(txid, sealed.leaf, writes, signature=False, size_bytes=len(sealed.raw))
        entries.append((sealed.raw, False))
        return txid

    def _sign(self, entries: list[tuple[bytes, bool]], term: int, time_ms: int) -> None:
        txid = TxID(term, self._chain.head + 1)
        tree = self._chain.tree
        writes = self._signer.writes(tree.root(), txid, tree.serialise(), time_ms // 1000)
        fill = self._chain.fill
        ends_chunk = fill.size_bytes >= self._chunk_size or fill.entries >= self._chunk_entries
        sealed = self._sealer.seal(txid, writes, flags=CHUNK_AFTER if ends_chunk else 0)
        self._chain.add(
            txid,
            sealed.leaf,
            writes,
            signature=True,
            size_bytes=len(sealed.raw),
            ends_chunk=ends_chunk,
        )
        entries.append((sealed.raw, True))
