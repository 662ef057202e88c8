"""Wrong adapters whose results break a rule that one look at them shows."""

from __future__ import annotations

import json
import sys
from typing import Any

import attrs
import trio

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    CommittedBatch,
    Deferred,
    Outcome,
    ReadView,
    Rejected,
)
from coco_core.base import limits
from coco_core.testing.conformance.wrong.catalogue import Altered, fails
from coco_core.testing.tally import BLOCKS, COUNTERS, Tally


@fails("only_own_maps_are_written")
class WritesAnotherMap(Altered):
    """Keeps a copy where another ledger has its maps."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Write more than is its own."""
        if isinstance(outcome, Applied):
            return attrs.evolve(outcome, writes={**outcome.writes, "beside.counters": {payload[:40]: b"1"}})
        return outcome


@fails("only_own_maps_are_written")
class ClosesInAnotherMap(Altered):
    """Writes its blocks where the consortium keeps its constitution."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Close in two maps."""
        extra: Any = {"public:ccf.gov.constitution": {b"newest": b"1"}} if result.closing else {}
        return attrs.evolve(result, closing={**result.closing, **extra})


@fails("only_own_maps_are_read")
class ReadsAnotherMap(Tally):
    """Looks into the ledger beside it."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Look, then execute."""
        view.get("beside.counters", b"there")
        return await super().execute(batch, view)


@fails("writes_are_dictionaries_of_bytes")
class WritesText(Altered):
    """Forgets to encode its blocks."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Close with text."""
        text: Any = {BLOCKS: {b"newest": "1 1"}} if result.closing else {}
        return attrs.evolve(result, closing=text)


@fails("results_are_within_bounds")
class UnboundedReceipts(Altered):
    """Returns in the receipt whatever a client might want."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Give a receipt of all there is."""
        if isinstance(outcome, Applied) and payload.startswith(b"add valid-1"):
            return attrs.evolve(outcome, receipt=bytes(limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES + 1))
        return outcome


@fails("results_are_within_bounds")
class QuotesWhatItRefuses(Altered):
    """Repeats the payload in the message."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Quote."""
        if isinstance(outcome, Rejected):
            return attrs.evolve(outcome, message=f"{outcome.message}, not {payload!r}")
        return outcome


@fails("results_are_within_bounds")
class WritesHugeKeys(Altered):
    """Takes whole payloads for keys, padded."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Write one key more."""
        if isinstance(outcome, Applied):
            key = payload.ljust(limits.KEY_SIZE_MAX_BYTES + 1)
            counters = {**outcome.writes[COUNTERS], key: b""}
            return attrs.evolve(outcome, writes={**outcome.writes, COUNTERS: counters})
        return outcome


@fails("claims_are_32_bytes")
class ClaimsInHex(Altered):
    """Claims a digest as text in bytes."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Claim 64 bytes."""
        return attrs.evolve(outcome, claims=b"0" * 64) if isinstance(outcome, Applied) else outcome


@fails("rejections_say_why")
class RefusesWithoutACode(Altered):
    """Leaves the code empty."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Say nothing for programs."""
        return attrs.evolve(outcome, code="") if isinstance(outcome, Rejected) else outcome


@fails("the_first_request_is_never_deferred")
class DefersWhatItCannotRead(Altered):
    """Hopes that bytes it cannot read can be read in the next batch."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Put off."""
        return Deferred() if isinstance(outcome, Rejected) and outcome.code == "malformed" else outcome


@fails("nothing_is_closed_where_nothing_was_applied")
class ClosesEveryBatch(Altered):
    """Makes a block of nothing."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Close in any case."""
        return BatchResult(result.outcomes, result.closing or {BLOCKS: {b"empty": b"%d" % batch.time_ms}})


@fails("every_request_has_one_outcome")
class ForgetsAnOutcome(Altered):
    """Says nothing of an empty payload at the end."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Leave one out."""
        shorter = result.outcomes[:-1] if batch.requests[-1].payload == b"" else result.outcomes
        return BatchResult(shorter, result.closing)


@fails("every_request_has_one_outcome")
class ReturnsAGenerator(Altered):
    """Returns outcomes that are not there yet for an empty payload."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Return an iterator."""
        lazy: Any = iter(result.outcomes)
        refused = all(isinstance(one, Rejected) for one in result.outcomes)
        return BatchResult(lazy if refused else result.outcomes, result.closing)


@fails("execute_raises_nothing")
class RaisesOnBytes(Tally):
    """Decodes a payload as UTF-8 without care."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Decode, then execute."""
        for request in batch.requests:
            request.payload.decode()
        return await super().execute(batch, view)


@fails("execute_raises_nothing")
class ReadsWithoutBounds(Tally):
    """Takes payloads that begin as JSON for JSON that can be read."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Read, then execute."""
        for request in batch.requests:
            if request.payload[:1] in (b"[", b"{"):
                try:
                    json.loads(request.payload)
                except ValueError:
                    continue
        return await super().execute(batch, view)


@fails("execute_raises_nothing")
class EndsTheProcess(Tally):
    """Gives up at what it cannot read."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Exit, or execute."""
        if any(request.payload[:1] == b"9" for request in batch.requests):
            sys.exit("no transaction")
        return await super().execute(batch, view)


@fails("execute_returns")
class WaitsForEver(Tally):
    """Waits for what does not come."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Wait, or execute."""
        if any(request.payload[:1] == b"9" for request in batch.requests):
            await trio.sleep_forever()
        return await super().execute(batch, view)


@fails("what_is_handed_over_is_left_alone")
class ChangesTheStore(Tally):
    """Counts in the very dictionaries that it was shown."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute, and count."""
        base: Any = view.chain(COUNTERS)[-1]
        result = await super().execute(batch, view)
        base[b"executed"] = b"%d" % batch.time_ms
        return result


@fails("what_is_handed_over_is_left_alone")
class ChangesTheBatch(Tally):
    """Fills in a default in what the consortium configured."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Set a default, then execute."""
        configuration: Any = batch.configuration
        configuration.setdefault("largest", 10**9)
        return await super().execute(batch, view)


@fails("what_is_handed_over_is_left_alone")
class ChangesWhatItIsTold(Tally):
    """Takes what it has indexed out of what it is told."""

    def committed(self, batch: CommittedBatch) -> None:
        """Take it out."""
        super().committed(batch)
        told: Any = batch.writes.get(COUNTERS, {})
        told.clear()


@fails("nothing_is_read_after_execution")
class KeepsWhatItBeganWith(Tally):
    """Keeps the view that it was restored from."""

    def __init__(self) -> None:
        """Begin without one."""
        super().__init__()
        self._begun: ReadView | None = None

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Look at what was, then execute."""
        if self._begun is not None:
            self._begun.get(COUNTERS, b"begun")
        return await super().execute(batch, view)

    def restored(self, view: ReadView) -> None:
        """Keep it."""
        super().restored(view)
        self._begun = view


@fails("nothing_is_read_after_execution")
class ReadsLater(Tally):
    """Keeps the view for the next time."""

    def __init__(self) -> None:
        """Begin without one."""
        super().__init__()
        self._before: ReadView | None = None

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Look at what was, then execute."""
        if self._before is not None and self._before.version == view.version:
            self._before.get(COUNTERS, b"shared")
        self._before = view
        return await super().execute(batch, view)
