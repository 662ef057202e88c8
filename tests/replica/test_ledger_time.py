"""The time of batches never runs backwards along the ledger, whoever leads and whatever the clocks say."""

from __future__ import annotations

from coco_core.replica.events import Ticked
from coco_core.testing import Cluster, ClusterNode, add
from coco_core.testing.tally import BLOCKS

AHEAD_MS = 86_400_000


def block_time_ms(node: ClusterNode) -> int:
    return int(node.state()[BLOCKS][b"newest"].split()[1])


def test_a_primary_whose_clock_is_behind_its_predecessors_goes_on_from_there(cluster: Cluster) -> None:
    # Found by simulation seeds 23 and 47: a new primary dated its batches by its own clock alone.
    first = cluster.primary
    cluster.handle(first, Ticked(cluster.now_ms + AHEAD_MS))
    cluster.submit(first, add("a", "x", 1))
    cluster.settle()
    cluster.crash(first)
    second = cluster.elect()
    before_ms = block_time_ms(second)
    cluster.submit(second, add("b", "x", 1))
    cluster.settle()
    assert block_time_ms(second) >= before_ms >= AHEAD_MS
    assert block_time_ms(second) - before_ms < 1_000


def test_a_clock_that_is_ahead_counts_as_it_is(cluster: Cluster) -> None:
    first = cluster.primary
    cluster.submit(first, add("a", "x", 1))
    cluster.settle()
    cluster.crash(first)
    second = cluster.elect()
    cluster.now_ms += AHEAD_MS
    cluster.tick(second)
    cluster.submit(second, add("b", "x", 1))
    cluster.settle()
    assert block_time_ms(second) == cluster.now_ms
