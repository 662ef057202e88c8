"""Threads, tasks and time for the front ends, with trio. Knows nothing of Sawtooth."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import trio

from coco_core.errors import BusyError

T = TypeVar("T")
_Task = Callable[[], Awaitable[None]]

_log: Final = logging.getLogger("coco.sawtooth")


def report_fault(fault: Exception) -> None:
    """Tell the operator of a fault that a client is only told exists."""
    _log.error("a request failed for a reason of this node's own", exc_info=fault)


class Pulse:
    """Wakes those who wait for one of the keys that changed, and nobody else."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[bytes, set[trio.Event]] = {}

    def beat(self, changed: Iterable[bytes]) -> None:
        """Wake everybody who waits for a key of ``changed``."""
        for key in self._waiting.keys() & set(changed):
            for event in self._waiting[key]:
                event.set()

    def beat_all(self) -> None:
        """Wake everybody: anything may have changed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def wait(self, keys: Iterable[bytes], until: float = math.inf) -> bool:
        """Wait until one of ``keys`` changes; return False when ``until``, a time of ``now``, came first."""
        event, keys = trio.Event(), set(keys)
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        try:
            with trio.move_on_at(until):
                await event.wait()
            return event.is_set()
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return trio.current_time()


class Tasks:
    """Tasks in the background of a nursery."""

    def __init__(self, nursery: trio.Nursery) -> None:
        """Run them in ``nursery``."""
        self._nursery = nursery

    def __call__(self, task: _Task) -> Callable[[], None]:
        """Start a task; what is returned ends it."""
        scope = trio.CancelScope()
        self._nursery.start_soon(self._run, task, scope)
        return scope.cancel

    async def _run(self, task: _Task, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await task()
            except Exception as fault:  # noqa: BLE001 - one task's fault must not cost the others
                report_fault(fault)


async def beside(task: _Task, meanwhile: _Task) -> None:
    """Run ``task``, and ``meanwhile`` as long as that lasts."""
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_quietly, meanwhile, nursery.cancel_scope)
        try:
            await task()
        except Exception as fault:  # noqa: BLE001 - raised again below, outside of the nursery's group
            failed = fault
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _quietly(task: _Task, scope: trio.CancelScope) -> None:
    """Run a task whose failure ends what it runs beside of."""
    try:
        await task()
    except Exception as fault:  # noqa: BLE001 - who it runs beside of is told by the end
        report_fault(fault)
        scope.cancel()


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

        Raises BusyError when too many wait already or no thread becomes free in time.
        """
        if self._free.statistics().tasks_waiting >= self._waiting_max:
            raise BusyError(f"{self._waiting_max} requests wait for a thread already")
        with trio.move_on_after(self._wait_ms / 1000) as waiting:
            await self._free.acquire()
        if waiting.cancelled_caught:
            raise BusyError(f"no thread became free within {self._wait_ms} ms")
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=self._limiter)
        finally:
            self._free.release()
