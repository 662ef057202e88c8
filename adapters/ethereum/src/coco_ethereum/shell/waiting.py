"""Waiting with trio: for the next commit, and not for ever. Knows nothing of Ethereum."""

from __future__ import annotations

import trio


class Pulse:
    """Wakes everybody who waits, again and again."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._event = trio.Event()

    def beat(self) -> None:
        """Wake everybody who waits now."""
        self._event.set()
        self._event = trio.Event()

    async def wait(self, until: float) -> bool:
        """Wait for the next beat; return False when ``until``, a time of ``now``, came first."""
        with trio.move_on_at(until):
            await self._event.wait()
            return True
        return False

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return trio.current_time()
