"""Handing leadership over: what a primary holds back from the request on, and for how long.

Whatever is placed behind a request to hand over makes this node's log the longest, and its successor's
election fail. So nothing more is begun, the successor is asked for once what is being executed has its place,
and if nobody takes over for HAND_OVER_TICKS after that, the primary goes on. Knows ticks only.
"""

from __future__ import annotations

from coco_core.base import limits


class Succession:
    """One primary's wish to lead no longer."""

    def __init__(self) -> None:
        """Wish for nothing."""
        self.wanted = False
        """Whether a successor is wanted, so that nothing may be begun."""
        self._ticks_left: int | None = None
        """Set once the successor was asked for."""

    def begin(self) -> None:
        """Wish for a successor, unless that is so already."""
        self.wanted = True

    def ask(self) -> bool:
        """Return whether to ask for the successor now: once for each wish."""
        asked = self._ticks_left is not None
        if not asked:
            self._ticks_left = limits.HAND_OVER_TICKS
        return not asked

    def end(self) -> None:
        """Wish for it no longer: who leads has changed, or nobody took over."""
        self.wanted = False
        self._ticks_left = None

    def tick(self) -> None:
        """Let one tick pass; what is being executed may take as long as it takes."""
        if self._ticks_left is not None:
            self._ticks_left -= 1
            if not self._ticks_left:
                self.end()
