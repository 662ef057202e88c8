"""A node told to stop: a primary hands over first, so that no election is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.local_node import LOG_FILE
from coco_core.cli.network import NetworkSpec, open_network
from coco_core.client import Connection, NodeClient, pinned_context
from coco_core.node import load

pytestmark = pytest.mark.processes

NODES = 3
PATIENCE_S = 120
ELECTION_TIMEOUT_MS = [30_000, 40_000]
SOON_S = 15
"""Long for a busy machine, and half of what passes before anybody stands for election unasked."""


async def primary(clients: Sequence[NodeClient]) -> int:
    """Return the index of the first that says it leads, as soon as one does."""
    while True:
        for index, client in enumerate(clients):
            if (await client.health())["role"] == "primary":
                return index


async def test_a_primary_that_stops_hands_over(tmp_path: Path) -> None:
    spec = NetworkSpec(
        folder=tmp_path,
        nodes=NODES,
        ledger="ethereum",
        engine="",
        config=load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=10)).config,
        settings={"election_timeout_ms": ELECTION_TIMEOUT_MS},
    )
    async with open_network(spec) as local:
        tls = pinned_context(local.service_certificate)
        with trio.fail_after(PATIENCE_S):
            connections = [await Connection.open(endpoint.admin, tls) for endpoint in local.endpoints]
            clients = [NodeClient(connection) for connection in connections]
            first = await primary(clients)
            node = local.nodes[first]
            assert node.process is not None
            node.process.terminate()
            await node.ended.wait()
            assert node.process.returncode == 0
            assert "handed over" in (node.folder / LOG_FILE).read_text()
            del clients[first]
            with trio.fail_after(SOON_S):
                await primary(clients)
            for connection in connections:
                await connection.close()
