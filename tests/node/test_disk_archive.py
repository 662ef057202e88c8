"""Chunks leave the ledger's folder: replaced by a snapshot, or moved to where the operator wants them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import EntriesCompactedError, Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.node.disk import ARCHIVE_FOLDER, LedgerFiles
from coco_core.testing import Cluster, add


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
def files(tmp_path: Path, entries: list[Entry]) -> LedgerFiles:
    """All that can be marked as committed is."""
    files = LedgerFiles(tmp_path / "ledger")
    files.append(entries)
    files.mark_committed(len(entries))
    return files


def first_of(path: Path) -> int:
    return int(path.name.split("_")[1].split("-")[0].split(".")[0])


def names(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.glob("ledger_*"), key=first_of)]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def last_of(name: str) -> int:
    return int(name.split("-")[1].split(".", maxsplit=1)[0])


def replayed(files: LedgerFiles) -> list[bytes]:
    return [raw for _, _, raw in files.replay()]


def raw(entries: list[Entry]) -> list[bytes]:
    return [entry.data for entry in entries]


# ── replaced by a snapshot ───────────────────────────────────────────────────────────────────────


def test_a_ledger_begun_anew(files: LedgerFiles, tmp_path: Path, entries: list[Entry]) -> None:
    before = contents(tmp_path / "ledger")
    *whole, open_one = before
    place = last_of(whole[2])
    files.begin_after(place)
    assert (files.has_ledger, files.first_index, files.last_index) == (False, place + 1, place)
    for index in (1, place):
        with pytest.raises(EntriesCompactedError, match=f"begins after entry {index}"):
            files.read_raw(index)
    with pytest.raises(IntegrityError, match="does not hold") as caught:
        files.read_raw(place + 1)
    assert not isinstance(caught.value, EntriesCompactedError)
    assert names(tmp_path / "ledger") == []
    # What is marked as committed is never deleted; the open one reached beyond.
    assert contents(tmp_path / "ledger" / ARCHIVE_FOLDER) == {name: before[name] for name in whole}

    files.append(entries[place:])
    files.mark_committed(len(entries))
    assert replayed(files) == raw(entries[place:])
    assert contents(tmp_path / "ledger") == {name: before[name] for name in [*whole[3:], open_one]}
    files.close()

    again = LedgerFiles(tmp_path / "ledger")
    assert (again.first_index, again.last_index) == (place + 1, len(entries))
    again.adopt(place, ())
    with pytest.raises(EntriesCompactedError):
        again.read_raw(place)
    assert (again.first_index, again.last_index) == (place + 1, place)
    again.append(entries[place:])
    with pytest.raises(BrokenInvariantError, match="what a snapshot replaced cannot be cut"):
        again.truncate(place - 1)
    again.truncate(place)
    again.append(entries[place:])
    assert replayed(again) == raw(entries[place:])


def test_what_is_not_committed_and_reaches_beyond_is_deleted(tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path)
    files.append(entries)
    before = contents(tmp_path)
    first, second, third, *_ = before
    files.begin_after(last_of(second) + 1)
    assert names(tmp_path) == []
    assert contents(tmp_path / ARCHIVE_FOLDER) == {name: before[name] for name in (first, second)}
    assert third not in names(tmp_path / ARCHIVE_FOLDER)


def test_a_snapshot_far_beyond(files: LedgerFiles, tmp_path: Path, entries: list[Entry]) -> None:
    before = contents(tmp_path / "ledger")
    files.begin_after(10_000)
    assert contents(tmp_path / "ledger" / ARCHIVE_FOLDER) == before
    assert files.last_index == 10_000
    with pytest.raises(BrokenInvariantError, match="leaves a gap"):
        files.append(entries[:1])


def test_what_was_never_adopted_is_put_aside(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry]
) -> None:
    files.close()
    before = contents(tmp_path / "ledger")
    left = LedgerFiles(tmp_path / "ledger")
    left.begin_after(len(entries))
    assert contents(tmp_path / "ledger" / ARCHIVE_FOLDER) == before
    left.append([])
    assert left.last_index == len(entries)


def test_an_empty_ledger_begins_anywhere(tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path)
    files.begin_after(7)
    files.append(entries[7:])
    assert names(tmp_path)[0].startswith("ledger_8-")
    assert not (tmp_path / ARCHIVE_FOLDER).exists()
    with pytest.raises(EntriesCompactedError):
        files.read_raw(7)


def test_what_is_in_the_archive_is_never_overwritten(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry]
) -> None:
    folder = tmp_path / "ledger"
    before = contents(folder)
    first, second, *_ = before
    archive = folder / ARCHIVE_FOLDER
    (archive / "2").mkdir(parents=True)
    (archive / first).write_bytes(before[first])  # The same.
    (archive / second).write_bytes(b"something else")
    (archive / "2" / second).write_bytes(b"and something else")
    files.begin_after(len(entries))
    assert (archive / first).read_bytes() == before[first]
    assert (archive / second).read_bytes() == b"something else"
    assert (archive / "2" / second).read_bytes() == b"and something else"
    assert (archive / "3" / second).read_bytes() == before[second]
    assert names(folder) == []


# ── moved to where the operator wants them ───────────────────────────────────────────────────────


def archive_all(files: LedgerFiles, up_to_index: int, target: Path) -> int:
    moved = 0
    while files.archive(up_to_index, target):
        moved += 1
    return moved


def test_committed_chunks_are_moved_one_at_a_time(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry]
) -> None:
    before = contents(tmp_path / "ledger")
    first, second, *rest = before
    target = tmp_path / "far" / "away"
    assert not files.archive(last_of(first) - 1, target)
    assert not target.exists()
    assert files.archive(last_of(second), target)
    assert files.first_index == last_of(first) + 1
    assert archive_all(files, last_of(second) + 1, target) == 1
    assert contents(target) == {name: before[name] for name in (first, second)}
    assert contents(tmp_path / "ledger") == {name: before[name] for name in rest}
    with pytest.raises(EntriesCompactedError):
        files.read_raw(last_of(second))
    assert files.read_raw(last_of(second) + 1) == entries[last_of(second)].data
    # Never the newest, which is in progress here.
    assert archive_all(files, len(entries), target) == len(rest) - 1
    assert len(names(tmp_path / "ledger")) == 1
    assert replayed(files) == raw(entries[files.first_index - 1 :])
    files.truncate(files.last_index - 1)
    files.append(entries[-1:])
    files.mark_committed(len(entries))
    assert replayed(LedgerFiles(target)) + replayed(files) == raw(entries)


def test_what_is_not_committed_stays(tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    files.append(entries)
    _, second, *_ = names(tmp_path / "ledger")
    assert archive_all(files, len(entries), tmp_path / "target") == 0
    files.mark_committed(last_of(second))
    assert archive_all(files, len(entries), tmp_path / "target") == 2
    files.mark_committed(len(entries))
    assert all(name.endswith(".committed") for name in names(tmp_path / "ledger")[:-1])


def test_the_newest_chunk_stays_though_it_is_complete(tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path / "ledger")
    files.append(entries)
    last = last_of(names(tmp_path / "ledger")[-2])
    files.truncate(last)
    files.mark_committed(last)
    archive_all(files, last, tmp_path / "target")
    (left,) = names(tmp_path / "ledger")
    assert last_of(left) == last


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder is a file system of its own."""

    def rename(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", rename)


@pytest.mark.usefixtures("elsewhere")
def test_between_file_systems_chunks_are_copied(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry]
) -> None:
    before = contents(tmp_path / "ledger")
    target = tmp_path / "target"
    target.mkdir()
    (target / f".{next(iter(before))}.part").write_bytes(b"what a copy left that was cut short")
    moved = archive_all(files, len(entries), target)
    assert moved == len(before) - 1
    assert contents(target) == dict(list(before.items())[:moved])
    assert not [path for path in target.iterdir() if path.name.startswith(".")]
    modes = {path.stat().st_mode for path in [*target.iterdir(), *(tmp_path / "ledger").iterdir()]}
    assert len(modes) == 1


def test_a_move_cut_short_between_copy_and_deletion(files: LedgerFiles, tmp_path: Path) -> None:
    first, *_ = names(tmp_path / "ledger")
    target = tmp_path / "target"
    target.mkdir()
    (target / first).write_bytes((tmp_path / "ledger" / first).read_bytes())
    assert files.archive(last_of(first), target)
    assert first not in names(tmp_path / "ledger")
    assert names(target) == [first]


def test_archives_that_cannot_be_used(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(tmp_path / "ledger")
    first, *_ = before
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / first).write_bytes(b"another ledger's")
    refused: list[tuple[Path, str]] = [
        (tmp_path / "file" / "below", "cannot move"),
        (tmp_path / "ledger", "is the ledger's own folder"),
        (tmp_path / "other", "is there already and holds something else"),
    ]
    for target, reason in refused:
        with pytest.raises(OperatorError, match=reason):
            files.archive(len(entries), target)
    assert (tmp_path / "other" / first).read_bytes() == b"another ledger's"

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", fail)
        with pytest.raises(OperatorError, match="cannot move"):
            files.archive(len(entries), tmp_path / "target")
    assert contents(tmp_path / "ledger") == before
    assert replayed(files) == raw(entries)
    # Moved, but not known to be durable: the next call sees to that.
    sync, synced = os.fsync, 0

    def fail_second(descriptor: int) -> None:
        nonlocal synced
        synced += 1
        if synced == 2:
            fail()
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail_second)
        with pytest.raises(OperatorError, match="cannot move"):
            files.archive(last_of(first), tmp_path / "elsewhere")
    assert files.archive(last_of(first), tmp_path / "elsewhere")
    assert names(tmp_path / "elsewhere") == [first]
    assert files.first_index == last_of(first) + 1


# ── readers in other threads ─────────────────────────────────────────────────────────────────────


def read_while(
    files: LedgerFiles, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]
) -> list[object]:
    """Have another thread write when a reader has just found out where entry 2 stands; then open the file."""
    opened = Path.open
    writers: list[threading.Thread] = []

    def written_first(path: Path, mode: str = "r") -> Any:
        monkeypatch.setattr(Path, "open", opened)
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.1)  # It waits for this reader: nobody moves an open file.
        writers.append(writer)
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", written_first)
    found = files.read_raw(2)
    for writer in writers:
        writer.join()
    return [found]


@pytest.mark.parametrize("change", ["archive", "begin"])
def test_reading_while_files_leave(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    write: Callable[[], object] = (
        (lambda: files.archive(len(entries), tmp_path / "target"))
        if change == "archive"
        else (lambda: files.begin_after(len(entries)))
    )
    assert read_while(files, monkeypatch, write) == [entries[1].data]
    with pytest.raises(EntriesCompactedError):
        files.read_raw(2)


def test_a_reader_that_comes_just_after_the_file_left(
    files: LedgerFiles, tmp_path: Path, entries: list[Entry]
) -> None:
    """It looked for the entry before the writer moved it, and opens the file after that."""
    for write in (lambda: files.archive(4, tmp_path / "target"), lambda: files.begin_after(len(entries))):
        chunk = files._chunks[0]
        assert write() is not False
        with pytest.raises(EntriesCompactedError, match="no longer a part of the ledger"):
            chunk.read(chunk.name.first, chunk.name.first, 1)


def test_a_reader_that_comes_just_after_a_cut(tmp_path: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(tmp_path)
    files.append(entries)
    chunk = files._chunks[1]
    files.truncate(chunk.name.first)
    with pytest.raises(IntegrityError, match=f"holds entry {chunk.name.first + 1} no more"):
        chunk.read(chunk.name.first + 1, len(entries), 1)
