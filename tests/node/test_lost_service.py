"""What is left of a lost service, as one node's folder tells without secrets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from coco_core.adapter import ANONYMOUS
from coco_core.errors import IntegrityError, OperatorError
from coco_core.governance import read_manifests, read_service_info
from coco_core.ledger import ChunkName, LedgerAuditError
from coco_core.node.disk import IGNORED_FOLDER, LedgerFiles
from coco_core.node.lost_service import LostService, find_lost
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.testing.tally import add

Run = Callable[..., AbstractAsyncContextManager[Any]]


async def written(running: Run, folder: Path, **bounds: Any) -> None:
    """Let a service of one node take a few transactions, and stop."""
    async with running(folder, **bounds) as service:
        for number in itertools.count():
            if number >= 12 and (not bounds or (service.snapshots.newest() or (0,))[0] > 20):
                break
            submission = service.tickets.submit(
                service.driver, "tally", [add(f"k{number}", "x", 1)], ANONYMOUS
            )
            await submission.wait()


def find(folder: Path) -> LostService:
    return find_lost(LedgerFiles(folder / "ledger"), SnapshotFiles(folder / "snapshots"))


def chunks(folder: Path) -> list[Path]:
    return sorted((folder / "ledger").glob("ledger_*"), key=lambda path: ChunkName.parse(path.name))


async def test_tables_are_those_of_the_last_signature(tmp_path: Path, running: Run) -> None:
    await written(running, tmp_path)
    lost = find(tmp_path)
    assert lost.unsigned_bytes == 0
    assert read_service_info(lost.tables)["status"] == "Open"
    assert [manifest.name for manifest in read_manifests(lost.tables)] == ["tally"]
    assert lost.certificate.pem == read_service_info(lost.tables)["cert"]
    agreed = lost.agreed(300)
    assert (agreed.committed, agreed.views) == (lost.until, ((2, 1),))


async def test_what_no_signature_closes_counts_for_nothing(tmp_path: Path, running: Run) -> None:
    await written(running, tmp_path)
    whole = find(tmp_path)
    chunk = chunks(tmp_path)[-1]
    data = chunk.read_bytes()
    for cut in (1, 40, 200, 2_000):
        chunk.write_bytes(data[:-cut])
        lost = find(tmp_path)
        assert lost.until.seqno < whole.until.seqno
        assert lost.newest_view == whole.newest_view
    chunk.write_bytes(data + data[8:25])  # The beginning of an entry.
    lost = find(tmp_path)
    assert lost.until == whole.until
    assert lost.unsigned_bytes == 17
    disk = LedgerFiles(tmp_path / "ledger")
    kept = disk.keep_last("after_it.ignored")
    assert kept == tmp_path / "ledger" / IGNORED_FOLDER / "after_it.ignored"
    assert kept.read_bytes() == chunk.read_bytes()
    assert LedgerFiles(tmp_path / "ledger").last_index == disk.last_index, (
        "what is put aside is no part of it"
    )


async def test_a_corrupt_ledger_is_named_with_file_and_offset(tmp_path: Path, running: Run) -> None:
    await written(running, tmp_path)
    chunk = chunks(tmp_path)[-1]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 3] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=rf"{chunk.name}.* offset \d+"):
        find(tmp_path)
    assert chunk.read_bytes() == bytes(data), "nothing is repaired in silence"


async def test_a_ledger_without_a_signature_is_none(tmp_path: Path, running: Run) -> None:
    await written(running, tmp_path)
    chunk = chunks(tmp_path)[-1]
    chunk.write_bytes(chunk.read_bytes()[:500])
    with pytest.raises((LedgerAuditError, OperatorError)):
        find(tmp_path)


async def test_a_ledger_behind_a_snapshot_needs_it(tmp_path: Path, running: Run) -> None:
    await written(running, tmp_path, chunk_entries=8)
    snapshots = SnapshotFiles(tmp_path / "snapshots")
    snapshots.prune(1)  # It may have stopped before it came to that.
    newest = snapshots.newest()
    assert newest is not None
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in [*chunks(tmp_path), *(tmp_path / "archive").glob("ledger_*")]:
        if (ChunkName.parse(path.name).last or newest[0] + 1) <= newest[0]:
            path.rename(moved / path.name)
    assert ChunkName.parse(chunks(tmp_path)[0].name).first == newest[0] + 1
    lost = find(tmp_path)
    assert lost.until.seqno > newest[0]
    assert read_service_info(lost.tables)["status"] == "Open"
    # It stopped while older chunks were being moved: some are left from before the snapshot.
    left = sorted(moved.iterdir(), key=lambda path: ChunkName.parse(path.name))[1:]
    for path in left:
        path.rename(tmp_path / "ledger" / path.name)
    disk = LedgerFiles(tmp_path / "ledger")
    assert find_lost(disk, SnapshotFiles(tmp_path / "snapshots")).until == lost.until
    assert disk.first_index == newest[0] + 1
    disk.adopt(lost.until.seqno, [])
    disk.close()
    assert len(list((tmp_path / "ledger" / "archive").iterdir())) == len(left)
    for path in (tmp_path / "ledger" / "archive").iterdir():
        path.rename(moved / path.name)
    for path in (tmp_path / "snapshots").iterdir():
        path.unlink()
    with pytest.raises(OperatorError, match="put older chunks back"):
        find(tmp_path)
    for path in moved.iterdir():
        path.rename(tmp_path / "ledger" / path.name)
    assert find(tmp_path).until == lost.until


def test_an_empty_folder_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no ledger in this node's folder"):
        find(tmp_path)
