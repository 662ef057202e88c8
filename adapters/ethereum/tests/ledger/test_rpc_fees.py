"""Fees: constant base fee, no tip, and a history of what was really paid."""

from __future__ import annotations

import orjson
import pytest

from coco_ethereum.development import development_ledger

GWEI = 10**9


async def test_suggestions(ledger):
    assert await ledger.ok("eth_gasPrice") == hex(GWEI)
    assert await ledger.ok("eth_maxPriorityFeePerGas") == "0x0"
    assert await ledger.ok("eth_blobBaseFee") == "0x1"


async def test_history_without_percentiles(ledger):
    await ledger.send(ledger.alice)
    history = await ledger.ok("eth_feeHistory", "0x2", "latest", [])
    assert history == {
        "oldestBlock": "0x0",
        "baseFeePerGas": [hex(GWEI)] * 3,
        "gasUsedRatio": [0.0, 21_000 / 30_000_000],
        "baseFeePerBlobGas": ["0x1"] * 3,
        "blobGasUsedRatio": [0, 0],
    }
    assert await ledger.ok("eth_feeHistory", 2, "0x1") == history, "some clients send the count as a number"
    assert (await ledger.ok("eth_feeHistory", "0x400", "0x0"))["oldestBlock"] == "0x0"


async def test_rewards_are_percentiles_of_gas(ledger):
    raws = [
        ledger.alice.sign(max_priority_fee_per_gas=5),
        ledger.bob.sign(max_priority_fee_per_gas=1),
        ledger.carol.sign(max_priority_fee_per_gas=3),
    ]
    await ledger.submit(raws).wait()
    history = await ledger.ok("eth_feeHistory", "0x2", "latest", [0, 33, 50, 100])
    assert history["reward"] == [["0x0"] * 4, ["0x1", "0x1", "0x3", "0x5"]]


BAD = [
    (("0x1", "latest", [101]), -32602, "invalid argument 2: invalid reward percentile: 101"),
    (("0x1", "latest", [-1]), -32602, "invalid argument 2: invalid reward percentile"),
    (("0x1", "latest", [50, 10]), -32602, "invalid argument 2: invalid reward percentile"),
    (("0x1", "latest", ["10"]), -32602, "invalid argument 2: invalid reward percentile"),
    (("0x1", "latest", [1] * 101), -32602, "invalid argument 2: over the query limit 100"),
    (("0x1", "0x99", []), -32000, "request beyond head block: head 0"),
    (("0x1",), -32602, "missing value for required argument 1"),
]


@pytest.mark.parametrize(("params", "code", "message"), BAD)
async def test_bad_history(ledger, params, code, message):
    found = await ledger.error("eth_feeHistory", *params)
    assert found[0] == code
    assert found[1].startswith(message)


async def test_no_blocks_asked_for(ledger):
    assert (await ledger.ok("eth_feeHistory", "0x0", "latest"))["gasUsedRatio"] == []


async def test_a_pinned_chain_tells_the_base_fee_it_executes_with(make_ledger):
    config = dict(development_ledger().config)
    fixed = {
        "number": 5,
        "timestamp": 1_700_000_000,
        "coinbase": "0x" + "00" * 20,
        "prevrandao": "0x" + "00" * 32,
        "basefee": hex(7),
        "gaslimit": 1_000_000,
    }
    ledger = make_ledger(config | {"coco": {"constEnv": fixed}, "gasLimit": hex(30_000)})
    envelopes = [ledger.alice.sign(gas_limit=21_000) for _ in range(2)]
    body = [
        {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
        for raw in envelopes
    ]
    assert all("result" in answer for answer in orjson.loads((await ledger.post(orjson.dumps(body))).body))
    assert (await ledger.ok("eth_getBlockByNumber", "latest", False))["baseFeePerGas"] == "0x7"
    history = await ledger.ok("eth_feeHistory", "0x1", "latest", [50])
    assert history["baseFeePerGas"] == ["0x7", "0x7"]
    assert history["reward"] == [["0x0"]]
    assert history["gasUsedRatio"] == [1.0]
