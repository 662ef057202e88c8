"""Ethereum's ledger in one process, as its clients see it: JSON-RPC over the real adapter and engine."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final

import orjson

from coco_core.adapter import HTTPRequest, HTTPResponse, LedgerAdapter
from coco_core.testing import Sandbox

BATCH_INTERVAL_MS: Final = 400


class EthereumSandbox(Sandbox):
    """A ledger that answers JSON-RPC; blocks are 400 ms apart."""

    def __init__(self, adapter: LedgerAdapter, config: Mapping[str, Any], **options: int) -> None:
        """Begin a ledger from the genesis ``config``; ``options`` are those of a sandbox."""
        super().__init__(adapter, config, interval_ms=BATCH_INTERVAL_MS, **options)

    async def rpc(self, method: str, *params: object) -> Any:
        """Return the parsed response to one call: a table with ``result`` or ``error``."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return orjson.loads((await self.post(orjson.dumps(body))).body)

    def ask(self, node: int, request: HTTPRequest) -> Awaitable[HTTPResponse]:
        """Answer as a node does that a workload asks; every node index is this process."""
        return self.request(request)
