"""A service whose first entries have not spread yet goes on as long as one node that holds them lives."""

from __future__ import annotations

import random

from coco_core.testing import Cluster, add


def founded_with_a_heartbeat_only() -> Cluster:
    """The founder's entries are lost; the others heard of its leadership and nothing else."""
    cluster = Cluster.found(3, draw=random.Random(7).randint)
    while cluster.pool:
        cluster.lose()
    cluster.settle()
    cluster.tick(cluster.primary)
    for _ in cluster.backups:
        cluster.deliver()
    while cluster.pool:
        cluster.lose()
    assert all(node.replica.leader is not None for node in cluster.alive)
    assert all(not node.replica.chain.head for node in cluster.backups)
    return cluster


def test_a_founder_that_lost_its_quorum_is_elected_again() -> None:
    # Found by simulation seed 26: nodes without a signed entry trusted a leader of long ago for ever.
    cluster = founded_with_a_heartbeat_only()
    founder = cluster.primary
    cluster.cut(founder)
    for _ in range(20):
        cluster.tick(founder)
    cluster.settle()
    assert not founder.replica.is_primary
    cluster.heal()
    assert cluster.elect() is founder
    ticket = cluster.submit(founder, add("a", "x", 1))
    cluster.run(3)
    assert ticket in founder.answers
    cluster.check_equal()


def test_nodes_without_a_signed_entry_do_not_elect_each_other() -> None:
    cluster = founded_with_a_heartbeat_only()
    cluster.crash(cluster.primary)
    cluster.run(100)
    assert not any(node.replica.is_primary for node in cluster.alive)
    assert all(node.replica.status().view == 2 for node in cluster.alive)
