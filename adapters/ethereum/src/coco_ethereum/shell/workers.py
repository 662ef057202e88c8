"""Worker threads and turns: neither an EVM at work nor a long body may stop the node's event loop.

Blocks are executed in a thread of their own and questions answered in a few others, so that no
number of questions makes a block wait. Knows trio and nothing of Ethereum.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from coco_core.errors import BusyError

T = TypeVar("T")

_log: Final = logging.getLogger("coco.ethereum")


async def let_others_run() -> None:
    """Give every other task of the event loop a turn."""
    await trio.lowlevel.checkpoint()


def report_fault(fault: Exception) -> None:
    """Tell the operator of a fault that a client is only told exists."""
    _log.error("a JSON-RPC call failed for a reason of this node's own", exc_info=fault)


async def run_in_worker(work: Callable[[], T]) -> T:
    """Run ``work`` in a worker thread at once and return its result; what it raises is raised here.

    Not abandoned on cancellation: an execution over the node's state is always waited for, so that
    no two ever overlap and nothing reads state the node has let go of.
    """
    # Threads of trio's default limiter are shared with whoever else uses it; a block waits for nobody.
    return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=trio.CapacityLimiter(1))


class WorkerPool:
    """A few threads, and a bounded number who wait a bounded time for one."""

    def __init__(self, threads: int, waiting_max: int, wait_ms: int) -> None:
        """Run at most ``threads`` at a time while at most ``waiting_max`` wait, each ``wait_ms``."""
        self._free = trio.Semaphore(threads)
        self._limiter = trio.CapacityLimiter(threads)
        self._waiting_max = waiting_max
        self._wait_ms = wait_ms

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run ``work`` when a thread is free and return its result; what it raises is raised here.

        Raises BusyError when too many wait already or no thread becomes free in time: whoever asked has
        gone by then, and its work would keep others waiting.
        """
        if self._free.statistics().tasks_waiting >= self._waiting_max:
            raise BusyError(f"{self._waiting_max} calls wait for a thread already")
        with trio.move_on_after(self._wait_ms / 1000) as waiting:
            await self._free.acquire()
        if waiting.cancelled_caught:
            raise BusyError(f"no thread became free within {self._wait_ms} ms")
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=self._limiter)
        finally:
            self._free.release()
