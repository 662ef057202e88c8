"""Stopping: tasks outlive being cancelled by the time of a farewell, faults end them at once."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from coco_core.node.stopping import outliving


async def test_tasks_run_until_the_farewell_is_said(autojump_clock: trio.testing.MockClock) -> None:
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(trio.current_time())
            await trio.sleep(1)

    async def farewell() -> None:
        await trio.sleep(3.25)

    with trio.move_on_after(2.5) as scope:
        async with outliving(farewell) as nursery:
            nursery.start_soon(beat)
    assert scope.cancelled_caught
    assert beats == [0, 1, 2, 3, 4, 5]
    assert trio.current_time() == 5.75


async def test_cancelled_while_it_still_starts(autojump_clock: trio.testing.MockClock) -> None:
    said: list[str] = []

    async def farewell() -> None:
        said.append("farewell")

    with trio.move_on_after(1):
        async with outliving(farewell):
            await trio.sleep_forever()
    assert said == ["farewell"]
    assert trio.current_time() == 1


async def test_fault_of_a_task_ends_it_without_farewell(autojump_clock: trio.testing.MockClock) -> None:
    async def fail() -> None:
        await trio.sleep(1)
        raise ValueError("a task's")

    async def farewell() -> None:
        raise AssertionError

    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="a task's"), flatten_subgroups=True):
        async with outliving(farewell) as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()
    assert trio.current_time() == 1
