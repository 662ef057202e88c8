"""One simulated node: the production replica, and everything of its host that a world keeps track of."""

from __future__ import annotations

from collections import deque

import attrs

from coco_core.base import NodeID
from coco_core.consensus import Entry
from coco_core.governance import PENDING
from coco_core.replica import Replica
from coco_core.replica.effects import Execute, LoadSnapshot, ProveSnapshot, TakeSnapshot
from coco_core.testing.shelf import SnapshotShelf
from coco_core.testing.simulation.clock import HostClock
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.simulation.members import Told
from coco_core.testing.tally import Tally

SnapshotWork = TakeSnapshot | ProveSnapshot | LoadSnapshot


@attrs.define(kw_only=True, eq=False)
class Host:
    """A node and what its machine does for it. One that ended never comes back (ADR 0005)."""

    label: str
    machine: int
    name: NodeID
    founds: bool
    """Whether it is one of those the service was founded with."""
    archives: bool
    """Whether it drops the entries before its newest proven snapshot."""
    replica: Replica = attrs.field(init=False)
    adapter: Tally
    disk: SimulatedDisk
    shelf: SnapshotShelf
    clock: HostClock
    welcomed: frozenset[NodeID] = frozenset()
    """Of whom it was told when it was seated."""
    peers: frozenset[NodeID] = frozenset()
    """To whom its channel is open."""
    running: Execute | None = None
    work: deque[SnapshotWork] = attrs.field(factory=deque)
    """What is to be done with snapshots, one after the other; the first is under way."""
    fetches: tuple[int, int, NodeID] | None = None
    """The snapshot this node asked for last: where it stands, from which offset on, and whom."""
    arrived: tuple[int, int] = (0, 0)
    """The snapshot that arrives: where it stands, and its bytes so far."""
    log: list[Entry] = attrs.field(factory=list)
    """Every entry the replica asked to store, durable or not: the log as the replica sees it. What a
    snapshot stands for is there as it was agreed."""
    told: list[Told] = attrs.field(factory=list)
    """What entries of the log tell of the members, in order."""
    committed: int = 0
    leads_since: int | None = None
    """The view this node leads, while it does."""
    leads_since_tick: int = 0
    """The tick since when it leads, with the members its log tells of."""
    handing_over: bool = False
    ticks: int = 0
    heard: dict[NodeID, int] = attrs.field(factory=dict)
    """By peer, the tick in which its last message came."""
    ended: bool = False
    """Whether its process is gone, by a crash or because it was removed."""
    retired: bool = False
    """Whether it was told that nobody needs it."""
    stalled_until_us: int = 0
    open_tickets: set[int] = attrs.field(factory=set)
    """Submissions this node took and has not answered."""

    @property
    def serves(self) -> bool:
        """Whether there is a service behind this node's doors, as far as it knows."""
        return self.founds or self.committed > 0

    @property
    def knows(self) -> frozenset[NodeID]:
        """Of whom it must know: by its log, when it was welcomed, or because it talks to them."""
        told = self.told[-1]
        named = {name for name, status in told.status.items() if status != PENDING}
        return self.peers.union(self.welcomed, told.add, named) - {self.name}
