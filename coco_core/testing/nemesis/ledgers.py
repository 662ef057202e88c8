"""What the ledger files of a stopped network must say: audited, equal, and complete.

A ledger may begin behind a snapshot; what stands before that is judged in ledgers that hold it.
Knows files, entries and what was acknowledged; must not know processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import attrs

from coco_core.base import TxID
from coco_core.errors import CocoError, OperatorError
from coco_core.ledger import AuditReport, ChunkName, parse_chunk, read_public, read_public_snapshot
from coco_core.testing.auditing import audit_all
from coco_core.testing.nemesis.clients import Call
from coco_core.testing.tally import BLOCKS, SEEN

ARCHIVE_FOLDER = "archive"
"""Where nodes move chunks a snapshot makes superfluous: beside the ledger or, without a setting, in it."""
SNAPSHOTS_FOLDER = "snapshots"
SHOWN_MAX = 10
"""Violations of one kind that are told in full."""


@attrs.frozen(kw_only=True)
class LedgerReading:
    """One node's ledger, audited, and what is wanted of it."""

    name: str
    report: AuditReport
    first: int
    """Seqno of the first entry."""
    digests: Sequence[bytes]
    """SHA-256 of every entry, in order."""
    txids: Sequence[TxID]
    tally: Counter[str]
    """How often each name stands in Tally's map of used ones."""
    places: Mapping[str, int]
    """Where each of them stands."""
    times_ms: Sequence[int]
    """The time of every block of Tally."""

    @property
    def end(self) -> int:
        """The seqno behind the last entry."""
        return self.first + len(self.digests)

    @property
    def last_verified(self) -> int:
        """The seqno of the last entry a signature covers."""
        return self.report.last_verified.seqno

    def digest(self, seqno: int) -> bytes | None:
        """Return the digest of the entry at ``seqno``, if it is here."""
        return self.digests[seqno - self.first] if self.first <= seqno < self.end else None

    def lacks(self, place: TxID) -> bool:
        """Whether an entry should stand at ``place``, in that view, under a signature, and does not."""
        if place.seqno < self.first:
            return False
        return place.seqno > self.last_verified or self.txids[place.seqno - self.first] != place


def read_ledger(name: str, folder: Path, service_certificate: str) -> LedgerReading:
    """Audit and read the ledger in ``folder``; raises IntegrityError when it does not hold.

    Chunks that lie in an archive, beside it or in it, are read too, as far back as none is missing. Unless
    they reach back to the beginning, the audit begins at the oldest snapshot kept, and what stands before
    is only compared with other ledgers.
    """
    run = _run(folder)
    report = _audit(run, folder.with_name(SNAPSHOTS_FOLDER), service_certificate)
    digests: list[bytes] = []
    txids: list[TxID] = []
    used: Counter[str] = Counter()
    places: dict[str, int] = {}
    times_ms: list[int] = []
    for file, data in _contents(run):
        for _, raw in parse_chunk(file, data).entries():
            entry = read_public(bytes(raw))
            digests.append(sha256(raw).digest())
            txids.append(entry.txid)
            for key in entry.public.get(SEEN, ()):
                used[key.decode()] += 1
                places[key.decode()] = entry.txid.seqno
            times_ms += [int((value or b"0 0").split()[1]) for value in entry.public.get(BLOCKS, {}).values()]
    return LedgerReading(
        name=name,
        report=report,
        first=txids[0].seqno if txids else 1,
        digests=digests,
        txids=txids,
        tally=used,
        places=places,
        times_ms=times_ms,
    )


def _run(folder: Path) -> list[Path]:
    """Return the files of the longest run of chunks without a gap that ends where the ledger does."""
    files: dict[ChunkName, Path] = {}
    for place in (folder.with_name(ARCHIVE_FOLDER), folder / ARCHIVE_FOLDER, folder):
        found = place.iterdir() if place.exists() else ()
        files |= {ChunkName.parse(path.name): path for path in found if path.name.startswith("ledger_")}
    run: list[ChunkName] = []
    for chunk in sorted(files, reverse=True):
        if not run or chunk.last == run[0].first - 1:
            run.insert(0, chunk)
    if not run:
        raise OperatorError(f"{folder} holds no ledger files")
    return [files[chunk] for chunk in run]


def _audit(run: Sequence[Path], snapshots: Path, service_certificate: str) -> AuditReport:
    for at, path in enumerate(run):
        first = ChunkName.parse(path.name).first
        if first == 1:
            return audit_all(_contents(run), service_cert_pem=service_certificate)[0]
        for snapshot in snapshots.glob(f"snapshot_{first - 1}_*.committed"):
            start = read_public_snapshot(snapshot.name, snapshot.read_bytes(), service_certificate)
            return audit_all(_contents(run[at:]), service_cert_pem=service_certificate, start=start)[0]
    raise OperatorError(f"{run[0]} follows a snapshot that is not in {snapshots}, nor is any later one")


def _contents(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        yield path.name, path.read_bytes()


def try_read(name: str, folder: Path, service_certificate: str) -> LedgerReading | str:
    """Return the ledger, or why it does not hold."""
    try:
        return read_ledger(name, folder, service_certificate)
    except CocoError as error:
        return f"ledger of {name}: {error}"


def check_alike(ledgers: Sequence[LedgerReading]) -> list[str]:
    """Return where ledgers of nodes that ran to the end differ in what is signed on both."""
    first, *others = sorted(ledgers, key=lambda ledger: ledger.first)
    found: list[str] = []
    for other in others:
        end = min(first.last_verified, other.last_verified) + 1
        at = first_difference(first, other, end)
        if at is not None:
            found.append(f"ledgers of {first.name} and {other.name} differ at {at}")
    return found


def check_ended(ended: LedgerReading, whole: LedgerReading, acknowledged: Sequence[TxID]) -> list[str]:
    """Return whether a node that was killed holds something else where it had agreed with the others.

    Its ledger may end in what nobody else accepted: signed by it, and acknowledged to nobody.
    """
    at = first_difference(ended, whole, min(ended.end, whole.end))
    if at is None:
        return []
    beyond = set(ended.txids[at - ended.first :])
    told = [place for place in acknowledged if place in beyond]
    return [f"{ended.name} differs from {at} on, where {place} was acknowledged" for place in told[:1]]


@attrs.frozen(kw_only=True)
class Completeness:
    """What a ledger lacks of what was acknowledged, and holds beside it."""

    lost: Sequence[str]
    twice: Sequence[str]
    other: Sequence[str]

    @property
    def violations(self) -> list[str]:
        """Everything, shortened."""
        return shortened(self.lost) + shortened(self.twice) + shortened(self.other)


def check_complete(
    ledger: LedgerReading, additions: Sequence[Call], transfers: Sequence[Call], places: Mapping[str, int]
) -> Completeness:
    """Compare a ledger with what was acknowledged.

    ``places`` tells where names of Tally stand in any ledger: those before this one begins are not missed.
    """
    lost = {
        one.name: f"{one.name} was acknowledged at {one.place}, which {ledger.name} does not hold"
        for one in (*additions, *transfers)
        if one.returned is not None and one.place is not None and ledger.lacks(one.place)
    }
    for one in additions:
        at = ledger.places.get(one.name)
        if one.returned is None or (at is None and places.get(one.name, ledger.first) < ledger.first):
            continue
        if at is None:
            lost[one.name] = f"{one.name} was acknowledged, and is not in the ledger of {ledger.name}"
        elif one.place is not None and at != one.place.seqno:
            lost[one.name] = f"{one.name} was acknowledged at {one.place}, stands at {at}"
    unknown = ledger.tally.keys() - {one.name for one in additions}
    other = [f"{name} is in {ledger.name}, sent by nobody" for name in sorted(unknown)]
    if list(ledger.times_ms) != sorted(ledger.times_ms):
        other.append(f"the time of batches runs backwards in {ledger.name}")
    twice = [
        f"{name} stands {count} times in {ledger.name}" for name, count in ledger.tally.items() if count > 1
    ]
    return Completeness(lost=list(lost.values()), twice=twice, other=other)


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines and how many more there are."""
    rest = len(lines) - SHOWN_MAX
    return [*lines[:SHOWN_MAX], *([f"… and {rest} more like it"] if rest > 0 else [])]


def first_difference(one: LedgerReading, other: LedgerReading, end: int) -> int | None:
    """Return the first seqno below ``end`` that both hold and hold differently."""
    start = max(one.first, other.first)
    if end <= start:
        return None
    if (
        one.digests[start - one.first : end - one.first]
        == other.digests[start - other.first : end - other.first]
    ):
        return None
    return next(seqno for seqno in range(start, end) if one.digest(seqno) != other.digest(seqno))
