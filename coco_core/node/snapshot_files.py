"""The node's folder of snapshots: being made, without proof, proven, or arriving from a peer.

``snapshot_<S>`` is whole but has no proof yet, ``snapshot_<S>_<E>.committed`` ends with the receipt of
the entry at E. What is unfinished has a name that begins with a dot, so that whatever has its own name is
whole and durable. Any thread may read; one thread at a time makes, proves and prunes, one receives. Must
not know what a snapshot says: who accepts one that arrived has judged it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import attrs

from coco_core.base import invariant
from coco_core.base.limits import RECEIPT_SIZE_MAX_BYTES, SNAPSHOT_SIZE_MAX_BYTES
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.ledger import SnapshotName
from coco_core.node.durable import make_folder, open_new, sync_file, sync_folder, write_all, write_fault

_PART = ".part"
_RECEIVED = ".received"


@attrs.define
class _Arriving:
    """What came so far of a peer's snapshot."""

    seqno: int
    path: Path
    file: BinaryIO
    size: int = 0
    """Bytes that were written; behind them may stand a piece of what found no room."""


class SnapshotFiles:
    """A folder of snapshots; meets ``replica.SnapshotReader``."""

    def __init__(self, folder: Path) -> None:
        """Create ``folder``, or take over the proven snapshots there and drop what else a stopped node left.

        Without proof a snapshot is of use only to the node that made it. Raises OperatorError for a file
        that does not belong here, and for what cannot be used.
        """
        self._folder = folder
        self._proven: dict[int, int] = {}
        self._unproven: dict[int, int] = {}
        self._arriving: _Arriving | None = None
        self._books = Lock()
        with self._writing(f"snapshots folder {folder}"):
            make_folder(folder)
            names = sorted(path.name for path in folder.iterdir() if _ours(path))
            self.dropped = tuple(name for name in names if not self._take_over(name))
            for name in self.dropped:
                (folder / name).unlink()
            sync_folder(folder)

    def _take_over(self, file: str) -> bool:
        if file.startswith("."):
            return False
        try:
            name = SnapshotName.parse(file)
        except IntegrityError as fault:
            raise OperatorError(f"{self._folder / file}: {fault}") from fault
        if name.evidence is None:
            return False
        if name.seqno in self._proven:
            raise OperatorError(f"{self._folder / file}: there is another snapshot at {name.seqno}")
        self._proven[name.seqno] = name.evidence
        return True

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def newest(self) -> tuple[int, int] | None:
        """Return seqno and evidence of the newest proven snapshot."""
        with self._books:
            return max(self._proven.items(), default=None)

    def look(self, seqno: int) -> tuple[int, int]:
        """Return evidence and size in bytes of the proven snapshot at ``seqno``.

        Raises OperatorError when there is none.
        """
        with self._books:
            evidence, path = self._find(seqno)
            with self._reading(path):
                return evidence, path.stat().st_size

    def read(self, seqno: int, offset: int, max_bytes: int) -> bytes:
        """Return bytes of the proven snapshot at ``seqno``, at least one.

        Raises OperatorError when there is no such snapshot, or nothing at ``offset``.
        """
        # Pruning waits for as long as the file is open: Windows lets nobody remove it.
        with self._books:
            _, path = self._find(seqno)
            with self._reading(path), path.open("rb") as file:
                file.seek(offset)
                data = file.read(max_bytes)
        if not data:
            raise OperatorError(f"{path} ends before offset {offset}")
        return data

    def contents(self, seqno: int) -> bytes:
        """Return the whole proven snapshot at ``seqno``; raises OperatorError as ``read`` does."""
        _, size = self.look(seqno)
        parts: list[bytes] = []
        offset = 0
        while offset < size:
            parts.append(self.read(seqno, offset, size - offset))
            offset += len(parts[-1])
        return b"".join(parts)

    def _find(self, seqno: int) -> tuple[int, Path]:
        if seqno not in self._proven:
            raise OperatorError(f"there is no proven snapshot at {seqno} in {self._folder}")
        evidence = self._proven[seqno]
        return evidence, self._path(SnapshotName(seqno, evidence))

    # ── made here ────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def create(self, seqno: int) -> Iterator[BinaryIO]:
        """Open a file to write the snapshot at ``seqno`` to; it is durable, without proof, on leaving.

        Left with an error, nothing remains of it. Raises DiskFullError or OperatorError in place of any
        OSError, those of the writer included.
        """
        part = self._folder / f".{SnapshotName(seqno)}{_PART}"
        try:
            with self._writing(f"cannot write {part}"):
                with open_new(part) as file:
                    yield file
                    sync_file(file)
                size = part.stat().st_size
                with self._books:
                    # What is proven already is the same, byte for byte.
                    if seqno not in self._proven:
                        os.replace(part, self._path(SnapshotName(seqno)))
                        self._unproven[seqno] = size
                sync_folder(self._folder)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def prove(self, seqno: int, evidence_seqno: int, receipt: bytes) -> None:
        """Attach the receipt of the entry at ``evidence_seqno`` to a snapshot made here, durably.

        Does nothing for one that is proven already. Raises OperatorError when there is none at ``seqno``,
        DiskFullError when there is no room: it may be called again.
        """
        if seqno in self._proven:
            return
        size = self._unproven.get(seqno)
        if size is None:
            raise OperatorError(f"there is no snapshot at {seqno} in {self._folder} to be proven")
        path = self._path(SnapshotName(seqno))
        with self._writing(f"cannot write {path}"):
            with path.open("r+b") as file:
                file.truncate(size)  # A receipt that found no room before.
                file.seek(size)
                file.write(receipt)
                sync_file(file)
            self._rename_proven(path, seqno, evidence_seqno)
            self._unproven.pop(seqno, None)

    def _rename_proven(self, path: Path, seqno: int, evidence_seqno: int) -> None:
        with self._books:
            os.replace(path, self._path(SnapshotName(seqno, evidence_seqno)))
            self._proven[seqno] = evidence_seqno
        sync_folder(self._folder)

    # ── received ─────────────────────────────────────────────────────────────────────────────────

    def receive(self, seqno: int, offset: int, data: bytes) -> None:
        """Keep a part of a snapshot that a peer sends; the one at offset 0 begins it anew.

        Not durable yet. One snapshot arrives at a time. Raises PeerError for a part that does not follow
        the last one, or is too much; DiskFullError when there is no room: it may be called again.
        """
        with self._writing(f"cannot write the snapshot at {seqno} into {self._folder}"):
            if offset == 0:
                self._drop_arriving()
                path = self._folder / f".{SnapshotName(seqno)}{_RECEIVED}"
                self._arriving = _Arriving(seqno, path, open_new(path))
            arriving = self._arriving
            if arriving is None or (arriving.seqno, arriving.size) != (seqno, offset):
                raise PeerError(f"snapshot {seqno}: the part at offset {offset} does not follow the last")
            if offset + len(data) > SNAPSHOT_SIZE_MAX_BYTES + RECEIPT_SIZE_MAX_BYTES:
                raise PeerError(f"snapshot {seqno} is larger than any may be")
            descriptor = arriving.file.fileno()
            os.lseek(descriptor, offset, os.SEEK_SET)
            write_all(descriptor, data)
            arriving.size += len(data)

    def received(self, seqno: int) -> bytes:
        """Return all that has arrived of the snapshot at ``seqno``, durable now, to be judged.

        Raises OperatorError when none is arriving, DiskFullError when there was no room for it.
        """
        arriving = self._arrived(seqno)
        with self._writing(f"cannot write {arriving.path}"):
            descriptor = arriving.file.fileno()
            os.truncate(descriptor, arriving.size)
            os.fsync(descriptor)
            return arriving.path.read_bytes()

    def accept(self, seqno: int, evidence_seqno: int) -> None:
        """Keep what ``received`` gave as the proven snapshot at ``seqno``; raises what that raises."""
        arriving = self._arrived(seqno)
        with self._writing(f"cannot rename {arriving.path}"):
            if seqno in self._proven:
                self._drop_arriving()
                return
            arriving.file.close()
            self._rename_proven(arriving.path, seqno, evidence_seqno)
        self._arriving = None

    def _arrived(self, seqno: int) -> _Arriving:
        if self._arriving is None or self._arriving.seqno != seqno:
            raise OperatorError(f"no snapshot at {seqno} is arriving in {self._folder}")
        return self._arriving

    def _drop_arriving(self) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            arriving.file.close()
            arriving.path.unlink(missing_ok=True)

    # ── dropped ──────────────────────────────────────────────────────────────────────────────────

    def discard(self, seqno: int) -> None:
        """Drop the snapshot at ``seqno`` as far as it has no proof: made here, or arriving."""
        with self._writing(f"cannot remove the snapshot at {seqno} from {self._folder}"):
            if self._arriving is not None and self._arriving.seqno == seqno:
                self._drop_arriving()
            self._remove_unproven([seqno])

    def prune(self, keep: int) -> None:
        """Drop all but the newest ``keep`` proven snapshots, and what is older without a proof."""
        invariant(keep > 0, "one snapshot is kept")
        with self._writing(f"cannot remove snapshots from {self._folder}"):
            with self._books:
                newest = max(self._proven, default=0)
                for seqno in sorted(self._proven)[:-keep]:
                    self._path(SnapshotName(seqno, self._proven[seqno])).unlink(missing_ok=True)
                    del self._proven[seqno]
            self._remove_unproven([seqno for seqno in self._unproven if seqno < newest])
            sync_folder(self._folder)

    def _remove_unproven(self, seqnos: list[int]) -> None:
        for seqno in seqnos:
            if seqno in self._unproven:
                self._path(SnapshotName(seqno)).unlink(missing_ok=True)
                del self._unproven[seqno]

    def close(self) -> None:
        """Let go of what is arriving."""
        with self._writing(f"cannot close the snapshots in {self._folder}"):
            self._drop_arriving()

    # ── files ────────────────────────────────────────────────────────────────────────────────────

    def _path(self, name: SnapshotName) -> Path:
        return self._folder / str(name)

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_fault(error, what) from error

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        """What cannot be read cannot be offered; a node goes on without."""
        try:
            yield
        except OSError as error:
            raise OperatorError(f"{path}: cannot be read: {error.strerror or error}") from error


def _ours(path: Path) -> bool:
    """Tell whether a file is for this room to judge; raises OperatorError for what does not belong here."""
    if path.name.startswith("."):
        return path.name.startswith(".snapshot_") and path.suffix in {_PART, _RECEIVED}
    if path.name.startswith("snapshot_"):
        return True
    if path.is_dir():
        return False
    raise OperatorError(f"{path} is no snapshot: the folder is for nothing else")
