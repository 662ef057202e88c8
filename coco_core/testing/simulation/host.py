"""One simulated node: the production replica, and everything of its host that a world keeps track of."""

from __future__ import annotations

import attrs

from coco_core.base import NodeID
from coco_core.consensus import Entry
from coco_core.replica import Replica
from coco_core.replica.effects import Execute
from coco_core.testing.simulation.clock import HostClock
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.tally import Tally


@attrs.define(kw_only=True, eq=False)
class Host:
    """A node and its machine. A crashed one stays down: who restarts joins as another (ADR 0005)."""

    label: str
    name: NodeID
    replica: Replica
    adapter: Tally
    disk: SimulatedDisk
    clock: HostClock
    running: Execute | None = None
    log: list[Entry] = attrs.field(factory=list)
    """Every entry the replica asked to store, durable or not: the log as the replica sees it."""
    committed: int = 0
    leads_since: int | None = None
    """The view this node leads, while it does."""
    leads_since_tick: int = 0
    handing_over: bool = False
    ticks: int = 0
    heard: dict[NodeID, int] = attrs.field(factory=dict)
    """By peer, the tick in which its last message came."""
    crashed: bool = False
    stalled_until_us: int = 0
    open_tickets: set[int] = attrs.field(factory=set)
    """Submissions this node took and has not answered."""
