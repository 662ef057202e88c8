"""The tally: it adds numbers to named counters, each addition once.

Every batch that applied something is closed by a block: its number and its time. Must not know nodes,
sockets, files or clocks: what execution may use comes with the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    CommittedBatch,
    ConfigurationField,
    LedgerService,
    Manifest,
    Outcome,
    ReadView,
    Rejected,
    Writes,
    merge,
)
from coco_core.errors import IntegrityError, OperatorError

from coco_tally.front_end import FrontEnd
from coco_tally.transactions import Addition, read

NAME: Final = "tally"
VERSION: Final = "0.1.0"
COUNTERS: Final = "tally.counters"
"""Sealed: counter to its total in decimal."""
SEEN: Final = "public:tally.seen"
"""In the clear: each ID used, to the seqno of its transaction in decimal."""
BLOCKS: Final = "public:tally.blocks"
"""In the clear: ``newest`` to the number and the time of the newest block."""
_NEWEST: Final = b"newest"


class TallyAdapter:
    """Counters that anybody may add to."""

    manifest: Final = Manifest(
        name=NAME,
        version=VERSION,
        engine="",
        maps=(BLOCKS, COUNTERS, SEEN),
        deterministic=True,
        configuration=(
            ConfigurationField(
                name="largest",
                kind="integer",
                description="the largest number that one transaction may add; any unless set",
            ),
        ),
    )

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return one entry with the counters of ``config["counters"]``; raises OperatorError."""
        del randomness  # Nothing here is drawn.
        counters = config.get("counters")
        if not isinstance(counters, dict) or not all(type(total) is int for total in counters.values()):
            raise OperatorError("genesis: 'counters' must map names to whole numbers")
        return [
            {
                COUNTERS: {name.encode(): b"%d" % total for name, total in counters.items()},
                BLOCKS: {_NEWEST: b"0 0"},
            }
        ]

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute requests in order, each on what those before it wrote, and close the batch with a block."""
        largest = batch.configuration.get("largest")
        written: Writes = {}
        state = view.over(written)
        outcomes: list[Outcome] = []
        seqno = batch.first_seqno
        for request in batch.requests:
            outcome = _execute(request.payload, seqno, largest, state)
            if isinstance(outcome, Applied):
                merge(written, outcome.writes)
                seqno += 1
            outcomes.append(outcome)
        closing = _block(batch.time_ms, view) if written else {}
        return BatchResult(outcomes, closing)

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Execute anew what each entry says was added; raises IntegrityError for what it never wrote."""
        written: Writes = {}
        state = view.over(written)
        found: list[Writes] = []
        for entry in entries:
            try:
                again = _again(entry, state)
            except (KeyError, ValueError) as error:
                raise IntegrityError(f"no entry of a tally: {error!r}") from error
            merge(written, again)
            found.append(again)
        return found

    async def serve(self, service: LedgerService) -> None:
        """Serve the front end over HTTP until cancelled."""
        await service.serve_http(FrontEnd(service, counters=COUNTERS, blocks=BLOCKS))

    def committed(self, batch: CommittedBatch) -> None:
        """Take no note: there is no index to keep."""

    def restored(self, view: ReadView) -> None:
        """Rebuild nothing: there is no index to keep."""


def claims(payload: bytes, total: bytes) -> bytes:
    """Return the claims digest of a transaction: with it a receipt proves that it gave this total."""
    return hashlib.sha256(b"coco.tally.receipt.v1\n" + payload + b"\n" + total).digest()


def _execute(payload: bytes, seqno: int, largest: int | None, state: ReadView) -> Applied | Rejected:
    addition = read(payload)
    if addition is None:
        return Rejected("malformed", "expected: add ID COUNTER NUMBER")
    if largest is not None and addition.number > largest:
        return Rejected("too-large", f"the consortium lets nobody add more than {largest} at once")
    used = state.get(SEEN, addition.name)
    if used is not None:
        return Rejected("duplicate", f"transaction {addition.name.decode()} was applied already", used)
    writes = _add(addition, seqno, state)
    total = writes[COUNTERS][addition.counter] or b""
    return Applied(writes, receipt=total, claims=claims(payload, total))


def _add(addition: Addition, seqno: int, state: ReadView) -> Writes:
    total = int(state.get(COUNTERS, addition.counter) or b"0") + addition.number
    return {COUNTERS: {addition.counter: b"%d" % total}, SEEN: {addition.name: b"%d" % seqno}}


def _block(time_ms: int, state: ReadView) -> Writes:
    number = int((state.get(BLOCKS, _NEWEST) or b"0 0").split()[0]) + 1
    return {BLOCKS: {_NEWEST: b"%d %d" % (number, time_ms)}}


def _again(entry: Writes, state: ReadView) -> Writes:
    """Return what an entry must hold; raises KeyError or ValueError for what is no entry of a tally."""
    if set(entry) == {BLOCKS}:
        _, time_ms = (entry[BLOCKS][_NEWEST] or b"").split()
        return _block(int(time_ms), state)
    ((counter, total),) = entry[COUNTERS].items()
    ((name, seqno),) = entry[SEEN].items()
    number = int(total or b"") - int(state.get(COUNTERS, counter) or b"0")
    if state.get(SEEN, name) is not None:
        raise ValueError(f"{name!r} was used before")
    return _add(Addition(name, counter, number), int(seqno or b""), state)
