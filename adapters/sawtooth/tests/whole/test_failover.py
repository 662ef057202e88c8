"""A primary is killed while a client sends batches to another node: all are committed, each of them once."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from coco_core.cli.network import NetworkSpec, open_network
from coco_sawtooth import messages
from coco_sawtooth.authoring import proposed_setting
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import Client, ask_rest

pytestmark = pytest.mark.processes

NODES, BATCHES, KILLED_AFTER = 3, 40, 15
PATIENCE_S = 180
PAUSE_S = 0.05
"""Before a node is asked again."""


def proposal(admin: Client, setting: str) -> messages.Batch:
    return admin.batch(proposed_setting(admin.signer, setting, "x", nonce="n"))


@attrs.frozen
class Node:
    """One node's REST interface, over plain HTTP on loopback."""

    address: str

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        return await trio.to_thread.run_sync(ask_rest, self.address, method, target, body)

    async def send(self, batch: messages.Batch) -> None:
        """Send a batch until it is taken: 429 is what a node without a primary answers."""
        body = messages.BatchList(batches=[batch]).SerializeToString()
        while (status := (await self.ask("POST", "/batches", body))[0]) != 202:
            assert status == 429
            await trio.sleep(PAUSE_S)

    async def batches(self) -> list[str]:
        """Return every batch in the chain, block by block."""
        _, page = await self.ask("GET", "/blocks?limit=1000")
        return [batch for block in page["data"] for batch in block["header"]["batch_ids"]]


FOUNDER = 0
"""The primary until something happens to it."""


async def test_no_batch_is_lost_or_applied_twice(tmp_path: Path) -> None:
    admin = Client(Signer(development_key(0)))
    sent = [proposal(admin, f"sawtooth.failover{number}") for number in range(BATCHES)]
    spec = NetworkSpec(
        folder=tmp_path,
        nodes=NODES,
        ledger="sawtooth",
        engine="",
        config=development_ledger().config,
        node_settings={"sawtooth": lambda index: {"processors": f"ipc://{tmp_path}/p{index}"}},
    )
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as network:
            taking, other = (Node(node.info["rpc"]["sawtooth"]) for node in network.nodes[1:])
            for number, batch in enumerate(sent):
                await taking.send(batch)
                if number == KILLED_AFTER:
                    network.kill(FOUNDER)
            ids = [batch.header_signature for batch in sent]
            _, told = await taking.ask("GET", f"/batch_statuses?id={','.join(ids)}&wait=100")
            assert [each["status"] for each in told["data"]] == ["COMMITTED"] * BATCHES
            chain = await taking.batches()
            counted = Counter(chain)
            assert [counted[each] for each in ids] == [1] * BATCHES
            for _ in itertools.count():
                if await other.batches() == chain:
                    break
                await trio.sleep(PAUSE_S)
