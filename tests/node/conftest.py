"""Keys, and a whole node without its sockets, for tests on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from coco_core.adapter import CommittedBatch, Writes
from coco_core.node.disk import LedgerFiles
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.node.snapshotting import SnapshotKeeper
from coco_core.replica import Timing, found_service
from coco_core.testing import Consortium, Tally


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    return Consortium.of(3)


class Whim(Tally):
    """A ledger whose ``committed`` does what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.whim: Callable[[], object] = lambda: None

    def committed(self, batch: CommittedBatch) -> None:
        super().committed(batch)
        self.whim()


@attrs.frozen
class Running:
    """A service of one node."""

    driver: Driver
    adapter: Whim
    tickets: Tickets
    files: LedgerFiles
    snapshots: SnapshotFiles


@asynccontextmanager
async def _running(folder: Path, tables: Sequence[Writes] = (), **bounds: Any) -> AsyncIterator[Running]:
    consortium = Consortium.of(1)
    adapter, tickets = Whim(), Tickets()
    files = LedgerFiles(folder / "ledger")
    snapshots = SnapshotFiles(folder / "snapshots")
    parts = consortium.parts(
        0,
        consortium.nodes,
        manifests=[adapter.manifest],
        draw=lambda low, _: low,
        reader=files,
        snapshots=snapshots,
        timing=Timing(election_timeout_ticks_min=10, election_timeout_ticks_max=20, heartbeat_ticks=3),
        time_ms=0,
        **bounds,
    )
    replica, effects = found_service(parts, [*adapter.genesis({"counters": {}}, bytes(32)), *tables])
    driver = Driver(
        replica,
        files,
        {"tally": adapter},
        send=lambda _peer, _message: None,
        on_answer=tickets.settle,
        on_role=lambda _leadership: None,
        on_peers=lambda _peers: None,
        snapshots=SnapshotKeeper(
            snapshots,
            files,
            replica.chain.keys,
            consortium.service.certificate,
            kept=1,
            archive=folder / "archive",
        ),
        tick_ms=20,
    )
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            driver.carry_out(effects)
            await driver.wait_committed_after(0)
            yield Running(driver, adapter, tickets, files, snapshots)
            nursery.cancel_scope.cancel()
    files.close()
    snapshots.close()


@pytest.fixture
def running() -> Callable[..., AbstractAsyncContextManager[Running]]:
    """Run a service of one node in a folder, with tables, within bounds (fields of ``replica.Parts``)."""
    return _running
