"""Standard tests: value, fees, blocks and isolation between transactions."""

from __future__ import annotations

import copy

import attrs
import pytest

from coco_ethereum.bloom import EMPTY_BLOOM
from coco_ethereum.engine import NO_ROOM_MAX, Call, EvmEngine, Executed, Invalid, NoRoom, State
from coco_ethereum.receipts import decode_receipt
from coco_ethereum.state import decode_account
from coco_ethereum.testing.assembly import assemble
from coco_ethereum.testing.world import (
    ALICE,
    ALICE_KEY,
    BOB,
    BOB_KEY,
    CAROL,
    COINBASE,
    CONTEXT,
    ETHER,
    NOBODY,
    World,
)
from coco_ethereum.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, transaction_hash
from coco_ethereum.trie import EMPTY_ROOT

TRANSFER_GAS = 21_000


class ValueTests:
    """Ether moves, gas is paid, nothing else changes."""

    def test_a_transfer_moves_value_and_pays_tip_to_the_coinbase(self, world: World) -> None:
        executed = world.send(value=1000)
        assert (executed.status, executed.gas_used, executed.output) == (1, TRANSFER_GAS, b"")
        assert world.account(ALICE).balance == ETHER - 1000 - TRANSFER_GAS * (world.context.base_fee + 1)
        assert world.account(ALICE).nonce == 1
        assert world.account(BOB).balance == ETHER + 1000
        assert world.account(COINBASE).balance == TRANSFER_GAS
        assert executed.accounts.keys() == {ALICE, BOB, COINBASE}
        assert not executed.storage
        assert not executed.code

    def test_the_effect_names_the_transaction(self, world: World) -> None:
        for kind in (LEGACY, ACCESS_LIST, DYNAMIC_FEE):
            raw = world.sign(type=kind, value=1, max_fee_per_gas=100)
            [executed] = world.run(raw).results
            assert isinstance(executed, Executed)
            assert executed.hash == transaction_hash(raw)
            assert (executed.sender, executed.to, executed.created) == (ALICE, BOB, None)
            assert executed.type == kind
            price = 8 if kind == DYNAMIC_FEE else 100
            assert executed.effective_gas_price == price
            assert decode_receipt(executed.receipt).type == kind

    def test_a_legacy_transaction_may_name_no_chain(self, world: World) -> None:
        assert world.send(type=LEGACY, chain_id=None).status == 1

    def test_a_gas_price_above_the_base_fee_is_all_tip(self, world: World) -> None:
        world.send(type=LEGACY, max_fee_per_gas=107)
        assert world.account(COINBASE).balance == TRANSFER_GAS * 100

    def test_a_transfer_makes_an_account(self, world: World) -> None:
        world.send(to=NOBODY, value=5)
        assert world.account(NOBODY).balance == 5

    def test_touching_nobody_leaves_no_empty_account(self, world: World) -> None:
        executed = world.send(to=NOBODY, value=0)
        assert executed.accounts.keys() == {ALICE, COINBASE}

    def test_a_coinbase_without_tip_stays_absent(self, world: World) -> None:
        executed = world.send(value=1, max_priority_fee_per_gas=0)
        assert executed.accounts.keys() == {ALICE, BOB}

    def test_the_coinbase_may_send(self, world: World) -> None:
        executed = world.send(value=0, to=BOB, block={"coinbase": ALICE})
        assert world.account(ALICE).balance == ETHER - TRANSFER_GAS * world.context.base_fee
        assert executed.accounts.keys() == {ALICE}

    def test_value_sent_to_oneself_stays(self, world: World) -> None:
        world.send(to=ALICE, value=ETHER // 2)
        assert world.account(ALICE).balance == ETHER - TRANSFER_GAS * 8

    def test_a_spent_account_stays_for_its_nonce(self, world: World) -> None:
        cost = TRANSFER_GAS * 8
        world.send(type=LEGACY, max_fee_per_gas=8, gas_limit=TRANSFER_GAS, value=ETHER - cost)
        assert decode_account(world.accounts[ALICE]).balance == 0
        assert world.account(ALICE).nonce == 1

    def test_data_pays_its_floor(self, world: World) -> None:
        data = b"\x01" * 100 + bytes(10)
        assert world.send(data=data, block={"fork": "prague"}).gas_used == TRANSFER_GAS + 10 * (400 + 10)
        assert world.send(data=data, block={"fork": "cancun"}).gas_used == TRANSFER_GAS + 16 * 100 + 40


class BlockTests:
    """Transactions of one block: order, room, isolation."""

    def test_an_empty_block_has_empty_commitments(self, world: World) -> None:
        result = world.run()
        assert (result.results, result.gas_used, result.logs_bloom) == ([], 0, EMPTY_BLOOM)
        assert result.transactions_root == EMPTY_ROOT == result.receipts_root

    def test_a_transaction_meets_what_the_ones_before_left(self, world: World) -> None:
        world.put(NOBODY, balance=0)
        everything = ETHER - TRANSFER_GAS * 8
        result = world.run(
            world.sign(nonce=0, value=everything, gas_limit=TRANSFER_GAS, max_fee_per_gas=8),
            world.sign(BOB_KEY, nonce=0, value=ETHER + everything // 2, to=CAROL),
            world.sign(BOB_KEY, nonce=1, value=1, to=CAROL),
        )
        assert [type(one) for one in result.results] == [Executed] * 3
        assert result.gas_used == 3 * TRANSFER_GAS
        assert world.account(CAROL).balance == ETHER + ETHER + everything // 2 + 1

    def test_the_header_commits_to_the_executed_ones_only(self, world: World, engine: EvmEngine) -> None:
        good, bad, other = world.sign(nonce=0), world.sign(nonce=7), world.sign(nonce=1)
        result = world.run(good, bad, other)
        receipts = [one.receipt for one in result.results if isinstance(one, Executed)]
        assert [decode_receipt(receipt).cumulative_gas_used for receipt in receipts] == [21_000, 42_000]
        assert result.transactions_root == engine.ordered_trie_root([good, other])
        assert result.receipts_root == engine.ordered_trie_root(receipts)

    def test_what_does_not_fit_has_no_room_and_no_effect(self, world: World) -> None:
        result = world.run(
            world.sign(nonce=0, gas_limit=30_000),
            world.sign(nonce=1, gas_limit=30_000),
            world.sign(nonce=1, gas_limit=29_000),
            gas_limit=50_000,
        )
        assert [type(one) for one in result.results] == [Executed, NoRoom, Executed]
        assert world.account(ALICE).nonce == 2

    def test_no_room_is_told_before_the_state_is_asked(self, world: World) -> None:
        result = world.run(
            world.sign(nonce=0, gas_limit=50_000), world.sign(nonce=9, gas_limit=50_000), gas_limit=50_000
        )
        assert isinstance(result.results[1], NoRoom)

    def test_a_full_block_looks_at_nothing_more(self, world: World) -> None:
        first, late = world.sign(nonce=0, gas_limit=50_000), world.sign(nonce=1, gas_limit=50_000)
        fits = world.sign(BOB_KEY, gas_limit=21_000)
        full = world.run(first, *[late] * NO_ROOM_MAX, b"", fits, gas_limit=50_000).results
        assert [type(one) for one in full] == [Executed] + [NoRoom] * (NO_ROOM_MAX + 2)
        almost = world.run(late, *[late] * (NO_ROOM_MAX - 1), b"", fits, gas_limit=50_000).results
        assert [type(one) for one in almost] == [Executed] + [NoRoom] * (NO_ROOM_MAX - 1) + [
            Invalid,
            Executed,
        ]

    def test_pinned_gas_bounds_each_alone(self, world: World) -> None:
        result = world.run(
            world.sign(nonce=0, gas_limit=50_000),
            world.sign(nonce=1, gas_limit=50_000),
            world.sign(nonce=2, gas_limit=50_001),
            gas_limit=50_000,
            pinned=True,
        )
        assert [type(one) for one in result.results] == [Executed, Executed, Invalid]
        assert result.gas_used == 2 * TRANSFER_GAS

    def test_an_invalid_transaction_leaks_nothing_into_the_next(self, world: World) -> None:
        broken = [
            world.sign(nonce=3),
            world.sign(gas_limit=20_999),
            b"\xc0",
            b"",
            world.sign(value=2 * ETHER),
        ]
        result = world.run(*broken, world.sign(value=1))
        assert [type(one) for one in result.results] == [Invalid] * 5 + [Executed]
        assert world.account(ALICE).balance == ETHER - 1 - TRANSFER_GAS * 8
        assert result.gas_used == TRANSFER_GAS

    def test_warmth_and_original_values_end_with_the_transaction(self, world: World) -> None:
        program = assemble(0, "SLOAD", 1, "ADD", 0, "SSTORE", NOBODY, "BALANCE", "POP")
        contract = world.contract(program, storage={0: 1})
        together = world.run(*(world.sign(nonce=nonce, to=contract) for nonce in range(3)))
        gas = [one.gas_used for one in together.results if isinstance(one, Executed)]
        # 21000, two pushes of 2, cold SLOAD 2100, PUSH1 and ADD 3 each, push 2, dirty SSTORE 2900,
        # PUSH20 3, cold BALANCE 2600, POP 2.
        assert gas == [21_000 + 2 + 2_100 + 3 + 3 + 2 + 2_900 + 3 + 2_600 + 2] * 3

    def test_transient_storage_ends_with_the_transaction(self, world: World) -> None:
        contract = world.contract(assemble(0, "TLOAD", 0, "SSTORE", 1, 0, "TSTORE"))
        world.run(world.sign(nonce=0, to=contract), world.sign(nonce=1, to=contract))
        assert world.slot(contract, 0) == 0

    def test_a_revert_leaks_nothing_into_the_next(self, world: World) -> None:
        revert_after_writing = assemble(
            7, 0, "SSTORE", 1, 1, "TSTORE", 0, 0, "LOG0", 0, "CALLDATALOAD", 30, "JUMPI", 0, 0, "REVERT"
        )
        program = revert_after_writing.ljust(30, b"\x00") + assemble("JUMPDEST", 1, "TLOAD", 1, "SSTORE")
        contract = world.contract(program)
        result = world.run(
            world.sign(nonce=0, to=contract, value=5),
            world.sign(nonce=1, to=contract, data=b"\x01" * 32),
        )
        first, second = result.results
        assert isinstance(first, Executed)
        assert isinstance(second, Executed)
        assert (first.status, second.status) == (0, 1)
        assert (first.log_count, second.log_count) == (0, 1)
        assert not first.storage
        assert first.accounts.keys() == {ALICE, COINBASE}
        assert world.account(contract).balance == 0
        assert (world.slot(contract, 0), world.slot(contract, 1)) == (7, 1)

    def test_the_same_block_gives_the_same_result(self, world: World, engine: EvmEngine) -> None:
        contract = world.contract(assemble("CALLER", "CALLVALUE", "SSTORE", 0, 0, "LOG0"))
        block = [world.sign(nonce=0, to=contract, value=3), b"\x01", world.sign(nonce=1, to=contract)]
        before = copy.deepcopy(world.state)
        first = engine.execute(world.context, block, world.state)
        assert engine.execute(world.context, block, world.state) == first
        assert world.state == before

    def test_newer_layers_hide_older_ones(self, world: World, engine: EvmEngine) -> None:
        contract = world.contract(assemble(0, "SLOAD", 1, "SSTORE"), storage={0: 9})
        key = contract + bytes(32)
        layered = State(
            [{ALICE: world.accounts[BOB]}, {ALICE: None, BOB: None}, world.accounts],
            [{key: b"\x05"}, {key: None}, world.storage],
            [{}, world.code],
        )
        [executed] = engine.execute(CONTEXT, [world.sign(to=contract)], layered).results
        assert isinstance(executed, Executed)
        assert executed.storage == {contract + bytes(31) + b"\x01": b"\x05"}
        [refused] = engine.execute(CONTEXT, [world.sign(BOB_KEY)], layered).results
        assert isinstance(refused, Invalid)
        assert refused.code == "insufficient-funds"

    def test_an_unknown_fork_is_refused(self, world: World, engine: EvmEngine) -> None:
        context = attrs.evolve(CONTEXT, fork="frontier")
        with pytest.raises(ValueError, match="frontier"):
            engine.execute(context, [], world.state)
        with pytest.raises(ValueError, match="frontier"):
            engine.call(context, Call(sender=ALICE, to=BOB, gas=30_000), world.state)

    def test_many_senders_in_one_block(self, world: World) -> None:
        block = [world.sign(key, nonce=n, value=1) for n in range(20) for key in (ALICE_KEY, BOB_KEY)]
        result = world.run(*block)
        assert result.gas_used == 40 * TRANSFER_GAS
