"""The shell's threads and log: bounded waiting, faults told."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing

from coco_core.errors import BusyError, IntegrityError
from coco_ethereum.shell import WorkerPool, report_fault


async def test_who_waits_too_long_for_a_thread_gives_up_its_place():
    pool = WorkerPool(1, 8, 1)
    go = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool, go.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(BusyError, match="no thread became free within 1 ms"):
            await pool(lambda: 5)
        go.set()
    assert await pool(lambda: 5) == 5


async def test_faults_reach_the_log(caplog):
    report_fault(IntegrityError("a block is missing"))
    assert "a block is missing" in caplog.text
