"""The client library for Java against three real nodes: its example, and what other nodes say afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from coco_corda.shell.java import run_java
from coco_corda.shell.launching import find_java
from coco_corda.shell.samples import LIBRARY

pytestmark = pytest.mark.processes

EXAMPLE = "coco.corda.client.Example"


async def test_the_example_comes_true_and_every_node_knows(start: Any) -> None:
    java = find_java(None)
    assert java is not None
    async with start(0) as network:
        nodes = [f"http://{node.info['rpc']['corda']}" for node in network.local.nodes]
        printed = await trio.to_thread.run_sync(run_java, java, LIBRARY, EXAMPLE, nodes[1:])
        lines = [line.split(" ", 2) for line in printed.splitlines()]
        done = [what for what, *_ in lines]
        assert done == ["issued", "refused", "moved", "refused", "read", "redeemed"], printed
        (_, issued, _), (_, invalid, words), (_, moved, _), (_, spent, _), (_, read, what), (_, _, by) = lines
        assert invalid == "NotaryError.TransactionInvalid"
        assert "the amounts balance" in words, "in the contract's own words"
        assert spent == "NotaryError.Conflict"
        assert (read, what) == (moved, "by Bob: 10000 of the smallest unit of USD")
        redeemed = by.removeprefix("by ")
        # The one that was not asked by the example hears of it, too.
        while (await network.told(0, f"/status?ref={moved}"))["status"][moved] != "consumed":
            await trio.lowlevel.checkpoint()
        assert (await network.told(0, f"/status?ref={issued}"))["status"] == {issued: "consumed"}
        assert (await network.told(0, f"/transactions/{redeemed}"))["status"] == "notarised"
