"""The bounds of ``base.limits`` in a world that lasts two seconds and holds a few hundred entries.

Without this no snapshot would ever travel in parts, and nobody lose patience. Only bounds that are looked up
when they are needed can be changed so.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from coco_core.base import limits
from coco_core.testing.simulation.mutant import replaced
from coco_core.testing.simulation.plan import Plan


def small_bounds(plan: Plan) -> AbstractContextManager[None]:
    """Put bounds in force that fit the world of ``plan``, for as long as the context lasts."""
    bounds = {
        "CAUGHT_UP_ENTRIES_MAX": plan.caught_up_entries_max,
        "MEMBERSHIP_ASKED_TICKS": 2 * plan.election_timeout_ticks_max,
        "PENDING_NODES_MAX": 3,
        "RETIRED_NODES_KEPT_MAX": 2 + plan.nodes,
        "SNAPSHOT_ASK_AGAIN_TICKS": 4,
        "SNAPSHOT_IDLE_MAX_TICKS": 12,
        "SNAPSHOT_PART_MAX_BYTES": plan.part_max_bytes,
    }
    return replaced([(limits, name, value) for name, value in bounds.items()])
