"""Leases in a running network: who comes to take part has one, and whose ran out leaves."""

from __future__ import annotations

from coco_core.governance import RETIRED, TRUSTED, lease_writes, quarantined, read_leases
from coco_core.kv import Writes, maps, merge
from coco_core.testing.operating import Operating


def test_whose_lease_runs_out_is_replaced_in_time_or_leaves(operating: Operating) -> None:
    """Two of three are late; the one that came in time goes on alone, and the late ones are told."""
    cluster = operating.cluster
    replica = cluster.primary.replica
    policy: Writes = {maps.LEASE_POLICY: {maps.SINGLETON_KEY: b'{"lease_s": 60}'}}
    merge(policy, lease_writes([operating.name(number) for number in (0, 1, 2)], 60, cluster.now_ms))
    placed = replica._sequencer.place_writes([policy], replica.status().view, cluster.now_ms)
    replica._agreement.propose(placed)
    cluster.settle()
    operating.replace([3], [0])
    operating.until(lambda: operating.status(3) == TRUSTED)
    leases = read_leases(replica.chain.store.view())
    assert leases[operating.name(3)].until_ms > leases[operating.name(1)].until_ms
    cluster.now_ms = leases[operating.name(1)].until_ms
    operating.until(lambda: operating.status(1) == RETIRED and operating.status(2) == RETIRED)
    assert operating.status(3) == TRUSTED
    view = replica.chain.store.view()
    # The node it replaced left while its lease held; of the others the tables tell why they left.
    assert [quarantined(view, operating.name(number)) for number in (0, 1, 2)] == [False, True, True]
    operating.until(lambda: operating.node(1).retired and operating.node(2).retired)
    assert operating.node(3).replica.is_primary
