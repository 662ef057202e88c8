"""Words every room uses: identifiers, bounds, invariants. Knows nothing of any other room."""

from coco_core.base.ids import NodeID, TxID
from coco_core.base.invariants import invariant, unreachable

__all__ = ["NodeID", "TxID", "invariant", "unreachable"]
