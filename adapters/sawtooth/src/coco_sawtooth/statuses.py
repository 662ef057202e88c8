"""What became of batches: committed ones are read from the chain, the rest is what this node remembers. Pure.

Who restarts a node loses what it remembers, as with a validator; committed batches are in the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import attrs

from coco_core.adapter import ReadView, TxID
from coco_sawtooth import records
from coco_sawtooth.limits import INVALID_STATUSES_MAX, INVALID_STATUSES_SIZE_MAX_BYTES, PLACES_MAX
from coco_sawtooth.messages import ClientBatchStatus


@attrs.frozen
class Noted:
    """What a node remembered of some batches at one moment; may be looked at in a thread."""

    pending: Set[str]
    invalid: Mapping[str, ClientBatchStatus]

    def of(self, view: ReadView, batch_id: str) -> ClientBatchStatus:
        """Return a batch's status, ``view`` being that of the same moment."""
        if records.number_of_batch(view, batch_id) is not None:
            return ClientBatchStatus(batch_id=batch_id, status=ClientBatchStatus.COMMITTED)
        if batch_id in self.pending:
            return ClientBatchStatus(batch_id=batch_id, status=ClientBatchStatus.PENDING)
        invalid = self.invalid.get(batch_id)
        return invalid or ClientBatchStatus(batch_id=batch_id, status=ClientBatchStatus.UNKNOWN)


class Statuses:
    """Batches this node took, as far as they are not committed."""

    def __init__(self) -> None:
        """Start with none."""
        self._pending: set[str] = set()
        self._invalid: dict[str, ClientBatchStatus] = {}
        self._invalid_bytes = 0
        self._places: dict[str, TxID] = {}

    @property
    def pending(self) -> int:
        """How many are under way."""
        return len(self._pending)

    def is_pending(self, batch_id: str) -> bool:
        """Tell whether a batch is under way."""
        return batch_id in self._pending

    def took(self, batch_ids: Iterable[str]) -> None:
        """Note that batches are under way, also such as were invalid before."""
        for batch_id in batch_ids:
            self._forget_invalid(batch_id)
            self._pending.add(batch_id)

    def ended(self, batch_ids: Iterable[str]) -> None:
        """Note that batches are no longer under way: committed, or nobody knows."""
        self._pending.difference_update(batch_ids)

    def placed(self, batch_id: str, place: TxID) -> None:
        """Note where in the core's ledger a batch is; the oldest are forgotten beyond the bound."""
        self._places[batch_id] = place
        if len(self._places) > PLACES_MAX:
            del self._places[next(iter(self._places))]

    def place(self, batch_id: str) -> TxID | None:
        """Return where in the core's ledger a batch is that this node took; None where it is forgotten."""
        return self._places.get(batch_id)

    def refused(self, status: ClientBatchStatus) -> None:
        """Note that a batch is invalid, and why; the oldest are forgotten beyond the bounds."""
        self._pending.discard(status.batch_id)
        self._forget_invalid(status.batch_id)
        self._invalid[status.batch_id] = status
        self._invalid_bytes += status.ByteSize()
        while (
            len(self._invalid) > INVALID_STATUSES_MAX or self._invalid_bytes > INVALID_STATUSES_SIZE_MAX_BYTES
        ):
            self._forget_invalid(next(iter(self._invalid)))

    def _forget_invalid(self, batch_id: str) -> None:
        status = self._invalid.pop(batch_id, None)
        if status is not None:
            self._invalid_bytes -= status.ByteSize()

    def noted(self, batch_ids: Iterable[str]) -> Noted:
        """Return what is noted of batches now."""
        told = set(batch_ids)
        invalid = {each: self._invalid[each] for each in told if each in self._invalid}
        return Noted(told & self._pending, invalid)
