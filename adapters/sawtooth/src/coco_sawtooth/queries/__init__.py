"""Questions about the chain, answered from committed state: the same answers for REST and for the socket."""

from coco_sawtooth.queries.catalogue import QUERIES, Query, answer, ask
from coco_sawtooth.queries.lists import (
    batch_by_id,
    block_by_id,
    block_marker,
    list_batches,
    list_blocks,
    list_transactions,
    transaction_by_id,
)
from coco_sawtooth.queries.reading import Reading, RefusedError
from coco_sawtooth.queries.state import get_peers, get_receipts, get_state, get_status, list_state

__all__ = [
    "QUERIES",
    "Query",
    "Reading",
    "RefusedError",
    "answer",
    "ask",
    "batch_by_id",
    "block_by_id",
    "block_marker",
    "get_peers",
    "get_receipts",
    "get_state",
    "get_status",
    "list_batches",
    "list_blocks",
    "list_state",
    "list_transactions",
    "transaction_by_id",
]
