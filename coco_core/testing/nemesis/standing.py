"""What stands at a moment: which nodes run, who reaches whom, and so whether a majority could go on.

Availability is judged only while one could: this file says when, and what share of that time saw commits.
Pure: time is a value of one monotonic clock, in seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

import attrs

WINDOW_S = 0.1
RECOVERY_S = 2.0
"""How long after a fault has ended what happens is still put down to it."""
CALM = "no fault"


def majority_connected(
    members: Collection[int], usable: Collection[int], both_ways: Callable[[int, int], bool]
) -> bool:
    """Whether a majority of ``members`` is usable and each of them reaches each other."""
    most = len(members) // 2 + 1
    return any(
        all(both_ways(one, other) for one, other in combinations(some, 2))
        for some in combinations(sorted(set(usable) & set(members)), most)
    )


class Standing:
    """Why nodes are unusable now, and since when a majority was connected or not."""

    def __init__(
        self, members: Iterable[int], both_ways: Callable[[int, int], bool], now: Callable[[], float]
    ) -> None:
        """Begin with every member usable."""
        self.members = set(members)
        self.dead: set[int] = set()
        self.turns: list[tuple[float, bool]] = []
        """When a majority became connected (True) or ceased to be."""
        self._unusable: Counter[int] = Counter()
        self._both_ways = both_ways
        self._now = now
        self.note()

    @property
    def alive(self) -> list[int]:
        """Members whose processes have not ended."""
        return sorted(self.members - self.dead)

    @property
    def spare(self) -> int:
        """How many more nodes may end for good with a majority left."""
        return len(self.alive) - (len(self.members) // 2 + 1)

    def unusable(self, node: int) -> None:
        """Note one more reason why ``node`` cannot take part."""
        self._unusable[node] += 1
        self.note()

    def usable(self, node: int) -> None:
        """Note one reason less."""
        self._unusable[node] -= 1
        self.note()

    def died(self, node: int) -> None:
        """Note that the process of ``node`` has ended."""
        self.dead.add(node)
        self.note()

    def came_back(self, node: int) -> None:
        """Note that another process takes part in the place of one that had ended."""
        self.dead.discard(node)
        self.note()

    def note(self) -> None:
        """Work out anew whether a majority is connected."""
        usable = [node for node in self.alive if not self._unusable[node]]
        connected = majority_connected(self.members, usable, self._both_ways)
        if not self.turns or self.turns[-1][1] != connected:
            self.turns.append((self._now(), connected))


@attrs.frozen
class Happened:
    """One fault as it came about."""

    kind: str
    what: str
    began: float
    ended: float


@attrs.frozen
class Share:
    """Windows with a commit, of those with a majority connected throughout."""

    good: int = 0
    windows: int = 0
    longest_s: float = 0.0
    """The longest time in such windows without a commit."""

    def __add__(self, other: Share) -> Share:
        """Return both together."""
        longest = max(self.longest_s, other.longest_s)
        return Share(self.good + other.good, self.windows + other.windows, longest)

    def __str__(self) -> str:
        """Return it as a person reads it."""
        if not self.windows:
            return "no such time"
        share = 100 * self.good / self.windows
        return f"{share:6.2f} % of {self.windows * WINDOW_S:.0f} s, longest gap {self.longest_s:.1f} s"


def availability(
    began: float,
    ended: float,
    commits: Sequence[float],
    turns: Sequence[tuple[float, bool]],
    faults: Sequence[Happened],
) -> Mapping[str, Share]:
    """Return the share of windows with a commit: of all (key ""), of each kind of fault, and without any.

    ``commits`` are ascending times. A window counts for every fault that was on, or had just ended, in it.
    """
    shares: dict[str, Share] = {"": Share()}
    gaps: Counter[str] = Counter()
    for number in range(int((ended - began) / WINDOW_S)):
        start = began + number * WINDOW_S
        end = start + WINDOW_S
        if not _connected(turns, start, end):
            gaps.clear()
            continue
        good = bisect_left(commits, start) < bisect_left(commits, end)
        kinds = {one.kind for one in faults if one.began < end and start < one.ended + RECOVERY_S}
        names = {"", *(kinds or {CALM})}
        for name in gaps.keys() - names:
            del gaps[name]
        for name in names:
            gaps[name] = 0 if good else gaps[name] + 1
            shares[name] = shares.get(name, Share()) + Share(int(good), 1, gaps[name] * WINDOW_S)
    return shares


def _connected(turns: Sequence[tuple[float, bool]], start: float, end: float) -> bool:
    """Whether a majority was connected from ``start`` to ``end`` throughout."""
    at = bisect_right(turns, start, key=lambda turn: turn[0]) - 1
    if at < 0 or not turns[at][1]:
        return False
    return at + 1 == len(turns) or turns[at + 1][0] >= end
