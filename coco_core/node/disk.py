"""The node's ledger on disk: append-only chunk files in the format of ``coco_core.ledger``.

One thread writes (``append``, ``truncate``, ``mark_committed``), any may ``read`` what was
written. ``append`` returns only after the bytes, and the folder entries that name them, are durable.
A full disk or a failed write raises OperatorError, and the node must stop: everything durable stays
whole, but a piece of what was being written may stand behind it, as after a loss of power.
"""

from __future__ import annotations

import contextlib
import errno
import os
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import attrs

from coco_core.base import invariant, unreachable
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import (
    CHUNK_AFTER,
    IN_PROGRESS_HEADER,
    ChunkName,
    completed_header,
    positions_table,
)

_FLAGS_AT = 1
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the process ran out of; says nothing about the file."""


class _Chunk:
    """One file: where its entries stand, their views, which are signatures, and how far it got.

    Changed by the writing thread only, and only under the lock, which readers take to look.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self.folder = folder
        self.name = ChunkName(first)
        self.offsets = array("Q")
        self.terms = array("Q")
        self.committable = bytearray()
        self.end = len(IN_PROGRESS_HEADER)
        self._lock = Lock()

    @property
    def path(self) -> Path:
        return self.folder / str(self.name)

    @property
    def last(self) -> int:
        return self.name.first + len(self.offsets) - 1

    def rename(self, name: ChunkName) -> None:
        with self._lock:
            os.replace(self.path, self.folder / str(name))
            self.name = name

    def open_to_read(self) -> BinaryIO:
        """Open the file under the name it has; the writing thread may be about to change it."""
        with self._lock:
            return self.path.open("rb")

    def add(self, entry: Entry) -> None:
        """Note an entry that is written next."""
        with self._lock:
            self.offsets.append(self.end)
            self.terms.append(entry.term)
            self.committable.append(entry.committable)
            self.end += len(entry.data)

    def cut(self, keep: int) -> None:
        """Forget all but the first ``keep`` entries."""
        with self._lock:
            self.end = self.offsets[keep]
            del self.offsets[keep:]
            del self.terms[keep:]
            del self.committable[keep:]

    def place(self, first: int, last: int, max_bytes: int) -> _Place:
        """Return where consecutive entries from ``first`` stand: at least one, none after ``last``."""
        with self._lock:
            begin = first - self.name.first
            stop = min(last - self.name.first + 1, len(self.offsets))
            bounds = self.offsets[begin : stop + 1]
            if stop == len(self.offsets):
                bounds.append(self.end)
            count = max(1, bisect_right(bounds, bounds[0] + max_bytes) - 1)
            end = begin + count
            return _Place(first, bounds[: count + 1], self.terms[begin:end], self.committable[begin:end])


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


class LedgerFiles:
    """A folder of ledger chunks being written by this node."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder``; raises OperatorError when it cannot be made or holds a ledger already."""
        self._folder = folder
        self._chunks: list[_Chunk] = []
        self._uncommitted = 0
        self._descriptor: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(path.name.startswith("ledger_") for path in folder.iterdir()):
                raise OperatorError(f"{folder} holds a ledger already: a new node needs an empty folder")
        except OSError as error:
            raise OperatorError(f"ledger folder {folder}: {error.strerror or error}") from error

    @property
    def last_index(self) -> int:
        """The newest entry written, 0 when there is none."""
        return self._chunks[-1].last if self._chunks else 0

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and make them durable: one fsync, unless a chunk ends in between."""
        pending: list[bytes] = []
        try:
            for entry in entries:
                invariant(entry.index == self.last_index + 1, f"entry {entry.index} leaves a gap")
                chunk = self._open_chunk(entry.index)
                chunk.add(entry)
                pending.append(entry.data)
                if entry.data[_FLAGS_AT] & CHUNK_AFTER:
                    self._write(pending)
                    self._complete(chunk)
            self._write(pending)
            if self._descriptor is not None:
                os.fsync(self._descriptor)
        except OSError as error:
            raise OperatorError(f"cannot write the ledger in {self._folder}: {error.strerror}") from error

    def truncate(self, index: int) -> None:
        """Drop every entry after ``index``."""
        try:
            while self._chunks and self._chunks[-1].name.first > index:
                self._close()
                self._chunks.pop().path.unlink()
            if self._chunks and self._chunks[-1].last > index:
                self._cut(self._chunks[-1], index)
            self._sync_folder()
        except OSError as error:
            raise OperatorError(f"cannot truncate the ledger in {self._folder}: {error.strerror}") from error

    def mark_committed(self, index: int) -> None:
        """Rename complete chunks whose entries are all committed at ``index``."""
        while self._uncommitted < len(self._chunks):
            chunk = self._chunks[self._uncommitted]
            name = chunk.name
            if name.last is None or name.last > index:
                break
            # Oldest first: if this is cut short, the next commit goes on where it stopped.
            self._rename_committed(chunk, ChunkName(name.first, name.last, committed=True))
            self._uncommitted += 1

    def _rename_committed(self, chunk: _Chunk, name: ChunkName) -> None:
        try:
            chunk.rename(name)
        except OSError as error:
            raise OperatorError(f"cannot rename {chunk.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the open file."""
        self._close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def read(self, first_index: int, last_index: int, max_bytes: int) -> Sequence[Entry]:
        """Return consecutive entries from ``first_index`` (see consensus.LogReader).

        One read of one file: what is asked for beyond the end of that file comes with the next call.
        Raises IntegrityError for what this ledger does not hold or holds no more, and OperatorError
        when the process has no file or memory left to read with.
        """
        chunk = self._chunk_of(first_index)
        place = chunk.place(first_index, last_index, max_bytes)
        size = place.bounds[-1] - place.bounds[0]
        try:
            with chunk.open_to_read() as file:
                file.seek(place.bounds[0])
                data = file.read(size)
        except OSError as error:
            fault = OperatorError if error.errno in _EXHAUSTED else IntegrityError
            raise fault(f"{chunk.path}: cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise IntegrityError(f"{chunk.path}: entry {first_index} and what follows it is cut short")
        return place.entries(data)

    def read_raw(self, index: int) -> bytes:
        """Return one entry's bytes; raises what ``read`` raises."""
        return self.read(index, index, 1)[0].data

    def _chunk_of(self, index: int) -> _Chunk:
        for chunk in reversed(self._chunks):
            if chunk.name.first <= index <= chunk.last:
                return chunk
        raise IntegrityError(f"the ledger in {self._folder} does not hold entry {index}")

    # ── files ────────────────────────────────────────────────────────────────────────────────────

    def _open_chunk(self, index: int) -> _Chunk:
        if self._descriptor is not None:
            return self._chunks[-1]
        chunk = _Chunk(self._folder, index)
        self._open(chunk, os.O_CREAT | os.O_EXCL)
        os.write(self._require(), IN_PROGRESS_HEADER)
        self._sync_folder()
        self._chunks.append(chunk)
        return chunk

    def _open(self, chunk: _Chunk, flags: int) -> None:
        flags |= os.O_WRONLY | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(chunk.path, flags, 0o640)

    def _write(self, pending: list[bytes]) -> None:
        data = memoryview(b"".join(pending))
        pending.clear()
        while data:
            data = data[os.write(self._require(), data) :]

    def _complete(self, chunk: _Chunk) -> None:
        """Write the positions table, then the header that makes it valid, then the final name."""
        descriptor = self._require()
        self._write([positions_table(chunk.offsets)])
        os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        self._write([completed_header(chunk.end)])
        os.fsync(descriptor)
        self._close()
        chunk.rename(ChunkName(chunk.name.first, chunk.last))
        self._sync_folder()

    def _cut(self, chunk: _Chunk, index: int) -> None:
        invariant(not chunk.name.committed, f"{chunk.path} is committed and cannot be cut")
        keep = index - chunk.name.first + 1
        self._close()
        chunk.rename(ChunkName(chunk.name.first))
        chunk.cut(keep)
        self._open(chunk, 0)
        descriptor = self._require()
        os.truncate(descriptor, chunk.end)
        self._write([IN_PROGRESS_HEADER])
        os.lseek(descriptor, chunk.end, os.SEEK_SET)
        os.fsync(descriptor)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _require(self) -> int:
        if self._descriptor is None:
            unreachable("no chunk is open for writing")
        return self._descriptor

    def _sync_folder(self) -> None:
        """Make names durable. Windows has no such call: its journal orders renames itself."""
        with contextlib.suppress(PermissionError):
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
