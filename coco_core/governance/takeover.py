"""The entry by which a recovered service takes over: a new identity, one node, and nothing else changed.

Whoever held the old secrets must have no part in what follows: every node of before is retired for good, who
waited to be let in is forgotten, and no change of members is under way any more. Members, constitution,
ledgers and everything else stay as they were. The service is *Opening* again, with the identity before it
named: members open it by naming both (``transition_service_to_open``).

Tables in, writes out. That members gave their shares, and who endorses whom, is not for this room to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs

from coco_core.base import TxID
from coco_core.governance.consortium import OPENING, read_service_info
from coco_core.governance.epochs import SERVICE_RECOVERED, want_epoch
from coco_core.governance.leases import lease_writes, read_lease_policy, read_leases
from coco_core.governance.membership import (
    PENDING,
    RETIRED,
    NodeRecord,
    change_writes,
    forgetting_writes,
    node_writes,
    read_change,
    read_nodes,
)
from coco_core.kv import View, Writes, maps, merge
from coco_core.ledger import endorsements_in, predecessor_writes


@attrs.frozen(kw_only=True)
class Takeover:
    """Who takes over, and from whom."""

    node: NodeRecord
    """The only node, trusted."""
    service_certificate: str
    """The new identity's, PEM."""
    endorsement: str
    """Of the identity before, by the new one, PEM."""
    until: TxID
    """The last place the identity before signed for."""
    time_ms: int


def takeover_writes(view: View, takeover: Takeover) -> Writes:
    """Return the recovery entry, over the tables as of the last signature."""
    info = dict(read_service_info(view))
    info["previous_service_identity"] = info["cert"]
    info["cert"] = takeover.service_certificate
    info["status"] = OPENING
    info["recovery_count"] = int(info.get("recovery_count") or 0) + 1
    nodes = read_nodes(view).values()
    writes: Writes = {
        maps.SERVICE_INFO: {maps.SINGLETON_KEY: json.dumps(info).encode()},
        **predecessor_writes(takeover.endorsement, takeover.until),
    }
    merge(writes, retiring_writes(node for node in nodes if node.status != PENDING))
    merge(writes, forgetting_writes(node.node_id for node in nodes if node.status == PENDING))
    merge(writes, node_writes([takeover.node]))
    if read_change(view) is not None:
        merge(writes, change_writes(None))
    merge(writes, want_epoch(SERVICE_RECOVERED))
    merge(writes, lease_writes(read_leases(view), None, 0))
    merge(writes, lease_writes([takeover.node.node_id], read_lease_policy(view).lease_s, takeover.time_ms))
    return {name: changes for name, changes in writes.items() if changes}


def retiring_writes(nodes: Iterable[NodeRecord]) -> Writes:
    """Return the writes that retire ``nodes`` for good; their certificates, of another identity, stay."""
    retired = [attrs.evolve(node, status=RETIRED, retired_committed=True) for node in nodes]
    return {maps.NODES_INFO: node_writes(retired)[maps.NODES_INFO]}


def service_endorsements(view: View, *, after: int = 0) -> list[str]:
    """Return the endorsements (PEM) of the identities before the service's, oldest first.

    Without those that signed for nothing after seqno ``after``.
    """
    return endorsements_in(dict(view.items(maps.PREVIOUS_IDENTITIES)), after=after)
