"""One chunk of the ledger as a file: where its entries stand, and what it is called.

The writing thread alone changes anything; readers may be in any thread. Two locks keep them apart:
one for what is known of the entries, held for a moment, and one for the file, held while a reader has
it open, because Windows lets nobody rename or remove an open file. Must not know which chunks there
are, nor when one ends.
"""

from __future__ import annotations

import errno
import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Lock

import attrs

from coco_core.consensus import EntriesCompactedError, Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import IN_PROGRESS_HEADER, ChunkName, parse_chunk, read_header
from coco_core.node.durable import copy_file, read_fault, same_contents, sync_folder


class ChunkFile:
    """One file: where its entries stand, their views, which are signatures, and how far it got."""

    def __init__(self, folder: Path, name: ChunkName) -> None:
        """Begin without entries; makes no file."""
        self.folder = folder
        self.name = name
        self.offsets = array("Q")
        self.end = len(IN_PROGRESS_HEADER)
        self.gone = False
        """Whether the file was moved away or deleted, on purpose."""
        self._terms = array("Q")
        self._committable = bytearray()
        self._known = Lock()
        self._file = Lock()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / str(self.name)

    @property
    def last(self) -> int:
        """The newest entry; the one before the first when there is none."""
        return self.name.first + len(self.offsets) - 1

    @property
    def complete(self) -> bool:
        """Whether the file holds its entries, all of them and no others, and is not written on."""
        return self.name.last == self.last

    # ── what is known of the entries ─────────────────────────────────────────────────────────────

    def add(self, term: int, size_bytes: int, *, committable: bool) -> None:
        """Note an entry that is written next."""
        with self._known:
            self.offsets.append(self.end)
            self._terms.append(term)
            self._committable.append(committable)
            self.end += size_bytes

    def forget_after(self, index: int) -> None:
        """Forget every entry after ``index``."""
        keep = index - self.name.first + 1
        with self._known:
            if keep < len(self.offsets):
                self.end = self.offsets[keep]
                del self.offsets[keep:]
                del self._terms[keep:]
                del self._committable[keep:]

    def mark_committable(self, index: int) -> None:
        """Note that the entry at ``index`` is a signature."""
        with self._known:
            self._committable[index - self.name.first] = True

    def _place(self, first: int, last: int, max_bytes: int) -> _Place:
        """Return where consecutive entries from ``first`` stand: at least one, none after ``last``."""
        with self._known:
            begin = first - self.name.first
            stop = min(last - self.name.first + 1, len(self.offsets))
            if begin >= stop:
                raise IntegrityError(f"{self.path} holds entry {first} no more")
            bounds = self.offsets[begin : stop + 1]
            if stop == len(self.offsets):
                bounds.append(self.end)
            count = max(1, bisect_right(bounds, bounds[0] + max_bytes) - 1)
            end = begin + count
            return _Place(first, bounds[: count + 1], self._terms[begin:end], self._committable[begin:end])

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    def read(self, first: int, last: int, max_bytes: int) -> list[Entry]:
        """Return consecutive entries from ``first``, which is in this chunk (see consensus.LogReader).

        Raises IntegrityError when the file does not hold them, EntriesCompactedError when it is gone,
        OperatorError when the process has nothing left to read with.
        """
        place = self._place(first, last, max_bytes)
        data = self._read(place.bounds[0], place.bounds[-1])
        return place.entries(data)

    def raw_entries(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield file, offset and bytes of every entry, after one read; raises what ``read`` raises."""
        data = memoryview(self._read(0, self.end))
        for start, end in zip(self.offsets, [*self.offsets[1:], self.end], strict=True):
            yield str(self.path), start, bytes(data[start:end])

    def _read(self, start: int, end: int) -> bytes:
        with self._file:
            if self.gone:
                raise EntriesCompactedError(f"{self.path} is no longer a part of the ledger")
            try:
                with self.path.open("rb") as file:
                    file.seek(start)
                    data = file.read(end - start)
            except OSError as error:
                raise read_fault(error, self.path) from error
        if len(data) != end - start:
            raise IntegrityError(f"{self.path} offset {start + len(data)}: cut short, there were {end} bytes")
        return data

    def rename(self, name: ChunkName) -> None:
        """Give the file another name; raises OSError."""
        with self._file:
            os.replace(self.path, self.folder / str(name))
            self.name = name

    def remove(self) -> None:
        """Delete the file if there is one; raises OSError."""
        self._leave(lambda: self.path.unlink(missing_ok=True))

    def move_to(self, folder: Path) -> None:
        """Move the file into a folder, perhaps of another file system; nobody reads it here any more.

        Durable, and done over if it was cut short. Raises OSError, and OperatorError when ``folder`` has
        another file of that name: nothing is overwritten.
        """
        if not self.gone:
            self._move(folder / str(self.name))
        sync_folder(folder)
        sync_folder(self.folder)

    def _move(self, target: Path) -> None:
        if target.exists():
            if not same_contents(self.path, target):
                raise OperatorError(f"{target} is there already and holds something else than {self.path}")
        else:
            try:
                self._leave(lambda: os.rename(self.path, target))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return
            # Copied while readers go on reading: what is moved does not change any more.
            copy_file(self.path, target)
        self._leave(self.path.unlink)

    def _leave(self, action: Callable[[], None]) -> None:
        with self._file:
            action()
            self.gone = True


@attrs.frozen(slots=True)
class _Place:
    """Consecutive entries in one file, from ``first`` on: ``bounds`` are their offsets and the end."""

    first: int
    bounds: array[int]
    terms: array[int]
    committable: bytearray

    def entries(self, data: bytes) -> list[Entry]:
        """Cut the bytes that stand there into entries."""
        base = self.bounds[0]
        return [
            Entry(term, index, data[start - base : end - base], bool(committable))
            for index, (term, committable, start, end) in enumerate(
                zip(self.terms, self.committable, self.bounds, self.bounds[1:], strict=False), self.first
            )
        ]


def find_chunks(folder: Path) -> tuple[list[ChunkFile], int]:
    """Return the chunks an earlier node left in ``folder``, oldest first, and the bytes of a torn tail.

    Their structure is checked, one file in memory at a time; what entries say is not. Nothing on the
    disk changes. Raises IntegrityError with file and offset for what is malformed, missing or there
    twice, and OperatorError for what cannot be read.
    """
    names = sorted(
        (ChunkName.parse(path.name) for path in folder.iterdir() if path.name.startswith("ledger_")),
        key=lambda name: (name.first, name.last or 0),
    )
    for before, after in pairwise(names):
        if before.last is None:
            raise IntegrityError(f"{folder / str(before)} is in progress, but {after} follows it")
        if after.first != before.last + 1:
            what = "is missing" if after.first > before.last + 1 else "is there twice"
            at = min(after.first, before.last + 1)
            raise IntegrityError(f"{folder / str(after)} does not follow {before}: entry {at} {what}")
    chunks: list[ChunkFile] = []
    torn_tail_bytes = 0
    for name in names:
        chunk, torn_tail_bytes = _load(folder, name)
        chunks.append(chunk)
    return chunks, torn_tail_bytes


def _load(folder: Path, name: ChunkName) -> tuple[ChunkFile, int]:
    chunk = ChunkFile(folder, name)
    try:
        data = chunk.path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{chunk.path}: cannot be read: {error.strerror or error}") from error
    try:
        parsed = parse_chunk(str(name), data)
    except IntegrityError as fault:
        raise IntegrityError(f"{folder}: {fault}") from fault
    for index, (offset, raw) in enumerate(parsed.entries(), name.first):
        try:
            txid = read_header(bytes(raw)).txid
        except IntegrityError as fault:
            raise IntegrityError(f"{chunk.path} offset {offset}: {fault}") from fault
        if txid.seqno != index:
            raise IntegrityError(f"{chunk.path} offset {offset}: holds entry {txid} in the place of {index}")
        chunk.add(txid.view, len(raw), committable=False)
    return chunk, parsed.torn_tail_bytes
