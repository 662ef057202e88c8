"""The node's ledger on disk: append-only chunk files in the format of ``coco_core.ledger``.

One thread writes, any may ``read`` what was written. ``append`` returns only after the bytes, and the
folder entries that name them, are durable.

* **What a folder holds already** is a cache: its structure is checked at once, its contents are for the
  caller to verify (``replay``) before it is used (``adopt``) or put aside (``begin_after``).
* **A write that fails** changes nothing: memory goes back at once to what was durable before, the files
  before the next write. When there was no room (DiskFullError) the same call succeeds once there is some.
* **A crash at any moment** leaves chunks without a gap, the last of which may have a torn tail.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from coco_core.base import invariant, unreachable
from coco_core.consensus import EntriesCompactedError, Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import CHUNK_AFTER, IN_PROGRESS_HEADER, ChunkName, completed_header, positions_table
from coco_core.node.chunk_files import ChunkFile, find_chunks
from coco_core.node.durable import (
    copy_file,
    make_folder,
    read_fault,
    same_contents,
    sync_folder,
    write_all,
    write_fault,
)

ARCHIVE_FOLDER = "archive"
"""Where chunks go that a snapshot replaced, below the ledger's folder."""

IGNORED_FOLDER = "ignored"
"""Where copies go of files whose end no signature closes, below the ledger's folder."""

_FLAGS_AT = 1


class LedgerFiles:
    """A folder of ledger chunks being written by this node."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder``, or look at the ledger an earlier node left there; changes no file.

        Raises IntegrityError with file and offset when chunks are malformed, missing or there twice, and
        OperatorError when the folder or a file cannot be used.
        """
        self._folder = folder
        try:
            make_folder(folder)
            found, self._torn_tail_bytes = find_chunks(folder)
        except OSError as error:
            raise OperatorError(f"ledger folder {folder}: {error.strerror or error}") from error
        # What was begun and never written to holds nothing; like all that is stray it goes before the
        # next write.
        self._stray = [chunk for chunk in found if not chunk.offsets]
        self._superseded: list[ChunkFile] = []
        # Replaced as a whole, never changed: readers take what they see.
        self._chunks = tuple(chunk for chunk in found if chunk.offsets)
        self._compacted = self._chunks[0].name.first - 1 if self._chunks else 0
        self._marked = 0
        self._adopted = not self._chunks
        self._descriptor: int | None = None

    @property
    def has_ledger(self) -> bool:
        """Whether there are entries."""
        return bool(self._chunks)

    @property
    def first_index(self) -> int:
        """The oldest entry held, or the next one to be written when there is none."""
        return self._compacted + 1

    @property
    def last_index(self) -> int:
        """The newest entry written, or replaced by a snapshot when there is none; 0 at the very start."""
        return self._chunks[-1].last if self._chunks else self._compacted

    @property
    def torn_tail_bytes(self) -> int:
        """How much of an unfinished write was found behind the last whole entry."""
        return self._torn_tail_bytes

    # ── what an earlier node left ────────────────────────────────────────────────────────────────

    def replay(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield file, offset and bytes of every entry from ``first_index`` on, one chunk in memory.

        Raises what ``read`` raises. Whoever adopts the ledger verifies each.
        """
        for chunk in self._chunks:
            yield from chunk.raw_entries()

    def chunks(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and contents of every file, oldest first, as an auditor reads them."""
        for chunk in self._chunks:
            try:
                yield str(chunk.name), chunk.path.read_bytes()
            except OSError as error:
                raise read_fault(error, chunk.path) from error

    def skip_to(self, index: int) -> bool:
        """Begin behind a snapshot at ``index``; return False, and do nothing, when no chunk begins there.

        Older chunks, left because archiving was cut short, go into ``archive`` once the rest is adopted.
        """
        invariant(not self._adopted, "what was adopted begins where it does")
        behind = [chunk for chunk in self._chunks if chunk.name.first > index]
        if not behind or behind[0].name.first != index + 1:
            return False
        self._superseded += self._chunks[: len(self._chunks) - len(behind)]
        self._chunks = tuple(behind)
        self._compacted = index
        return True

    def keep_last(self, name: str) -> Path:
        """Copy the newest file into IGNORED_FOLDER before it is cut; return where. Raises OperatorError."""
        newest = self._chunks[-1].path
        target = self._folder / IGNORED_FOLDER / name
        try:
            make_folder(target.parent)
            copy_file(newest, target)
        except OSError as error:
            raise write_fault(error, f"cannot copy {newest} to {target}") from error
        return target

    def adopt(self, last_index: int, committable: Iterable[int]) -> None:
        """Take over the entries up to ``last_index``, which were verified, and drop what follows.

        ``committable`` are those that are signatures. Nothing is read or written before this (or
        ``begin_after``). A chunk that is cut goes on being written, even one whose name says that it is
        committed: anybody may have renamed it, while the caller knows what is agreed.
        """
        invariant(not self._adopted, "a ledger is adopted once")
        invariant(self._compacted <= last_index <= self.last_index, "what is adopted was found")
        self._forget_after(last_index)
        with self._writing("cut the ledger", last_index):
            self._restore()
            if self._descriptor is not None and self._ends_chunk(last_index):
                self._complete(self._chunks[-1])  # Its writer stopped between the entry and the table.
        for index in committable:
            self._chunk_of(index).mark_committable(index)
        self._adopted = True

    def begin_after(self, index: int) -> None:
        """Begin anew behind a snapshot at ``index``: everything held is replaced by it.

        Chunks that do not reach beyond it, or are marked as committed, may be a prefix of the ledger that
        others want: they go into the folder ``archive``. The rest contradicts the snapshot, or is covered
        by it, and is deleted.
        """
        chunks = self._chunks
        self._close()
        # In this order for readers: what they do not find any more is compacted.
        self._compacted = index
        self._chunks = ()
        self._marked = 0
        self._adopted = True
        for chunk in chunks:
            kept = chunk.last <= index or chunk.name.committed
            (self._superseded if kept else self._stray).append(chunk)
        with self._writing("begin the ledger anew", index):
            self._restore()

    def archive(self, up_to_index: int, target: Path) -> bool:
        """Move the oldest chunk to ``target``; return False when none may go.

        One that may go is committed, holds nothing after ``up_to_index``, and is not the newest. One at a
        time, because between other file systems it is copied, which takes long: call again until False.
        Raises OperatorError when that does not work out; the chunk is then still here.
        """
        invariant(self._adopted, "a ledger is verified before its parts are moved")
        if len(self._chunks) < 2:
            return False
        oldest = self._chunks[0]
        if not oldest.name.committed or oldest.last > up_to_index:
            return False
        try:
            make_folder(target)
            if target.samefile(self._folder):
                raise OperatorError(f"{target} is the ledger's own folder")
            oldest.move_to(target)
        except OSError as error:
            raise OperatorError(
                f"cannot move {oldest.path} to {target}: {error.strerror or error}"
            ) from error
        self._compacted = oldest.last
        self._chunks = self._chunks[1:]
        self._marked = max(0, self._marked - 1)
        return True

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and make them durable: one fsync, unless a chunk ends in between.

        Raises DiskFullError, after which nothing of this call was written, and OperatorError.
        """
        invariant(self._adopted, "a ledger is verified before it is written on")
        if not entries:
            return
        pending: list[bytes] = []
        with self._writing("write the ledger", self.last_index):
            self._restore()
            for entry in entries:
                invariant(entry.index == self.last_index + 1, f"entry {entry.index} leaves a gap")
                chunk = self._open_chunk(entry.index)
                chunk.add(entry.term, len(entry.data), committable=entry.committable)
                pending.append(entry.data)
                if entry.data[_FLAGS_AT] & CHUNK_AFTER:
                    self._write(pending)
                    self._complete(chunk)
            if self._descriptor is not None:
                self._write(pending)
                os.fsync(self._descriptor)

    def truncate(self, index: int) -> None:
        """Drop every entry after ``index``.

        Raises DiskFullError, after which they cannot be read any more but are still on the disk: the call is
        to be made again. Raises OperatorError.
        """
        invariant(self._adopted, "a ledger is verified before it is cut")
        invariant(index >= self._compacted, "what a snapshot replaced cannot be cut")
        for chunk in self._chunks:
            whole = chunk.last <= index or not chunk.name.committed
            invariant(whole, f"{chunk.path} is committed and cannot be cut")
        self._forget_after(index)
        with self._writing("truncate the ledger", index):
            self._restore()

    def mark_committed(self, index: int) -> None:
        """Rename complete chunks whose entries are all committed at ``index``."""
        invariant(self._adopted, "a ledger is verified before it is marked")
        while self._marked < len(self._chunks):
            chunk = self._chunks[self._marked]
            if not chunk.name.committed:
                if not chunk.complete or chunk.last > index:
                    break
                # Oldest first: if this is cut short, the next commit goes on where it stopped.
                self._mark(chunk)
            self._marked += 1

    def _mark(self, chunk: ChunkFile) -> None:
        try:
            chunk.rename(ChunkName(chunk.name.first, chunk.last, committed=True))
        except OSError as error:
            raise write_fault(error, f"cannot rename {chunk.path}") from error

    def close(self) -> None:
        """Close the open file."""
        self._close()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def read(self, first_index: int, last_index: int, max_bytes: int) -> Sequence[Entry]:
        """Return consecutive entries from ``first_index`` (see consensus.LogReader).

        One read of one file: what is asked for beyond the end of that file comes with the next call.
        Raises EntriesCompactedError for what a snapshot replaced, IntegrityError for what else this
        ledger does not hold or holds no more, and OperatorError when the process has no file or memory
        left to read with.
        """
        invariant(self._adopted, "a ledger is verified before it is read")
        return self._chunk_of(first_index).read(first_index, last_index, max_bytes)

    def read_raw(self, index: int) -> bytes:
        """Return one entry's bytes; raises what ``read`` raises."""
        return self.read(index, index, 1)[0].data

    def _chunk_of(self, index: int) -> ChunkFile:
        chunks = self._chunks
        position = _chunks_up_to(chunks, index) - 1
        if position >= 0 and index <= chunks[position].last:
            return chunks[position]
        if 0 < index <= self._compacted:
            raise EntriesCompactedError(f"the ledger in {self._folder} begins after entry {index}")
        raise IntegrityError(f"the ledger in {self._folder} does not hold entry {index}")

    # ── files ────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def _writing(self, what: str, keep: int) -> Iterator[None]:
        """Should writing fail, know no entry after ``keep`` any more; files follow with the next write."""
        try:
            yield
        except OSError as error:
            self._forget_after(keep)
            raise write_fault(error, f"cannot {what} in {self._folder}") from error

    def _forget_after(self, index: int) -> None:
        self._close()
        keep = _chunks_up_to(self._chunks, index)
        self._stray += self._chunks[keep:]
        self._chunks = self._chunks[:keep]
        self._marked = min(self._marked, max(0, keep - 1))
        if keep:
            self._chunks[-1].forget_after(index)

    def _restore(self) -> None:
        """Make the files what memory says, and open the chunk in progress; nothing when it is open.

        Every step is durable before the next, so that a crash in between leaves no gap.
        """
        if self._descriptor is not None:
            return
        while self._stray:
            self._stray[-1].remove()
            sync_folder(self._folder)
            self._stray.pop()
        while self._superseded:
            self._put_aside(self._superseded[0])
            del self._superseded[0]
        if self._chunks and not self._chunks[-1].complete:
            self._reopen(self._chunks[-1])

    def _put_aside(self, chunk: ChunkFile) -> None:
        """Move into the archive; what is there already under that name and differs is left alone."""
        archive = self._folder / ARCHIVE_FOLDER
        for number in itertools.count(1):
            folder = archive if number == 1 else archive / str(number)
            target = folder / str(chunk.name)
            if chunk.gone or not target.exists() or same_contents(chunk.path, target):
                make_folder(folder)
                chunk.move_to(folder)
                break

    def _reopen(self, chunk: ChunkFile) -> None:
        """Open a chunk behind its last entry; it is in progress from here on, whatever it was."""
        if chunk.name.last is not None:
            chunk.rename(ChunkName(chunk.name.first))
            sync_folder(self._folder)
        self._open(chunk, 0)
        descriptor = self._require()
        # First the header: in progress, what follows the last entry counts as a torn tail.
        write_all(descriptor, IN_PROGRESS_HEADER)
        os.fsync(descriptor)
        os.truncate(descriptor, chunk.end)
        os.lseek(descriptor, chunk.end, os.SEEK_SET)
        os.fsync(descriptor)

    def _open_chunk(self, index: int) -> ChunkFile:
        if self._descriptor is None:
            chunk = ChunkFile(self._folder, ChunkName(index))
            self._chunks += (chunk,)
            self._open(chunk, os.O_CREAT | os.O_EXCL)
            write_all(self._require(), IN_PROGRESS_HEADER)
            sync_folder(self._folder)
        return self._chunks[-1]

    def _open(self, chunk: ChunkFile, flags: int) -> None:
        flags |= os.O_WRONLY | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(chunk.path, flags, 0o640)

    def _write(self, pending: list[bytes]) -> None:
        write_all(self._require(), b"".join(pending))
        pending.clear()

    def _complete(self, chunk: ChunkFile) -> None:
        """Write the positions table, then the header that makes it valid, then the final name."""
        descriptor = self._require()
        write_all(descriptor, positions_table(chunk.offsets))
        os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_SET)
        write_all(descriptor, completed_header(chunk.end))
        os.fsync(descriptor)
        self._close()
        chunk.rename(ChunkName(chunk.name.first, chunk.last))
        sync_folder(self._folder)

    def _ends_chunk(self, index: int) -> bool:
        (entry,) = self._chunks[-1].read(index, index, 1)
        return bool(entry.data[_FLAGS_AT] & CHUNK_AFTER)

    def _close(self) -> None:
        """Close the open file; what must be durable was synced, so that failing here says nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _require(self) -> int:
        if self._descriptor is None:
            unreachable("no chunk is open for writing")
        return self._descriptor


def _chunks_up_to(chunks: Sequence[ChunkFile], index: int) -> int:
    """Return how many chunks begin at or before ``index``."""
    return bisect_right(chunks, index, key=lambda chunk: chunk.name.first)
