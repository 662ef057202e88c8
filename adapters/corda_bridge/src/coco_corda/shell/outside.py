"""Time and waiting for the front end, with trio."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

import trio

from coco_core.adapter import WebSocketClosedError


class Clock:
    """A ``front.Outside``."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._next: trio.Event | None = None

    def now_ms(self) -> int:
        """Return this machine's time."""
        return time.time_ns() // 1_000_000

    def beat(self) -> None:
        """Wake everybody who waits."""
        if self._next is not None:
            self._next.set()
            self._next = None

    async def wait(self, seconds: float) -> bool:
        """Wait for the next beat; return False when ``seconds`` passed without one."""
        if self._next is None:
            self._next = trio.Event()
        event = self._next
        with trio.move_on_after(seconds if math.isfinite(seconds) else math.inf):
            await event.wait()
        return event.is_set()

    async def beside(
        self, task: Callable[[], Awaitable[None]], meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        """Run two tasks until either ends, or finds its peer gone."""

        async def run(either: Callable[[], Awaitable[None]]) -> None:
            try:
                await either()
            except WebSocketClosedError:
                pass
            finally:
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, task)
            nursery.start_soon(run, meanwhile)
