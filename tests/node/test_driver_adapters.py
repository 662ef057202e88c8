"""What an adapter's fault costs the node that runs it: a mark in the health, never the node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from coco_core.adapter import ANONYMOUS, CommittedBatch
from coco_core.consensus import Leadership
from coco_core.node.disk import LedgerFiles
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets
from coco_core.replica import Parts, Timing, found_service
from coco_core.testing import Consortium, Tally, add


class Whim(Tally):
    """A ledger whose ``committed`` does what the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.whim: Callable[[], object] = lambda: None

    def committed(self, batch: CommittedBatch) -> None:
        super().committed(batch)
        self.whim()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Driver, Whim, Tickets, list[Leadership]]]:
    consortium = Consortium.of(1)
    adapter, tickets, roles = Whim(), Tickets(), list[Leadership]()
    files = LedgerFiles(folder / "ledger")
    parts = Parts(
        identity=consortium.identities[0],
        service=consortium.service,
        secrets=consortium.secrets,
        nodes=consortium.nodes,
        manifests=[adapter.manifest],
        timing=Timing(election_timeout_ticks_min=10, election_timeout_ticks_max=20, heartbeat_ticks=3),
        draw=lambda low, _: low,
        reader=files,
        time_ms=0,
        randomness=bytes(32),
    )
    replica, effects = found_service(parts, adapter.genesis({"counters": {}}))
    driver = Driver(
        replica,
        files,
        {"tally": adapter},
        send=lambda _peer, _message: None,
        on_answer=tickets.settle,
        on_role=roles.append,
        tick_ms=20,
    )
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.run)
            driver.carry_out(effects)
            await driver.wait_committed_after(0)
            yield driver, adapter, tickets, roles
            nursery.cancel_scope.cancel()
    files.close()


async def test_fault_in_committed_costs_the_adapter_only(tmp_path: Path) -> None:
    async with running(tmp_path) as (driver, adapter, tickets, _):
        assert driver.failed_adapters == {}

        def fail() -> None:
            raise KeyError("its own")

        adapter.whim = fail
        (fate,) = await tickets.submit(driver, "tally", [add("a", "x", 1)], ANONYMOUS).wait()
        assert "its own" in driver.failed_adapters["tally"]
        adapter.whim = lambda: None
        (fate,) = await tickets.submit(driver, "tally", [add("b", "x", 1)], ANONYMOUS).wait()
        assert fate.receipt == b"2"
        assert list(driver.failed_adapters) == ["tally"], "what it missed stays missed"


@pytest.mark.parametrize("attempts", [1, 2])
async def test_submitting_from_committed_is_the_adapters_fault(tmp_path: Path, attempts: int) -> None:
    async with running(tmp_path) as (driver, adapter, tickets, _):

        def submit() -> None:
            tickets.submit(driver, "tally", [add("again", "x", 1)], ANONYMOUS)

        adapter.whim = submit
        for number in range(attempts):
            (fate,) = await tickets.submit(driver, "tally", [add(f"a{number}", "x", 1)], ANONYMOUS).wait()
            assert fate.receipt == b"%d" % (number + 1)
        assert "synchronously" in driver.failed_adapters["tally"]
