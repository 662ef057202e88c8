"""A disk that takes no more: no requests are taken, another node leads, and it goes on when there is room."""

from __future__ import annotations

import pytest

from coco_core.adapter import Committed, NotCommitted
from coco_core.errors import BusyError
from coco_core.replica.events import DiskFull
from coco_core.testing import Cluster, ClusterNode, add
from coco_core.testing.operating import Operating

MESSAGE = "the disk of this node is full: send to another node, or again when there is room"


def fill_up(cluster: Cluster, node: ClusterNode) -> None:
    cluster.handle(node, DiskFull(full=True))


def refused(cluster: Cluster, node: ClusterNode) -> None:
    before = node.replica.statistics()
    with pytest.raises(BusyError, match=MESSAGE):
        cluster.submit(node, add("refused", "x", 1))
    assert node.replica.statistics() == before


def committed(cluster: Cluster, node: ClusterNode, name: str) -> None:
    ticket = cluster.submit(node, add(name, "x", 1))
    cluster.run(3)
    assert [type(fate) for fate in node.answers[ticket]] == [Committed]


def test_backup_takes_no_requests_and_follows_on(cluster: Cluster) -> None:
    backup, primary = cluster.backups[0], cluster.primary
    assert not backup.replica.disk_full
    fill_up(cluster, backup)
    assert backup.replica.disk_full
    refused(cluster, backup)
    committed(cluster, primary, "a")
    assert cluster.primary is primary
    cluster.handle(backup, DiskFull(full=False))
    assert not backup.replica.disk_full
    committed(cluster, backup, "b")
    cluster.check_equal()


def test_primary_hands_over(cluster: Cluster) -> None:
    old = cluster.primary
    fill_up(cluster, old)
    refused(cluster, old)
    cluster.settle()
    assert cluster.elect() is not old
    assert cluster.primary.replica.status().view == 3
    refused(cluster, old)
    committed(cluster, cluster.primary, "a")
    cluster.handle(old, DiskFull(full=False))
    committed(cluster, old, "b")
    cluster.run(20)
    assert cluster.primary.replica.status().view == 3
    cluster.check_equal()


def test_requests_in_line_are_answered_when_it_hands_over(cluster: Cluster) -> None:
    old = cluster.primary
    running = cluster.submit(old, add("a", "x", 1))
    queued = cluster.submit(old, add("b", "x", 1))
    fill_up(cluster, old)
    cluster.run(20)
    # What it places meanwhile may make it the one that is elected; the host says it again.
    fill_up(cluster, old)
    cluster.run(20)
    assert cluster.primary is not old
    for ticket in (running, queued):
        assert isinstance(old.answers[ticket][0], Committed | NotCommitted)
    cluster.check_equal()


def test_requests_that_backups_forward_are_sent_back(cluster: Cluster) -> None:
    primary, backup = cluster.primary, cluster.backups[0]
    ticket = cluster.submit(backup, add("a", "x", 1), add("b", "x", 1))
    fill_up(cluster, primary)
    cluster.deliver()
    while ticket not in backup.answers:
        cluster.deliver()
    reason = "the primary's disk is full: send again later"
    assert backup.answers[ticket] == [NotCommitted(reason)] * 2
    assert primary.replica.statistics()["queue_requests"] == 0


def test_single_node_goes_on_when_there_is_room(single: Cluster) -> None:
    node = single.primary
    fill_up(single, node)
    single.run(20)
    assert single.primary is node
    refused(single, node)
    single.handle(node, DiskFull(full=False))
    committed(single, node, "a")


def test_administrative_requests_are_refused_too(operating: Operating) -> None:
    fill_up(operating.cluster, operating.cluster.backups[0])
    with pytest.raises(BusyError, match=MESSAGE):
        operating.ask(3, at=operating.cluster.backups[0])


def test_told_twice_it_is_as_full_as_before(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    fill_up(cluster, backup)
    fill_up(cluster, backup)
    cluster.handle(backup, DiskFull(full=False))
    assert not backup.replica.disk_full
    assert cluster.handle(backup, DiskFull(full=False)) == []


def test_all_disks_are_full(cluster: Cluster) -> None:
    """Somebody leads whatever happens, and nothing is lost."""
    committed(cluster, cluster.primary, "a")
    for node in cluster.alive:
        fill_up(cluster, node)
    cluster.run(40)
    for node in cluster.alive:
        refused(cluster, node)
    for node in cluster.alive:
        cluster.handle(node, DiskFull(full=False))
    cluster.elect()
    committed(cluster, cluster.primary, "b")
    cluster.check_equal()


def test_node_that_leads_because_nobody_else_could_hands_over_later(cluster: Cluster) -> None:
    """The host says again and again that its disk is full, so the first who can lead does."""
    one, other = cluster.backups
    fill_up(cluster, one)
    cluster.cut(other)
    committed(cluster, cluster.primary, "a")
    cluster.crash(cluster.primary)
    cluster.heal()
    assert cluster.elect() is one
    fill_up(cluster, one)
    cluster.run(20)
    assert cluster.primary is other
    cluster.check_equal()
