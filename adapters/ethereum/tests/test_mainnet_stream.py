"""Stream S1: 2295 transactions of Ethereum mainnet, executed as the recording says.

The two blob transactions are refused (the ledger has no blob space). Nothing else depends on them, so
the final state is the recorded one but for their senders' nonces and payments and what they tipped.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak

from coco_ethereum.engine import BlockContext, EvmEngine, Executed, Invalid
from coco_ethereum.engines import load
from coco_ethereum.state import EMPTY_CODE_HASH, encode_slot_value, slot_key
from coco_ethereum.testing import World

MODES = ("const_env", "block_env")
BLOBS = (1913, 2294)
BATCH = 100

pytestmark = pytest.mark.shared


def number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16)


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@cache
def recording(folder: Path) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Return genesis, environments, transactions and final differences."""
    with lzma.open(folder / "s1.genesis.json.xz") as genesis, gzip.open(folder / "s1.txs.jsonl.gz") as lines:
        transactions = [json.loads(line) for line in lines]
        alloc = json.load(genesis)["alloc"]
    with gzip.open(folder / "s1.postdiff.json.gz") as final:
        return alloc, json.loads((folder / "s1.env.json").read_text()), transactions, json.load(final)


def context(env: dict[str, Any]) -> BlockContext:
    return BlockContext(
        chain_id=1,
        fork="cancun",
        number=env["number"],
        timestamp=env["timestamp"],
        gas_limit=env["gaslimit"],
        base_fee=env["basefee"],
        coinbase=raw(env["coinbase"]),
        prev_randao=raw(env["prevrandao"]),
        excess_blob_gas=env["excess_blob_gas"],
        block_hashes={int(at): raw(value) for at, value in env.get("blockhashes", {}).items()},
        pinned=True,
    )


def batches(env: dict[str, Any], stream: list[dict[str, Any]], mode: str) -> Iterator[tuple[Any, list[Any]]]:
    if mode == "block_env":
        for block, members in groupby(stream, lambda one: one["block"]):
            yield context(env["envs"][str(block)]), list(members)
    else:
        for start in range(0, len(stream), BATCH):
            yield context(env[mode]["env"]), stream[start : start + BATCH]


def genesis_world(engine: EvmEngine, alloc: dict[str, Any]) -> World:
    world = World(engine)
    for table in (world.accounts, world.storage, world.code):
        table.clear()
    for address, account in alloc.items():
        world.put(
            raw(address),
            balance=number(account["balance"]),
            nonce=number(account.get("nonce", 0)),
            code=raw(account.get("code", "")),
            storage={number(slot): number(word) for slot, word in account.get("storage", {}).items()},
        )
    return world


def replay(world: World, env: dict[str, Any], stream: list[dict[str, Any]], mode: str) -> list[str]:
    """Run the stream; returns what differed from the recording."""
    wrong = []
    for block, members in batches(env, stream, mode):
        world.context = block
        outcomes = world.run(*(raw(one["raw"]) for one in members)).results
        for one, outcome in zip(members, outcomes, strict=True):
            if isinstance(outcome, Executed):
                found = [outcome.status, outcome.gas_used, outcome.log_count]
                if found != one[f"expect_{mode}"][:3] or outcome.hash != raw(one["hash"]):
                    wrong.append(f"{one['i']}: {found}")
            elif not (isinstance(outcome, Invalid) and one["i"] in BLOBS):
                wrong.append(f"{one['i']}: {outcome}")
    return wrong


def blob_payment(one: dict[str, Any], block: BlockContext, gas: int) -> tuple[int, int]:
    """Return what a left-out blob transaction would have cost its sender and tipped (EIP-1559, EIP-4844)."""
    fields: Any = rlp.decode(raw(one["raw"])[1:])
    tip, cap, blobs = int.from_bytes(fields[2], "big"), int.from_bytes(fields[3], "big"), len(fields[10])
    price = min(cap, block.base_fee + tip)
    blob_fee, term, step = 0, 3_338_477, 1
    while term > 0:
        blob_fee += term
        term = term * block.excess_blob_gas // (3_338_477 * step)
        step += 1
    return gas * price + blobs * 131_072 * (blob_fee // 3_338_477), gas * (price - block.base_fee)


def without_blobs(
    final: dict[str, Any], env: dict[str, Any], stream: list[dict[str, Any]], mode: str
) -> dict[bytes, list[Any] | None]:
    """Return the recorded final accounts as they are if the blob transactions never ran."""
    expected: dict[bytes, list[Any] | None] = {
        raw(address): [account[0], number(account[1]), account[2], account[3]] if account else None
        for address, account in final.items()
    }
    for index in BLOBS:
        one = stream[index]
        block = context(env["envs"][str(one["block"])] if mode == "block_env" else env[mode]["env"])
        cost, tip = blob_payment(one, block, one[f"expect_{mode}"][1])
        for address, nonce, wei in ((raw(one["from"]), 1, -cost), (block.coinbase, 0, tip)):
            account = expected[address]
            assert account is not None
            account[0] -= nonce
            account[1] -= wei
    return expected


def check_final_state(world: World, expected: dict[bytes, list[Any] | None]) -> None:
    for address, account in expected.items():
        if account is None:
            assert address not in world.accounts
            continue
        nonce, balance, code_hash, slots = account
        found = world.account(address)
        assert (found.nonce, found.balance) == (nonce, balance), address.hex()
        assert found.code_hash == (raw(code_hash) if code_hash else EMPTY_CODE_HASH), address.hex()
        assert not found.has_code or keccak(world.code[found.code_hash]) == found.code_hash
        for slot, word in slots.items():
            key = slot_key(address, number(slot))
            assert world.storage.get(key) == encode_slot_value(number(word or 0)), (address.hex(), slot)


@pytest.mark.parametrize("mode", MODES)
def test_the_reference_engine(shared: Path, full: bool, mode: str) -> None:
    alloc, env, transactions, final = recording(shared / "data/mainnet")
    stream = transactions if full else transactions[:60]
    world = genesis_world(load("py-evm"), alloc)
    assert replay(world, env, stream, mode) == []
    if full:
        check_final_state(world, without_blobs(final[mode], env, stream, mode))


@pytest.mark.parametrize("mode", MODES)
def test_the_native_engine(shared: Path, mode: str) -> None:
    pytest.importorskip("coco_ethereum_revm", reason="the native engine is not installed (make revm)")
    alloc, env, transactions, final = recording(shared / "data/mainnet")
    world = genesis_world(load("revm"), alloc)
    assert world.engine.state_root(world.state) == raw(env["genesis_state_root"])
    assert replay(world, env, transactions, mode) == []
    check_final_state(world, without_blobs(final[mode], env, transactions, mode))
