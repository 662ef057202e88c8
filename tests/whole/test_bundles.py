"""One request for two ledgers of a real network: an Ethereum payment and a counter, or neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from eth_account import Account

from coco_core.cli.network import SERVICE_FILE, LedgerSpec, LocalNetwork, NetworkSpec, NodePlace, open_network
from coco_core.client import (
    BundleClient,
    BundlePart,
    Connection,
    NodeClient,
    pinned_context,
    verify_bundle,
)
from coco_core.errors import IntegrityError, RejectedError
from coco_core.node import load
from coco_core.testing.nemesis.injected import write_modules
from coco_core.testing.tally import add

pytestmark = pytest.mark.processes

NODES = 3
PATIENCE_S = 120
PAYEE = "0x" + "77" * 20


@attrs.frozen(eq=False)
class Network:
    local: LocalNetwork
    account: Account

    def payment(self, nonce: int) -> bytes:
        """Return a signed Ethereum transfer of one ether."""
        return self._signed(nonce, {"to": PAYEE, "value": 10**18, "gas": 21_000})

    def failing(self, nonce: int) -> bytes:
        """Return a signed creation of a contract whose code reverts at once."""
        return self._signed(nonce, {"data": "0x5f5ffd", "gas": 100_000})

    def _signed(self, nonce: int, fields: dict[str, Any]) -> bytes:
        fees = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
        signed = self.account.sign_transaction({"chainId": 1337, "nonce": nonce, **fees, **fields})
        return bytes(signed.raw_transaction)

    async def submit(self, node: int, *parts: BundlePart):
        tls = pinned_context(self.local.service_certificate)
        address = self.local.nodes[node].info["rpc"]["bundles"]
        async with await Connection.open(address, tls) as connection:
            return await BundleClient(connection).submit(parts)

    async def balance(self, node: int) -> int:
        body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [PAYEE, "latest"]}
        address = self.local.nodes[node].info["rpc"]["ethereum"]
        async with await Connection.open(address, None) as connection:
            answer = await connection.request("POST", "/", json.dumps(body).encode())
        return int(json.loads(answer.body)["result"], 16)

    async def counter(self, node: int) -> int:
        async with await Connection.open(self.local.nodes[node].info["rpc"]["tally"], None) as connection:
            await connection.send("GET", "/paid")
            answer = await connection.receive()
        return int(answer.body) if answer.status == 200 else 0

    async def committed(self, node: int, seqno: int) -> None:
        tls = pinned_context(self.local.service_certificate)
        async with await Connection.open(self.local.nodes[node].info["admin"], tls) as connection:
            while (await NodeClient(connection).committed_after(seqno - 1))[1] < seqno:
                pass

    async def receipt(self, node: int, txid: str) -> bytes:
        tls = pinned_context(self.local.service_certificate)
        async with await Connection.open(self.local.nodes[node].info["admin"], tls) as connection:
            return await NodeClient(connection).receipt(txid)

    async def coco(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "coco_core", "bundle", *words]
        return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Network]:
    write_modules(folder / "modules")
    path = os.pathsep.join([str(folder / "modules"), *filter(None, [os.environ.get("PYTHONPATH")])])
    development = load("ethereum").development()
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=NODES,
        ledger="ethereum",
        engine="",
        config=development.config,
        beside={"tally": LedgerSpec(config={"counters": {}})},
        places=[NodePlace(environment={"PYTHONPATH": path})] * NODES,
    )
    spec.folder.mkdir()
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as local:
            account = Account.from_key(development.details["accounts"][0]["privateKey"])
            yield Network(local, account)


async def test_both_ledgers_or_neither(tmp_path: Path) -> None:
    async with running(tmp_path) as network:
        # Whoever leads from the beginning has said so.
        assert [node.index for node in network.local.nodes if node.role == "leader"]
        pays, counts = BundlePart("ethereum", network.payment(0)), BundlePart("tally", add("x", "paid", 1))
        # A backup takes it as well as the primary; one refusal leaves no trace on either ledger.
        with pytest.raises(RejectedError, match="transaction 2 of the bundle, for tally: expected: add"):
            await network.submit(1, pays, BundlePart("tally", b"nonsense"))
        with pytest.raises(RejectedError, match="for ethereum"):
            await network.submit(2, counts, BundlePart("ethereum", network.payment(7)))
        # What Ethereum alone would record as failed, and charge for, refuses the bundle.
        with pytest.raises(RejectedError, match="transaction 1 of the bundle would fail on ethereum"):
            await network.submit(0, BundlePart("ethereum", network.failing(0)), counts)
        assert (await network.balance(1), await network.counter(2)) == (0, 0)

        bundle = await network.submit(1, pays, counts)
        assert [one.ledger for one in bundle.receipt.transactions] == ["ethereum", "tally"]
        for node in range(NODES):
            await network.committed(node, bundle.txid.seqno)
            assert (await network.balance(node), await network.counter(node)) == (10**18, 1)
        # One receipt for all, from any node.
        receipt = await network.receipt(2, str(bundle.txid))
        verify_bundle(bundle, receipt, network.local.service_certificate)
        other = await network.receipt(2, str(bundle.transaction_ids[0]))
        with pytest.raises(IntegrityError, match="the receipt is of transaction"):
            verify_bundle(bundle, other, network.local.service_certificate)
        with pytest.raises(RejectedError, match="already known"):
            await network.submit(0, pays, BundlePart("tally", add("y", "paid", 1)))
        await the_same_from_the_command_line(network, tmp_path)


async def the_same_from_the_command_line(network: Network, folder: Path) -> None:
    (folder / "payment").write_text("0x" + network.payment(1).hex())
    (folder / "count").write_bytes(add("z", "paid", 1))
    info = network.local.nodes[2].info
    service = ["--service-cert", str(network.local.spec.folder / SERVICE_FILE)]
    node = ["--node", info["rpc"]["bundles"], "--admin", info["admin"], *service]
    parts = [f"ethereum={folder / 'payment'}", f"tally={folder / 'count'}"]
    done = await network.coco("submit", *parts, *node, "--out", str(folder / "bundle.json"))
    assert done.returncode == 0, done.stderr
    assert b"ethereum transaction" in done.stdout
    assert (await network.balance(2), await network.counter(2)) == (2 * 10**18, 2)
    again = await network.coco("submit", *parts, *node)
    assert again.returncode != 0
    assert b"already known" in again.stderr
    verified = await network.coco("verify", str(folder / "bundle.json"), *service)
    assert verified.stdout == done.stdout
    kept = json.loads((folder / "bundle.json").read_text())
    kept["transactions"][0]["claims"] = "00" * 32
    (folder / "forged.json").write_text(json.dumps(kept))
    forged = await network.coco("verify", str(folder / "forged.json"), *service)
    assert forged.returncode == 1
    assert b"says something else than its record" in forged.stderr
