"""A backup of a :class:`Cluster` that lags so far behind that only a snapshot helps.

A world of small steps, so that a test can interrupt the transfer anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from coco_core.replica.messages import SnapshotOffer, SnapshotPart, SnapshotRequest, decode
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.stage import SafetyError
from coco_core.testing.tally import add

PART_BYTES: Final = 1500
"""How much of a snapshot is sent at once: what the tests set ``limits.SNAPSHOT_PART_MAX_BYTES`` to."""


def fill(cluster: Cluster, count: int, name: str = "t") -> None:
    """Let so many transactions be agreed and applied everywhere, one batch each."""
    for number in range(count):
        cluster.submit(cluster.primary, add(f"{name}{number}", "x", 1))
        cluster.run(1)


def compact(cluster: Cluster) -> None:
    """Let every node that has a proven snapshot forget the entries before its newest one."""
    for node in cluster.alive:
        if node.shelf.proven:
            node.disk.compacted_index = max(node.shelf.proven)


@attrs.frozen
class Lagging:
    """A backup that was cut off until the others dropped what it lacks; the way is open again."""

    cluster: Cluster
    node: ClusterNode
    seen: list[SnapshotOffer | SnapshotRequest | SnapshotPart] = attrs.field(factory=list)
    """The messages about snapshots that arrived with ``step``, in their order."""

    @classmethod
    def found(cls, count: int, *, draw: Callable[[int, int], int], **bounds: Any) -> Lagging:
        """Return one backup of ``count`` nodes that lags; ``bounds`` as those of a cluster."""
        bounds = {"chunk_entries": 8, "log_cache_max_bytes": 1, **bounds}
        cluster = Cluster.found(count, draw=draw, **bounds)
        cluster.settle()
        cluster.run(2)
        node = cluster.backups[0]
        cluster.cut(node)
        fill(cluster, 12)
        compact(cluster)
        cluster.heal()
        return cls(cluster, node)

    # ── readings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def seqno(self) -> int:
        """Where the newest snapshot of the primary stands."""
        return max(self.cluster.primary.shelf.proven)

    @property
    def size(self) -> int:
        """Bytes of that snapshot."""
        return len(self.cluster.primary.shelf.proven[self.seqno][1])

    @property
    def received(self) -> int:
        """Bytes of a snapshot that arrived so far."""
        return self.node.replica.statistics()["snapshot_received_bytes"]

    @property
    def sending(self) -> int:
        """How many snapshots the primary has under way."""
        return self.cluster.primary.replica.statistics()["snapshots_sending"]

    # ── steps ────────────────────────────────────────────────────────────────────────────────────

    def step(self) -> None:
        """Do what there is to do, and let one message arrive, or one tick pass."""
        cluster = self.cluster
        for node in cluster.alive:
            while cluster.persist(node) or cluster.execute(node) or cluster.work(node):
                pass
        if not cluster.pool:
            for node in cluster.alive:
                cluster.tick(node)
            return
        message = decode(cluster.pool[0].message)
        if isinstance(message, SnapshotOffer | SnapshotRequest | SnapshotPart):
            self.seen.append(message)
        cluster.deliver()

    def until(self, done: Callable[[], bool], steps_max: int = 5000) -> None:
        """Step until ``done``."""
        for _ in range(steps_max):
            if done():
                return
            self.step()
        raise SafetyError(f"it did not come about in {steps_max} steps")

    def receive(self, parts: int) -> None:
        """Let so many parts arrive, and the first offer at least."""
        self.until(lambda: bool(self.seen) and self.received == parts * PART_BYTES)

    def catch_up(self) -> list[int]:
        """Let the node get there by the snapshot, and follow again; return from where on it asked for parts.

        Raises SafetyError if it does not, or is not like the others then.
        """
        cluster, node, seqno = self.cluster, self.node, self.seqno
        self.seen.clear()
        self.until(lambda: node.replica.chain.committed == cluster.primary.replica.chain.committed)
        if node.disk.compacted_index != seqno:
            raise SafetyError(f"{node.name} began at {node.disk.compacted_index}, not at {seqno}")
        fill(cluster, 2, "after")
        cluster.run(2)
        cluster.check_equal()
        if self.received or self.sending:
            raise SafetyError("the books still tell of a snapshot on its way")
        return [one.offset for one in self.seen if isinstance(one, SnapshotRequest)]
