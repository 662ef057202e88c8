"""What a leader believes of one follower, and how much it may have under way to it.

The law: ``match_index`` is *known* durable on the follower and never goes back in a term;
``next_index`` is a *guess*, always above it, advanced optimistically with every append sent. A wrong
guess costs a rejection, after which one append at a time is sent (probing) until the follower
accepts; then the window opens again. A follower that needs a snapshot is sent no entries until it
acknowledges that place. Knows no log and sends nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

AWAITS_SNAPSHOT: Final = 0
"""In place of a snapshot's index: the follower needs one, but none is under way to it."""


@attrs.define(slots=True)
class Progress:
    """One follower as its leader sees it."""

    next_index: int
    match_index: int = 0
    probing: bool = False
    probe_previous: int = 0
    """While probing: what the append under way claims the follower holds."""
    active: bool = True
    """Heard of since the leader last counted its quorum; a new leader was just elected by one."""
    was_active: bool = False
    """The same, for when it counted its quorum before."""
    snapshot_index: int | None = None
    """The snapshot under way to the follower, AWAITS_SNAPSHOT, or None when the log serves it."""
    _in_flight: deque[int] = attrs.field(factory=deque)

    def may_send(self, in_flight_max: int) -> bool:
        """Return whether another append with entries may leave now."""
        if self.snapshot_index is not None:
            return False
        return len(self._in_flight) < (1 if self.probing else in_flight_max)

    @property
    def in_flight_count(self) -> int:
        """Return the number of appends with entries not yet acknowledged."""
        return len(self._in_flight)

    def sent(self, last_index: int) -> None:
        """Note that entries from ``next_index`` to ``last_index`` left."""
        self.probe_previous = self.next_index - 1
        self._in_flight.append(last_index)
        self.next_index = last_index + 1

    def acknowledged(self, match_index: int) -> bool:
        """Note what the follower holds durably; return whether that is news.

        Any acknowledgement also ends probing: the follower matched what was claimed.
        """
        self.probing = False
        while self._in_flight and self._in_flight[0] <= match_index:
            self._in_flight.popleft()
        if match_index <= self.match_index:
            return False
        self.match_index = match_index
        self.next_index = max(self.next_index, match_index + 1)
        if self.snapshot_index is not None and self.snapshot_index <= match_index:
            self.snapshot_index = None
        return True

    def await_snapshot(self, index: int) -> None:
        """Send no entries until the follower acknowledges the snapshot at ``index`` (or AWAITS_SNAPSHOT)."""
        self.snapshot_index = index
        self.next_index = self.match_index + 1
        self.probing = False
        self._in_flight.clear()

    def rejected(self, previous_index: int, hint_index: int) -> bool:
        """Note that the follower lacks ``previous_index``, and may match up to ``hint_index``.

        Returns whether that is news: answers to appends sent before the guess was last corrected
        are stale, or each of a whole lost window would be sent again for every one of them.
        """
        if previous_index <= self.match_index or self.snapshot_index is not None:
            return False
        if self.probing and previous_index not in (self.probe_previous, self.next_index - 1):
            return False
        self.next_index = max(self.match_index + 1, min(hint_index + 1, previous_index))
        self.probing = True
        self._in_flight.clear()
        return True
