"""Ledgers an earlier node left: looked at, replayed, adopted, put aside; chunks moved to an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import EntriesCompactedError, Entry
from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import CHUNK_AFTER, audit, encode_chunk
from coco_core.node.disk import ARCHIVE_FOLDER, LedgerFiles
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
def folder(tmp_path: Path, entries: list[Entry]) -> Path:
    """What a node left that was stopped: all complete chunks up to entry 20 are marked as committed."""
    files = LedgerFiles(tmp_path / "ledger")
    files.append(entries)
    files.mark_committed(20)
    files.close()
    return tmp_path / "ledger"


def first_of(name: str) -> int:
    return int(name.split("_")[1].split("-", maxsplit=1)[0].split(".", maxsplit=1)[0])


def names(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.iterdir() if path.is_file()), key=first_of)


def committables(entries: list[Entry]) -> list[int]:
    return [entry.index for entry in entries if entry.committable]


def last_of_chunks(entries: list[Entry]) -> list[int]:
    return [entry.index for entry in entries if entry.data[1] & CHUNK_AFTER]


def read_all(files: LedgerFiles) -> list[Entry]:
    found: list[Entry] = []
    while (first := files.first_index + len(found)) <= files.last_index:
        found += files.read(first, files.last_index, 10**9)
    return found


def replayed(files: LedgerFiles) -> list[bytes]:
    return [raw for _, _, raw in files.replay()]


def audited(folder: Path) -> int:
    parts = [(name, (folder / name).read_bytes()) for name in names(folder)]
    return audit(parts, service_cert_pem=Consortium.of(1).service.certificate).entries


def test_an_empty_folder_holds_no_ledger(tmp_path: Path) -> None:
    files = LedgerFiles(tmp_path / "a" / "b")
    assert (files.has_ledger, files.first_index, files.last_index) == (False, 1, 0)
    assert replayed(files) == []
    with pytest.raises(IntegrityError, match="does not hold entry 1") as caught:
        files.read_raw(1)
    assert not isinstance(caught.value, EntriesCompactedError)


def test_a_ledger_is_replayed_and_adopted_as_it_is(folder: Path, entries: list[Entry]) -> None:
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    files = LedgerFiles(folder)
    assert (files.has_ledger, files.first_index, files.last_index) == (True, 1, len(entries))
    assert files.torn_tail_bytes == 0
    for (file, offset, raw), entry in zip(files.replay(), entries, strict=True):
        assert raw == entry.data
        assert Path(file).read_bytes()[offset:].startswith(raw)
    files.adopt(len(entries), committables(entries))
    assert read_all(files) == entries
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before


@pytest.mark.parametrize("known", [7, 15, 22])
def test_an_adopted_ledger_is_written_on(
    folder: Path, tmp_path: Path, entries: list[Entry], known: int
) -> None:
    """The files become those of a node that never stopped."""
    old = LedgerFiles(folder)
    old.adopt(known, ())
    old.close()
    files = LedgerFiles(folder)
    assert files.last_index == known
    files.adopt(known, committables(entries[:known]))
    files.append(entries[known:])
    files.mark_committed(len(entries))
    assert read_all(files) == entries
    assert audited(folder) == len(entries)
    other = LedgerFiles(tmp_path / "other")
    other.append(entries)
    other.mark_committed(len(entries))
    assert names(folder) == names(tmp_path / "other")
    for name in names(folder):
        assert (folder / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_what_is_not_adopted_is_dropped_even_if_it_is_marked(folder: Path, entries: list[Entry]) -> None:
    marked = [name for name in names(folder) if name.endswith(".committed")]
    assert len(marked) >= 2
    last = int(marked[-1].split("-")[1].split(".")[0])
    for keep in range(last + 1, -1, -1):
        files = LedgerFiles(folder)
        files.adopt(keep, [index for index in committables(entries) if index <= keep])
        assert files.last_index == keep
        assert read_all(files) == entries[:keep]
        whole = [end for end in last_of_chunks(entries) if end <= keep]
        assert sum(name.endswith(".committed") for name in names(folder)) == len(whole)
        files.close()
    assert names(folder) == []


def test_truncation_goes_on_in_adopted_chunks(folder: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(folder)
    files.adopt(len(entries), committables(entries))
    files.truncate(25)
    files.append(entries[25:])
    assert read_all(files) == entries
    with pytest.raises(BrokenInvariantError, match="is committed and cannot be cut"):
        files.truncate(3)


def test_nothing_is_used_before_it_is_adopted(folder: Path, entries: list[Entry]) -> None:
    files = LedgerFiles(folder)
    used: list[Callable[[], object]] = [
        lambda: files.read_raw(1),
        lambda: files.append(entries[:1]),
        lambda: files.truncate(2),
        lambda: files.mark_committed(2),
        lambda: files.archive(2, folder.parent),
    ]
    for use in used:
        with pytest.raises(BrokenInvariantError, match="is verified before"):
            use()
    with pytest.raises(BrokenInvariantError, match="what is adopted was found"):
        files.adopt(len(entries) + 1, ())
    files.adopt(2, ())
    with pytest.raises(BrokenInvariantError, match="adopted once"):
        files.adopt(2, ())


def test_torn_tails_of_every_length(folder: Path, tmp_path: Path, entries: list[Entry]) -> None:
    name = names(folder)[-1]
    whole = (folder / name).read_bytes()
    index = first_of(name)
    ends = [8]
    while ends[-1] < len(whole):
        ends.append(ends[-1] + len(entries[index - 1 + len(ends) - 1].data))
    for size in range(len(whole)):
        (folder / name).write_bytes(whole[:size])
        files = LedgerFiles(folder)
        fit = [end for end in ends if end <= size]
        assert files.torn_tail_bytes == size - (fit[-1] if fit else 0)
        assert files.last_index == index - 1 + max(0, len(fit) - 1)
        if size % 100 == 0 or size < 20:
            files.adopt(files.last_index, ())
            files.append(entries[files.last_index :])
            files.close()
            assert (folder / name).read_bytes() == whole


def test_nothing_but_a_chunk_just_begun(tmp_path: Path, entries: list[Entry]) -> None:
    for size in range(9):
        (tmp_path / "ledger_1").write_bytes(bytes(size))
        files = LedgerFiles(tmp_path)
        assert not files.has_ledger
        files.append(entries)
        assert read_all(files) == entries
        files.close()
        for name in names(tmp_path):
            (tmp_path / name).unlink()


def test_a_writer_that_stopped_while_it_completed_a_chunk(folder: Path, entries: list[Entry]) -> None:
    """The last entry, the table in part or whole, the header, the name: every state in between."""
    *_, name, open_one = names(folder)
    (folder / open_one).unlink()
    complete = (folder / name).read_bytes()
    first, last = (int(part) for part in name.removeprefix("ledger_").split("-"))
    in_progress = f"ledger_{first}"
    table = len(complete) - 4 * (last - first + 1)
    unmarked = bytes(8) + complete[8:]
    (folder / name).unlink()
    for content in [complete, *(unmarked[:size] for size in range(table, len(complete) + 1))]:
        (folder / in_progress).write_bytes(content)
        files = LedgerFiles(folder)
        assert files.last_index == last
        assert replayed(files) == [entry.data for entry in entries[:last]]
        files.adopt(last, committables(entries[:last]))
        assert names(folder)[-1] == name
        assert (folder / name).read_bytes() == complete
        files.append(entries[last:])
        assert read_all(files) == entries
        files.close()
        (folder / name).unlink()
        (folder / open_one).unlink()


def chunk_spans(folder: Path) -> list[tuple[str, int, int]]:
    return [
        (name, first_of(name), int(name.split("-")[1].split(".")[0])) for name in names(folder) if "-" in name
    ]


def test_contradictions_are_named(folder: Path, entries: list[Entry]) -> None:
    (one, _, one_last), (two, two_first, _), (three, _, _), *_ = chunk_spans(folder)
    data = {name: (folder / name).read_bytes() for name in names(folder)}

    def refused(match: str) -> None:
        for _ in range(2):
            with pytest.raises(IntegrityError, match=match):
                LedgerFiles(folder)
        for path in folder.iterdir():
            path.unlink()
        for name, content in data.items():
            (folder / name).write_bytes(content)

    (folder / two).unlink()
    refused(rf"{three} does not follow {one}: entry {two_first} is missing")
    (folder / f"ledger_{one_last}").write_bytes(bytes(8))
    refused(rf"ledger_{one_last} does not follow {one}: entry {one_last} is there twice")
    (folder / one.removesuffix(".committed")).write_bytes(data[one])
    refused(r"does not follow .*: entry 1 is there twice")
    (folder / "ledger_99").write_bytes(bytes(8))
    refused(r"is in progress, but ledger_99 follows it")
    (folder / "ledger_one").touch()
    refused(r"'ledger_one' is not a ledger file name")
    second = len(entries[0].data) + 8
    (folder / one).write_bytes(data[one][:second] + b"\7" + data[one][second + 1 :])
    refused(rf"{one} offset {second}: entry format version 7")
    (folder / two).write_bytes(data[two][:-1] + b"\7")
    refused(rf"{two} offset \d+: positions table does not name the entries")
    moved = [entries[index].data for index in range(1, one_last + 1)]
    (folder / one).write_bytes(encode_chunk(moved))
    refused(rf"{one} offset 8: holds entry 2\.2 in the place of 1")
    bad = bytearray(data[one])
    bad[8 + 8 + 16 + 12] ^= 1  # The size of the public part.
    (folder / one).write_bytes(bad)
    refused(rf"{one} offset 8: ")


def test_what_cannot_be_read_is_for_the_operator(folder: Path) -> None:
    name = names(folder)[0]
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(OperatorError, match=rf"{name}: cannot be read"):
        LedgerFiles(folder)


def test_files_that_shrink_before_they_are_replayed(folder: Path) -> None:
    files = LedgerFiles(folder)
    name = names(folder)[1]
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    with pytest.raises(IntegrityError, match=rf"{name} offset 100: cut short"):
        replayed(files)


def test_other_files_are_nobodys_business(folder: Path, entries: list[Entry]) -> None:
    (folder / "notes.txt").touch()
    (folder / ARCHIVE_FOLDER).mkdir()
    (folder / ARCHIVE_FOLDER / "ledger_1").touch()
    assert LedgerFiles(folder).last_index == len(entries)
