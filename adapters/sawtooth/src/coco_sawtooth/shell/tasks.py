"""Threads and tasks beside execution. Knows trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import trio

from coco_core.adapter import LedgerService, ReadView
from coco_sawtooth.limits import ROOTS_CATCH_UP_ADDRESSES, ROOTS_CATCH_UP_EVERY_MS, ROOTS_LOOK_EVERY_MS
from coco_sawtooth.merkle import tree_of
from coco_sawtooth.roots import StateRoots

T = TypeVar("T")


async def run_in_worker(work: Callable[[], T]) -> T:
    """Run ``work`` in a worker thread at once and return its result; what it raises is raised here."""
    # Threads of trio's default limiter are shared with whoever else uses it; a batch waits for nobody.
    return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=trio.CapacityLimiter(1))


async def run_together(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run tasks side by side until cancelled; when one fails, all end."""
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


async def warm(roots: StateRoots, view: ReadView) -> None:
    """Make the tree of state roots where there is none, in a thread."""
    while roots.is_cold:
        warming = roots.begin_warming(view)
        roots.warm(warming, await run_in_worker(partial(tree_of, warming.items)))


async def catch_up(roots: StateRoots, service: LedgerService) -> None:
    """Keep the tree of state roots near committed state on a node that does not execute.

    In small steps, so that a node that takes over as primary has little left to do and nobody else waits.
    """
    while True:
        await warm(roots, service.view())
        pause_ms = ROOTS_CATCH_UP_EVERY_MS if roots.stale else ROOTS_LOOK_EVERY_MS
        await trio.sleep(pause_ms / 1000)
        if roots.stale:
            roots.catch_up(service.view(), ROOTS_CATCH_UP_ADDRESSES)
