"""A client that comes before members opened the service is told so at once, and served when they did."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
import trio

from coco_core.cli.consortium import GovernedNetwork, Organisation
from coco_core.cli.network import NetworkSpec, running
from coco_core.node import load

pytestmark = pytest.mark.processes

PATIENCE_S = 120
ASKED = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})


def ask(address: str) -> tuple[int, str | None, Any]:
    """Return the status, the time to wait, and the body."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    connection.request("POST", "/", ASKED, {"content-type": "application/json"})
    answer = connection.getresponse()
    found = answer.status, answer.getheader("retry-after"), json.loads(answer.read())
    connection.close()
    return found


async def test_who_comes_before_is_told_to_wait(tmp_path: Path) -> None:
    config = load("ethereum").development().config
    spec = NetworkSpec(folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=config)
    spec.folder.mkdir()
    member = Organisation.make("A", tmp_path / "members")
    network = GovernedNetwork(spec, [member], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            (node,) = network.nodes
            address = node.info["rpc"]["ethereum"]
            status, wait_s, told = await trio.to_thread.run_sync(ask, address)
            assert (status, wait_s) == (503, "1")
            assert "until its members open it" in told["error"]
            await network.acknowledge(member)
            await network.open_service([member])
            await node.opened.wait()
            status, wait_s, told = await trio.to_thread.run_sync(ask, address)
            assert (status, wait_s) == (200, None)
            assert int(told["result"], 16)
