"""What the ledger files of a stopped network must say: audited, equal, and complete.

Knows files, entries and what was acknowledged; must not know processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import attrs

from coco_core.base import TxID
from coco_core.cli.ledger import audit_folder, chunks
from coco_core.errors import CocoError
from coco_core.ledger import AuditReport, parse_chunk, read_public
from coco_core.testing.nemesis.clients import Call
from coco_core.testing.tally import BLOCKS, SEEN

SHOWN_MAX = 10
"""Violations of one kind that are told in full."""


@attrs.frozen(kw_only=True)
class LedgerReading:
    """One node's ledger, audited, and what is wanted of it."""

    name: str
    report: AuditReport
    digests: Sequence[bytes]
    """SHA-256 of every entry: entry *n* is the one before index *n*."""
    txids: Sequence[TxID]
    tally: Counter[str]
    """How often each name stands in Tally's map of used ones."""
    places: Mapping[str, int]
    """Where each of them stands."""
    times_ms: Sequence[int]
    """The time of every block of Tally."""

    def holds(self, place: TxID) -> bool:
        """Whether an entry stands at ``place``, in that view, under a signature."""
        return (
            place.seqno <= self.report.last_verified.seqno
            and place.seqno <= len(self.txids)
            and self.txids[place.seqno - 1] == place
        )


def read_ledger(name: str, folder: Path, service_certificate: str) -> LedgerReading:
    """Audit and read the ledger in ``folder``; raises IntegrityError when it does not hold."""
    report = audit_folder(folder, service_certificate)
    digests: list[bytes] = []
    txids: list[TxID] = []
    used: Counter[str] = Counter()
    places: dict[str, int] = {}
    times_ms: list[int] = []
    for file, data in chunks(folder):
        for _, raw in parse_chunk(file, data).entries():
            entry = read_public(bytes(raw))
            digests.append(sha256(raw).digest())
            txids.append(entry.txid)
            for key in entry.public.get(SEEN, ()):
                used[key.decode()] += 1
                places[key.decode()] = entry.txid.seqno
            times_ms += [int((value or b"0 0").split()[1]) for value in entry.public.get(BLOCKS, {}).values()]
    return LedgerReading(
        name=name, report=report, digests=digests, txids=txids, tally=used, places=places, times_ms=times_ms
    )


def check_alike(ledgers: Sequence[LedgerReading]) -> list[str]:
    """Return where ledgers of nodes that ran to the end differ in what is signed on both."""
    first, *others = ledgers
    found: list[str] = []
    for other in others:
        common = min(first.report.last_verified.seqno, other.report.last_verified.seqno)
        if (at := _first_difference(first, other, common)) is not None:
            found.append(f"ledgers of {first.name} and {other.name} differ at {first.txids[at]}")
    return found


def check_ended(ended: LedgerReading, whole: LedgerReading, acknowledged: Sequence[TxID]) -> list[str]:
    """Return whether a node that was killed holds something else where it had agreed with the others.

    Its ledger may end in what nobody else accepted: signed by it, and acknowledged to nobody.
    """
    common = min(len(ended.digests), len(whole.digests))
    at = _first_difference(ended, whole, common)
    if at is None:
        return []
    beyond = set(ended.txids[at:])
    told = [place for place in acknowledged if place in beyond]
    return [f"{ended.name} differs from {at + 1} on, where {place} was acknowledged" for place in told[:1]]


def check_complete(
    ledger: LedgerReading, additions: Sequence[Call], transfers: Sequence[Call]
) -> tuple[int, int, list[str]]:
    """Return how many acknowledged transactions a ledger lacks, how many it has twice, and which."""
    lost = [
        f"{one.name} was acknowledged at {one.place}, which {ledger.name} does not hold"
        for one in (*additions, *transfers)
        if one.returned is not None and one.place is not None and not ledger.holds(one.place)
    ]
    for one in additions:
        if one.returned is None:
            continue
        if not ledger.tally[one.name]:
            lost.append(f"{one.name} was acknowledged, and is not in the ledger of {ledger.name}")
        elif one.place is not None and ledger.places[one.name] != one.place.seqno:
            lost.append(f"{one.name} was acknowledged at {one.place}, stands at {ledger.places[one.name]}")
    twice = [
        f"{name} stands {count} times in {ledger.name}" for name, count in ledger.tally.items() if count > 1
    ]
    unknown = ledger.tally.keys() - {one.name for one in additions}
    more = [f"{name} is in {ledger.name}, sent by nobody" for name in sorted(unknown)]
    if list(ledger.times_ms) != sorted(ledger.times_ms):
        more.append(f"the time of batches runs backwards in {ledger.name}")
    return len(lost), len(twice), shortened(lost) + shortened(twice) + shortened(more)


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines and how many more there are."""
    rest = len(lines) - SHOWN_MAX
    return [*lines[:SHOWN_MAX], *([f"… and {rest} more like it"] if rest > 0 else [])]


def _first_difference(one: LedgerReading, other: LedgerReading, common: int) -> int | None:
    """Return the index of the first of ``common`` entries that differs."""
    if one.digests[:common] == other.digests[:common]:
        return None
    return next(at for at in range(common) if one.digests[at] != other.digests[at])


def try_read(name: str, folder: Path, service_certificate: str) -> LedgerReading | str:
    """Return the ledger, or why it does not hold."""
    try:
        return read_ledger(name, folder, service_certificate)
    except CocoError as error:
        return f"ledger of {name}: {error}"
