"""Waiting with trio: until something of interest changed, and not for ever. Knows nothing of Ethereum."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import trio


class Pulse:
    """Wakes those who wait for one of the keys that changed, and nobody else."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: dict[bytes, set[trio.Event]] = {}

    def beat(self, changed: Mapping[bytes, object]) -> None:
        """Wake everybody who waits for a key of ``changed``."""
        for key in self._waiting.keys() & changed.keys():
            for event in self._waiting[key]:
                event.set()

    def beat_all(self) -> None:
        """Wake everybody: anything may have changed."""
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def wait(self, keys: Collection[bytes], until: float) -> bool:
        """Wait until one of ``keys`` changes; return False when ``until``, a time of ``now``, came first."""
        event = trio.Event()
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        try:
            with trio.move_on_at(until):
                await event.wait()
                return True
            return False
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return trio.current_time()
