"""Blocks, transactions, receipts, accounts: the fields geth writes, and state of the recent past."""

from __future__ import annotations

import tarfile

import orjson
import pytest

from coco_ethereum.adapter import EthereumAdapter
from coco_ethereum.development import development_key, development_ledger
from coco_ethereum.rpc.filters import Filters
from coco_ethereum.rpc.methods import METHODS
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Slow
from coco_ethereum.signatures import address_of
from coco_ethereum.testing.assembly import assemble, initcode, return_word
from coco_ethereum.testing.sandbox import EthereumSandbox
from coco_ethereum.transactions import ACCESS_LIST, LEGACY, SET_CODE, Authorization, transaction_hash

UNKNOWN_HASH = "0x" + "00" * 28 + "deadbeef"
TARGET = bytes.fromhex("7d" * 20)


def recorded(shared, name):
    with tarfile.open(shared / "data/conformance/execution-apis-tests.tar.xz") as archive:
        text = archive.extractfile(f"tests/{name}.io").read()
    return orjson.loads(next(line[3:] for line in text.splitlines() if line.startswith(b"<< ")))


def shape(value):
    """Return the fields of a table, recursively, without values."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def execute(ledger, raw):
    """Execute what JSON-RPC would not take and return its receipt."""
    await ledger.submit([raw]).wait()
    return await ledger.ok("eth_getTransactionReceipt", "0x" + transaction_hash(raw).hex())


async def every_type(ledger):
    """Send one transaction of each type to a logging contract; return hashes by name."""
    address = await ledger.deploy(ledger.alice, initcode(assemble(7, 0, 0, "LOG1 STOP")))
    to = bytes.fromhex(address[2:])
    access = ((to, (bytes(32),)),)
    authorization = Authorization(chain_id=1337, address=TARGET, nonce=0).sign(development_key(3))
    sent = {
        "legacy": await ledger.send(ledger.alice, type=LEGACY, to=to),
        "pre-155": await execute(ledger, ledger.alice.sign(type=LEGACY, chain_id=None, to=to)),
        "access-list": await ledger.send(ledger.alice, type=ACCESS_LIST, to=to, access_list=access),
        "dynamic-fee": await ledger.send(ledger.alice, to=to, access_list=access, max_priority_fee_per_gas=3),
        "set-code": await ledger.send(
            ledger.alice, type=SET_CODE, to=to, authorization_list=(authorization,), gas_limit=300_000
        ),
    }
    return {name: receipt["transactionHash"] for name, receipt in sent.items()}


GOLDEN_TRANSACTIONS = {
    "pre-155": "eth_getTransactionByHash/get-legacy-tx",
    "access-list": "eth_getTransactionByHash/get-access-list",
    "dynamic-fee": "eth_getTransactionByHash/get-dynamic-fee",
    "set-code": "eth_getTransactionByHash/get-setcode-tx",
}
GOLDEN_RECEIPTS = {
    "access-list": "eth_getTransactionReceipt/get-access-list",
    "dynamic-fee": "eth_getTransactionReceipt/get-dynamic-fee",
}


@pytest.mark.shared
async def test_fields_are_those_of_the_recorded_chain(any_ledger, shared):
    sent = await every_type(any_ledger)
    for name, golden in GOLDEN_TRANSACTIONS.items():
        found = shape(await any_ledger.ok("eth_getTransactionByHash", sent[name]))
        wanted = shape(recorded(shared, golden)["result"])
        if name == "set-code":
            found["accessList"] = wanted["accessList"]
        assert found == wanted, name
    for name, golden in GOLDEN_RECEIPTS.items():
        found = shape(await any_ledger.ok("eth_getTransactionReceipt", sent[name]))
        assert found == shape(recorded(shared, golden)["result"]), name
    block = await any_ledger.ok("eth_getBlockByNumber", "latest", False)
    wanted = recorded(shared, "eth_getBlockByNumber/get-block-prague-fork")["result"]
    assert shape(block) == shape(wanted)
    genesis = await any_ledger.ok("eth_getBlockByNumber", "0x0", True)
    assert shape(genesis) == shape(wanted | {"transactions": []})


async def test_values_of_each_type(any_ledger):
    ledger = any_ledger
    sent = await every_type(ledger)
    found = {name: await ledger.ok("eth_getTransactionByHash", each) for name, each in sent.items()}
    assert {name: each["type"] for name, each in found.items()} == {
        "legacy": "0x0",
        "pre-155": "0x0",
        "access-list": "0x1",
        "dynamic-fee": "0x2",
        "set-code": "0x4",
    }
    assert found["legacy"]["chainId"] == "0x539"
    assert int(found["legacy"]["v"], 16) in (1337 * 2 + 35, 1337 * 2 + 36)
    assert "chainId" not in found["pre-155"]
    assert found["pre-155"]["v"] in ("0x1b", "0x1c")
    assert found["dynamic-fee"]["gasPrice"] == hex(10**9 + 3)
    assert found["dynamic-fee"]["yParity"] == found["dynamic-fee"]["v"]
    assert found["set-code"]["authorizationList"][0]["address"] == "0x" + TARGET.hex()
    receipts = {name: await ledger.ok("eth_getTransactionReceipt", each) for name, each in sent.items()}
    assert all(receipt["status"] == "0x1" and len(receipt["logs"]) == 1 for receipt in receipts.values())
    assert receipts["dynamic-fee"]["effectiveGasPrice"] == hex(10**9 + 3)
    assert await ledger.ok("eth_getCode", "0x" + address_of(development_key(3)).hex(), "latest") == (
        "0xef0100" + TARGET.hex()
    )


async def test_every_way_to_one_transaction_and_block(ledger):
    receipt = await ledger.send(ledger.alice, value=5)
    block = await ledger.ok("eth_getBlockByNumber", "latest", True)
    [transaction] = block["transactions"]
    by_hash = await ledger.ok("eth_getBlockByHash", block["hash"], True)
    assert by_hash == block
    for method, where in (("Hash", block["hash"]), ("Number", block["number"])):
        assert await ledger.ok(f"eth_getTransactionByBlock{method}AndIndex", where, "0x0") == transaction
        assert await ledger.ok(f"eth_getTransactionByBlock{method}AndIndex", where, "0x1") is None
        assert await ledger.ok(f"eth_getBlockTransactionCountBy{method}", where) == "0x1"
        assert await ledger.ok(f"eth_getUncleCountByBlock{method}", where) == "0x0"
        assert await ledger.ok(f"eth_getUncleByBlock{method}AndIndex", where, "0x0") is None
        assert await ledger.ok("eth_getBlockReceipts", where) == [receipt]
    assert await ledger.ok("eth_getTransactionByHash", transaction["hash"]) == transaction
    assert (await ledger.ok("eth_getBlockByNumber", "0x1", False))["transactions"] == [transaction["hash"]]
    assert receipt["contractAddress"] is None
    assert receipt["logs"] == []


async def test_a_receipt_of_many_logs_is_made_away_from_the_event_loop(ledger):
    loop = assemble(0, "JUMPDEST", 0, 0, "LOG0", 1, "ADD DUP1", 200, "GT", 1, "JUMPI STOP")
    address = bytes.fromhex((await ledger.deploy(ledger.alice, initcode(loop)))[2:])
    receipt = await ledger.send(ledger.alice, to=address, gas_limit=1_000_000)
    assert [int(log["logIndex"], 16) for log in receipt["logs"]] == list(range(200))
    reading = Reading(ledger, ledger.adapter._engine, Filters("node"))
    hashes = Params([receipt["transactionHash"]])
    assert isinstance(METHODS["eth_getTransactionReceipt"](reading, hashes), Slow)
    small = await ledger.send(ledger.alice)
    reading = Reading(ledger, ledger.adapter._engine, Filters("node"))
    assert METHODS["eth_getTransactionReceipt"](reading, Params([small["transactionHash"]])) == small


async def test_a_creation_names_its_contract(any_ledger):
    receipt = await any_ledger.send(any_ledger.alice, to=None, data=initcode(return_word(42)))
    assert receipt["to"] is None
    assert int(await any_ledger.ok("eth_call", {"to": receipt["contractAddress"]}), 16) == 42
    transaction = await any_ledger.ok("eth_getTransactionByHash", receipt["transactionHash"])
    assert transaction["to"] is None
    failed = await any_ledger.send(any_ledger.alice, to=None, data=bytes.fromhex("fe"))
    assert failed["status"] == "0x0"


NOT_FOUND = [
    ("eth_getTransactionByHash", UNKNOWN_HASH),
    ("eth_getTransactionReceipt", UNKNOWN_HASH),
    ("eth_getBlockByHash", UNKNOWN_HASH, True),
    ("eth_getBlockByNumber", "0x3e8", True),
    ("eth_getBlockReceipts", "0x37"),
    ("eth_getBlockReceipts", UNKNOWN_HASH),
    ("eth_getBlockTransactionCountByHash", UNKNOWN_HASH),
    ("eth_getBlockTransactionCountByNumber", "0x3e8"),
    ("eth_getUncleCountByBlockHash", UNKNOWN_HASH),
    ("eth_getUncleCountByBlockNumber", "0x3e8"),
    ("eth_getTransactionByBlockHashAndIndex", UNKNOWN_HASH, "0x0"),
]


@pytest.mark.parametrize("request_", NOT_FOUND, ids=lambda request_: request_[0])
async def test_what_is_not_there_is_null(ledger, request_):
    assert await ledger.ok(*request_) is None


async def test_state_of_the_recent_past(ledger):
    before = await ledger.ok("eth_getBalance", ledger.bob.hex, "latest")
    for value in (1, 2, 4):
        await ledger.send(ledger.alice, to=ledger.bob.address, value=value)
    first = await ledger.ok("eth_getBlockByNumber", "0x1", False)
    spellings = {
        "0x0": 0, "earliest": 0, "0x1": 1, first["hash"]: 1, "0x2": 3, "0x3": 7,
        "latest": 7, "pending": 7, "safe": 7, "finalized": 7,
    }  # fmt: skip
    for tag, gained in spellings.items():
        assert int(await ledger.ok("eth_getBalance", ledger.bob.hex, tag), 16) == int(before, 16) + gained, (
            tag
        )
    for table in ({"blockNumber": "0x1"}, {"blockHash": first["hash"], "requireCanonical": True}):
        assert int(await ledger.ok("eth_getBalance", ledger.bob.hex, table), 16) == int(before, 16) + 1
    assert await ledger.ok("eth_getTransactionCount", ledger.alice.hex, "0x2") == "0x2"


async def test_state_too_old_says_so(engine, ledger):
    alice = ledger.alice
    forgetful = EthereumSandbox(
        EthereumAdapter(engine), dict(development_ledger().config), history_versions_max=2
    )
    for _ in range(4):
        await forgetful.submit([alice.sign()]).wait()
    answer = await forgetful.rpc("eth_getBalance", alice.hex, "0x1")
    assert answer["error"]["code"] == -32000
    assert answer["error"]["message"].startswith("missing trie node: state of block 0x1 is not available")
    assert "result" in await forgetful.rpc("eth_getBalance", alice.hex, "0x3")
    assert "result" in await forgetful.rpc("eth_getBlockByNumber", "0x1", True)


SELECTORS = [
    ("0x99", -32000, "header not found"),
    (UNKNOWN_HASH, -32000, "header for hash not found"),
    ("soon", -32602, "invalid argument 1"),
    ("0x", -32602, "invalid argument 1"),
    ("0x01", -32602, "invalid argument 1"),
    (hex(2**63), -32602, "invalid argument 1: block number larger than int64"),
    ({"blockNumber": "0x1", "blockHash": UNKNOWN_HASH}, -32602, "invalid argument 1: cannot specify both"),
    ({"requireCanonical": True}, -32602, "invalid argument 1: unknown block selector"),
    ({"number": "0x1"}, -32602, "invalid argument 1: unknown field"),
]


@pytest.mark.parametrize(("selector", "code", "message"), SELECTORS)
async def test_blocks_that_cannot_be_meant(ledger, selector, code, message):
    found = await ledger.error("eth_getBalance", ledger.alice.hex, selector)
    assert found[0] == code
    assert found[1].startswith(message)


async def test_storage_and_code(any_ledger):
    runtime = bytes.fromhex("00")
    setup = assemble(0x1234, 0, "SSTORE")
    body = assemble(bytes([0, 1]), "DUP1", len(setup) + 10, 0, "CODECOPY", 0, "RETURN")
    address = await any_ledger.deploy(any_ledger.alice, setup + body + runtime)
    for slot in ("0x0", "0x" + "00" * 32, "0"):
        assert await any_ledger.ok("eth_getStorageAt", address, slot) == f"0x{0x1234:064x}"
    assert await any_ledger.ok("eth_getStorageAt", address, "0x1", "latest") == "0x" + "00" * 32
    assert await any_ledger.ok("eth_getCode", address, "latest") == "0x00"
    assert await any_ledger.ok("eth_getCode", any_ledger.alice.hex, "latest") == "0x"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["get-storage-invalid-key", "get-storage-invalid-key-too-large"])
async def test_recorded_storage_errors(ledger, shared, name):
    with tarfile.open(shared / "data/conformance/execution-apis-tests.tar.xz") as archive:
        lines = archive.extractfile(f"tests/eth_getStorageAt/{name}.io").read().splitlines()
    request = orjson.loads(next(line[3:] for line in lines if line.startswith(b">> ")))
    answer = await ledger.rpc(request["method"], *request["params"])
    assert answer["error"] == recorded(shared, f"eth_getStorageAt/{name}")["error"]


async def test_identity_and_health(ledger):
    assert await ledger.ok("eth_chainId") == "0x539"
    assert await ledger.ok("net_version") == "1337"
    assert await ledger.ok("net_listening") is True
    assert await ledger.ok("net_peerCount") == "0x0"
    assert await ledger.ok("eth_syncing") is False
    assert await ledger.ok("eth_accounts") == []
    assert await ledger.ok("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert (await ledger.ok("web3_clientVersion")).startswith("Coco/v")
    empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert await ledger.ok("web3_sha3", "0x") == empty
