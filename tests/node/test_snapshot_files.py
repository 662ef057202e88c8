"""The folder of snapshots: made, proven, received, taken over, pruned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.node import snapshot_files
from coco_core.node.snapshot_files import SnapshotFiles

BODY = b"the state at some place" * 100
RECEIPT = b'{"cert":"..."}'


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


# ── made here ────────────────────────────────────────────────────────────────────────────────────


def test_made_proven_and_read(files: SnapshotFiles, folder: Path) -> None:
    assert files.newest() is None
    with files.create(20) as file:
        file.write(b"head" + BODY)
        file.seek(0)
        file.write(b"HEAD")
        file.seek(0)
        assert file.read() == b"HEAD" + BODY
        assert names(folder) == [".snapshot_20.part"]
    assert names(folder) == ["snapshot_20"]
    assert files.newest() is None
    with pytest.raises(OperatorError, match="no proven snapshot at 20"):
        files.look(20)
    files.prove(20, 23, RECEIPT)
    assert names(folder) == ["snapshot_20_23.committed"]
    whole = b"HEAD" + BODY + RECEIPT
    assert (folder / "snapshot_20_23.committed").read_bytes() == whole
    assert files.newest() == (20, 23)
    assert files.look(20) == (23, len(whole))
    assert files.read(20, 0, 10**9) == files.contents(20) == whole
    assert files.read(20, 4, 3) == whole[4:7]
    with pytest.raises(OperatorError, match=f"ends before offset {len(whole)}"):
        files.read(20, len(whole), 1)
    make_proven(files, 30)
    assert files.newest() == (30, 33)


def test_a_writer_that_fails_leaves_nothing(files: SnapshotFiles, folder: Path) -> None:
    def fail() -> None:
        with files.create(20) as file:
            file.write(BODY)
            raise IntegrityError("its own fault")

    with pytest.raises(IntegrityError, match="its own fault"):
        fail()
    assert names(folder) == []
    make(files, 20)
    assert names(folder) == ["snapshot_20"]


def test_what_is_proven_already_stays_as_it_is(files: SnapshotFiles, folder: Path) -> None:
    make_proven(files, 20)
    make(files, 20)
    files.prove(20, 29, b"another receipt")
    assert names(folder) == ["snapshot_20_23.committed"]
    assert files.read(20, 0, 10**9) == BODY + RECEIPT
    files.receive(20, 0, b"from a peer")
    files.accept(20, 29)
    assert names(folder) == ["snapshot_20_23.committed"]


def test_only_what_was_made_is_proven(files: SnapshotFiles) -> None:
    with pytest.raises(OperatorError, match="no snapshot at 20"):
        files.prove(20, 23, RECEIPT)
    make(files, 20)
    files.discard(20)
    with pytest.raises(OperatorError, match="no snapshot at 20"):
        files.prove(20, 23, RECEIPT)


# ── received ─────────────────────────────────────────────────────────────────────────────────────


def receive(files: SnapshotFiles, seqno: int, data: bytes, part: int = 1000) -> None:
    for offset in range(0, len(data), part):
        files.receive(seqno, offset, data[offset : offset + part])


def test_received_judged_and_accepted(files: SnapshotFiles, folder: Path) -> None:
    receive(files, 20, BODY + RECEIPT)
    assert names(folder) == [".snapshot_20.received"]
    assert files.newest() is None
    assert files.received(20) == BODY + RECEIPT
    files.accept(20, 23)
    assert names(folder) == ["snapshot_20_23.committed"]
    assert files.newest() == (20, 23)
    assert files.read(20, 0, 10**9) == BODY + RECEIPT
    for again in (lambda: files.received(20), lambda: files.accept(20, 23)):
        with pytest.raises(OperatorError, match="no snapshot at 20 is arriving"):
            again()


def test_it_may_begin_anew_and_be_replaced(files: SnapshotFiles, folder: Path) -> None:
    receive(files, 20, b"x" * 2500)
    receive(files, 20, BODY)
    assert files.received(20) == BODY
    files.receive(30, 0, b"newer")
    assert names(folder) == [".snapshot_30.received"]
    with pytest.raises(OperatorError, match="no snapshot at 20 is arriving"):
        files.received(20)
    assert files.received(30) == b"newer"


def test_parts_out_of_order_are_refused(
    files: SnapshotFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PeerError, match="snapshot 20: the part at offset 5 does not follow"):
        files.receive(20, 5, b"x")
    files.receive(20, 0, b"12345")
    for seqno, offset in ((20, 4), (20, 6), (21, 5)):
        with pytest.raises(PeerError, match=f"snapshot {seqno}: the part at offset {offset} does not"):
            files.receive(seqno, offset, b"x")
    files.receive(20, 5, b"678")
    assert files.received(20) == b"12345678"
    monkeypatch.setattr(snapshot_files, "SNAPSHOT_SIZE_MAX_BYTES", 10)
    monkeypatch.setattr(snapshot_files, "RECEIPT_SIZE_MAX_BYTES", 2)
    files.receive(20, 8, b"9abc")
    with pytest.raises(PeerError, match="larger than any may be"):
        files.receive(20, 12, b"d")


def test_what_is_not_accepted_is_dropped(files: SnapshotFiles, folder: Path) -> None:
    files.receive(20, 0, BODY)
    make(files, 20)
    make(files, 30)
    files.discard(25)
    assert names(folder) == [".snapshot_20.received", "snapshot_20", "snapshot_30"]
    files.discard(20)
    assert names(folder) == ["snapshot_30"]
    files.receive(40, 0, BODY)
    files.close()
    files.close()
    assert names(folder) == ["snapshot_30"]


# ── kept and dropped ─────────────────────────────────────────────────────────────────────────────


def test_the_newest_are_kept(files: SnapshotFiles, folder: Path) -> None:
    files.prune(1)
    make_proven(files, 100, 20, 30)
    make(files, 25)
    make(files, 110)
    files.prune(5)
    assert len(names(folder)) == 4
    files.prune(2)
    assert names(folder) == ["snapshot_100_103.committed", "snapshot_110", "snapshot_30_33.committed"]
    with pytest.raises(OperatorError, match="no proven snapshot at 20"):
        files.read(20, 0, 1)
    with pytest.raises(OperatorError, match="no snapshot at 25"):
        files.prove(25, 40, RECEIPT)
    files.prune(1)
    assert names(folder) == ["snapshot_100_103.committed", "snapshot_110"]
    with pytest.raises(BrokenInvariantError):
        files.prune(0)


def test_what_a_stopped_node_left(files: SnapshotFiles, folder: Path) -> None:
    make_proven(files, 20, 30)
    make(files, 40)
    files.receive(50, 0, b"a part")
    (folder / ".snapshot_60.part").write_bytes(b"begun")
    (folder / "snapshot_25").write_bytes(BODY + RECEIPT)  # Its name was still to change.
    again = SnapshotFiles(folder)
    assert names(folder) == ["snapshot_20_23.committed", "snapshot_30_33.committed"]
    assert again.dropped == (".snapshot_50.received", ".snapshot_60.part", "snapshot_25", "snapshot_40")
    assert again.newest() == (30, 33)
    assert again.read(20, 0, 10**9) == BODY + RECEIPT
    assert SnapshotFiles(folder).dropped == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("snapshot_one", "is not a snapshot file name"),
        ("snapshot_20.committed", "is not a snapshot file name"),
        ("snapshot_020_23.committed", "is not a snapshot file name"),
        ("snapshot_20_3.committed", "proved before it was made"),
        ("snapshot_20_24.committed", "there is another snapshot at 20"),
        ("ledger_1", "is no snapshot"),
    ],
)
def test_files_that_do_not_belong_here(files: SnapshotFiles, folder: Path, name: str, reason: str) -> None:
    make_proven(files, 20)
    make(files, 30)
    (folder / name).write_bytes(b"precious")
    with pytest.raises(OperatorError, match=rf"{name}.*{reason}"):
        SnapshotFiles(folder)
    assert (folder / name).read_bytes() == b"precious"
    assert (folder / "snapshot_30").exists()  # Nothing is dropped before everything was looked at.


def test_what_is_not_looked_at(files: SnapshotFiles, folder: Path) -> None:
    (folder / ".hidden").touch()
    (folder / "lost+found").mkdir()
    assert SnapshotFiles(folder).newest() is None
    assert names(folder) == [".hidden", "lost+found"]


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="snapshots folder"):
        SnapshotFiles(tmp_path / "file" / "below")


def test_files_that_vanish(files: SnapshotFiles, folder: Path) -> None:
    make_proven(files, 20)
    (folder / "snapshot_20_23.committed").unlink()
    for use in (lambda: files.look(20), lambda: files.read(20, 0, 1)):
        with pytest.raises(OperatorError, match=r"snapshot_20_23\.committed: cannot be read"):
            use()
    files.prune(1)


def test_pruning_waits_for_readers(
    files: SnapshotFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than on POSIX nobody can remove a file that is being read."""
    make_proven(files, 20, 30)
    opened = Path.open
    pruner = threading.Thread(target=files.prune, args=(1,))

    def pruned_first(path: Path, mode: str = "r") -> Any:
        monkeypatch.setattr(Path, "open", opened)
        file = opened(path, mode)
        pruner.start()
        pruner.join(0.1)
        assert path.exists()
        return file

    monkeypatch.setattr(Path, "open", pruned_first)
    assert files.read(20, 0, 10**9) == BODY + RECEIPT
    pruner.join()
    assert names(folder) == ["snapshot_30_33.committed"]
