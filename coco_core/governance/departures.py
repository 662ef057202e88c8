"""Why a node that took part does so no more: what it is told when it comes again, with the same keys.

The lease of a node that a change of members removes ends with it, unless it had run out: whose lease is
still in the tables once it is retired is the one that the service quarantined. Reads tables; knows no clock.
"""

from __future__ import annotations

from collections.abc import Iterable

from coco_core.base import NodeID
from coco_core.governance.leases import lease_writes, read_leases
from coco_core.governance.membership import RETIRED, TRUSTED, NodeRecord
from coco_core.governance.refusal import RefusedError
from coco_core.kv import View, Writes


def departure_writes(view: View, nodes: Iterable[NodeID], time_ms: int) -> Writes:
    """Return the writes that end, as far as they hold, the leases of ``nodes`` removed at ``time_ms``."""
    leases = read_leases(view)
    held = [node for node in nodes if node in leases and leases[node].until_ms > time_ms]
    return lease_writes(held, None, time_ms)


def quarantined(view: View, node_id: NodeID) -> bool:
    """Tell whether a retired node left because its lease ran out."""
    return node_id in read_leases(view)


def refuse_departed(view: View, node: NodeRecord, time_ms: int) -> None:
    """Raise RefusedError when ``node`` may not come in any more: it was removed, or its lease ran out.

    One that is to be quarantined, and is not yet, gets nothing new either.
    """
    lease = read_leases(view).get(node.node_id)
    late = lease is not None and lease.until_ms <= time_ms
    if (node.status == RETIRED and lease is not None) or (node.status == TRUSTED and late):
        raise RefusedError("lease_ran_out", "the lease of this node ran out: start it anew, with other keys")
    if node.status == RETIRED:
        raise RefusedError("retired", "this node was removed: start it anew to ask with other keys")
