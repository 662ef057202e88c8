"""What is made ahead is used in order, one at a time, and no more than one is ahead."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

from coco_corda.shell import run_ahead


async def test_the_next_is_made_while_one_is_used() -> None:
    told: list[str] = []
    used = [trio.Event() for _ in range(3)]

    async def make(number: int) -> int:
        told.append(f"make {number}")
        return number

    async def use(number: int) -> None:
        told.append(f"use {number}")
        await used[number].wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_ahead, [partial(make, number) for number in range(3)], use)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(told) == ["make 0", "make 1", "use 0"]
        for number in range(3):
            used[number].set()
            await trio.testing.wait_all_tasks_blocked()
    assert [each for each in told if each.startswith("use")] == ["use 0", "use 1", "use 2"]


async def test_nothing_to_make_is_nothing_to_use() -> None:
    async def use(number: int) -> None:
        raise AssertionError(number)

    await run_ahead([], use)


@pytest.mark.parametrize("who", ["maker", "user"])
async def test_a_fault_of_either_ends_both(who: str) -> None:
    async def make() -> int:
        if who == "maker":
            raise ValueError(who)
        return 1

    async def use(number: int) -> None:
        raise ValueError(who)

    with pytest.raises(ValueError, match=who):
        await run_ahead([make, make, make], use)
