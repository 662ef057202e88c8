"""One process that is a whole ledger: the real adapter over a real store, no network.

It does what a primary does, without replication: executes requests in batches and applies the write sets.
Time and randomness are arguments, so two runs give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from coco_corda import records
from coco_corda.payloads import Payload, Submission, encode
from coco_core.adapter import (
    Applied,
    Batch,
    Changes,
    CommittedBatch,
    LedgerAdapter,
    Outcome,
    ReadView,
    Request,
    TxID,
    Writes,
    merge,
)

VIEW: Final = 2
START_MS: Final = 1_700_000_000_000


class VersionedStore(Protocol):
    """What the ledger needs of ``coco_core``'s store."""

    def append(self, seqno: int, writes: Mapping[str, Changes]) -> None:
        """Put a layer on top."""
        ...

    def commit(self, seqno: int) -> None:
        """Fold layers into the base."""
        ...

    def head(self) -> ReadView:
        """Return a view of base and layers."""
        ...

    def view(self, seqno: int | None = None) -> ReadView:
        """Return a committed view."""
        ...


class Ledger:
    """An adapter's ledger in one process."""

    def __init__(self, adapter: LedgerAdapter, store: VersionedStore, config: Mapping[str, Any]) -> None:
        """Begin a ledger from the genesis ``config`` in an empty ``store``."""
        self.adapter = adapter
        self.store = store
        self.seqno = 0
        self.time_ms = START_MS
        self.configuration: dict[str, Any] = {}
        self._add(adapter.genesis(config, bytes(32)))

    async def execute(self, *requests: bytes | Payload) -> Sequence[Outcome]:
        """Execute requests together and commit; bytes are transactions. Return their fates."""
        payloads = [Submission(stx=each) if isinstance(each, bytes) else each for each in requests]
        batch = Batch(
            requests=tuple(Request(encode(each)) for each in payloads),
            view=VIEW,
            first_seqno=self.seqno + 1,
            time_ms=self.time_ms,
            randomness=hashlib.sha256(self.seqno.to_bytes(8)).digest(),
            configuration=self.configuration,
        )
        result = await self.adapter.execute(batch, self.store.head())
        writes = [each.writes for each in result.outcomes if isinstance(each, Applied)]
        if writes:
            self._add(writes)
        return result.outcomes

    def _add(self, entries: Sequence[Writes]) -> None:
        """Commit one core batch: its entries, then one seqno for its signature."""
        layer: Writes = {}
        for writes in entries:
            merge(layer, writes)
        self.seqno += len(entries) + 1
        self.store.append(self.seqno, layer)
        self.store.commit(self.seqno)
        self.adapter.committed(CommittedBatch(TxID(VIEW, self.seqno), layer))

    @property
    def view(self) -> ReadView:
        """Committed state."""
        return self.store.view()

    def receipt(self, outcome: Outcome) -> records.Receipt:
        """Return the receipt of what was applied."""
        if not isinstance(outcome, Applied):
            raise TypeError(f"not applied: {outcome}")
        return records.Receipt.unpack(outcome.receipt)
