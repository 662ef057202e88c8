"""The recorded workload on a recording small enough to read: what a blob transaction leaves out."""

from __future__ import annotations

import copy

import pytest
import rlp
from eth_hash.auto import keccak

from coco_core.adapter import Told
from coco_core.errors import OperatorError
from coco_ethereum.development import development_key
from coco_ethereum.shell import Recording
from coco_ethereum.signatures import address_of
from coco_ethereum.transactions import DYNAMIC_FEE, Transaction
from coco_ethereum.workloads.recorded import BLOB_GAS, RecordedWorkload

ETHER = 10**18
COINBASE = "0x" + "c0" * 20
ALICE, BOB, CAROL = (address_of(development_key(index)) for index in range(3))
CODE = "0x6001"


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def transfer(index, sender, nonce=0, value=5):
    transaction = Transaction(
        type=DYNAMIC_FEE,
        chain_id=1,
        nonce=nonce,
        max_fee_per_gas=3,
        max_priority_fee_per_gas=3,
        gas_limit=21_000,
        to=CAROL,
        value=value,
        data=b"",
    )
    raw = transaction.sign(development_key(sender)).encode()
    address = address_of(development_key(sender))
    return {
        "i": index,
        "type": 2,
        "kind": "transfer",
        "hash": hexed(keccak(raw)),
        "from": hexed(address),
        "raw": hexed(raw),
        "expect_const_env": [1, 21_000, 0, "0x"],
    }


def blob(index, sender=BOB, value=b""):
    fields = [
        b"\x01",
        b"",
        b"\x02",
        b"\x09",
        b"\x52\x08",
        CAROL,
        value,
        b"",
        [],
        b"\x01",
        [bytes(32)],
        b"",
        b"\x01",
        b"\x01",
    ]
    return {
        "i": index,
        "type": 3,
        "kind": "blob",
        "hash": hexed(b"\x33" * 32),
        "from": hexed(sender),
        "raw": hexed(b"\x03" + rlp.encode(fields)),
        "expect_const_env": [1, 21_000, 0, "0x"],
    }


def recording(transactions):
    environment = {
        "number": 1,
        "timestamp": 1,
        "coinbase": COINBASE,
        "prevrandao": "0x" + "00" * 32,
        "basefee": 0,
        "gaslimit": 30_000_000,
        "excess_blob_gas": 0,
    }
    balances = {hexed(ALICE): {"balance": hex(ETHER)}, hexed(BOB): {"balance": hex(ETHER)}}
    final = {
        hexed(ALICE): [1, hex(ETHER - 5 - 3 * 21_000), None, {}],
        hexed(BOB): [1, hex(ETHER - 2 * 21_000 - BLOB_GAS), None, {}],
        hexed(CAROL): [0, "0x5", None, {}],
        COINBASE: [0, hex((3 + 2) * 21_000), None, {}],
        "0x" + "cd" * 20: [1, "0x0", hexed(keccak(b"\x60\x01")), {"0x" + "00" * 32: "0x7"}],
        "0x" + "ef" * 20: None,
    }
    contract = {"nonce": "0x1", "code": CODE, "storage": {"0x0": "0x7"}}
    return Recording(
        genesis={
            "config": {"chainId": 1, "shanghaiTime": 0, "cancunTime": 0},
            "gasLimit": 30_000_000,
            "alloc": balances | {"0x" + "cd" * 20: contract},
        },
        environment={"name": "small", "const_env": {"env": environment}},
        transactions=transactions,
        final={"const_env": final},
    )


async def play(make_ledger, workload):
    ledger = make_ledger(workload.config)
    for load in workload.loads(10):
        assert workload.told(load, await ledger.request(load.request)) == Told()
    return ledger


async def test_what_a_blob_transaction_did_is_not_expected(make_ledger):
    workload = RecordedWorkload(recording([transfer(0, 0), blob(1)]), 0)
    assert workload.transactions == 1
    assert workload.name.endswith("1 blob transactions left out")
    assert workload.classes() == {"transfer": 0}
    ledger = await play(make_ledger, workload)
    assert await workload.verify(ledger.ask, 2) == []


@pytest.mark.parametrize(
    ("address", "index", "value", "what"),
    [
        (hexed(BOB), 1, hex(ETHER), "eth_getBalance"),
        (hexed(ALICE), 0, 2, "eth_getTransactionCount"),
        ("0x" + "cd" * 20, 3, {"0x" + "00" * 32: "0x8"}, "eth_getStorageAt"),
        ("0x" + "cd" * 20, 2, hexed(bytes(32)), "code of"),
    ],
)
async def test_every_kind_of_difference_is_seen(make_ledger, address, index, value, what):
    wrong = recording([transfer(0, 0), blob(1)])
    final = copy.deepcopy(wrong.final)
    final["const_env"][address][index] = value
    workload = RecordedWorkload(
        Recording(
            genesis=wrong.genesis, environment=wrong.environment, transactions=wrong.transactions, final=final
        ),
        0,
    )
    ledger = await play(make_ledger, workload)
    [difference] = await workload.verify(ledger.ask, 1)
    assert difference.startswith("node 0: ")
    assert what in difference


async def test_a_part_of_the_stream_is_judged_by_its_receipts(make_ledger):
    listed = [transfer(0, 0), transfer(1, 0, nonce=1), blob(2)]
    listed[0]["expect_const_env"] = [1, 20_999, 0, "0x"]
    workload = RecordedWorkload(recording(listed), 1)
    ledger = await play(make_ledger, workload)
    [difference] = await workload.verify(ledger.ask, 1)
    assert difference == f"node 0: {listed[0]['hash']} gave (1, 21000, 0), expected (1, 20999, 0)"


def test_a_recording_that_depends_on_a_blob_transaction_is_refused():
    with pytest.raises(OperatorError, match="depends on a blob transaction"):
        RecordedWorkload(recording([blob(0, sender=ALICE), transfer(1, 0, nonce=1)]), 0)


def test_a_blob_transaction_that_moved_ether_is_refused():
    with pytest.raises(OperatorError, match="changes more than its sender"):
        RecordedWorkload(recording([blob(0, value=b"\x05")]), 0)


def test_a_malformed_recording_is_the_operators_fault():
    broken = recording([{"i": 0}])
    with pytest.raises(OperatorError, match="malformed: KeyError"):
        RecordedWorkload(broken, 0)
