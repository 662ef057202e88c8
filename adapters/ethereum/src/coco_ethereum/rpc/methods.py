"""The method table: every JSON-RPC method this node answers, beside sending a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from coco_ethereum.rpc import blocks, calls, chain, fees, logs, polling, state, transactions
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading

Method = Callable[[Reading, Params], object]
"""Returns the result, or Slow to have it computed in a worker; raises RPCError."""

METHODS: Final[Mapping[str, Method]] = {
    name: method
    for group in (blocks, calls, chain, fees, logs, polling, state, transactions)
    for name, method in group.METHODS.items()
}
