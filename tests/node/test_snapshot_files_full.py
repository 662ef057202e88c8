"""Snapshots on a full disk and in power cuts: what is proven is whole, and the node goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coco_core.errors import OperatorError
from coco_core.node.durable import DiskFullError
from coco_core.node.snapshot_files import SnapshotFiles

BODY = b"the state at some place" * 100
RECEIPT = b'{"cert":"..."}'

CHANGES = ("open", "write", "fsync", "replace", "rename", "truncate", "unlink", "mkdir")


@pytest.fixture
def files(tmp_path: Path) -> Iterator[SnapshotFiles]:
    files = SnapshotFiles(tmp_path / "snapshots")
    yield files
    files.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make(files: SnapshotFiles, seqno: int, body: bytes = BODY) -> None:
    with files.create(seqno) as file:
        file.write(body)


def make_proven(files: SnapshotFiles, *seqnos: int) -> None:
    for seqno in seqnos:
        make(files, seqno)
        files.prove(seqno, seqno + 3, RECEIPT)


def receive(files: SnapshotFiles, seqno: int, data: bytes, part: int = 1000) -> None:
    for offset in range(0, len(data), part):
        files.receive(seqno, offset, data[offset : offset + part])


class PowerCutError(BaseException):
    """Nothing after this happens."""


class Calls:
    """Counts calls that change the disk; the one at ``fail_at`` and later ones fail, until mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail_at: int | None = None
        self.fault: Callable[[], BaseException] = PowerCutError
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self.fail_at is not None and self.count >= self.fail_at:
                raise self.fault()
            return real(*args, **options)

        return call


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def live(files: SnapshotFiles) -> None:
    """Everything a node does with snapshots."""
    if files.newest() is None:
        make_proven(files, 20)
    receive(files, 30, BODY + RECEIPT)
    assert files.received(30) == BODY + RECEIPT
    files.accept(30, 33)
    make(files, 40)
    files.discard(40)
    make(files, 40)
    files.prove(40, 43, RECEIPT)
    files.prune(1)


@pytest.mark.parametrize("fault", [full, PowerCutError])
def test_whatever_fails_what_is_proven_is_whole(
    tmp_path: Path, calls: Calls, fault: Callable[[], BaseException]
) -> None:
    for step in range(1, 100):
        folder = tmp_path / str(step)
        files = SnapshotFiles(folder)
        calls.fault, calls.fail_at = fault, calls.count + step
        try:
            live(files)
        except (DiskFullError, PowerCutError):
            calls.fail_at = None
        else:
            break
        for path in folder.glob("*.committed"):
            assert path.read_bytes() == BODY + RECEIPT
        if fault is full:
            live(files)  # The same node goes on when there is room.
        files.close()
        again = SnapshotFiles(folder)
        live(again)
        assert names(folder) == ["snapshot_40_43.committed"]
        again.close()
    calls.fail_at = None
    assert step > 20
    assert names(folder) == ["snapshot_40_43.committed"]


def short_writes(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Let every file end after ``room`` bytes, as on a disk that is full."""
    write = os.write

    def limited(descriptor: int, data: Any) -> int:
        left = room - os.lseek(descriptor, 0, os.SEEK_CUR)
        if left <= 0:
            raise full()
        return write(descriptor, memoryview(data)[:left])

    monkeypatch.setattr(os, "write", limited)


def test_a_part_that_found_no_room_is_received_again(
    files: SnapshotFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.receive(20, 0, b"12345")
    with monkeypatch.context() as patched:
        short_writes(patched, 7)
        for _ in range(2):
            with pytest.raises(DiskFullError, match="cannot write the snapshot at 20"):
                files.receive(20, 5, b"67890")
    assert files.received(20) == b"12345"
    files.receive(20, 5, b"67890")
    assert files.received(20) == b"1234567890"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is always full")
def test_a_disk_that_is_really_full(
    files: SnapshotFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_proven(files, 20)
    make(files, 30)
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, mode: real("/dev/full", flags, mode))
    with pytest.raises(DiskFullError, match="No space left on device"):
        make(files, 40)
    with pytest.raises(DiskFullError, match="No space left on device"):
        files.receive(50, 0, BODY)
    monkeypatch.undo()
    assert names(folder) == ["snapshot_20_23.committed", "snapshot_30"]
    files.prove(30, 33, RECEIPT)


def test_other_faults_are_not_a_full_disk(files: SnapshotFiles, calls: Calls) -> None:
    make(files, 20)
    calls.fault, calls.fail_at = lambda: OSError(errno.EIO, os.strerror(errno.EIO)), calls.count + 1
    doings: list[Callable[[], object]] = [
        lambda: make(files, 30),
        lambda: files.prove(20, 23, RECEIPT),
        lambda: files.receive(30, 0, BODY),
        lambda: files.discard(20),
    ]
    for do in doings:
        with pytest.raises(OperatorError) as caught:
            do()
        assert not isinstance(caught.value, DiskFullError)
    calls.fail_at = None
