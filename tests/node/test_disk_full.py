"""A disk without room, calls that fail, power cuts: at every call to the system, and on a real small disk."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coco_core.consensus import Entry
from coco_core.errors import OperatorError
from coco_core.node.disk import ARCHIVE_FOLDER, LedgerFiles
from coco_core.node.durable import DiskFullError
from coco_core.testing import Cluster, add

CHANGES = ("open", "write", "fsync", "replace", "rename", "truncate", "unlink", "mkdir")

Work = Callable[[LedgerFiles, list[Entry]], object]


class PowerCutError(BaseException):
    """Nothing after this happens."""


class Calls:
    """Counts calls that change the disk; the one at ``fail_at`` and later ones fail, until mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail_at: int | None = None
        self.fault: Callable[[], BaseException] = PowerCutError
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.count += 1
            if self.fail_at is not None and self.count >= self.fail_at:
                if name == "write" and self.count == self.fail_at:  # A part of it still arrives.
                    real(args[0], args[1][: len(args[1]) // 2])
                raise self.fault()
            return real(*args, **options)

        return call

    def mend(self) -> None:
        self.fail_at = None


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    """A ledger of several short chunks."""
    cluster = Cluster.found(1, draw=lambda low, _: low, chunk_size_bytes=4000)
    cluster.settle()
    for number in range(13):
        cluster.submit(cluster.primary, add(f"t{number}", "x", 1))
        cluster.settle()
    return cluster.primary.disk.entries


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def held(files: LedgerFiles) -> list[bytes]:
    return [raw for _, _, raw in files.replay()]


def raw(entries: list[Entry]) -> list[bytes]:
    return [entry.data for entry in entries]


def append_rest(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries[files.last_index :])


def cut_to_five(files: LedgerFiles, _: list[Entry]) -> None:
    files.truncate(5)


def begin_after_twenty(files: LedgerFiles, _: list[Entry]) -> None:
    files.begin_after(20)


WORK: dict[Work, tuple[int | None, int]] = {
    append_rest: (6, 6),
    cut_to_five: (None, 5),
    begin_after_twenty: (None, 0),
}
"""What is done, how many entries are there before, and how many a crash must leave."""


def calls_of(work: Work, entries: list[Entry], folder: Path, calls: Calls) -> int:
    """Return how many calls ``work`` takes when nothing fails."""
    files = LedgerFiles(folder)
    files.append(entries[: WORK[work][0]])
    before = calls.count
    work(files, entries)
    files.close()
    return calls.count - before


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_what_found_no_room_succeeds_when_there_is_some(
    tmp_path: Path, entries: list[Entry], calls: Calls, work: Work
) -> None:
    count = calls_of(work, entries, tmp_path / "undisturbed", calls)
    wanted = contents(tmp_path / "undisturbed")
    assert count > 5
    for step in range(1, count + 1):
        folder = tmp_path / str(step)
        files = LedgerFiles(folder)
        files.append(entries[: WORK[work][0]])
        calls.fault, calls.fail_at = full, calls.count + step
        with pytest.raises(DiskFullError, match="No space left on device"):
            work(files, entries)
        if work is append_rest:
            assert files.last_index == WORK[work][0]
            assert held(files) == raw(entries[: WORK[work][0]])
            with pytest.raises(DiskFullError):
                work(files, entries)
        calls.mend()
        if work is begin_after_twenty:
            files.append([])  # Begun anew in memory; the files follow before the next write.
            files.truncate(20)
        else:
            work(files, entries)
        files.close()
        assert contents(folder) == wanted


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_a_power_cut_leaves_no_gap(tmp_path: Path, entries: list[Entry], calls: Calls, work: Work) -> None:
    count = calls_of(work, entries, tmp_path / "undisturbed", calls)
    there, must_be_left = WORK[work]
    for step in range(1, count + 1):
        folder = tmp_path / str(step)
        files = LedgerFiles(folder)
        files.append(entries[:there])
        calls.fault, calls.fail_at = PowerCutError, calls.count + step
        with pytest.raises(PowerCutError):
            work(files, entries)
        calls.mend()
        left = LedgerFiles(folder)
        first, last = left.first_index, left.last_index
        assert must_be_left <= last <= len(entries)
        if work is not begin_after_twenty:
            assert first == 1
        assert held(left) == raw(entries[first - 1 : last])
        # Adopted, it is written on as if nothing had happened.
        if left.has_ledger:
            left.adopt(last, ())
            append_rest(left, entries)
            assert held(left) == raw(entries[first - 1 :])
        left.close()
        files.close()


def test_a_power_cut_while_adopting(tmp_path: Path, entries: list[Entry], calls: Calls) -> None:
    source = LedgerFiles(tmp_path / "source")
    source.append(entries)
    source.mark_committed(20)
    source.close()
    for step in range(1, 100):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "source", folder)
        calls.fault, calls.fail_at = PowerCutError, calls.count + step
        try:
            LedgerFiles(folder).adopt(5, ())
        except PowerCutError:
            calls.mend()
        else:
            break
        left = LedgerFiles(folder)
        assert 5 <= left.last_index <= len(entries)
        assert held(left) == raw(entries[: left.last_index])
    calls.mend()
    assert step > 10


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_adoption_without_room_is_done_over(
    tmp_path: Path, entries: list[Entry], calls: Calls, number: int
) -> None:
    source = LedgerFiles(tmp_path)
    source.append(entries)
    source.close()
    left = LedgerFiles(tmp_path)
    calls.fault, calls.fail_at = lambda: OSError(number, os.strerror(number)), calls.count + 3
    for _ in range(2):
        with pytest.raises(DiskFullError):
            left.adopt(5, [3])
    calls.mend()
    left.adopt(5, [3])
    assert [entry.committable for entry in left.read(1, 4, 10**9)] == [False, False, True, False]
    assert left.last_index == 5


def test_no_room_to_rename_what_is_committed(tmp_path: Path, entries: list[Entry], calls: Calls) -> None:
    files = LedgerFiles(tmp_path)
    files.append(entries)
    calls.fault, calls.fail_at = full, calls.count + 2
    with pytest.raises(DiskFullError, match="cannot rename"):
        files.mark_committed(len(entries))
    assert sum("committed" in name for name in contents(tmp_path)) == 1
    calls.mend()
    files.mark_committed(len(entries))
    assert sum("committed" not in name for name in contents(tmp_path)) == 1


def test_what_failed_to_be_completed_is_not_taken_for_committed(
    tmp_path: Path, entries: list[Entry], calls: Calls
) -> None:
    """A majority may agree on entries that this disk had no room for."""
    files = LedgerFiles(tmp_path)
    files.append(entries[:6])
    completing = next(entry.index for entry in entries[6:] if entry.data[1] & 1)
    calls.fault = full
    for step in range(1, 12):
        calls.fail_at = calls.count + step
        with pytest.raises(DiskFullError):
            files.append(entries[6 : completing + 1])
        calls.mend()
        files.mark_committed(len(entries))
        marked = [name for name in contents(tmp_path) if "committed" in name]
        assert marked == ["ledger_1-4.committed"]
    files.append(entries[6:])
    files.mark_committed(len(entries))
    assert held(files) == raw(entries)


def test_other_faults_are_not_a_full_disk(tmp_path: Path, entries: list[Entry], calls: Calls) -> None:
    files = LedgerFiles(tmp_path)
    files.append(entries[:6])
    calls.fault, calls.fail_at = lambda: OSError(errno.EIO, os.strerror(errno.EIO)), calls.count + 1
    doings: list[tuple[Callable[[], object], str]] = [
        (lambda: files.append(entries[6:]), "cannot write the ledger"),
        (lambda: files.truncate(5), "cannot truncate the ledger"),
        (lambda: files.begin_after(20), "cannot begin the ledger anew"),
    ]
    for work, what in doings:
        with pytest.raises(OperatorError, match=what) as caught:
            work()
        assert not isinstance(caught.value, DiskFullError)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if sys.platform != "linux" or mount is None:
        pytest.skip("small file systems are mounted on Linux only")
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take all the room there is."""
    path.unlink(missing_ok=True)
    path.write_bytes(bytes(shutil.disk_usage(path.parent).free))


def test_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path, entries: list[Entry]) -> None:
    undisturbed = LedgerFiles(tmp_path / "undisturbed")
    undisturbed.append(entries)
    undisturbed.close()
    files = LedgerFiles(small_disk / "ledger")
    files.append(entries[:6])
    ballast = small_disk / "ballast"
    for _ in range(3):
        fill(ballast)
        for _ in range(2):
            with pytest.raises(DiskFullError, match="No space left on device"):
                files.append(entries[6:])
            assert files.last_index == 6
            assert held(files) == raw(entries[:6])
        with ballast.open("r+b") as file:
            file.truncate(ballast.stat().st_size - 8192)  # Room for some of it only.
        with pytest.raises(DiskFullError, match="No space left on device"):
            files.append(entries[6:])
        assert files.last_index == 6
    ballast.unlink()
    files.append(entries[6:])
    files.close()
    assert contents(small_disk / "ledger") == contents(tmp_path / "undisturbed")


def test_moving_to_a_disk_that_is_really_full(small_disk: Path, tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    files.append(entries)
    files.mark_committed(len(entries))
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(OperatorError, match="cannot move") as caught:
        files.archive(len(entries), small_disk)
    assert not isinstance(caught.value, DiskFullError)  # This node can go on.
    assert held(files) == raw(entries)
    assert contents(small_disk).keys() == {"ballast"}
    ballast.unlink()
    moved = files.first_index
    while files.archive(len(entries), small_disk):
        assert files.first_index > moved
        moved = files.first_index
    assert not (tmp_path / "ledger" / ARCHIVE_FOLDER).exists()
    together = LedgerFiles(small_disk)
    assert held(together) + held(files) == raw(entries)
