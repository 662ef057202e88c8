"""Standard tests: the environment a program sees, message calls, delegation."""

from __future__ import annotations

import hashlib

import attrs
import pytest

from coco_ethereum.engine import HALTS, CallResult, EvmEngine, Log
from coco_ethereum.gas import AUTHORIZATION_GAS, intrinsic_gas
from coco_ethereum.limits import CALL_GAS_MAX
from coco_ethereum.state import EMPTY_CODE_HASH
from coco_ethereum.testing.assembly import assemble, initcode, return_word
from coco_ethereum.testing.world import (
    ALICE,
    ALICE_KEY,
    BOB,
    BOB_KEY,
    CAROL_KEY,
    CHAIN_ID,
    ETHER,
    NOBODY,
    World,
)
from coco_ethereum.transactions import SET_CODE, Authorization, contract_address
from coco_ethereum.validity import DELEGATION_PREFIX

ANCESTOR = bytes(range(100, 132))


class EnvironmentTests:
    """What instructions say about the block."""

    def test_the_block(self, world: World) -> None:
        seen = {
            "NUMBER": world.context.number,
            "TIMESTAMP": world.context.timestamp,
            "GASLIMIT": world.context.gas_limit,
            "CHAINID": CHAIN_ID,
            "BASEFEE": world.context.base_fee,
            "COINBASE": int.from_bytes(world.context.coinbase, "big"),
            "PREVRANDAO": int.from_bytes(world.context.prev_randao, "big"),
            "ORIGIN": int.from_bytes(ALICE, "big"),
            "CALLER": int.from_bytes(ALICE, "big"),
            "BLOBBASEFEE": 1,
        }
        for instruction, value in seen.items():
            result = world.call(to=world.contract(return_word(instruction)))
            assert int.from_bytes(result.output, "big") == value, instruction

    def test_gas_price_is_the_effective_one(self, world: World) -> None:
        contract = world.contract(assemble("GASPRICE", 0, "SSTORE"))
        executed = world.send(to=contract, max_fee_per_gas=100, max_priority_fee_per_gas=5)
        assert world.slot(contract, 0) == 12 == executed.effective_gas_price

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (999, ANCESTOR),
            (744, ANCESTOR),
            (743, bytes(32)),
            (1000, bytes(32)),
            (1001, bytes(32)),
            (998, bytes(32)),
        ],
    )
    def test_blockhash_reaches_256_blocks_back(self, world: World, number: int, expected: bytes) -> None:
        contract = world.contract(return_word(number, "BLOCKHASH"))
        known = dict.fromkeys((743, 744, 999, 1000, 1001), ANCESTOR)
        for hashes in (known, lambda at: known.get(at, bytes(32))):
            world.context = attrs.evolve(world.context, block_hashes=hashes)
            assert world.call(to=contract).output == expected

    def test_precompiles(self, world: World) -> None:
        result = world.call(to=bytes(19) + b"\x02", data=b"abc")
        assert result.output == hashlib.sha256(b"abc").digest()
        assert world.call(to=bytes(19) + b"\x04", data=b"abc").output == b"abc"

    @pytest.mark.parametrize(
        ("sizes", "operands", "output", "gas"),
        [
            ((1, 1, 1), b"\x03\x02\x07", b"\x02", 200),
            ((0, 0, 2), b"\x00\x02", b"\x00\x01", 200),
            ((0, 2**255, 0), b"", b"", 200),
            ((1, 1, 1), b"\x03\x02\x00", b"\x00", 200),
            ((1, 1, 2), b"\x03\x00", b"\x00\x00", 200),
            ((64, 33, 64), b"\x02" * 64 + bytes(32) + b"\x01" + b"\xff" * 64, b"\x02" * 64, 200),
            ((128, 40, 128), b"\x01" * 300, None, 256 * (8 * 8 + 248) // 3),
        ],
    )
    def test_modexp(
        self, world: World, sizes: tuple[int, int, int], operands: bytes, output: bytes | None, gas: int
    ) -> None:
        data = b"".join(size.to_bytes(32, "big") for size in sizes) + operands
        world.context = attrs.evolve(world.context, fork="cancun")
        result = world.call(to=bytes(19) + b"\x05", data=data)
        spent = result.gas_used - intrinsic_gas(data, (), creates=False)
        assert (result.status, spent) == ("success", gas)
        assert output is None or result.output == output

    def test_point_evaluation(self, world: World) -> None:
        infinity = b"\xc0" + bytes(47)
        versioned_hash = b"\x01" + hashlib.sha256(infinity).digest()[1:]
        zero_polynomial = versioned_hash + (5).to_bytes(32, "big") + bytes(32) + infinity + infinity
        right = world.call(to=bytes(19) + b"\x0a", data=zero_polynomial)
        assert int.from_bytes(right.output[:32], "big") == 4096
        wrong_value = zero_polynomial[:95] + b"\x01" + zero_polynomial[96:]
        not_a_field_element = zero_polynomial[:32] + b"\xff" * 32 + zero_polynomial[64:]
        other_hash = b"\x02" + zero_polynomial[1:]
        for wrong in (wrong_value, not_a_field_element, other_hash, zero_polynomial[:-1], b""):
            assert world.call(to=bytes(19) + b"\x0a", data=wrong).status == "halt"


class CallTests:
    """Calls that leave no trace."""

    def test_a_call_returns_output_and_gas(self, world: World) -> None:
        result = world.call(to=world.contract(return_word(42)))
        assert result == CallResult("success", 21_000 + 3 + 2 + 3 + 3 + 3 + 2, (42).to_bytes(32, "big"))

    def test_a_call_writes_nothing(self, world: World) -> None:
        contract = world.contract(assemble(1, 0, "SSTORE", 0, 0, "LOG0"))
        before = dict(world.accounts), dict(world.storage), dict(world.code)
        assert world.call(to=contract).logs == (Log(contract, (), b""),)
        assert world.slot(contract, 0) == 0
        assert before == (world.accounts, world.storage, world.code)

    def test_a_revert_gives_its_data(self, world: World) -> None:
        result = world.call(to=world.contract(assemble(7, 0, "MSTORE", 32, 0, "REVERT")))
        assert (result.status, result.output) == ("revert", (7).to_bytes(32, "big"))
        assert result.gas_used < 22_000
        assert not result.logs

    def test_a_halt_names_its_reason_and_takes_all_gas(self, world: World) -> None:
        for program in ("INVALID", "ADD", "JUMP"):
            result = world.call(to=world.contract(assemble(program)), gas=50_000)
            assert (result.status, result.gas_used, result.output) == ("halt", 50_000, b"")
            assert result.error in HALTS

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (assemble("JUMPDEST", 0, "JUMP"), "out of gas"),
            (b"\x0c", "invalid opcode"),
            (assemble("INVALID"), "invalid opcode: INVALID"),
            (assemble(1, "JUMP"), "invalid jump destination"),
            (assemble(1, 1, "JUMPI"), "invalid jump destination"),
            (assemble("ADD"), "stack underflow"),
            (assemble("JUMPDEST", 0, 0, "JUMP"), "stack limit reached"),
            (assemble(1, 0, 0, "RETURNDATACOPY"), "return data out of bounds"),
            (assemble(49_153, 0, 0, "CREATE"), "max initcode size exceeded"),
        ],
    )
    def test_a_halt_is_told_in_geths_words(self, world: World, program: bytes, reason: str) -> None:
        result = world.call(to=world.contract(program))
        assert (result.status, result.error) == ("halt", reason)

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (assemble(24_577, 0, "RETURN"), "max code size exceeded"),
            (initcode(b"\xef\x00"), "invalid code: must not begin with 0xef"),
            (assemble(24_000, 0, "RETURN"), "out of gas"),
        ],
    )
    def test_a_creation_halts_in_geths_words(self, world: World, program: bytes, reason: str) -> None:
        result = world.call(to=None, data=program)
        assert (result.status, result.error) == ("halt", reason)

    def test_a_precompile_that_fails_says_so(self, world: World) -> None:
        off_the_curve = b"\x01" * 64
        result = world.call(to=bytes(19) + b"\x06", data=off_the_curve)
        assert (result.status, result.error) == ("halt", "precompile failed")

    def test_a_creation_where_a_contract_is_collides(self, world: World) -> None:
        world.put(contract_address(ALICE, 0), nonce=1)
        result = world.call(to=None, data=initcode(b"\x00"))
        assert (result.status, result.error) == ("halt", "contract address collision")

    def test_neither_balance_nor_nonce_nor_code_of_the_sender_matter(self, world: World) -> None:
        contract = world.contract(return_word("CALLVALUE"))
        result = world.call(sender=NOBODY, to=contract, value=10 * ETHER)
        assert (result.status, int.from_bytes(result.output, "big")) == ("success", 10 * ETHER)
        assert world.call(sender=contract, to=contract).status == "success"

    def test_the_gas_is_bought_as_far_as_the_balance_goes(self, world: World) -> None:
        price, balance = (
            world.contract(return_word("GASPRICE")),
            world.contract(return_word("CALLER", "BALANCE")),
        )
        assert int.from_bytes(world.call(to=price, gas_price=3).output, "big") == 3
        left = world.call(to=balance, gas_price=3, gas=50_000).output
        assert int.from_bytes(left, "big") == ETHER - 150_000
        assert world.call(sender=NOBODY, to=balance, gas_price=3).output == bytes(32)

    def test_a_creation_returns_the_code(self, world: World) -> None:
        runtime = assemble("STOP")
        assert world.call(to=None, data=initcode(runtime)).output == runtime

    def test_refunds_count(self, world: World) -> None:
        contract = world.contract(assemble(0, 0, "SSTORE"), storage={0: 1})
        assert world.call(to=contract).gas_used == 21_000 + 4 + 5_000 - 4_800

    def test_gas_below_the_intrinsic_gas_is_an_error(self, world: World) -> None:
        with pytest.raises(ValueError, match="intrinsic gas too low"):
            world.call(gas=20_999)
        with pytest.raises(ValueError, match="initcode"):
            world.call(to=None, data=bytes(49_153))
        with pytest.raises(ValueError, match="intrinsic gas too low"):
            world.call(data=b"\x01" * 100, gas=21_999)

    def test_an_access_list_warms(self, world: World) -> None:
        contract = world.contract(assemble(0, "SLOAD", "POP"))
        result = world.call(to=contract, access_list=((contract, (bytes(32),)),))
        assert result.gas_used == 21_000 + 2_400 + 1_900 + 2 + 100 + 2

    def test_authorizations_are_in_force_during_a_call(self, world: World) -> None:
        contract = world.contract(return_word("ADDRESS"))
        good = Authorization(chain_id=CHAIN_ID, address=contract, nonce=0).sign(BOB_KEY)
        void = attrs.evolve(good, nonce=7)
        result = world.call(to=BOB, authorization_list=(good, void))
        assert (result.status, result.output) == ("success", bytes(12) + BOB)
        program = 2 + 2 + 3 + 3 + 3 + 2
        spent = 21_000 + 2 * AUTHORIZATION_GAS + program
        assert result.gas_used == spent - min(12_500, spent // 5)
        assert not world.account(BOB).has_code
        assert world.call(to=BOB, authorization_list=(void,)).output == b""

    def test_authorizations_need_prague_and_a_destination(self, world: World) -> None:
        good = Authorization(chain_id=CHAIN_ID, address=BOB, nonce=0).sign(BOB_KEY)
        with pytest.raises(ValueError, match="transaction type not supported"):
            world.call(to=None, authorization_list=(good,))
        with pytest.raises(ValueError, match="intrinsic gas too low"):
            world.call(authorization_list=(good,), gas=45_999)
        world.context = attrs.evolve(world.context, fork="cancun")
        with pytest.raises(ValueError, match="transaction type not supported"):
            world.call(authorization_list=(good,))

    def test_a_call_has_a_bound(self, engine: EvmEngine) -> None:
        assert 1_000_000 <= engine.call_gas_max <= CALL_GAS_MAX


class DelegationTests:
    """Accounts that run a contract's code (EIP-7702)."""

    def delegate(self, world: World, target: bytes, **fields: int) -> None:
        """Have Carol bring Alice's authorization."""
        values = {"chain_id": CHAIN_ID, "nonce": world.account(ALICE).nonce} | fields
        authorization = Authorization(address=target, **values).sign(ALICE_KEY)
        world.send(CAROL_KEY, type=SET_CODE, authorization_list=(authorization,))

    def test_an_authorization_delegates_and_another_ends_it(self, world: World, engine: EvmEngine) -> None:
        contract = world.contract(assemble(1, 0, "SSTORE"))
        self.delegate(world, contract)
        designator = DELEGATION_PREFIX + contract
        account = world.account(ALICE)
        assert (account.nonce, account.code_hash) == (1, engine.keccak256(designator))
        assert world.code[account.code_hash] == designator
        world.send(CAROL_KEY, to=ALICE)
        assert (world.slot(ALICE, 0), world.slot(contract, 0)) == (1, 0)
        assert world.send(ALICE_KEY, to=BOB, value=1).status == 1
        self.delegate(world, bytes(20))
        assert world.account(ALICE).code_hash == EMPTY_CODE_HASH

    def test_chain_zero_means_any(self, world: World) -> None:
        self.delegate(world, BOB, chain_id=0)
        assert world.account(ALICE).has_code

    @pytest.mark.parametrize("wrong", [{"chain_id": CHAIN_ID + 1}, {"nonce": 1}, {"nonce": 2**64 - 1}])
    def test_a_void_authorization_is_skipped(self, world: World, wrong: dict[str, int]) -> None:
        self.delegate(world, BOB, **wrong)
        assert not world.account(ALICE).has_code
        assert world.account(ALICE).nonce == 0

    def test_a_void_signature_is_skipped(self, world: World) -> None:
        good = Authorization(chain_id=0, address=BOB, nonce=0).sign(ALICE_KEY)
        void = (*(attrs.evolve(good, y_parity=bad) for bad in (2, 255)), attrs.evolve(good, s=0))
        assert world.send(CAROL_KEY, type=SET_CODE, authorization_list=void, gas_limit=200_000).status == 1
        assert not world.account(ALICE).has_code

    def test_a_contract_cannot_be_delegated(self, world: World) -> None:
        world.put(ALICE, balance=ETHER, code=assemble("STOP"))
        self.delegate(world, BOB)
        assert world.account(ALICE).nonce == 0

    def test_half_the_gas_comes_back_for_an_account_that_exists(self, world: World) -> None:
        here = Authorization(chain_id=0, address=BOB, nonce=0)
        existing = world.send(CAROL_KEY, type=SET_CODE, authorization_list=(here.sign(ALICE_KEY),), to=NOBODY)
        fresh = world.send(CAROL_KEY, type=SET_CODE, authorization_list=(here.sign(b"\x09" * 32),), to=NOBODY)
        assert fresh.gas_used == 21_000 + AUTHORIZATION_GAS
        assert existing.gas_used == fresh.gas_used - min(12_500, fresh.gas_used // 5)

    def test_a_delegated_sender_that_creates_pays_for_init_code_once(self, world: World) -> None:
        init = initcode(b"\x00" * 20)
        create = assemble(init.ljust(32, b"\x00"), 0, "MSTORE", len(init), 0, 0, "CREATE", "POP")
        contract = world.contract(create)
        direct = world.send(CAROL_KEY, to=contract, gas_limit=200_000)
        self.delegate(world, contract)
        own = world.send(ALICE_KEY, to=ALICE, gas_limit=200_000)
        # Sender, destination and delegate are all warm from the start.
        assert own.gas_used == direct.gas_used

    def test_delegation_needs_prague(self, world: World) -> None:
        good = Authorization(chain_id=0, address=BOB, nonce=0).sign(ALICE_KEY)
        raw = world.sign(CAROL_KEY, type=SET_CODE, authorization_list=(good,))
        [refused] = world.run(raw, fork="cancun").results
        assert getattr(refused, "code", None) == "type-not-supported"
