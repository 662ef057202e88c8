"""The ledger itself: a register of names, each of which is given a value once.

A transaction is ``NAME VALUE``; whoever registers a name first has it. Put your own rules in the place of
``_register`` and ``_register_again``; the rest is what most adapters look like. Must not know nodes, sockets,
files or clocks: what execution may use comes with the batch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    CommittedBatch,
    LedgerService,
    Manifest,
    Outcome,
    ReadView,
    Rejected,
    Writes,
    merge,
)
from coco_core.errors import IntegrityError, OperatorError

from coco_untitled.front_end import FrontEnd

NAME: Final = "untitled"
VERSION: Final = "0.1.0"
RECORDS: Final = "untitled.records"
"""Sealed: each registered name to ``TIME VALUE``; the time is Unix milliseconds in decimal."""

_TRANSACTION: Final = re.compile(rb"([a-z0-9-]{1,64}) ([ -~]{1,256})")


class UntitledAdapter:
    """A register of names; first come, first served."""

    manifest: Final = Manifest(name=NAME, version=VERSION, engine="", maps=(RECORDS,), deterministic=True)

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return one entry with what ``config["records"]`` registers from the start; raises OperatorError."""
        del randomness  # Nothing here is drawn.
        records = config.get("records", {})
        if not isinstance(records, dict) or not all(isinstance(value, str) for value in records.values()):
            raise OperatorError("genesis: 'records' must map names to values")
        rows: dict[bytes, bytes | None] = {}
        for name, value in records.items():
            if not _TRANSACTION.fullmatch(f"{name} {value}".encode()):
                raise OperatorError(f"genesis: 'records' cannot hold {name!r}")
            rows[name.encode()] = f"0 {value}".encode()
        return [{RECORDS: rows}] if rows else []

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute requests in order, each on what those before it wrote."""
        written: Writes = {}
        state = view.over(written)
        outcomes: list[Outcome] = []
        for request in batch.requests:
            outcome = _register(request.payload, batch.time_ms, state)
            if isinstance(outcome, Applied):
                merge(written, outcome.writes)
            outcomes.append(outcome)
        return BatchResult(outcomes)

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Register anew what each entry holds; raises IntegrityError for what it never wrote."""
        written: Writes = {}
        state = view.over(written)
        found: list[Writes] = []
        for entry in entries:
            again = _register_again(entry, state)
            merge(written, again)
            found.append(again)
        return found

    async def serve(self, service: LedgerService) -> None:
        """Serve the front end over HTTP until cancelled."""
        await service.serve_http(FrontEnd(service, RECORDS))

    def committed(self, batch: CommittedBatch) -> None:
        """Take no note: there is no index to keep."""

    def restored(self, view: ReadView) -> None:
        """Rebuild nothing: there is no index to keep."""


def _register(payload: bytes, time_ms: int, state: ReadView) -> Applied | Rejected:
    match = _TRANSACTION.fullmatch(payload)
    if match is None:
        return Rejected("malformed", "expected NAME VALUE; a name has lower-case letters, digits and dashes")
    name, value = match.groups()
    if state.get(RECORDS, name) is not None:
        return Rejected("registered", f"{name.decode()} is registered already")
    record = b"%d %s" % (time_ms, value)
    return Applied({RECORDS: {name: record}}, receipt=record)


def _register_again(entry: Writes, state: ReadView) -> Writes:
    try:
        ((name, record),) = entry[RECORDS].items()
        time, value = (record or b"").split(b" ", 1)
        outcome = _register(b"%s %s" % (name, value), int(time), state)
    except (KeyError, ValueError) as error:
        raise IntegrityError(f"no entry of this ledger: {error!r}") from error
    if isinstance(outcome, Rejected):
        raise IntegrityError(f"an entry holds what this ledger refuses: {outcome.message}")
    return outcome.writes
