"""Standard tests: hashes and Merkle-Patricia roots."""

from __future__ import annotations

import pytest

from coco_core.errors import IntegrityError
from coco_ethereum import trie
from coco_ethereum.engine import CallResult, EvmEngine, State
from coco_ethereum.testing.assembly import assemble
from coco_ethereum.testing.world import ALICE, BOB, CONTEXT, World

KECCAK_OF_NOTHING = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
EMPTY_TRIE_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")


class RootTests:
    """What headers and audits compare."""

    def test_keccak(self, engine: EvmEngine) -> None:
        assert engine.keccak256(b"") == KECCAK_OF_NOTHING

    def test_empty_roots(self, engine: EvmEngine) -> None:
        assert engine.ordered_trie_root([]) == EMPTY_TRIE_ROOT
        assert engine.state_root(State([{}], [{}], [{}])) == EMPTY_TRIE_ROOT

    @pytest.mark.parametrize("count", [1, 2, 16, 17, 127, 128, 129, 300])
    def test_ordered_roots_are_the_references(self, engine: EvmEngine, count: int) -> None:
        items = [bytes([n % 251]) * (1 + n % 70) for n in range(count)]
        assert engine.ordered_trie_root(items) == trie.ordered_trie_root(items)

    def test_state_root_is_the_references(self, engine: EvmEngine, world: World) -> None:
        world.contract(assemble("STOP"), storage={n: n + 1 for n in range(40)})
        world.contract(assemble("INVALID"), balance=1, storage={2**255: 2**256 - 1})
        assert engine.state_root(world.state) == trie.state_root(world.state)

    def test_state_root_reads_through_layers(self, engine: EvmEngine, world: World) -> None:
        contract = world.contract(assemble("STOP"), storage={1: 1, 2: 2})
        layered = State(
            [{ALICE: None}, world.accounts],
            [{contract + (1).to_bytes(32, "big"): None}, world.storage],
            [world.code],
        )
        del world.accounts[ALICE], world.storage[contract + (1).to_bytes(32, "big")]
        expected = engine.state_root(world.state)
        world.put(ALICE, balance=5)
        assert engine.state_root(layered) == expected


class BrokenStateTests:
    """State that contradicts its encoding stops the engine instead of being executed."""

    def test_an_account_of_another_size(self, engine: EvmEngine, world: World) -> None:
        raw = world.sign()
        world.accounts[ALICE] = bytes(39)
        with pytest.raises(IntegrityError):
            engine.execute(CONTEXT, [raw], world.state)

    def test_code_that_is_missing(self, world: World) -> None:
        contract = world.contract(assemble("STOP"))
        world.code.clear()
        with pytest.raises(IntegrityError):
            world.run(world.sign(to=contract))

    def test_a_slot_wider_than_a_word(self, world: World) -> None:
        contract = world.contract(assemble(0, "SLOAD"))
        world.storage[contract + bytes(32)] = b"\x01" * 33
        with pytest.raises(IntegrityError):
            world.run(world.sign(to=contract))

    def test_what_is_not_read_does_not_matter(self, world: World) -> None:
        world.accounts[b"\x99" * 20] = b""
        assert isinstance(world.call(to=BOB), CallResult)
