"""Genesis: what geth's format becomes, and every fault an operator can make in it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from coco_core.errors import OperatorError
from coco_core.kv import Store
from coco_ethereum import genesis, records
from coco_ethereum.adapter import EthereumAdapter
from coco_ethereum.blocks import Header
from coco_ethereum.chain import read_config
from coco_ethereum.development import development_ledger
from coco_ethereum.records import ACCOUNTS, BLOCKS, CODE, HEAD, STORAGE, Block, number_key
from coco_ethereum.state import Account, decode_account

ADDRESS = "0x" + "ab" * 20
ENVIRONMENT = {
    "number": 5,
    "timestamp": "0x64",
    "coinbase": "0x" + "c0" * 20,
    "prevrandao": "0x" + "00" * 32,
    "basefee": 0,
    "gaslimit": 30_000_000,
    "excess_blob_gas": 0,
}


def config(**changes: Any) -> dict[str, Any]:
    base = copy.deepcopy(dict(development_ledger().config))
    base["alloc"] = {ADDRESS: {"balance": "0x10"}}
    return base | changes


def test_state_and_head_follow_from_alloc(engine):
    code = "0x6001"
    alloc = {
        ADDRESS[2:]: {"balance": "1000", "nonce": "0x2"},
        "0x" + "cd" * 20: {"code": code, "storage": {"0x1": "0x00ff", "0x2": "0x0"}},
        "0x" + "ef" * 20: {"balance": "0x0"},
    }
    parts = genesis.genesis_writes(config(alloc=alloc), engine)
    state = parts[0]
    assert decode_account(state[ACCOUNTS][bytes.fromhex("ab" * 20)]) == Account(2, 1000)
    contract = decode_account(state[ACCOUNTS][bytes.fromhex("cd" * 20)])
    assert state[CODE] == {contract.code_hash: bytes.fromhex("6001")}
    assert state[STORAGE] == {bytes.fromhex("cd" * 20) + (1).to_bytes(32): b"\xff"}
    assert bytes.fromhex("ef" * 20) not in state[ACCOUNTS], "an empty account is not stored (EIP-161)"
    assert HEAD in parts[-1], "the head comes last, so that half a genesis is recognisable"
    block = Block.unpack(parts[-1][BLOCKS][number_key(0)])
    header = Header.decode(block.header)
    assert (header.number, header.parent_hash, header.gas_used) == (0, bytes(32), 0)
    assert block.hash == engine.keccak256(block.header)


def test_configuration_survives_in_state(engine):
    store = Store()
    wanted = config(coco={"engine": engine.name, "constEnv": ENVIRONMENT}, coinbase="0x" + "01" * 20)
    for seqno, writes in enumerate(EthereumAdapter(engine).genesis(wanted, bytes(32)), start=1):
        store.append(seqno, writes)
        store.commit(seqno)
    assert read_config(store.view()) == genesis.chain_config(wanted, engine)
    chain = read_config(store.view())
    assert chain.environment is not None
    assert (chain.environment.number, chain.environment.timestamp, chain.chain_id) == (5, 100, 1337)
    assert chain.coinbase == b"\x01" * 20


def test_large_state_is_split_into_parts(engine, monkeypatch):
    monkeypatch.setattr(genesis, "GENESIS_PART_SIZE_MAX_BYTES", 200)
    alloc = {f"0x{index:040x}": {"balance": 1} for index in range(1, 21)}
    *parts, _closing = genesis.genesis_writes(config(alloc=alloc), engine)
    assert [len(part[ACCOUNTS]) for part in parts] == [3] * 6 + [2]
    assert set().union(*(part[ACCOUNTS] for part in parts)) == {
        bytes.fromhex(address[2:]) for address in alloc
    }


@pytest.mark.parametrize(
    ("timestamp", "fork"), [(0, "cancun"), (19, "cancun"), (20, "prague"), (99, "prague")]
)
def test_forks_follow_time(engine, timestamp, fork):
    rules = {"chainId": 1, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 20}
    assert genesis.chain_config(config(config=rules), engine).fork_at(timestamp) == fork


def test_what_geth_writes_by_habit_is_taken(engine):
    rules = {"chainId": 1, "londonBlock": "0x0", "isDev": True, "shanghaiTime": 0, "cancunTime": "0x0"}
    zeros = dict.fromkeys(("nonce", "difficulty", "gasUsed", "number", "excessBlobGas", "blobGasUsed"), "0x0")
    mix_hash = bytes(range(32))
    wanted = config(config=rules, parentHash="0x" + "00" * 32, mixHash="0x" + mix_hash.hex(), **zeros)
    del wanted["baseFeePerGas"]
    closing = genesis.genesis_writes(wanted, engine)[-1]
    header = Header.decode(Block.unpack(closing[BLOCKS][number_key(0)]).header)
    assert (header.prev_randao, header.base_fee) == (mix_hash, 10**9)


def test_a_delegation_needs_prague_from_the_first_block(engine):
    alloc = {ADDRESS: {"code": "0xef0100" + "cd" * 20}}
    assert genesis.genesis_writes(config(alloc=alloc), engine)[0][CODE]
    later = {"chainId": 1, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 9}
    with pytest.raises(OperatorError, match="begins with 0xef"):
        genesis.genesis_writes(config(alloc=alloc, config=later), engine)


def test_a_recording_may_begin_with_shanghai_and_hold_system_contracts(engine):
    rules = {"chainId": 1, "shanghaiTime": 0, "cancunTime": 200}
    beacon_roots = "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"
    alloc = {beacon_roots: {"code": "0x00", "storage": {"0x1": "0x1"}}}
    replay = config(config=rules, alloc=alloc, coco={"constEnv": ENVIRONMENT})
    assert genesis.genesis_writes(replay, engine)[0][STORAGE]


FAULTS = {
    "config missing": ({"config": None}, "genesis.config: missing"),
    "config no table": ({"config": 1}, "genesis.config: expected a table"),
    "unknown field": ({"gaslimit": 1}, "genesis.gaslimit: not known"),
    "no chain ID": ({"config": {"shanghaiTime": 0}}, "config.chainId: missing"),
    "chain ID zero": ({"config": {"chainId": 0, "shanghaiTime": 0}}, "config.chainId: 0 is outside"),
    "chain ID text": ({"config": {"chainId": "x", "shanghaiTime": 0}}, "config.chainId: expected a number"),
    "chain ID bool": ({"config": {"chainId": True, "shanghaiTime": 0}}, "config.chainId: expected a number"),
    "no fork": ({"config": {"chainId": 1}}, "config.shanghaiTime: must be set"),
    "late Shanghai": (
        {"config": {"chainId": 1, "shanghaiTime": 9}},
        "config.shanghaiTime: must be set and not",
    ),
    "gap in forks": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "pragueTime": 0}},
        "config.pragueTime: set, but cancun",
    ),
    "forks out of order": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "cancunTime": 9, "pragueTime": 8}},
        "config.pragueTime: 8 is before cancunTime",
    ),
    "old fork later": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "londonBlock": 5}},
        "config.londonBlock: must be 0",
    ),
    "unknown fork": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "moonTime": 0}},
        "config.moonTime: not known",
    ),
    "Cancun later": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "cancunTime": 9}},
        "config.cancunTime: must be set and not later",
    ),
    "gas limit beyond reason": (
        {"gasLimit": "0x1fffffffffffff"},
        "genesis.gasLimit: 9007199254740991 is above",
    ),
    "base fee too wide": (
        {"baseFeePerGas": 1 << 64},
        "genesis.baseFeePerGas: 18446744073709551616 is outside",
    ),
    "milliseconds": (
        {"timestamp": 1_700_000_000_000},
        "genesis.timestamp: 1700000000000 is beyond the year 2100",
    ),
    "fork in milliseconds": (
        {"config": {"chainId": 1, "shanghaiTime": 1_700_000_000_000}},
        "config.shanghaiTime: 1700000000000 is beyond",
    ),
    "difficulty": ({"difficulty": "0x20000"}, "genesis.difficulty: must be 0 or absent"),
    "nonce": ({"nonce": "0x42"}, "genesis.nonce: must be 0 or absent"),
    "gas used": ({"gasUsed": 1}, "genesis.gasUsed: must be 0 or absent"),
    "excess blob gas": ({"excessBlobGas": 1}, "genesis.excessBlobGas: must be 0 or absent"),
    "a parent": ({"parentHash": "0x" + "01" * 32}, "genesis.parentHash: must be zero or absent"),
    "short mix hash": ({"mixHash": "0x01"}, "genesis.mixHash: 1 bytes, expected 32"),
    "old fork text": (
        {"config": {"chainId": 1, "shanghaiTime": 0, "londonBlock": "0x5"}},
        "config.londonBlock: must be 0",
    ),
    "environment gas limit": (
        {"coco": {"constEnv": ENVIRONMENT | {"gaslimit": 100_000_001}}},
        "coco.constEnv.gaslimit: 100000001 is above 100000000",
    ),
    "environment blob gas": (
        {"coco": {"constEnv": ENVIRONMENT | {"excess_blob_gas": 150_000_001}}},
        "coco.constEnv.excess_blob_gas: 150000001 is above",
    ),
    "environment base fee": (
        {"coco": {"constEnv": ENVIRONMENT | {"basefee": 1 << 64}}},
        "coco.constEnv.basefee: 18446744073709551616 is outside",
    ),
    "more wei than exist": (
        {"alloc": {ADDRESS: {"balance": hex((1 << 256) - 1)}, "0x" + "cd" * 20: {"balance": 1}}},
        "balance: all balances together exceed 256 bits",
    ),
    "nonce near the end": ({"alloc": {ADDRESS: {"nonce": 1 << 63}}}, "nonce: 9223372036854775808 is outside"),
    "code of EIP-3541": ({"alloc": {ADDRESS: {"code": "0xef0100aa"}}}, "code: begins with 0xef"),
    "storage without an owner": (
        {"alloc": {ADDRESS: {"balance": 1, "storage": {"0x1": "0x1"}}}},
        "storage: set, but neither code nor nonce is (EIP-7610)",
    ),
    "system contract": (
        {"alloc": {"0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02": {"code": "0x00"}}},
        "code: leave out the system contract of EIP-4788",
    ),
    "no gas limit": ({"gasLimit": None}, "genesis.gasLimit: missing"),
    "gas limit too small": ({"gasLimit": 20_999}, "genesis.gasLimit: 20999 is outside"),
    "negative": ({"baseFeePerGas": -1}, "genesis.baseFeePerGas: -1 is outside"),
    "later number": ({"number": "0x1"}, "genesis.number"),
    "short coinbase": ({"coinbase": "0x01"}, "genesis.coinbase: 1 bytes, expected 20"),
    "long extra data": ({"extraData": "0x" + "00" * 33}, "genesis.extraData: 33 bytes"),
    "other engine": ({"coco": {"engine": "evmone"}}, "coco.engine: genesis names 'evmone'"),
    "unknown of ours": ({"coco": {"engin": "revm"}}, "coco.engin: not known"),
    "unprotected no boolean": (
        {"coco": {"allowUnprotected": 1}},
        "coco.allowUnprotected: expected true or false",
    ),
    "environment incomplete": ({"coco": {"constEnv": {"number": 1}}}, "coco.constEnv.timestamp: missing"),
    "environment misspelt": ({"coco": {"constEnv": {"gasLimit": 1}}}, "coco.constEnv.gasLimit: not known"),
    "no alloc": ({"alloc": None}, "genesis.alloc: missing"),
    "bad address": ({"alloc": {"0x12": {}}}, "alloc['0x12']: 1 bytes, expected 20"),
    "address twice": ({"alloc": {ADDRESS: {}, ADDRESS[2:]: {}}}, "the address appears twice"),
    "account no table": ({"alloc": {ADDRESS: 5}}, "expected a table with balance"),
    "account field": ({"alloc": {ADDRESS: {"balanc": 5}}}, "balanc: not known"),
    "balance too large": ({"alloc": {ADDRESS: {"balance": hex(1 << 256)}}}, "balance: 1157"),
    "odd code": ({"alloc": {ADDRESS: {"code": "0x123"}}}, "code: not an even number"),
    "code without prefix": ({"alloc": {ADDRESS: {"code": "6001"}}}, "code: expected a 0x string"),
    "slot too large": ({"alloc": {ADDRESS: {"storage": {"0x" + "00" * 33: "0x1"}}}}, "storage key: 33 bytes"),
    "value no text": ({"alloc": {ADDRESS: {"storage": {"0x1": 5}}}}, "expected a 0x string, found '5'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_names_its_field(engine, name):
    changes, message = FAULTS[name]
    with pytest.raises(OperatorError) as caught:
        genesis.genesis_writes(config(**changes), engine)
    assert message in str(caught.value)


def test_a_fork_the_engine_lacks_is_refused():
    class Shanghai:
        name, forks = "limited", ("shanghai",)

    with pytest.raises(OperatorError, match="cancunTime: engine 'limited' supports shanghai"):
        genesis.chain_config(config(), Shanghai())


def test_the_manifest_owns_every_map_written(engine):
    written = set().union(*genesis.genesis_writes(config(), engine))
    assert written <= set(records.MAPS)
    assert all(name.startswith("ethereum.") for name in records.MAPS)
