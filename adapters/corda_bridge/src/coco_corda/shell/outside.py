"""Time and waiting for the front end, with trio."""

from __future__ import annotations

import math
import time

import trio


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
