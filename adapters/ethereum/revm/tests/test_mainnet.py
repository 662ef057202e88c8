"""2,295 mainnet transactions, in mainnet order, against an oracle made by the executable specification.

The oracle (``data/mainnet/README.md``) executes all 2,295, two of them blob transactions, which this
ledger refuses. Nobody later reads what those two wrote, so everything else must come out equal, and
exactly these accounts differ: the two senders (nonce, fee), the coinbase's tips, and in the blocks' own
environments nothing more than both blocks' coinbases.
"""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from coco_ethereum.engine import BlockContext, Executed, Invalid, State
from coco_ethereum.engines.revm import RevmEngine
from coco_ethereum.state import Account, encode_account, encode_slot_value, slot_key
from coco_ethereum.testing.world import absorb

pytestmark = pytest.mark.shared

BATCH_SIZE = 100
BLOB_SENDERS = {
    bytes.fromhex("99199a22125034c808ff20f377d91187e8050f2e"),
    bytes.fromhex("c1b634853cb333d3ad8663715b08f41a3aec47cc"),
}
COINBASES = {
    "const_env": {b"\xc0" * 20},
    "block_env": {
        bytes.fromhex("29182006a4967e9a50c0a66076da514993d3b4d4"),
        bytes.fromhex("34842c43e655779a86e890e2b56d09bc477a1ce3"),
    },
}


@attrs.frozen
class Maps:
    """State."""

    accounts: dict[bytes, bytes]
    storage: dict[bytes, bytes]
    code: dict[bytes, bytes]

    def copy(self) -> Maps:
        return Maps(dict(self.accounts), dict(self.storage), dict(self.code))

    @property
    def state(self) -> State:
        return State([self.accounts], [self.storage], [self.code])


@attrs.frozen
class Stream:
    """The transactions with what they are run over and must give."""

    env: dict[str, Any]
    transactions: list[dict[str, Any]]
    genesis: Maps
    differences: dict[str, Any]


def octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def stream(shared: Path) -> Stream:
    folder = shared / "data" / "mainnet"
    alloc = json.loads(lzma.decompress((folder / "s1.genesis.json.xz").read_bytes()))["alloc"]
    lines = gzip.decompress((folder / "s1.txs.jsonl.gz").read_bytes()).splitlines()
    return Stream(
        env=json.loads((folder / "s1.env.json").read_text(encoding="utf-8")),
        transactions=[json.loads(line) for line in lines],
        genesis=read_genesis(alloc),
        differences=json.loads(gzip.decompress((folder / "s1.postdiff.json.gz").read_bytes())),
    )


def read_genesis(alloc: dict[str, Any]) -> Maps:
    maps = Maps({}, {}, {})
    keccak256 = RevmEngine().keccak256
    for name, fields in alloc.items():
        address, code = octets(name), octets(fields.get("code", "0x"))
        if code:
            maps.code[keccak256(code)] = code
        nonce, balance = int(fields.get("nonce", "0x0"), 16), int(fields["balance"], 16)
        put(maps, address, Account(nonce, balance, keccak256(code)), fields.get("storage", {}))
    return maps


def put(maps: Maps, address: bytes, account: Account, slots: dict[str, str]) -> None:
    stored = encode_account(account)
    assert stored is not None
    maps.accounts[address] = stored
    for slot, word in slots.items():
        key, value = slot_key(address, int(slot, 16)), encode_slot_value(int(word, 16))
        if value is None:
            maps.storage.pop(key, None)
        else:
            maps.storage[key] = value


def expected_state(stream: Stream, mode: str) -> Maps:
    """Apply the oracle's differences to the genesis."""
    maps = stream.genesis.copy()
    no_code = RevmEngine().keccak256(b"")
    for name, fields in stream.differences[mode].items():
        assert fields is not None, "no account is deleted in this stream"
        nonce, balance, code_hash, slots = fields
        code_hash = no_code if code_hash is None else octets(code_hash)
        put(maps, octets(name), Account(nonce, int(balance, 16), code_hash), slots)
    return maps


def environment(fields: dict[str, Any], *, pinned: bool) -> BlockContext:
    return BlockContext(
        chain_id=1,
        fork="cancun",
        number=fields["number"],
        timestamp=fields["timestamp"],
        gas_limit=fields["gaslimit"],
        base_fee=fields["basefee"],
        coinbase=octets(fields["coinbase"]),
        prev_randao=octets(fields["prevrandao"]),
        excess_blob_gas=fields["excess_blob_gas"],
        block_hashes={int(number): octets(it) for number, it in fields.get("blockhashes", {}).items()},
        pinned=pinned,
    )


def blocks(stream: Stream, mode: str) -> Iterator[tuple[BlockContext, list[dict[str, Any]]]]:
    """Yield batches for the constant environment, mainnet's blocks for their own."""
    if mode == "const_env":
        context = environment(stream.env["const_env"]["env"], pinned=True)
        for start in range(0, len(stream.transactions), BATCH_SIZE):
            yield context, stream.transactions[start : start + BATCH_SIZE]
        return
    for number, fields in stream.env["envs"].items():
        chosen = [one for one in stream.transactions if one["block"] == int(number)]
        yield environment(fields, pinned=False), chosen


@pytest.mark.parametrize("mode", ["const_env", "block_env"])
def test_every_transaction_does_what_the_specification_says(stream: Stream, mode: str) -> None:
    engine = RevmEngine()
    maps = stream.genesis.copy()
    refused: list[dict[str, Any]] = []
    wrong: list[object] = []
    count = 0
    for context, transactions in blocks(stream, mode):
        result = engine.execute(context, [octets(one["raw"]) for one in transactions], maps.state)
        for one, outcome in zip(transactions, result.results, strict=True):
            count += 1
            if isinstance(outcome, Executed):
                got = [outcome.status, outcome.gas_used, outcome.log_count]
                identity = (outcome.hash, outcome.sender, outcome.type)
                if got != one[f"expect_{mode}"][:3] or identity != (
                    octets(one["hash"]), octets(one["from"]), one["type"],
                ):  # fmt: skip
                    wrong.append((one["i"], got))
                absorb(maps.accounts, outcome.accounts)
                absorb(maps.storage, outcome.storage)
                absorb(maps.code, outcome.code)
            elif isinstance(outcome, Invalid) and outcome.code == "blob-not-supported":
                refused.append(one)
            else:
                wrong.append((one["i"], outcome))
    assert count == len(stream.transactions) == 2_295
    assert wrong == []
    assert [one["type"] for one in refused] == [3, 3]
    assert {octets(one["from"]) for one in refused} == BLOB_SENDERS

    expected = expected_state(stream, mode)
    assert maps.storage == expected.storage
    different = {
        address
        for address in maps.accounts.keys() | expected.accounts.keys()
        if maps.accounts.get(address) != expected.accounts.get(address)
    }
    assert different == BLOB_SENDERS | COINBASES[mode]
    full = State([expected.accounts], [expected.storage], [maps.code])
    assert engine.state_root(full) == octets(stream.env[mode]["post_state_root"])


def test_the_genesis_has_the_published_root(stream: Stream) -> None:
    root = RevmEngine().state_root(stream.genesis.state)
    assert root == octets(stream.env["genesis_state_root"])
