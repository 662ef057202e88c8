"""Ethereum's own state tests, read from packed lines and judged on any engine.

A line holds one test in the format of ``ethereum/tests`` and ``execution-spec-tests``: environment,
pre-state, and per fork the cases with the raw transaction, the post-state root and the hash of the
logs. Knows that format and the engine contract; finding and sampling the files is the tests' business.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import rlp
from eth_hash.auto import keccak

from coco_ethereum.engine import BlockContext, EvmEngine, Executed, Invalid, State
from coco_ethereum.receipts import decode_receipt
from coco_ethereum.state import Account, encode_account, encode_slot_value, slot_key
from coco_ethereum.testing.world import absorb


class Verdict(enum.Enum):
    """How a case went."""

    PASSED = "passed"
    BLOB = "refused for being a blob transaction, which this ledger does not carry"
    ACCEPTED_INVALID = "executed although it must be refused"
    REFUSED_VALID = "refused although it must be executed"
    OTHER_ROOT = "another post-state root"
    OTHER_LOGS = "another hash of logs"


@attrs.frozen
class Case:
    """One transaction of one test on one fork."""

    name: str
    fork: str
    raw: bytes
    root: bytes
    logs_hash: bytes
    expect_refusal: bool
    context: BlockContext
    pre: Mapping[str, Any]


def cases(test: Mapping[str, Any], fork: str) -> Iterator[Case]:
    """Yield a test's cases for a fork (lower case), in order."""
    context = _context(test["env"], fork)
    for number, post in enumerate(test["post"].get(fork.capitalize(), ())):
        yield Case(
            name=f"{test['file']}::{test['name']}[{fork}-{number}]",
            fork=fork,
            raw=_bytes(post["txbytes"]),
            root=_bytes(post["hash"]),
            logs_hash=_bytes(post["logs"]),
            expect_refusal="expectException" in post,
            context=context,
            pre=test["pre"],
        )


def judge(engine: EvmEngine, case: Case) -> Verdict:
    """Run a case and compare everything the test says of it."""
    accounts, storage, code = _pre_state(case.pre)
    result = engine.execute(case.context, [case.raw], State([accounts], [storage], [code]))
    [outcome] = result.results
    if not isinstance(outcome, Executed):
        if case.expect_refusal:
            return Verdict.PASSED
        is_blob = isinstance(outcome, Invalid) and outcome.code == "blob-not-supported"
        return Verdict.BLOB if is_blob else Verdict.REFUSED_VALID
    if case.expect_refusal:
        return Verdict.ACCEPTED_INVALID
    logs = [[log.address, list(log.topics), log.data] for log in decode_receipt(outcome.receipt).logs]
    if keccak(rlp.encode(logs)) != case.logs_hash:
        return Verdict.OTHER_LOGS
    absorb(accounts, outcome.accounts)
    absorb(storage, outcome.storage)
    absorb(code, outcome.code)
    root = engine.state_root(State([accounts], [storage], [code]))
    return Verdict.PASSED if root == case.root else Verdict.OTHER_ROOT


def _context(env: Mapping[str, str], fork: str) -> BlockContext:
    return BlockContext(
        chain_id=1,
        fork=fork,
        number=_number(env["currentNumber"]),
        timestamp=_number(env["currentTimestamp"]),
        gas_limit=_number(env["currentGasLimit"]),
        base_fee=_number(env.get("currentBaseFee", "0x0a")),
        coinbase=_bytes(env["currentCoinbase"]),
        prev_randao=_number(env.get("currentRandom", "0x0")).to_bytes(32, "big"),
        excess_blob_gas=_number(env.get("currentExcessBlobGas", "0x0")),
        # The convention all clients share for these tests: an ancestor's hash is that of its number.
        block_hashes=lambda number: keccak(str(number).encode()),
    )


def _pre_state(pre: Mapping[str, Any]) -> tuple[dict[bytes, bytes], dict[bytes, bytes], dict[bytes, bytes]]:
    accounts: dict[bytes, bytes] = {}
    storage: dict[bytes, bytes] = {}
    code: dict[bytes, bytes] = {}
    for name, fields in pre.items():
        address, program = _bytes(name), _bytes(fields["code"])
        if program:
            code[keccak(program)] = program
        account = Account(_number(fields["nonce"]), _number(fields["balance"]), keccak(program))
        stored = encode_account(account)
        if stored is not None:
            accounts[address] = stored
        for slot, word in fields["storage"].items():
            value = encode_slot_value(_number(word))
            if value is not None:
                storage[slot_key(address, _number(slot))] = value
    return accounts, storage, code


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _number(text: str) -> int:
    return int(text, 16)
