"""Threads, tasks and waiting for the front ends."""

from __future__ import annotations

import threading

import pytest
import trio
import trio.testing

from coco_core.errors import BusyError
from coco_sawtooth.shell.outside import Pulse, Tasks, WorkerPool, beside


async def test_a_pulse_wakes_who_waits_for_the_key(autojump_clock) -> None:
    pulse, woken = Pulse(), []

    async def wait(name: str, *keys: bytes) -> None:
        woken.append((name, await pulse.wait(keys, 10)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "one", b"a", b"b")
        nursery.start_soon(wait, "other", b"c")
        await trio.testing.wait_all_tasks_blocked()
        pulse.beat([b"x", b"b"])
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [("one", True)]
    assert woken == [("one", True), ("other", False)]
    assert pulse.now() == pytest.approx(10)
    assert pulse._waiting == {}


async def test_a_task_that_fails_is_reported_and_costs_no_other(caplog) -> None:
    done = []

    async def fail() -> None:
        raise ValueError("its own")

    async def last() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        start = Tasks(nursery)
        start(fail)
        end = start(last)

        async def work() -> None:
            await trio.testing.wait_all_tasks_blocked()
            done.append(True)
            end()

        start(work)
    assert done == [True]
    assert "its own" in caplog.text


async def test_what_runs_beside_ends_with_it() -> None:
    seen = []

    async def meanwhile() -> None:
        try:
            await trio.sleep_forever()
        finally:
            seen.append("ended")

    async def task() -> None:
        await trio.testing.wait_all_tasks_blocked()
        raise KeyError("its own")

    with pytest.raises(KeyError):
        await beside(task, meanwhile)
    assert seen == ["ended"]


async def test_it_ends_with_what_runs_beside_it_and_fails(caplog) -> None:
    async def meanwhile() -> None:
        raise ValueError("beside")

    await beside(trio.sleep_forever, meanwhile)
    assert "beside" in caplog.text


async def test_workers_are_bounded() -> None:
    pool, hold = WorkerPool(1, 1, 10_000), threading.Event()
    results = []

    async def work() -> None:
        results.append(await pool(hold.wait))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(BusyError, match="wait for a thread"):
            await pool(lambda: None)
        hold.set()
    assert results == [True, True]
    hold.clear()
    async with trio.open_nursery() as nursery:
        slow = WorkerPool(1, 1, 10)
        nursery.start_soon(slow, hold.wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(BusyError, match="no thread became free"):
            await slow(lambda: None)
        hold.set()
