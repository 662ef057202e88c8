"""A simulated host's clocks: ticks at its own pace, and a wall clock that may be wrong and may jump."""

from __future__ import annotations

from typing import Final

import attrs

EPOCH_MS: Final = 1_700_000_000_000


@attrs.define
class HostClock:
    """One host's time; ``rate`` above 1 makes its ticks longer than they should be."""

    tick_us: int
    rate: float = 1.0
    offset_ms: int = 0

    def wall_ms(self, now_us: int) -> int:
        """Return what this host believes the Unix time is, in milliseconds."""
        return EPOCH_MS + self.offset_ms + now_us // 1000

    def next_tick_us(self) -> int:
        """Return how long until the next tick."""
        return int(self.tick_us * self.rate)
