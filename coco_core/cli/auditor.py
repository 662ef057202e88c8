"""``coco auditor``: read one epoch's private data from ledger files and members' partial decryptions.

Needs no node. What the epoch's secret does not open stays closed: it is said, not guessed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
import click
import orjson

from coco_core.cli.asking import FILE, read_bytes, read_text
from coco_core.cli.ledger import audit_folder, chunks, snapshot_before
from coco_core.errors import CallerError, IntegrityError, MemberError, OperatorError
from coco_core.governance import open_epoch, read_epochs, read_recovery
from coco_core.kv import Store, View, Writes, maps
from coco_core.ledger import EntryOpener, LedgerSecrets, parse_chunk, read_public

_TABLES: Final = (maps.RECOVERY, maps.EPOCHS)


@click.group()
def auditor() -> None:
    """Read what members let one read."""


@auditor.command(name="open")
@click.argument("epoch", type=click.IntRange(1))
@click.argument("partials", type=FILE, nargs=-1, required=True)
@click.option("--ledger", type=FILE, required=True, help="Folder with the ledger's files.")
@click.option("--service-cert", type=FILE, help="PEM the ledger must be signed under.")
@click.option("--snapshots", type=FILE, help="As for 'coco ledger audit'.")
@click.option("--out", type=FILE, help="Write the lines here instead of to standard output.")
def open_command(
    epoch: int,
    partials: tuple[Path, ...],
    ledger: Path,
    service_cert: Path | None,
    snapshots: Path | None,
    out: Path | None,
) -> None:
    """Open EPOCH with enough PARTIALS, files that members made with 'coco member partial'.

    The ledger is audited first. Then one JSON line is written for each transaction of the epoch that wrote
    private data: {"transaction_id", "epoch", "writes": {map: {key: value}}}, keys and values in hex and null
    for what was removed. Which transactions are of other epochs, and so not readable, is said on standard
    error.
    """
    certificate = read_text(service_cert) if service_cert is not None else None
    verified = audit_folder(ledger, certificate, snapshots).last_verified.seqno
    given = [read_bytes(path) for path in partials]
    snapshot = snapshot_before(ledger, snapshots)
    first_tables: Mapping[str, Mapping[bytes, bytes]] = snapshot.maps if snapshot is not None else {}
    tables, newest = _tables(ledger, verified, first_tables, _public_key(given[0]))
    try:
        secret = open_epoch(tables, epoch, given)
    except MemberError as error:
        raise CallerError(str(error)) from error
    spans = _spans(newest, verified)
    reader = _Reader(EntryOpener(LedgerSecrets([(spans[epoch - 1].first, secret)])), spans[epoch - 1])
    try:
        with out.open("x", encoding="utf-8") if out is not None else _standard_output() as target:
            for line in reader.lines(_entries(ledger)):
                target.write(json.dumps(line) + "\n")
    except OSError as error:
        raise OperatorError(f"--out {out}: {error.strerror}") from error
    _tell(spans, epoch, reader)


@attrs.frozen
class Span:
    """Which entries an epoch's secret seals."""

    epoch: int
    first: int
    last: int

    def __str__(self) -> str:
        """Name epoch and entries."""
        return f"epoch {self.epoch}, seqnos {self.first} to {self.last}"


@attrs.define
class _Reader:
    """Opens the entries of one epoch, and counts."""

    opener: EntryOpener
    span: Span
    read: int = 0
    private: int = 0

    def lines(self, entries: Iterator[bytes]) -> Iterator[Mapping[str, Any]]:
        """Return what is private in each entry of the epoch, as JSON has it."""
        for raw in entries:
            entry = read_public(raw)
            if not self.span.first <= entry.txid.seqno <= self.span.last:
                continue
            self.read += 1
            opened = self.opener.open(raw)
            private = {name: rows for name, rows in opened.writes.items() if not maps.is_public(name)}
            if not private:
                continue
            self.private += 1
            yield {
                "transaction_id": str(entry.txid),
                "epoch": self.span.epoch,
                "writes": {
                    name: {key.hex(): None if value is None else value.hex() for key, value in rows.items()}
                    for name, rows in private.items()
                },
            }


def _standard_output() -> _Kept:
    return _Kept(sys.stdout)


@attrs.frozen
class _Kept:
    """A stream that stays open behind a ``with``."""

    stream: TextIO

    def __enter__(self) -> TextIO:
        return self.stream

    def __exit__(self, *_: object) -> None:
        self.stream.flush()


def _entries(folder: Path) -> Iterator[bytes]:
    for name, data in chunks(folder):
        for _, raw in parse_chunk(name, data).entries():
            yield bytes(raw)


def _public_key(partial: bytes) -> str:
    """Return the recovery key that a partial decryption says it is of; ``open_epoch`` judges the rest."""
    try:
        match orjson.loads(partial):
            case {"public_key": str(key)}:
                return key
    except ValueError:
        pass
    return ""


def _tables(
    folder: Path, verified: int, first: Mapping[str, Mapping[bytes, bytes]], public_key: str
) -> tuple[View, View]:
    """Return shares and epochs as the ledger last had them under that recovery key, and at its end.

    Shares may have been dealt anew since the members gave their partial decryptions; what they were made
    of is in the ledger, and stays good.
    """
    store = Store()
    seqno = 1
    store.append(seqno, {name: dict(first.get(name, {})) for name in _TABLES})
    found = store.head()
    for raw in _entries(folder):
        entry = read_public(raw)
        if entry.txid.seqno > verified:
            break
        writes: Writes = {name: entry.public[name] for name in _TABLES if name in entry.public}
        if not writes:
            continue
        seqno += 1
        store.append(seqno, writes)
        head = store.head()
        recovery = read_recovery(head)
        before = read_recovery(found)
        if (
            recovery is None
            or recovery.public_key.hex() == public_key
            or before is None
            or before.public_key.hex() != public_key
        ):
            found = head
    return found, store.head()


def _spans(newest: View, verified: int) -> list[Span]:
    """Return the entries of every epoch; of the last one, those that are signed."""
    epochs = read_epochs(newest)
    if not epochs:
        raise IntegrityError(f"{maps.EPOCHS}: the ledger tells of no epoch")
    ends = [record.first_seqno - 1 for record in epochs[1:]] + [verified]
    return [Span(one.number, one.first_seqno, end) for one, end in zip(epochs, ends, strict=True)]


def _tell(spans: Sequence[Span], epoch: int, reader: _Reader) -> None:
    for span in spans:
        if span.epoch == epoch:
            print(
                f"{span}: {reader.read} transactions read, {reader.private} of them with private data",
                file=sys.stderr,
            )
        else:
            print(f"{span}: not readable with what was given", file=sys.stderr)
