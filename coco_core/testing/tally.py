"""Tally: the smallest ledger that is one. It adds signed numbers to named counters.

A payload is one line of ASCII, ``add ID COUNTER NUMBER``, or ``quote ID COUNTER URL`` to add the number
found at a URL; what is written is the same, so who executes it anew asks nobody. An ID is used once, as
nonces are in real ledgers, so sending a transaction again is safe: the second is refused as ``duplicate``.
``fail ID`` makes the adapter raise, which is the adapter's fault as the core sees it. Anything else is
refused as ``malformed``. Every batch that applied something closes with a block: its number and its time.

Its front end is HTTP: one payload a line in, one answer a line out. It shows the whole contract of an
adapter in one file; it must not know nodes, consensus or files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    Committed,
    CommittedBatch,
    ConfigurationField,
    Deferred,
    Fetch,
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    Manifest,
    NotCommitted,
    Outcome,
    PendingResponse,
    ReadView,
    Rejected,
    Writes,
    merge,
)
from coco_core.errors import BusyError, FetchError, IntegrityError, MalformedError, OperatorError

COUNTERS: Final = "tally.counters"
"""Private: counter name to its value in decimal."""
SEEN: Final = "public:tally.seen"
"""Transaction IDs used, to the seqno of each."""
BLOCKS: Final = "public:tally.blocks"
"""Singleton: number and time of the newest block."""
_NEWEST: Final = b"newest"

_ADD: Final = re.compile(rb"add ([a-z0-9-]{1,40}) ([a-z]{1,20}) ([+-]?[0-9]{1,9})")
_BUSY: Final = Rejected("fetch-exhausted", "too much was asked of others at once: send it again")
_QUOTE: Final = re.compile(rb"quote ([a-z0-9-]{1,40}) ([a-z]{1,20}) ([!-~]+)")
_NUMBER: Final = re.compile(rb"\s*([+-]?[0-9]{1,9})\s*")
_FAIL: Final = re.compile(rb"fail [a-z0-9-]{1,40}")


@attrs.frozen(kw_only=True)
class TallyMaps:
    """The maps of one tally; a network may run several, each with a name of its own."""

    counters: str = COUNTERS
    seen: str = SEEN
    blocks: str = BLOCKS

    @classmethod
    def of(cls, name: str) -> TallyMaps:
        """Return the maps of the tally called ``name``."""
        return cls(counters=f"{name}.counters", seen=f"public:{name}.seen", blocks=f"public:{name}.blocks")


class Tally:
    """A deterministic ledger of counters."""

    def __init__(self, *, batch_max: int = 1_000_000, name: str = "tally") -> None:
        """Apply at most ``batch_max`` transactions a batch and defer the others."""
        self.maps = TallyMaps.of(name)
        self.manifest = Manifest(
            name=name,
            version="1",
            engine="",
            maps=(self.maps.blocks, self.maps.counters, self.maps.seen),
            deterministic=True,
            fetches=True,
            configuration=(
                ConfigurationField(
                    name="largest",
                    kind="integer",
                    description="the largest number that one transaction may add; any unless set",
                ),
            ),
        )
        self.batches: list[CommittedBatch] = []
        """What this node was told is committed."""
        self._batch_max = batch_max

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return one entry with the counters of ``config["counters"]``; raises OperatorError."""
        del randomness  # Nothing here is drawn.
        counters = config.get("counters")
        if not isinstance(counters, dict) or not all(type(value) is int for value in counters.values()):
            raise OperatorError("genesis: 'counters' must map names to whole numbers")
        return [
            {
                self.maps.counters: {name.encode(): b"%d" % value for name, value in counters.items()},
                self.maps.blocks: {_NEWEST: b"0 0"},
            }
        ]

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute in order; raises ValueError for ``fail``, which no adapter should."""
        pending: Writes = {}
        state = view.over(pending)
        outcomes: list[Outcome] = []
        applied = 0
        for request in batch.requests:
            if applied == self._batch_max:
                break
            payload = await _quoted(request.payload, state, self.maps, batch.fetch)
            if isinstance(payload, Deferred) and applied:
                break
            if isinstance(payload, bytes):
                seqno, largest = batch.first_seqno + applied, batch.configuration.get("largest")
                outcome = _execute_one(payload, state, seqno, self.maps, largest)
            else:
                outcome = _BUSY if isinstance(payload, Deferred) else payload
            if isinstance(outcome, Applied):
                applied += 1
                merge(pending, outcome.writes)
            outcomes.append(outcome)
        outcomes += [Deferred()] * (len(batch.requests) - len(outcomes))
        if not applied:
            return BatchResult(outcomes)
        number = int((view.get(self.maps.blocks, _NEWEST) or b"0").split()[0]) + 1
        return BatchResult(outcomes, {self.maps.blocks: {_NEWEST: b"%d %d" % (number, batch.time_ms)}})

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Add anew what each entry says was added (see adapter.LedgerAdapter)."""
        found: list[Writes] = []
        written: Writes = {}
        state = view.over(written)
        for entry in entries:
            if set(entry) == {self.maps.blocks}:
                number = int((state.get(self.maps.blocks, _NEWEST) or b"0").split()[0]) + 1
                time_ms = int((entry[self.maps.blocks].get(_NEWEST) or b"0 0").split()[1])
                again: Writes = {self.maps.blocks: {_NEWEST: b"%d %d" % (number, time_ms)}}
            else:
                again = self._add_again(entry, state)
            merge(written, again)
            found.append(again)
        return found

    def _add_again(self, entry: Writes, state: ReadView) -> Writes:
        try:
            ((counter, total),) = entry[self.maps.counters].items()
            ((name, seqno),) = entry[self.maps.seen].items()
            number = int(total or b"") - int(state.get(self.maps.counters, counter) or b"0")
            payload = add(name.decode(), counter.decode(), number)
            outcome = _execute_one(payload, state, int(seqno or b""), self.maps)
        except (KeyError, ValueError) as error:
            raise IntegrityError(f"no entry of a tally: {error!r}") from error
        if not isinstance(outcome, Applied):
            raise IntegrityError("a tally refuses what it is said to have applied")
        return outcome.writes

    async def serve(self, service: LedgerService) -> None:
        """Serve lines over HTTP until cancelled."""
        await service.serve_http(TallyFrontEnd(service, self.maps))

    def committed(self, batch: CommittedBatch) -> None:
        """Remember the batch."""
        self.batches.append(batch)

    def restored(self, view: ReadView) -> None:
        """Remember no batch from before ``view``; there is nothing else to rebuild."""
        del view
        self.batches.clear()


@attrs.frozen
class TallyFrontEnd:
    """``POST /``: payloads to submit, one a line. ``GET /NAME``: a counter's committed value."""

    service: LedgerService
    maps: TallyMaps = TallyMaps()

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer one request (see adapter.HTTPHandler)."""
        if request.method == "GET":
            value = self.service.view().get(self.maps.counters, request.target.strip("/").encode())
            return HTTPResponse(status=404 if value is None else 200, body=value or b"")
        try:
            submission = self.service.submit(request.body.splitlines(), caller=request.caller)
        except MalformedError as error:
            return HTTPResponse(status=400, body=str(error).encode())
        except BusyError as error:
            return HTTPResponse(status=503, body=str(error).encode())

        async def answer() -> HTTPResponse:
            fates = [_told(fate) for fate in await submission.wait()]
            return HTTPResponse(body=json.dumps(fates).encode())

        return answer


def add(name: str, counter: str, number: int) -> bytes:
    """Return the payload that adds ``number`` to ``counter`` under the ID ``name``."""
    return f"add {name} {counter} {number:+d}".encode()


def quote(name: str, counter: str, url: str) -> bytes:
    """Return the payload that adds the number found at ``url`` to ``counter`` under the ID ``name``."""
    return f"quote {name} {counter} {url}".encode()


async def _quoted(
    payload: bytes, state: ReadView, maps: TallyMaps, fetch: Fetch | None
) -> bytes | Rejected | Deferred:
    """Return the payload that a quote stands for, once its number is known; any other as it is."""
    match = _QUOTE.fullmatch(payload)
    if match is None:
        return payload
    name, counter, url = (part.decode() for part in match.groups())
    if state.get(maps.seen, match[1]) is not None:
        return add(name, counter, 0)  # Refused as a duplicate: there is nobody to ask.
    if fetch is None:
        return Rejected("fetch-not-allowed", "the consortium lets this ledger ask nobody")
    try:
        fetched = await fetch(url)
    except FetchError as error:
        return Deferred() if error.code == "exhausted" else Rejected(f"fetch-{error.code}", str(error))
    number = _NUMBER.fullmatch(fetched.body)
    if fetched.status != 200 or number is None:
        return Rejected("no-number", f"status {fetched.status}, and no number, at {url}")
    return add(name, counter, int(number[1]))


def _execute_one(
    payload: bytes, state: ReadView, seqno: int, maps: TallyMaps, largest: int | None = None
) -> Outcome:
    if _FAIL.fullmatch(payload):
        raise ValueError("the ledger was asked to fail")
    match = _ADD.fullmatch(payload)
    if match is None:
        return Rejected("malformed", "expected: add ID COUNTER NUMBER")
    name, counter, number = match.groups()
    if largest is not None and int(number) > largest:
        return Rejected("too-large", f"the consortium lets nobody add more than {largest} at once")
    used = state.get(maps.seen, name)
    if used is not None:
        return Rejected("duplicate", f"transaction {name.decode()} was applied already", used)
    total = int(state.get(maps.counters, counter) or b"0") + int(number)
    writes: Writes = {maps.counters: {counter: b"%d" % total}, maps.seen: {name: b"%d" % seqno}}
    return Applied(writes, receipt=b"%d" % total)


def _told(fate: Committed | Rejected | NotCommitted) -> list[str]:
    if isinstance(fate, Committed):
        return ["committed", str(fate.txid), fate.receipt.decode()]
    if isinstance(fate, Rejected):
        return ["rejected", fate.code, fate.message]
    return ["not committed", fate.reason]
