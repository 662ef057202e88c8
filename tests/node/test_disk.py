"""The ledger on disk: what is written is read back and audited; a disk that fails leaves what was durable."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import audit
from coco_core.node.disk import LedgerFiles
from coco_core.testing import Cluster, Consortium, add


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
def files(tmp_path: Path) -> LedgerFiles:
    return LedgerFiles(tmp_path / "ledger")


def chunks(folder: Path) -> list[tuple[str, bytes]]:
    paths = sorted(
        folder.iterdir(), key=lambda path: int(path.name.split("_")[1].split("-")[0].split(".")[0])
    )
    return [(path.name, path.read_bytes()) for path in paths]


def audited(files: LedgerFiles) -> int:
    certificate = Consortium.of(1).service.certificate
    return audit(chunks(files._folder), service_cert_pem=certificate).entries


def read_all(files: LedgerFiles, first: int, last: int) -> list[Entry]:
    """Read on until ``last``: one call reads from one file."""
    found: list[Entry] = []
    while first <= last:
        found += files.read(first, last, 10**9)
        first = found[-1].index + 1
    return found


def test_what_is_appended_is_read(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries[:7])
    files.append(entries[7:])
    assert files.last_index == len(entries)
    assert read_all(files, 1, len(entries)) == entries
    assert read_all(files, 3, 9) == entries[2:9]
    assert files.read_raw(5) == entries[4].data
    assert audited(files) == len(entries)
    assert len(chunks(files._folder)) > 2
    files.close()


def test_reads_are_bounded_but_give_at_least_one(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries)
    assert files.read(2, 9, 0) == entries[1:2]
    two = len(entries[1].data) + len(entries[2].data)
    assert files.read(2, 9, two) == entries[1:3]
    assert files.read(2, 9, two - 1) == entries[1:2]


def test_a_read_opens_one_file_once(
    files: LedgerFiles, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.append(entries)
    opened: list[Path] = []
    real = Path.open

    def counted(path: Path, mode: str = "r") -> Any:
        opened.append(path)
        return real(path, mode)

    monkeypatch.setattr(Path, "open", counted)
    first_chunk = files.read(1, len(entries), 10**9)
    assert len(first_chunk) > 1
    assert len(opened) == 1
    assert read_all(files, 1, len(entries)) == entries
    assert len(opened) == 1 + len(chunks(files._folder))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_process_without_files_to_open_says_nothing_about_the_ledger(
    files: LedgerFiles, entries: list[Entry], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def exhausted(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    files.append(entries)
    monkeypatch.setattr(Path, "open", exhausted)
    with pytest.raises(OperatorError, match="cannot be read"):
        files.read_raw(1)


def test_one_by_one_gives_the_same_files(tmp_path: Path, entries: list[Entry]) -> None:
    one, other = LedgerFiles(tmp_path / "one"), LedgerFiles(tmp_path / "other")
    one.append(entries)
    for entry in entries:
        other.append([entry])
    assert chunks(tmp_path / "one") == chunks(tmp_path / "other")


def test_finished_chunks_are_renamed_once_committed(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries)
    names = [path.name for path in sorted(files._folder.iterdir())]
    assert not any("committed" in name for name in names)
    for index in range(1, len(entries) + 1):
        files.mark_committed(index)
        committed = [name for name, _ in chunks(files._folder) if name.endswith(".committed")]
        assert all(int(name.split("-")[1].split(".")[0]) <= index for name in committed)
    assert len(committed) == len(chunks(files._folder)) - 1
    assert read_all(files, 1, len(entries)) == entries
    assert audited(files) == len(entries)


@pytest.mark.parametrize("keep", range(0, 40, 3))
def test_truncation_anywhere(files: LedgerFiles, entries: list[Entry], keep: int) -> None:
    files.append(entries)
    files.truncate(keep)
    assert files.last_index == keep
    if keep:
        assert read_all(files, 1, keep) == entries[:keep]
    with pytest.raises(IntegrityError, match=f"does not hold entry {keep + 1}"):
        files.read_raw(keep + 1)
    files.append(entries[keep:])
    assert read_all(files, 1, len(entries)) == entries
    assert audited(files) == len(entries)


def test_truncation_to_the_end_changes_nothing(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries)
    before = chunks(files._folder)
    files.truncate(len(entries))
    assert chunks(files._folder) == before


def test_committed_chunks_cannot_be_cut(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries)
    files.mark_committed(len(entries))
    with pytest.raises(BrokenInvariantError, match="is committed and cannot be cut"):
        files.truncate(2)


def test_gaps_are_our_own_mistake(files: LedgerFiles, entries: list[Entry]) -> None:
    with pytest.raises(BrokenInvariantError, match="leaves a gap"):
        files.append(entries[1:])


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="ledger folder"):
        LedgerFiles(tmp_path / "file" / "below")


def test_files_changed_behind_our_back(files: LedgerFiles, entries: list[Entry]) -> None:
    files.append(entries)
    (first, *_) = sorted(files._folder.iterdir())
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="offset 100: cut short"):
        files.read(1, len(entries), 10**9)
    first.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        files.read_raw(1)


def test_a_disk_that_fails_on_other_calls(
    files: LedgerFiles, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    files.append(entries[:30])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OperatorError, match="cannot write the ledger"):
            files.append(entries[30:31])
        with pytest.raises(OperatorError, match="cannot truncate the ledger"):
            files.truncate(29)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OperatorError, match="cannot rename"):
            files.mark_committed(29)


def test_reading_while_files_are_renamed(
    files: LedgerFiles, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writing thread renames a chunk between a reader's look at its name and its opening of it."""
    files.append(entries)
    opened = Path.open

    def renamed_first(path: Path, mode: str = "r") -> Any:
        monkeypatch.setattr(Path, "open", opened)
        writer = threading.Thread(target=files.mark_committed, args=(len(entries),))
        writer.start()
        writer.join(0.2)  # Either it renamed, or it waits for this reader.
        reader = opened(path, mode)
        threads.append(writer)
        return reader

    threads: list[threading.Thread] = []
    monkeypatch.setattr(Path, "open", renamed_first)
    assert files.read_raw(2) == entries[1].data
    for thread in threads:
        thread.join()
    assert chunks(files._folder)[0][0].endswith(".committed")
    assert files.read_raw(2) == entries[1].data
