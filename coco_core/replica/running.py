"""A batch while it is executed: by its ledger in one step, or bundle by bundle, ledger by ledger.

The law of bundles: a bundle's transactions run in order over what those before it wrote, and only once all
were applied does anything of it count; until then what they wrote is laid over the state for the bundle
alone. So an adapter may be asked to execute what is never written, as at any change of leadership.

Must not know leadership, nor how entries are sealed or placed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final

import attrs

from coco_core.adapter import (
    BUNDLES,
    Applied,
    Batch,
    BatchResult,
    BundledTransaction,
    BundlePart,
    BundleReceipt,
    Deferred,
    Fetched,
    FetchRecord,
    Rejected,
    Request,
    bundle_claims,
    encode_bundle_receipt,
    encode_bundle_record,
    read_bundle,
)
from coco_core.adapter.fetching import encode_fetch_record
from coco_core.base import limits
from coco_core.errors import AdapterError, MalformedError
from coco_core.governance import ADMINISTRATION, read_configuration
from coco_core.kv import View, Writes, maps, merge, size_bytes
from coco_core.replica.checking import check_result
from coco_core.replica.effects import Execute
from coco_core.replica.submission import Queued

_MESSAGE_MAX_CHARACTERS: Final = 1_000
_ENTRIES_PER_PART: Final = 3
"""Of a bundle at most: its own, and what its ledger fetched and closed with."""
_NO_LEDGERS: Final = frozenset({ADMINISTRATION, BUNDLES})

Ledgers = Mapping[str, frozenset[str]]
"""Ledgers by name, and the maps each owns."""


@attrs.frozen(kw_only=True)
class AppliedBundle:
    """A bundle that takes effect: what goes before its own entry, in order, and that entry."""

    before: Sequence[Applied]
    own: Applied

    @property
    def entries(self) -> Sequence[Applied]:
        """Every entry, in order."""
        return (*self.before, self.own)

    @property
    def size_bytes(self) -> int:
        """How much is to be written and answered."""
        return sum(size_bytes(one.writes) + len(one.receipt) for one in self.entries)


@attrs.frozen
class BundlesResult:
    """What became of each bundle of a batch, in order."""

    outcomes: Sequence[AppliedBundle | Rejected | Deferred]


Executed = BatchResult | BundlesResult | Exception
"""What executing a batch gave, or what an adapter raised."""
Step = tuple[BatchResult | Exception, tuple[Fetched, ...]]
"""What came of one step: the ledger's result, and what systems outside answered it meanwhile."""
Steps = Generator[Execute, Step, BundlesResult]
"""Bundles under way: yields what is to be executed, and wants to be sent what came of it."""


class Running:
    """The batch that is executed now."""

    def __init__(self, number: int, term: int, items: Sequence[Queued], ledgers: Ledgers) -> None:
        """Execute ``items``, which are for one of ``ledgers`` or are bundles, under ``number``."""
        self.number = number
        self.term = term
        self.items = items
        self.adapter = items[0].group.adapter
        self._ledgers = ledgers
        self._time_ms = 0
        self._steps: Steps | None = None
        self.record: Writes = {}
        """What was fetched meanwhile, to be written behind everything else; bundles hold their own."""

    def begin(self, batch: Batch, view: View) -> Execute | Executed:
        """Return what is to be executed first; or the result, when that is clear already."""
        self._time_ms = batch.time_ms
        if self.adapter != BUNDLES:
            return _execute(self.number, self.adapter, batch, view)
        self._steps = _run(self.number, batch, view, self._ledgers)
        return _resumed(partial(next, self._steps))

    def advance(
        self, result: BatchResult | Exception, fetched: tuple[Fetched, ...] = ()
    ) -> Execute | Executed:
        """Take what came of the last step; return the next one, or the result of all."""
        if self._steps is None:
            self.record = _record(self.adapter, self._time_ms, fetched)
            return result
        try:
            return _resumed(partial(self._steps.send, (result, fetched)))
        except AdapterError as error:
            return error

    def checked(self, result: Executed) -> BatchResult | BundlesResult:
        """Return a result that may be placed; raises AdapterError, see ``check_result``.

        Of bundles, what each ledger gave was checked when it came.
        """
        if isinstance(result, BundlesResult):
            return result
        if self._steps is not None and isinstance(result, AdapterError):
            raise result
        return check_result(result, len(self.items), self._ledgers[self.adapter])


def _resumed(resume: Callable[[], Execute]) -> Execute | BundlesResult:
    """Return what is to be executed next, or what became of all once nothing is."""
    try:
        return resume()
    except StopIteration as done:
        result: BundlesResult = done.value
        return result


def _execute(number: int, ledger: str, batch: Batch, view: View) -> Execute:
    configured = attrs.evolve(batch, configuration=read_configuration(view, ledger))
    return Execute(number, ledger, configured, view)


def _record(ledger: str, time_ms: int, fetched: tuple[Fetched, ...]) -> Writes:
    """Return the entry that tells what was fetched; limits.py sees to it that it always fits."""
    if not fetched:
        return {}
    value = encode_fetch_record(FetchRecord(time_ms=time_ms, fetched=fetched))
    return {maps.FETCHED: {ledger.encode(): value}}


def _run(number: int, batch: Batch, view: View, ledgers: Ledgers) -> Steps:
    """Execute bundles, each over what those before it wrote; what a batch does not hold is put off."""
    written: Writes = {}
    outcomes: list[AppliedBundle | Rejected | Deferred] = []
    seqno, size = batch.first_seqno, 0
    for request in batch.requests:
        parts = _parts(request, ledgers)
        if isinstance(parts, Rejected):
            outcomes.append(parts)
            continue
        placed, most = seqno - batch.first_seqno, _ENTRIES_PER_PART * len(parts) + 1
        if placed and placed + most > limits.BATCH_REQUESTS_MAX:
            break
        own = attrs.evolve(batch, requests=(request,), first_seqno=seqno)
        bundle = _Bundle(own)
        outcome = yield from _run_one(number, parts, bundle, view.over(written), ledgers)
        if isinstance(outcome, AppliedBundle):
            size += outcome.size_bytes
            if size > limits.BATCH_RESULT_MAX_BYTES and seqno > batch.first_seqno:
                break
            seqno += len(outcome.entries)
            for one in outcome.entries:
                merge(written, one.writes)
        outcomes.append(outcome)
        if bundle.fetched:
            break  # What one batch may fetch is for one bundle: no stranger's leaves less for the next.
    outcomes += [Deferred()] * (len(batch.requests) - len(outcomes))
    return BundlesResult(outcomes)


def _run_one(
    number: int, parts: Sequence[BundlePart], bundle: _Bundle, view: View, ledgers: Ledgers
) -> Generator[Execute, Step, AppliedBundle | Rejected]:
    batch = bundle.batch
    caller = batch.requests[0].caller
    for ledger, group in groupby(parts, lambda part: part.ledger):
        requests = tuple(Request(part.payload, caller) for part in group)
        own = attrs.evolve(batch, requests=requests, first_seqno=bundle.next_seqno, together=True)
        result, fetched = yield _execute(number, ledger, own, view.over(bundle.written))
        bundle.fetched = bundle.fetched or bool(fetched)
        try:
            checked = check_result(result, len(requests), ledgers[ledger])
        except AdapterError as error:
            raise AdapterError(f"ledger {ledger}: {error}") from error
        refused = bundle.take(ledger, checked, fetched)
        if refused is not None:
            return refused
    return bundle.closed()


def _parts(request: Request, ledgers: Ledgers) -> Sequence[BundlePart] | Rejected:
    try:
        parts = read_bundle(request.payload)
    except MalformedError as error:
        return Rejected("malformed", str(error))
    for part in parts:
        if part.ledger not in ledgers or part.ledger in _NO_LEDGERS:
            return Rejected("unknown-adapter", f"no ledger {part.ledger[:64]!r} on this network")
    return parts


class _Bundle:
    """What one bundle has written so far."""

    def __init__(self, batch: Batch) -> None:
        """Begin with nothing; ``batch`` is the bundle alone."""
        self.batch = batch
        self.fetched = False
        """Whether one of its ledgers asked a system outside."""
        self._entries: list[Applied] = []
        self._transactions: list[BundledTransaction] = []
        self._receipts: list[bytes] = []
        self.written: Writes = {}
        """By all of its transactions together."""

    @property
    def next_seqno(self) -> int:
        """Where the next entry goes."""
        return self.batch.first_seqno + len(self._entries)

    def take(self, ledger: str, result: BatchResult, fetched: tuple[Fetched, ...]) -> Rejected | None:
        """Note what ``ledger`` made of its transactions; return why the bundle is refused, if it is."""
        for outcome in result.outcomes:
            number = len(self._transactions) + 1
            match outcome:
                case Rejected():
                    message = f"transaction {number} of the bundle, for {ledger}: {outcome.message}"
                    return attrs.evolve(outcome, message=message)
                case Deferred():
                    message = f"{ledger} takes no more than {number - 1} of its transactions at once"
                    return Rejected("bundle-too-large", message)
            if outcome.failure:
                message = f"transaction {number} of the bundle would fail on {ledger}: {outcome.failure}"
                return Rejected("transaction-failed", message[:_MESSAGE_MAX_CHARACTERS])
            claims = outcome.claims
            self._transactions.append(BundledTransaction(ledger=ledger, seqno=self.next_seqno, claims=claims))
            self._receipts.append(outcome.receipt)
            self._add(outcome)
        if result.closing:
            self._add(Applied(result.closing))
        record = _record(ledger, self.batch.time_ms, fetched)
        if record:
            self._add(Applied(record))
        return None

    def closed(self) -> AppliedBundle | Rejected:
        """Return the bundle with its own entry; no batch holds one that writes too much."""
        record = encode_bundle_record(self._transactions)
        receipt = BundleReceipt(record=record, receipts=tuple(self._receipts))
        own = Applied(
            {maps.BUNDLE: {maps.SINGLETON_KEY: record}}, encode_bundle_receipt(receipt), bundle_claims(record)
        )
        bundle = AppliedBundle(before=self._entries, own=own)
        if bundle.size_bytes > limits.BATCH_RESULT_MAX_BYTES:
            most = limits.BATCH_RESULT_MAX_BYTES
            return Rejected("bundle-too-large", f"the bundle writes {bundle.size_bytes} of {most} bytes")
        return bundle

    def _add(self, entry: Applied) -> None:
        self._entries.append(entry)
        merge(self.written, entry.writes)
