"""Words every room uses: identifiers, bounds, invariants. Knows nothing of any other room."""

from coco_core.base.addresses import check_host, is_loopback_address, split_address
from coco_core.base.ids import NodeID, TxID
from coco_core.base.invariants import invariant, unreachable
from coco_core.base.recursion import bound_recursion
from coco_core.base.times import utc

__all__ = [
    "NodeID",
    "TxID",
    "bound_recursion",
    "check_host",
    "invariant",
    "is_loopback_address",
    "split_address",
    "unreachable",
    "utc",
]
