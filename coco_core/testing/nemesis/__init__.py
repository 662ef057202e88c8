"""Faults on real processes: a network of nodes is loaded and troubled, and everything it said is checked.

The counterpart of ``coco_core.testing.simulation`` outside of any simulation: real sockets, disks, clocks and
signals, in network namespaces of its own (``sites``). Nothing that ships may depend on it.
"""

from coco_core.testing.nemesis.outcome import Outcome, describe
from coco_core.testing.nemesis.plan import KINDS, Planned, draw_plan
from coco_core.testing.nemesis.round import RoundSettings, run_round

__all__ = [
    "KINDS",
    "Outcome",
    "Planned",
    "RoundSettings",
    "describe",
    "draw_plan",
    "run_round",
]
