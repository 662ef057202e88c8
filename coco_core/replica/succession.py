"""Handing leadership over: what a primary holds back from the request on, and for how long.

Whatever is placed behind a request to hand over makes this node's log the longest, and its successor's
election fail. So nothing more is begun, the successor is asked for once what is being executed has its place,
and if nobody takes over for all that, the primary goes on. Knows ticks only.
"""

from __future__ import annotations

from coco_core.base import limits


class Succession:
    """One primary's wish to lead no longer."""

    def __init__(self) -> None:
        """Wish for nothing."""
        self._ticks = 0
        self._asked = False

    @property
    def wanted(self) -> bool:
        """Whether a successor is wanted, so that nothing may be begun."""
        return self._ticks > 0

    def begin(self) -> None:
        """Wish for a successor, unless that is so already."""
        if not self.wanted:
            self._ticks = limits.HAND_OVER_TICKS
            self._asked = False

    def ask(self) -> bool:
        """Return whether to ask for the successor now: once for each wish."""
        asked, self._asked = self._asked, True
        return not asked

    def end(self) -> None:
        """Wish for it no longer: somebody else leads, or there is no reason any more."""
        self._ticks = 0

    def tick(self) -> None:
        """Let one tick pass."""
        self._ticks = max(0, self._ticks - 1)
