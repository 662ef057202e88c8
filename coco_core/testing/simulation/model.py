"""The toy ledger's model: what the agreed sequence of entries says, computed without the node's state.

It opens every agreed entry itself, keeps counters as plain numbers, and grows its own Merkle tree.
Must not read a replica.
"""

from __future__ import annotations

import attrs

from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError
from coco_core.kv import Writes, merge
from coco_core.ledger import EntryOpener, LedgerSecrets
from coco_core.ledger.merkle import MerkleFrontier
from coco_core.testing.tally import BLOCKS, COUNTERS, SEEN
from coco_core.testing.violation import ViolationError


@attrs.frozen(slots=True)
class Issued:
    """A transaction some client sent."""

    counter: str
    amount: int


@attrs.frozen(slots=True)
class Placed:
    """Where an agreed transaction stands, and the total after it."""

    txid: TxID
    total: int


@attrs.frozen(slots=True)
class AgreedBatch:
    """What one signature entry closed."""

    txid: TxID
    root: bytes
    writes: Writes


class Model:
    """The ledger as it should be."""

    def __init__(self, secrets: LedgerSecrets) -> None:
        """Begin with an empty ledger; ``secrets``, which open it, grow with what is agreed."""
        self._opener = EntryOpener(secrets)
        self._tree = MerkleFrontier()
        self._open: Writes = {}
        self._totals: dict[str, int] = {}
        self._newest_block: tuple[int, int] | None = None
        """Number and time."""
        self.issued: dict[str, Issued] = {}
        self.placed: dict[str, Placed] = {}
        self.batches: dict[int, AgreedBatch] = {}
        self.state: Writes = {}

    def agree(self, entry: Entry) -> None:
        """Take the next agreed entry; raises ViolationError if no correct ledger would hold it."""
        try:
            opened = self._opener.open(entry.data)
        except IntegrityError as error:
            raise ViolationError("epochs", f"agreed entry {entry.term}.{entry.index}: {error}") from error
        if opened.txid != TxID(entry.term, entry.index):
            raise ViolationError("ledger", f"entry {entry.term}.{entry.index} holds {opened.txid}")
        self._tree.append(opened.leaf)
        merge(self._open, opened.writes)
        if SEEN in opened.writes:
            self._transaction(opened.txid, opened.writes)
        elif BLOCKS in opened.writes:
            self._block(opened.txid, opened.writes)
        if entry.committable:
            self.batches[entry.index] = AgreedBatch(opened.txid, self._tree.root(), self._open)
            merge(self.state, self._open)
            self._open = {}

    def state_at(self, seqno: int) -> Writes:
        """Return the state after the batch that ended at ``seqno``, put together anew."""
        state: Writes = {}
        for end, batch in self.batches.items():
            if end <= seqno:
                merge(state, batch.writes)
        return state

    def _transaction(self, txid: TxID, writes: Writes) -> None:
        ((key, seqno),) = writes[SEEN].items()
        name = key.decode()
        issued = self.issued.get(name)
        if issued is None:
            raise ViolationError("exactly-once", f"transaction {name} at {txid} was never sent")
        if name in self.placed:
            raise ViolationError("exactly-once", f"{name} stands at {self.placed[name].txid} and {txid}")
        if seqno is None or int(seqno) != txid.seqno:
            raise ViolationError("ledger", f"transaction {name} at {txid} was executed for {seqno!r}")
        total = self._totals.get(issued.counter, 0) + issued.amount
        if writes[COUNTERS] != {issued.counter.encode(): b"%d" % total}:
            raise ViolationError(
                "ledger", f"{name} at {txid} wrote {writes[COUNTERS]}, the model says {total}"
            )
        self._totals[issued.counter] = total
        self.placed[name] = Placed(txid, total)

    def _block(self, txid: TxID, writes: Writes) -> None:
        (value,) = writes[BLOCKS].values()
        number, time_ms = map(int, (value or b"").split())
        if self._newest_block is None:
            self._newest_block = number, time_ms
            return
        before, newest_ms = self._newest_block
        if number != before + 1:
            raise ViolationError("ledger", f"block {number} at {txid} follows block {before}")
        if time_ms < newest_ms:
            raise ViolationError(
                "time", f"block {number} at {txid} is {newest_ms - time_ms} ms before the last"
            )
        self._newest_block = number, time_ms
