"""Workloads: they run, their judges agree with the ledger, and see a ledger that is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from eth_hash.auto import keccak

from coco_core.adapter import RETRY_PREFIX, HTTPRequest, HTTPResponse, Load, Told, WorkloadOptions
from coco_core.errors import OperatorError
from coco_ethereum.development import CHAIN_ID, development_key
from coco_ethereum.limits import RPC_BATCH_CALLS_MAX
from coco_ethereum.records import ACCOUNTS
from coco_ethereum.signatures import address_of
from coco_ethereum.state import decode_account, encode_account
from coco_ethereum.transactions import DYNAMIC_FEE, Transaction
from coco_ethereum.workloads import make_workload
from coco_ethereum.workloads.assembler import assemble
from coco_ethereum.workloads.client import told
from coco_ethereum.workloads.signing import Signer


async def play(ledger, workload, per_request=50):
    bodies = list(workload.loads(per_request))
    assert sum(load.count for load in bodies) == workload.transactions
    for load in bodies:
        assert workload.told(load, await ledger.request(load.request)) == Told()
        assert workload.told(load, await ledger.request(load.request)) == Told(), "a retry counts as accepted"


@pytest.mark.parametrize("kind", ["transfers", "erc20", "mixed"])
async def test_generated_mixes_lead_where_their_plan_says(make_ledger, kind):
    workload = make_workload(WorkloadOptions(kind=kind, transactions=120, seed=7))
    ledger = make_ledger(workload.config)
    await play(ledger, workload)
    assert await workload.verify(ledger.ask, 2) == []
    for index in workload.classes().values():
        raw = list(workload.envelopes())[index]
        receipt = await ledger.ok("eth_getTransactionReceipt", "0x" + keccak(raw).hex())
        assert receipt["status"] == "0x1"


async def test_every_transaction_of_a_mix_succeeds(make_ledger):
    workload = make_workload(WorkloadOptions(kind="mixed", transactions=60))
    ledger = make_ledger(workload.config)
    await play(ledger, workload)
    for raw in workload.envelopes():
        receipt = await ledger.ok("eth_getTransactionReceipt", "0x" + keccak(raw).hex())
        assert receipt["status"] == "0x1"


@pytest.mark.parametrize("kind", ["transfers", "mixed"])
async def test_the_judge_sees_a_missing_transaction(make_ledger, kind):
    workload = make_workload(WorkloadOptions(kind=kind, transactions=40))
    ledger = make_ledger(workload.config)
    for load in list(workload.loads(10))[:-1]:
        await ledger.request(load.request)
    assert await workload.verify(ledger.ask, 1) != []


async def test_the_judge_sees_a_wei_too_much(make_ledger):
    workload = make_workload(WorkloadOptions(transactions=40))
    ledger = make_ledger(workload.config)
    await play(ledger, workload)
    address = next(iter(workload.config["alloc"]))
    key = bytes.fromhex(address[2:])
    account = decode_account(ledger.view().get(ACCOUNTS, key))
    forged = type(account)(account.nonce, account.balance + 1, account.code_hash)
    ledger.put([{ACCOUNTS: {key: encode_account(forged)}}])
    ledger.commit()
    [difference] = await workload.verify(ledger.ask, 1)
    assert difference.startswith("node 0: eth_getBalance")


@pytest.mark.parametrize("kind", ["recorded", "mixed"])
def test_parts_of_a_load_are_the_whole_in_order(kind, shared):
    data = str(shared / "data" / "mainnet") if kind == "recorded" else ""
    workload = make_workload(WorkloadOptions(kind=kind, data=data, transactions=30, warm_up=7))
    assert (workload.transactions, workload.warm_up) == (37, 7)
    whole = [load.request.body for load in workload.loads(1)]
    parts = [workload.loads(1, 0, 7), workload.loads(1, 7, 20), workload.loads(1, 27)]
    assert [load.request.body for part in parts for load in part] == whole
    assert [load.count for load in workload.loads(10, 7, 25)] == [10, 10, 5]


def test_unknown_arguments_are_refused():
    with pytest.raises(OperatorError, match="processor"):
        make_workload(WorkloadOptions(arguments={"processor": "x"}))


def test_the_same_seed_gives_the_same_load():
    first, again, other = (
        list(make_workload(WorkloadOptions(kind="mixed", transactions=20, seed=seed)).loads(7))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert [load.count for load in first] == [7, 7, 6]


def test_a_single_transaction_is_no_batch():
    [load] = make_workload(WorkloadOptions(transactions=1)).loads(1)
    assert orjson.loads(load.request.body)["method"] == "eth_sendRawTransaction"


def refused(content: object, status: int = 200, count: int = 1) -> Sequence[str]:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    load = Load(HTTPRequest.post("/", b""), count)
    return told(load, HTTPResponse(status=status, body=body)).refused


def test_refused_reads_every_shape_of_answer():
    error = {"error": {"code": -32000, "message": "nonce too low"}}
    known = {"error": {"code": -32000, "message": "already known"}}
    assert refused([{"result": "0x"}, error, known], count=3) == ("-32000: nonce too low",)
    assert refused(error) == ("-32000: nonce too low",)
    assert refused(b"<html>")[0].startswith("the answer is no JSON")


def test_what_is_said_of_a_whole_request_is_said_of_each_of_its_transactions():
    error = {"error": {"code": -32600, "message": "1000 calls at most"}}
    assert refused(error, count=2_000) == ("-32600: 1000 calls at most",) * 2_000
    assert len(refused(b"<html>", count=7)) == 7
    for strange in (
        [],
        [error],
        [{"result": "0x"}] * 6,
        {"result": "0x"},
        [1] * 7,
        [{"error": 1}] * 7,
        1,
        None,
    ):
        reasons = refused(strange, count=7)
        assert len(reasons) == 7, strange
        assert all(each.startswith("no answer of this interface") for each in reasons), strange


async def test_a_request_with_too_many_calls_is_no_success(make_ledger):
    workload = make_workload(WorkloadOptions(transactions=RPC_BATCH_CALLS_MAX + 1))
    ledger = make_ledger(workload.config)
    (load,) = workload.loads(RPC_BATCH_CALLS_MAX + 1)
    assert len(workload.told(load, await ledger.request(load.request)).refused) == RPC_BATCH_CALLS_MAX + 1


def test_what_only_this_node_refuses_now_asks_to_be_sent_again():
    assert refused(b"", 408) == (f"{RETRY_PREFIX}answer 408",)
    busy = {"error": {"code": -32005, "message": "busy, send it again: no primary is known"}}
    (reason,) = refused([busy])
    assert reason.startswith(RETRY_PREFIX)
    assert reason.endswith("no primary is known")


@pytest.mark.shared
async def test_recorded_transactions_give_what_two_evms_gave(make_ledger, shared, full):
    count = 0 if full else 150
    workload = make_workload(WorkloadOptions(data=str(shared / "data/mainnet"), transactions=count))
    ledger = make_ledger(workload.config)
    await play(ledger, workload, 100)
    assert await workload.verify(ledger.ask, 1) == []


@pytest.mark.shared
async def test_the_recordings_judge_sees_missing_transactions(make_ledger, shared):
    workload = make_workload(WorkloadOptions(data=str(shared / "data/mainnet"), transactions=5))
    ledger = make_ledger(workload.config)
    differences = await workload.verify(ledger.ask, 1)
    assert len(differences) == 5
    assert "gave None, expected (1, " in differences[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "nonsense"}, "no workload is called 'nonsense'; known are transfers"),
        ({"kind": "recorded"}, "needs a folder"),
        ({"kind": "erc20", "data": "/nowhere"}, "only 'recorded' reads a folder"),
        ({"data": "/nowhere"}, "recorded transactions in /nowhere"),
        ({"transactions": -1}, "a workload of -1 transactions"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(OperatorError, match=message):
        make_workload(WorkloadOptions(**options))


@pytest.mark.parametrize("size", [0, 1, 55, 56, 300, 70_000])
@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 70_000])
def test_fast_signing_makes_the_same_bytes(size, nonce):
    fields = {"nonce": nonce, "to": b"\x11" * 20, "value": 300, "data": bytes(size)}
    signer = Signer(development_key(0), CHAIN_ID, keccak)
    slow = Transaction(
        type=DYNAMIC_FEE,
        chain_id=CHAIN_ID,
        max_fee_per_gas=9,
        max_priority_fee_per_gas=0,
        gas_limit=21_000,
        **fields,
    )
    assert signer.sign(fee=9, gas=21_000, **fields) == slow.sign(development_key(0)).encode()
    assert signer.address == address_of(development_key(0))


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("1 0 SSTORE ; comment", "60015f55"),
        ("@end JUMP end: 0x1234", "6100045b".replace("5b", "565b") + "611234"),
        ("", ""),
    ],
)
def test_assembler(source, code):
    assert assemble(source).hex() == code


@pytest.mark.parametrize("source", ["FROBNICATE", "@nowhere", "-1", "0x" + "1" * 65])
def test_assembler_names_what_is_wrong(source):
    with pytest.raises(ValueError, match=r"neither|no label|more than 32"):
        assemble(source)
