"""The Sawtooth ledger adapter: one request is one batch, and one block when it is applied.

Ties execution to the contract of ``coco_core.adapter``. What it keeps beside the maps can be made from them:
the tree of state roots, and which signatures have been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from coco_core.adapter import (
    Batch,
    BatchResult,
    CommittedBatch,
    Deferred,
    LedgerService,
    Manifest,
    Outcome,
    ReadView,
    Request,
    Writes,
)
from coco_core.errors import AdapterError, IntegrityError
from coco_sawtooth import records
from coco_sawtooth.batches import Batch as SignedBatch
from coco_sawtooth.chain import Chain
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.execution import Processors
from coco_sawtooth.genesis import genesis_writes
from coco_sawtooth.identity import NAME, VERSION
from coco_sawtooth.limits import ADDRESSES_PER_TRANSACTION, PART_WEIGHT, ROUND_WEIGHT_MAX
from coco_sawtooth.roots import StateRoots
from coco_sawtooth.round import Prepared, Round
from coco_sawtooth.shell import Driver, Place, catch_up, run_together, warm
from coco_sawtooth.signing import Signer


class Part(Protocol):
    """What runs beside execution on every node: a front end, or the host of processors."""

    async def serve(self, service: LedgerService) -> None:
        """Run until cancelled."""
        ...

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of a committed batch, as ``LedgerAdapter.committed`` does."""
        ...

    def restored(self, view: ReadView) -> None:
        """Take note of where state begins, as ``LedgerAdapter.restored`` does."""
        ...


class SawtoothAdapter:
    """Sawtooth on Coco."""

    def __init__(
        self, processors: Processors, parts: Sequence[Part] = (), checked: CheckedBatches | None = None
    ) -> None:
        """Execute with ``processors``; ``parts`` run beside it and share ``checked``."""
        self._driver = Driver(processors)
        self._parts = parts
        self._checked = CheckedBatches() if checked is None else checked
        self._roots = StateRoots()
        self._signer: tuple[bytes, Signer] | None = None
        self._manifest = Manifest(
            name=NAME, version=VERSION, engine="", maps=records.MAPS, deterministic=False
        )

    @property
    def manifest(self) -> Manifest:
        """What it is and which maps it owns; processors elsewhere decide, so nobody may replay it."""
        return self._manifest

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return the writes of the first entry from settings or genesis batches. Raises OperatorError."""
        return genesis_writes(config, randomness)

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute requests, each a serialised ``Batch``, side by side where they do not overlap."""
        head = records.head(view)
        if head is None:
            raise AdapterError("the ledger has no first block")
        await warm(self._roots, view)
        self._roots.stand_at(head, view)
        outcomes: list[Outcome] = []
        while len(outcomes) < len(batch.requests):
            chain = Chain(
                head=head,
                signer=self._signer_of(view),
                roots=self._roots,
                base=view.chain(records.STATE),
                time_s=batch.time_ms // 1000,
                base_seqno=batch.first_seqno - 1,
            )
            round_ = Round(view, chain)
            requests = batch.requests[len(outcomes) :]
            place = Place(head.id, [each.payload for each in requests])
            await self._driver.drive(round_, _Intake(requests, self._checked), place, whole=batch.together)
            outcomes += round_.outcomes
            if round_.has_applied:
                # One round is enough for one batch; the next finds its state changed.
                outcomes += [Deferred()] * (len(batch.requests) - len(outcomes))
        return BatchResult(outcomes)

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Raise IntegrityError: what processors outside the node do, only they could do again."""
        del entries, view
        raise IntegrityError("a Sawtooth ledger is not deterministic, as far as this node knows")

    async def serve(self, service: LedgerService) -> None:
        """Run what clients and processors connect to, until cancelled."""
        keep_roots = partial(catch_up, self._roots, service)
        parts = (partial(part.serve, service) for part in self._parts)
        await run_together([keep_roots, *parts])

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of a committed batch."""
        self._roots.committed(batch)
        for part in self._parts:
            part.committed(batch)

    def restored(self, view: ReadView) -> None:
        """Forget the tree of state roots, and what is under way: state is another one."""
        self._roots.forget()
        self._driver.forget()
        for part in self._parts:
            part.restored(view)

    def _signer_of(self, view: ReadView) -> Signer:
        key = view.get(records.KEYS, records.VALIDATOR)
        if key is None:
            raise AdapterError("the ledger has no validator key")
        if self._signer is None or self._signer[0] != key:
            self._signer = key, Signer(key)
        return self._signer[1]


def _weight(batch: SignedBatch) -> int:
    """Return how much work a batch is to order: its transactions, and more for many addresses."""
    return sum(
        1 + (len(each.inputs) + len(each.outputs)) // ADDRESSES_PER_TRANSACTION for each in batch.transactions
    )


class _Intake:
    """Requests that are read and checked part by part, while those before are executed."""

    def __init__(self, requests: Sequence[Request], checked: CheckedBatches) -> None:
        self._requests = requests
        self._checked = checked
        self._position = 0
        self._weight = 0

    @property
    def are_left(self) -> bool:
        """Whether there is a next part: not all are taken, nor as many as one round executes."""
        return self._position < len(self._requests) and self._weight < ROUND_WEIGHT_MAX

    def at_hand(self) -> list[Prepared]:
        """Return the next part as far as it has been read and checked."""
        return self._part(self._checked.known)

    def take(self) -> list[Prepared]:
        """Return the next part, read and checked."""
        return self._part(self._checked.checked)

    def _part(self, look: Callable[[bytes], Prepared | None]) -> list[Prepared]:
        prepared: list[Prepared] = []
        enough = min(self._weight + PART_WEIGHT, ROUND_WEIGHT_MAX)
        while self._position < len(self._requests) and self._weight < enough:
            found = look(self._requests[self._position].payload)
            if found is None:
                break
            self._weight += _weight(found) if isinstance(found, SignedBatch) else 1
            self._position += 1
            prepared.append(found)
        return prepared
