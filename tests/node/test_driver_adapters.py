"""What an adapter's fault costs the node that runs it: a mark in the health, never the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from coco_core.adapter import ANONYMOUS
from coco_core.testing import add


async def test_fault_in_committed_costs_the_adapter_only(running, tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        driver, adapter, tickets = node.driver, node.adapter, node.tickets
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
async def test_submitting_from_committed_is_the_adapters_fault(
    running, tmp_path: Path, attempts: int
) -> None:
    async with running(tmp_path) as node:
        driver, adapter, tickets = node.driver, node.adapter, node.tickets

        def submit() -> None:
            tickets.submit(driver, "tally", [add("again", "x", 1)], ANONYMOUS)

        adapter.whim = submit
        for number in range(attempts):
            (fate,) = await tickets.submit(driver, "tally", [add(f"a{number}", "x", 1)], ANONYMOUS).wait()
            assert fate.receipt == b"%d" % (number + 1)
        assert "synchronously" in driver.failed_adapters["tally"]
