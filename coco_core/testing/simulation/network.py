"""The simulated network: when a message arrives, how often, or that it never does.

Ways are directed, so a partition may be one-sided. Must not know what messages mean.
"""

from __future__ import annotations

from random import Random

from coco_core.base import NodeID
from coco_core.testing.simulation.plan import Plan

Way = tuple[NodeID, NodeID]


class Network:
    """Ways between nodes, some of them cut or slow for a while."""

    def __init__(self, plan: Plan, rng: Random) -> None:
        """Begin with every way open."""
        self._plan = plan
        self._rng = rng
        self._cuts: dict[Way, int] = {}
        self._slow: dict[Way, int] = {}
        self._last: dict[Way, int] = {}
        self._calm = False
        self.overtaken = 0
        """How many messages were scheduled to arrive before one sent earlier."""

    def calm(self) -> None:
        """Open every way and lose, double and delay nothing from now on."""
        self._calm = True
        self._cuts.clear()
        self._slow.clear()

    def cut(self, ways: list[Way]) -> None:
        """Cut ``ways``; a way cut twice is to be healed twice."""
        for way in ways:
            self._cuts[way] = self._cuts.get(way, 0) + 1

    def heal(self, ways: list[Way]) -> None:
        """Undo one ``cut`` of ``ways``."""
        for way in ways:
            if self._cuts.get(way, 0) <= 1:
                self._cuts.pop(way, None)
            else:
                self._cuts[way] -= 1

    def slow(self, ways: list[Way], extra_us: int) -> None:
        """Delay everything on ``ways`` by ``extra_us`` more, 0 for no longer."""
        for way in ways:
            self._slow[way] = extra_us

    def arrivals(self, way: Way, now_us: int) -> list[int]:
        """Return when a message sent now arrives: never, once or twice."""
        if self._calm:
            arrival = max(now_us + 200, self._last.get(way, 0))
            self._last[way] = arrival
            return [arrival]
        plan, rng = self._plan, self._rng
        if way in self._cuts or (plan.loss_share and rng.random() < plan.loss_share):
            return []
        arrival = now_us + plan.latency_us + int(rng.random() * plan.jitter_us) + self._slow.get(way, 0)
        last = self._last.get(way, 0)
        if arrival < last:
            if plan.in_order:
                arrival = last
            else:
                self.overtaken += 1
        self._last[way] = max(arrival, last)
        if plan.duplicate_share and rng.random() < plan.duplicate_share:
            return [arrival, arrival + int(rng.random() * 20_000)]
        return [arrival]
