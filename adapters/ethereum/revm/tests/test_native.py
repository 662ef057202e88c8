"""The binding itself: what it takes, what it gives back, and that nothing brings it down."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import attrs
import pytest

import coco_ethereum_revm as native
from coco_core.errors import IntegrityError
from coco_ethereum.engine import Executed, Invalid, State
from coco_ethereum.engines.revm import RevmEngine
from coco_ethereum.state import slot_key
from coco_ethereum.testing.assembly import assemble, return_word
from coco_ethereum.testing.world import ALICE, BOB, CONTEXT, NOBODY, World

EMPTY_ROOT = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
RAW_COUNT = 4_000


def context(**fields: object) -> SimpleNamespace:
    """Return a context that is not the contract's class: the binding reads attributes."""
    names = ("chain_id", "fork", "number", "timestamp", "gas_limit", "base_fee", "coinbase", "prev_randao")
    values = {name: getattr(CONTEXT, name) for name in (*names, "excess_blob_gas", "pinned")}
    return SimpleNamespace(**(values | fields))


def test_the_version_is_the_pin_of_the_manifest() -> None:
    manifest = tomllib.loads((Path(__file__).parents[1] / "Cargo.toml").read_text(encoding="utf-8"))
    assert manifest["dependencies"]["revm"]["version"] == f"={native.REVM_VERSION}"


def test_it_stands_without_the_coco_packages() -> None:
    program = (
        "import sys, coco_ethereum_revm; "
        "sys.exit(any(name.partition('.')[0] in ('coco_core', 'coco_ethereum') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_digests_and_roots_are_the_known_ones() -> None:
    assert native.keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert native.ordered_trie_root([]).hex() == EMPTY_ROOT
    assert native.state_root(State([{}], [{}], [{}])).hex() == EMPTY_ROOT


def call(to: bytes) -> SimpleNamespace:
    """Return a call that is not the contract's class either."""
    fields = {"data": b"", "value": 0, "gas": 1_000_000, "gas_price": 0}
    return SimpleNamespace(sender=ALICE, to=to, **fields, access_list=(), authorization_list=())


def test_any_mapping_is_state(world: World) -> None:
    target = world.contract(return_word(1, "SLOAD"), storage={1: 7})
    accounts, storage, code = (MappingProxyType(it) for it in (world.accounts, world.storage, world.code))
    layered = State(({}, accounts), ({b"unused": None}, storage), [code])
    assert native.call(context(), call(target), layered, None)[2] == (7).to_bytes(32, "big")


def test_none_in_a_newer_layer_hides_an_older_value(world: World) -> None:
    target = world.contract(return_word(1, "SLOAD"), storage={1: 7})
    [key] = world.storage
    hidden = State([world.accounts], [{key: None}, world.storage], [world.code])
    assert native.call(context(), call(target), hidden, None)[2] == bytes(32)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"fork": "london"}, ValueError),
        ({"coinbase": b"short"}, ValueError),
        ({"prev_randao": bytes(33)}, ValueError),
        ({"excess_blob_gas": 150_000_001}, ValueError),
        ({"gas_limit": 2**64}, OverflowError),
        ({"base_fee": -1}, OverflowError),
        ({"number": "1"}, TypeError),
    ],
)
def test_an_impossible_environment_is_refused(fields: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        native.execute(context(**fields), [], State([{}], [{}], [{}]), None)


@pytest.mark.parametrize(
    ("accounts", "error"),
    [
        ({ALICE: b"short"}, native.StateError),
        ({ALICE: bytes(71)}, native.StateError),
        ({ALICE: "text"}, TypeError),
        ({ALICE: bytes(8) + b"\xff" * 32 + b"\x01" * 32}, native.StateError),
    ],
)
def test_unreadable_state_stops_the_block(
    world: World, accounts: dict[bytes, bytes], error: type[Exception]
) -> None:
    raw = world.sign()
    with pytest.raises(error):
        native.execute(context(), [raw], State([accounts], [{}], [{}]), None)


@pytest.mark.parametrize("value", [b"", b"\x00\x01", bytes([1]) * 33])
def test_a_storage_value_not_in_its_shortest_form_is_no_state(world: World, value: bytes) -> None:
    target = world.contract(return_word(1, "SLOAD"), storage={1: 7})
    [key] = world.storage
    world.storage[key] = value
    with pytest.raises(IntegrityError):
        world.call(to=target)


def test_what_the_block_hash_function_raises_comes_through(world: World) -> None:
    def broken(number: int) -> bytes:
        raise LookupError(f"no block {number}")

    target = world.contract(return_word(999, "BLOCKHASH"))
    with pytest.raises(LookupError, match="no block 999"):
        native.call(context(), call(target), world.state, broken)
    with pytest.raises(ValueError, match="block hash must have 32 bytes"):
        native.call(context(), call(target), world.state, lambda _: b"short")


@pytest.mark.parametrize(
    ("fork", "fraction"), [("cancun", 3_338_477), ("prague", 5_007_716), ("osaka", 5_007_716)]
)
def test_the_blob_base_fee_is_right_up_to_the_bound(world: World, fork: str, fraction: int) -> None:
    target = world.contract(return_word("BLOBBASEFEE"))
    excess = 150_000_000
    # fake_exponential of EIP-4844, in integers without bound.
    total, term, step = 0, fraction, 1
    while term:
        total += term
        term = term * excess // (fraction * step)
        step += 1
    output = native.call(context(fork=fork, excess_blob_gas=excess), call(target), world.state, None)[2]
    assert int.from_bytes(output, "big") == total // fraction


def test_a_call_with_unlimited_gas_ends(world: World) -> None:
    target = world.contract(assemble(0, 2**40, "MSTORE"))
    called = world.call(to=target, gas=2**64 - 1)
    assert called.status == "halt"
    assert called.error.startswith("out of gas")


def test_a_call_nobody_could_pay_for_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="insufficient funds for gas"):
        world.call(gas=2**64 - 1, gas_price=2**128 - 1, value=2**256 - 1)


def test_no_bytes_bring_it_down(world: World) -> None:
    draw = random.Random(2718)
    seeds = [
        world.sign(type=0, data=b"\x01" * 60),
        world.sign(type=1, access_list=((BOB, (bytes(32),)),)),
        world.sign(),
        world.sign(to=None, data=assemble(0, 0, "RETURN"), gas_limit=200_000),
    ]
    raws = [distort(draw, draw.choice(seeds)) for _ in range(RAW_COUNT)]
    raws += [draw.randbytes(draw.randrange(200)) for _ in range(RAW_COUNT)]
    result = world.engine.execute(CONTEXT, raws, world.state)
    assert len(result.results) == len(raws)
    assert all(isinstance(one, Invalid | Executed) for one in result.results)
    assert sum(isinstance(one, Invalid) for one in result.results) > RAW_COUNT


def distort(draw: random.Random, raw: bytes) -> bytes:
    """Change, drop or insert one byte."""
    at = draw.randrange(len(raw))
    return raw[:at] + draw.randbytes(draw.randrange(2)) + raw[at + draw.randrange(2) :]


HASHING = assemble("JUMPDEST", 2**16, 0, "KECCAK256", "POP", 0, "JUMP")
"""Hashes 64 KiB again and again: much time for little gas."""


def turns_during(work: Callable[[], object]) -> int:
    """Return how often another thread, which asks every half millisecond, had its turn during ``work``."""
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.wait(0.0005):
            turns += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = turns
        work()
        return turns - before
    finally:
        done.set()
        thread.join()


def test_other_threads_run_during_a_call(world: World) -> None:
    target = world.contract(HASHING)
    result = []
    assert turns_during(lambda: result.append(world.call(to=target, gas=50_000_000))) > 20
    assert [one.error for one in result] == ["out of gas"]


def test_other_threads_run_during_a_transaction_with_much_gas(world: World) -> None:
    raw = world.sign(to=world.contract(HASHING), gas_limit=20_000_000)
    result = []
    assert turns_during(lambda: result.append(world.run(raw))) > 20
    assert result[0].gas_used == 20_000_000


def test_other_threads_have_a_turn_between_transactions_with_little_gas(world: World) -> None:
    target = world.contract(HASHING)
    raws = [world.sign(nonce=n, to=target, gas_limit=999_999) for n in range(12)]
    result = []
    assert turns_during(lambda: result.append(world.run(*raws))) >= 3
    assert result[0].gas_used == 12 * 999_999


def test_a_transaction_with_much_gas_reads_what_those_before_it_wrote(world: World) -> None:
    counter = world.contract(assemble(0, "SLOAD", 1, "ADD", 0, "SSTORE"))
    limits = [100_000, 2_000_000, 2_000_000, 100_000, 1_000_000]
    raws = [world.sign(nonce=nonce, to=counter, gas_limit=limit) for nonce, limit in enumerate(limits)]
    results = world.run(*raws).results
    assert [one.status for one in results if isinstance(one, Executed)] == [1] * 5
    assert world.slot(counter, 0) == 5


def test_senders_keep_their_order_over_all_threads(engine: RevmEngine) -> None:
    world = World(engine)
    keys = [bytes([1 + number % 3]) * 32 for number in range(200)]
    nonces = dict.fromkeys(keys, 0)
    raws = []
    for key in keys:
        raws.append(world.sign(key, nonce=nonces[key], to=NOBODY, value=1))
        nonces[key] += 1
    results = world.run(*raws).results
    assert all(isinstance(one, Executed) for one in results)
    assert [one.hash for one in results if isinstance(one, Executed)] == [
        native.keccak256(raw) for raw in raws
    ]
    assert world.account(NOBODY).balance == 200


def test_a_contract_of_shanghai_loses_all_storage_when_it_destructs(engine: RevmEngine) -> None:
    """Before EIP-6780 slots nobody touched go as well: those of the base and those of the same block."""
    world = World(engine, attrs.evolve(CONTEXT, fork="shanghai"))
    body = assemble(5, 3, "SSTORE STOP")
    jump = assemble("CALLDATASIZE", 4 + len(body), "JUMPI")
    target = world.contract(jump + body + assemble("JUMPDEST CALLER SELFDESTRUCT"), storage={7: 7, 8: 8})
    neighbour = world.contract(body, storage={7: 7})
    stored, destructed = world.run(
        world.sign(to=target, nonce=0), world.sign(to=target, nonce=1, data=b"\x01")
    ).results
    assert isinstance(stored, Executed)
    assert isinstance(destructed, Executed)
    assert len(stored.storage) == 1
    assert list(destructed.storage.values()) == [None, None, None]
    assert world.storage == {slot_key(neighbour, 7): b"\x07"}
    assert destructed.accounts[target] is None
