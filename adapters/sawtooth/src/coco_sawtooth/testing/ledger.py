"""One process that is a whole ledger: the real adapter over a real store, no network.

It does what a primary does, without replication: executes requests in batches and applies the write sets.
Time and randomness are arguments, so two runs give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from coco_core.adapter import (
    Applied,
    Batch,
    Changes,
    CommittedBatch,
    Deferred,
    LedgerAdapter,
    Outcome,
    ReadView,
    Request,
    TxID,
    Writes,
    merge,
)
from coco_core.errors import AdapterError
from coco_sawtooth import messages, records
from coco_sawtooth.records import Block

VIEW: Final = 2
START_MS: Final = 1_700_000_000_000
BATCH_INTERVAL_MS: Final = 1_000


class VersionedStore(Protocol):
    """What the ledger needs of ``coco_core``'s store."""

    def append(self, seqno: int, writes: Mapping[str, Changes]) -> None:
        """Put a layer on top."""
        ...

    def commit(self, seqno: int) -> None:
        """Fold layers into the base."""
        ...

    def rollback(self, seqno: int) -> None:
        """Drop layers above."""
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
        self._batches = 0
        self._open: list[tuple[int, Writes]] = []
        self._add(adapter.genesis(config, bytes(32)))
        self.commit()

    async def execute(self, *batches: messages.Batch | bytes) -> list[Outcome]:
        """Execute batches together, again those that are deferred, and commit; return their fates."""
        raw = [each if isinstance(each, bytes) else each.SerializeToString() for each in batches]
        outcomes: list[Outcome] = []
        while len(outcomes) < len(raw):
            found = await self.speculate(raw[len(outcomes) :])
            outcomes += [each for each in found if not isinstance(each, Deferred)]
            self.commit()
        return outcomes

    async def speculate(self, raw: Sequence[bytes]) -> Sequence[Outcome]:
        """Execute one core batch and leave it uncommitted."""
        self._batches += 1
        batch = Batch(
            requests=tuple(Request(each) for each in raw),
            view=VIEW,
            first_seqno=self.seqno + 1,
            time_ms=START_MS + BATCH_INTERVAL_MS * self._batches,
            randomness=hashlib.sha256(self._batches.to_bytes(8)).digest(),
        )
        result = await self.adapter.execute(batch, self.store.head())
        writes = [each.writes for each in result.outcomes if isinstance(each, Applied)]
        if writes:
            self._add(writes)
        return result.outcomes

    def commit(self) -> None:
        """Commit everything that was executed."""
        for seqno, layer in self._open:
            self.store.commit(seqno)
            self.adapter.committed(CommittedBatch(TxID(VIEW, seqno), layer))
        self._open = []

    def drop(self) -> None:
        """Take back everything that is not committed, as when leadership is lost."""
        if self._open:
            self.seqno = self._open[0][0] - 1
            self._open = []
            self.store.rollback(self.seqno)

    def _add(self, entries: Sequence[Writes]) -> None:
        """Put one core batch on top: its entries, then one seqno for its signature."""
        layer: Writes = {}
        for writes in entries:
            if foreign := writes.keys() - set(self.adapter.manifest.maps):
                raise AdapterError(f"the adapter wrote maps it does not own: {sorted(foreign)}")
            merge(layer, writes)
        self.seqno += len(entries) + 1
        self.store.append(self.seqno, layer)
        self._open.append((self.seqno, layer))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def head(self) -> Block:
        """The newest committed block."""
        found = records.head(self.store.view())
        if found is None:
            raise AdapterError("there is no block")
        return found

    def value(self, address: str) -> bytes | None:
        """Return the committed value of an address."""
        return records.state_value(self.store.view(), address)

    def state(self) -> dict[bytes, bytes]:
        """Return all committed state."""
        return dict(self.store.view().items(records.STATE))
