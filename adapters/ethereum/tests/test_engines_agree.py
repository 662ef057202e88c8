"""Both engines give the same results for the same random blocks, programs and calls."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coco_ethereum.engine import BlockResult, Call, CallResult, EvmEngine, Executed, Invalid
from coco_ethereum.engines import load
from coco_ethereum.testing import World
from coco_ethereum.testing.assembly import OPCODES, assemble, initcode
from coco_ethereum.testing.world import (
    ALICE,
    ALICE_KEY,
    BOB,
    BOB_KEY,
    CAROL,
    CAROL_KEY,
    CHAIN_ID,
    COINBASE,
    CONTEXT,
    ETHER,
    NOBODY,
)
from coco_ethereum.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, SET_CODE, Authorization

EXAMPLES = 3_000 if os.environ.get("COCO_FULL") == "1" else 120

CONTRACTS = tuple(bytes([0xA0 + n]) * 20 for n in range(3))
# Cheap precompiles; their outputs on random input exercise failure as well.
PRECOMPILES = tuple(n.to_bytes(20, "big") for n in (1, 2, 3, 4, 5, 6, 7, 9))
TARGETS = (*CONTRACTS, *PRECOMPILES, ALICE, BOB, NOBODY, COINBASE)
KEYS = (ALICE_KEY, BOB_KEY, CAROL_KEY)
FORKS = ("shanghai", "cancun", "prague")

small = st.integers(0, 3)
words = st.one_of(small, st.integers(0, 2**256 - 1), st.sampled_from((2**255, 2**256 - 1, 2**64, 31, 32)))
offsets = st.sampled_from((0, 1, 31, 32, 64, 100))
targets = st.sampled_from(TARGETS)

NOT_PAIRS = ("ADDMOD", "MULMOD", "ISZERO", "NOT")
NULLARY = (
    *("ADDRESS", "ORIGIN", "CALLER", "CALLVALUE", "CALLDATASIZE", "CODESIZE", "GASPRICE", "RETURNDATASIZE"),
    *("COINBASE", "TIMESTAMP", "NUMBER", "PREVRANDAO", "GASLIMIT", "CHAINID", "SELFBALANCE", "BASEFEE"),
    *("BLOBBASEFEE", "PC", "MSIZE", "GAS", "PUSH0"),
)
ACCOUNT_WORDS = ("ISZERO", "NOT", "BALANCE", "EXTCODESIZE", "EXTCODEHASH")
SMALL_WORDS = ("CALLDATALOAD", "SLOAD", "TLOAD", "MLOAD", "BLOCKHASH", "BLOBHASH")
PAIR_WORDS = tuple(word for word in OPCODES if 0x01 <= OPCODES[word] <= 0x1D and word not in NOT_PAIRS)


@st.composite
def values(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw instructions that leave one word."""
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return (draw(st.sampled_from(NULLARY)),)
    if kind == 1:
        return (draw(st.one_of(words, targets, small)), draw(st.sampled_from(ACCOUNT_WORDS)))
    if kind == 2:
        return (draw(small), draw(st.sampled_from(SMALL_WORDS)))
    if kind == 3:
        return (draw(words), draw(words), draw(st.sampled_from(("ADDMOD", "MULMOD"))), draw(words), "ADD")
    if kind == 4:
        return (draw(offsets), draw(offsets), "KECCAK256")
    return (draw(words), draw(words), draw(st.sampled_from(PAIR_WORDS)))


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw a message call that leaves its success."""
    out_size, out, size, start = draw(offsets), draw(offsets), draw(offsets), draw(offsets)
    target = draw(targets)
    gas = draw(st.sampled_from(("GAS", 0, 700, 3_000, 30_000)))
    if draw(st.booleans()):
        value = draw(st.sampled_from((0, 0, 1, 5, ETHER)))
        return (out_size, out, size, start, value, target, gas, draw(st.sampled_from(("CALL", "CALLCODE"))))
    return (out_size, out, size, start, target, gas, draw(st.sampled_from(("STATICCALL", "DELEGATECALL"))))


@st.composite
def creations(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw a creation that leaves its address."""
    inner = draw(
        st.sampled_from(
            (
                b"",
                initcode(assemble("CALLER", "SELFDESTRUCT")),
                initcode(b"\xef"),
                assemble(1, 0, "SSTORE", BOB, "SELFDESTRUCT"),
                assemble(1, 0, "SSTORE", 5, 0, "RETURN"),
                assemble("INVALID"),
                assemble(32, 0, "REVERT"),
            )
        )
    )
    # At most 31 bytes fit behind one another in a word each; longer code lies over two words.
    padded = inner.ljust(64, b"\x00")
    store = (padded[:32], 0, "MSTORE", padded[32:], 32, "MSTORE")
    value = draw(st.sampled_from((0, 0, 1, ETHER)))
    if draw(st.booleans()):
        return (*store, len(inner), 0, value, "CREATE")
    return (*store, draw(small), len(inner), 0, value, "CREATE2")


@st.composite
def statements(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw instructions that leave the stack as it was."""
    kind = draw(st.integers(0, 8))
    if kind <= 1:
        return (*draw(values()), draw(small), draw(st.sampled_from(("SSTORE", "SSTORE", "TSTORE"))))
    if kind == 2:
        return (draw(small), draw(small), "SSTORE")
    if kind == 3:
        return (*draw(values()), draw(offsets), draw(st.sampled_from(("MSTORE", "MSTORE8"))))
    if kind == 4:
        topics = draw(st.integers(0, 4))
        return (*draw(st.tuples(*[words] * topics)), draw(offsets), draw(offsets), f"LOG{topics}")
    if kind == 5:
        copy = draw(st.sampled_from(("CALLDATACOPY", "CODECOPY", "RETURNDATACOPY", "MCOPY")))
        return (draw(offsets), draw(offsets), draw(offsets), copy)
    if kind == 6:
        return (*draw(creations()), draw(small), "SSTORE")
    return (*draw(calls()), draw(st.sampled_from((0, 1, 2))), "SSTORE")


endings = st.one_of(
    st.just(("STOP",)),
    st.tuples(offsets, offsets, st.just("RETURN")),
    st.tuples(offsets, offsets, st.just("REVERT")),
    st.tuples(targets, st.just("SELFDESTRUCT")),
    st.sampled_from((("INVALID",), ("POP",), (5, "JUMP"), ("GAS", "JUMP"))),
)


@st.composite
def programs(draw: st.DrawFn) -> bytes:
    """Draw a program: mostly sensible, now and then noise."""
    if draw(st.integers(0, 9)) == 0:
        # No contract's code begins so since EIP-3541; as delegations (EIP-7702) they would be malformed.
        return draw(st.binary(max_size=40)).lstrip(b"\xef")
    body = draw(st.lists(statements(), max_size=6))
    return assemble(*(item for part in body for item in part), *draw(endings))


@st.composite
def signed(draw: st.DrawFn, world: World, fork: str) -> bytes:
    """Draw a transaction, mostly with the nonce its sender would use next."""
    index = draw(st.integers(0, 2))
    kinds = (LEGACY, ACCESS_LIST, DYNAMIC_FEE, DYNAMIC_FEE, SET_CODE)
    kind = draw(st.sampled_from(kinds if fork == "prague" else kinds[:4]))
    to = draw(st.one_of(st.sampled_from(CONTRACTS), targets, st.none()))
    fields: dict[str, Any] = {
        "type": kind,
        "to": CONTRACTS[0] if to is None and kind == SET_CODE else to,
        "data": draw(programs()) if to is None else draw(st.binary(max_size=40)),
        "value": draw(st.sampled_from((0, 0, 1, 1_000, ETHER // 2, 2 * ETHER))),
        "gas_limit": draw(st.sampled_from((21_000, 60_000, 100_000, 300_000, 1_000_000, 29_000_000))),
        "max_fee_per_gas": draw(st.sampled_from((7, 8, 100, 10**9, 6, 2**128 - 1))),
        "max_priority_fee_per_gas": draw(st.sampled_from((0, 1, 1, 7, 10**10))),
        "nonce": NONCES[index] + draw(st.sampled_from((0, 0, 0, 0, 0, 1, -1, 2**64 - 1 - NONCES[index]))),
    }
    fields["nonce"] = max(fields["nonce"], 0)
    if kind in (LEGACY, ACCESS_LIST):
        fields["max_priority_fee_per_gas"] = fields["max_fee_per_gas"]
    if kind == LEGACY:
        fields["chain_id"] = draw(st.sampled_from((CHAIN_ID, None, CHAIN_ID, 1)))
    else:
        keys = st.lists(st.integers(0, 3).map(lambda n: n.to_bytes(32, "big")), max_size=2).map(tuple)
        fields["access_list"] = draw(st.lists(st.tuples(targets, keys), max_size=2).map(tuple))
    if kind == SET_CODE:
        fields["authorization_list"] = draw(st.lists(authorizations(), max_size=2).map(tuple))
    raw = world.sign(KEYS[index], **fields)
    if draw(st.integers(0, 15)) == 0:
        position = draw(st.integers(0, len(raw) - 1))
        raw = raw[:position] + bytes([raw[position] ^ draw(st.integers(1, 255))]) + raw[position + 1 :]
    return raw


NONCES = (0, 3, 2**64 - 3)
"""Nonces of the three senders: the last can send twice more."""


@st.composite
def authorizations(draw: st.DrawFn) -> Authorization:
    """Draw an authorization, void now and then."""
    index = draw(st.integers(0, 2))
    authorization = Authorization(
        chain_id=draw(st.sampled_from((0, CHAIN_ID, 2))),
        address=draw(st.one_of(st.sampled_from(CONTRACTS), targets, st.just(bytes(20)))),
        nonce=min(NONCES[index] + draw(small), 2**64 - 1),
    ).sign(KEYS[index])
    return attrs.evolve(authorization, y_parity=draw(st.sampled_from((authorization.y_parity,) * 4 + (2,))))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a state: three senders and three contracts that call one another."""
    world = World(load("py-evm"), attrs.evolve(CONTEXT, fork=draw(st.sampled_from(FORKS))))
    for address, nonce in zip((ALICE, BOB, CAROL), NONCES, strict=True):
        world.put(address, balance=ETHER, nonce=nonce)
    for address in CONTRACTS:
        storage = draw(st.dictionaries(small, st.integers(1, 2), max_size=3))
        world.put(address, code=draw(programs()), nonce=1, balance=draw(small), storage=storage)
    return world


@pytest.fixture(scope="module")
def revm() -> EvmEngine:
    pytest.importorskip("coco_ethereum_revm", reason="the native engine is not installed (make revm)")
    # py-evm raises Python's recursion limit when imported, which Hypothesis will not have inside a test.
    load("py-evm")
    return load("revm")


@contextmanager
def deep_stack() -> Iterator[None]:
    """Lift the recursion limit Hypothesis sets: nested calls of an EVM nest Python calls."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def comparable(result: BlockResult) -> list[Any]:
    """Return results without the ends of messages, which are each engine's own."""
    return [(one.code, one.hash) if isinstance(one, Invalid) else one for one in result.results]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(data=st.data())
def test_random_blocks(revm: EvmEngine, data: st.DataObject) -> None:
    world = data.draw(worlds())
    context = attrs.evolve(
        world.context,
        pinned=data.draw(st.booleans()),
        coinbase=data.draw(st.sampled_from((COINBASE, ALICE, CONTRACTS[0]))),
        block_hashes={999: bytes(range(32))},
    )
    block = [data.draw(signed(world, context.fork)) for _ in range(data.draw(st.integers(1, 4)))]
    with deep_stack():
        reference = world.engine.execute(context, block, world.state)
    native = revm.execute(context, block, world.state)
    assert comparable(native) == comparable(reference)
    assert attrs.evolve(native, results=[]) == attrs.evolve(reference, results=[])
    for one in reference.results:
        if isinstance(one, Executed):
            for base, writes in ((world.accounts, one.accounts), (world.storage, one.storage)):
                merged: dict[bytes, bytes | None] = {**base, **writes}
                base.clear()
                base.update({key: value for key, value in merged.items() if value is not None})
            world.code.update(one.code)
    assert revm.state_root(world.state) == world.engine.state_root(world.state)


@settings(
    max_examples=EXAMPLES // 2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(data=st.data())
def test_random_calls(revm: EvmEngine, data: st.DataObject) -> None:
    world = data.draw(worlds())
    to = data.draw(st.one_of(st.sampled_from(CONTRACTS), targets, st.none()))
    call = Call(
        sender=data.draw(targets),
        to=to,
        data=data.draw(programs()) if to is None else data.draw(st.binary(max_size=40)),
        value=data.draw(st.sampled_from((0, 0, 1, 2 * ETHER))),
        gas=data.draw(st.sampled_from((20_999, 21_000, 60_000, 1_000_000))),
        gas_price=data.draw(st.sampled_from((0, 0, 3, ETHER))),
    )
    with deep_stack():
        reference = called(world.engine, world, call)
    assert called(revm, world, call) == reference


def called(engine: EvmEngine, world: World, call: Call) -> CallResult | str:
    """Return a call's result without the name of a halt, or that it could not begin."""
    try:
        result = engine.call(world.context, call, world.state)
    except ValueError:
        return "could not begin"
    return attrs.evolve(result, error="")
