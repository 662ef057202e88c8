"""Standard tests: creations, storage, logs, failures, destruction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from eth_hash.auto import keccak

from coco_ethereum.bloom import may_contain
from coco_ethereum.engine import Executed, Log
from coco_ethereum.receipts import decode_receipt
from coco_ethereum.testing.assembly import assemble, initcode, push
from coco_ethereum.testing.world import ALICE, BOB, COINBASE, ETHER, NOBODY, World
from coco_ethereum.transactions import contract_address

RUNTIME = assemble(1, 0, "SSTORE")


def store_initcode(code: bytes) -> bytes:
    """Return a program that puts a creation's init code (at most 32 bytes) at memory 0."""
    return assemble(code.ljust(32, b"\x00"), 0, "MSTORE")


class CreationTests:
    """Contracts come into being, or not."""

    def test_a_creation_stores_code(self, world: World) -> None:
        executed = world.send(to=None, data=initcode(RUNTIME), value=3)
        address = contract_address(ALICE, 0)
        assert (executed.status, executed.created, executed.to) == (1, address, None)
        assert executed.output == RUNTIME
        assert executed.code == {keccak(RUNTIME): RUNTIME}
        account = world.account(address)
        assert (account.nonce, account.balance, account.code_hash) == (1, 3, keccak(RUNTIME))

    def test_a_contract_without_code_has_none(self, world: World) -> None:
        executed = world.send(to=None, data=b"")
        assert executed.status == 1
        assert not executed.code
        assert world.account(contract_address(ALICE, 0)).nonce == 1

    def test_code_known_already_is_not_written_again(self, world: World) -> None:
        world.contract(RUNTIME)
        first = world.send(to=None, data=initcode(RUNTIME))
        assert first.status == 1
        assert not first.code

    def test_code_made_twice_in_a_block_is_written_once(self, world: World) -> None:
        result = world.run(*(world.sign(nonce=n, to=None, data=initcode(RUNTIME)) for n in range(2)))
        written = [one.code for one in result.results if isinstance(one, Executed)]
        assert written == [{keccak(RUNTIME): RUNTIME}, {}]

    def test_a_failed_creation_names_its_address_and_leaves_nothing(self, world: World) -> None:
        for program in (
            assemble(1, 0, "MSTORE", 32, 0, "REVERT"),
            assemble("INVALID"),
            initcode(b"\xef\x00"),
            assemble(24_577, 0, "RETURN"),
        ):
            nonce = world.account(ALICE).nonce
            executed = world.send(to=None, data=program, value=9, gas_limit=6_000_000)
            assert (executed.status, executed.created) == (0, contract_address(ALICE, nonce))
            assert executed.created not in world.accounts
            assert not executed.code
            assert world.account(ALICE).nonce == nonce + 1

    def test_a_creation_that_cannot_pay_for_its_code_fails(self, world: World) -> None:
        executed = world.send(to=None, data=assemble(2_000, 0, "RETURN"), gas_limit=100_000)
        assert (executed.status, executed.gas_used) == (0, 100_000)

    def test_a_creation_where_a_contract_is_collides(self, world: World) -> None:
        world.put(contract_address(ALICE, 0), nonce=1, balance=4)
        executed = world.send(to=None, data=initcode(RUNTIME), gas_limit=90_000)
        assert (executed.status, executed.gas_used) == (0, 90_000)
        assert world.account(contract_address(ALICE, 0)).balance == 4

    def test_create_follows_the_creators_nonce(self, world: World) -> None:
        init = initcode(RUNTIME)
        factory = world.contract(store_initcode(init) + assemble(len(init), 0, 0, "CREATE", 0, "SSTORE"))
        world.send(to=factory, gas_limit=200_000)
        child = contract_address(factory, 1)
        assert world.slot(factory, 0) == int.from_bytes(child, "big")
        assert world.account(child).code_hash == keccak(RUNTIME)
        assert world.account(factory).nonce == 2

    def test_create2_follows_salt_and_code(self, world: World) -> None:
        init = initcode(RUNTIME)
        program = store_initcode(init) + assemble(0xBEEF, len(init), 0, 0, "CREATE2", 0, "SSTORE")
        factory = world.contract(program)
        world.send(to=factory, gas_limit=200_000)
        salt = (0xBEEF).to_bytes(32, "big")
        child = keccak(b"\xff" + factory + salt + keccak(init))[12:]
        assert world.slot(factory, 0) == int.from_bytes(child, "big")
        assert world.account(child).code_hash == keccak(RUNTIME)
        again = world.send(to=factory, gas_limit=2_000_000)
        assert again.status == 1
        assert world.slot(factory, 0) == 0


class StorageTests:
    """Write sets hold what changed and nothing else."""

    def test_a_slot_is_stored_without_leading_zeros(self, world: World) -> None:
        contract = world.contract(assemble(0x0102, 5, "SSTORE"))
        executed = world.send(to=contract)
        assert executed.storage == {contract + (5).to_bytes(32, "big"): b"\x01\x02"}

    def test_clearing_a_slot_removes_its_key_and_refunds(self, world: World) -> None:
        contract = world.contract(assemble(0, 5, "SSTORE"), storage={5: 1})
        executed = world.send(to=contract)
        assert executed.storage == {contract + (5).to_bytes(32, "big"): None}
        spent = 21_000 + 2 + 3 + 5_000
        assert executed.gas_used == spent - min(4_800, spent // 5)

    def test_an_unchanged_slot_is_not_written(self, world: World) -> None:
        program = assemble(1, 0, "SSTORE", 0, 1, "SSTORE", 7, 2, "SSTORE", 3, 2, "SSTORE")
        contract = world.contract(program, storage={0: 1, 2: 3})
        executed = world.send(to=contract)
        assert executed.status == 1
        assert not executed.storage
        assert contract not in executed.accounts

    def test_a_failing_inner_call_undoes_itself_only(self, world: World) -> None:
        inner = world.contract(assemble(2, 0, "SSTORE", 0, 0, "LOG0", 0, 0, "REVERT"))
        outer = world.contract(
            assemble(1, 0, "SSTORE", 0, 0, 0, 0, 6, inner, "GAS", "CALL", 1, "SSTORE", 0, 0, "LOG0")
        )
        executed = world.send(to=outer, value=6)
        assert (executed.status, executed.log_count) == (1, 1)
        assert executed.storage == {outer + bytes(32): b"\x01"}
        assert world.account(outer).balance == 6

    def test_an_access_list_warms(self, world: World) -> None:
        contract = world.contract(assemble(0, "SLOAD", "POP"))
        cold = world.send(to=contract)
        warm = world.send(to=contract, access_list=((contract, (bytes(32),)),))
        assert cold.gas_used == 21_000 + 2 + 2_100 + 2
        assert warm.gas_used == 21_000 + 2_400 + 1_900 + 2 + 100 + 2


class FailureTests:
    """Failed transactions pay for their gas and change nothing else."""

    def test_a_revert_gives_its_data_and_the_rest_of_the_gas(self, world: World) -> None:
        contract = world.contract(assemble(0xAB, 0, "MSTORE", 32, 0, "REVERT"))
        executed = world.send(to=contract, value=5)
        assert executed.output == (0xAB).to_bytes(32, "big")
        assert executed.status == 0
        assert executed.gas_used < 22_000
        assert executed.accounts.keys() == {ALICE, COINBASE}
        assert decode_receipt(executed.receipt).status == 0

    def test_a_halt_takes_all_gas(self, world: World) -> None:
        for program in ("INVALID", "ADD", "JUMP", "GAS JUMP"):
            executed = world.send(to=world.contract(assemble(program)), gas_limit=50_000)
            assert (executed.status, executed.gas_used, executed.output) == (0, 50_000, b"")

    def test_an_endless_loop_runs_out_of_gas(self, world: World) -> None:
        executed = world.send(to=world.contract(assemble("JUMPDEST", 0, "JUMP")), gas_limit=60_000)
        assert (executed.status, executed.gas_used) == (0, 60_000)

    def test_endless_recursion_ends(self, world: World) -> None:
        program = assemble(0, 0, 0, 0, 0, "ADDRESS", "GAS", "CALL", 0, "SSTORE")
        executed = world.send(to=world.contract(program), gas_limit=2_000_000)
        assert executed.status == 1

    def test_calls_nest_1024_deep_and_no_deeper(self, world: World) -> None:
        """Count frames in a slot, with more gas than chains allow; in a thread, where stacks are small."""
        count = assemble(0, 0, 0, 0, "ADDRESS", "GAS", "DELEGATECALL", 0, "SLOAD", 1, "ADD", 0, "SSTORE")
        contract = world.contract(count)
        world.put(ALICE, balance=10**20)
        with ThreadPoolExecutor(1) as pool:
            plenty = {"gas_limit": 10**12}
            executed = pool.submit(
                world.send, to=contract, gas_limit=10**12, max_fee_per_gas=8, block=plenty
            ).result()
        assert executed.status == 1
        assert world.slot(contract, 0) == 1025


class LogTests:
    """Logs, receipts and blooms."""

    def test_logs_stand_in_receipt_and_bloom(self, world: World) -> None:
        topics = (push(NOBODY)[1:].rjust(32, b"\x00"), (5).to_bytes(32, "big"))
        program = assemble(0xCAFE, 0, "MSTORE", topics[1], topics[0], 2, 30, "LOG2")
        contract = world.contract(program)
        result = world.run(world.sign(to=contract))
        [executed] = result.results
        assert isinstance(executed, Executed)
        receipt = decode_receipt(executed.receipt)
        assert receipt.logs == (Log(contract, topics, b"\xca\xfe"),)
        assert executed.log_count == 1
        assert result.logs_bloom == receipt.bloom
        for entry in (contract, *topics):
            assert may_contain(result.logs_bloom, entry)
        assert not may_contain(result.logs_bloom, ALICE)

    def test_logs_keep_the_order_of_nested_calls(self, world: World) -> None:
        inner = world.contract(assemble(0, 0, "LOG0"))
        outer = world.contract(assemble(0, 0, "LOG0", 0, 0, 0, 0, 0, inner, "GAS", "CALL", 0, 0, "LOG0"))
        receipt = decode_receipt(world.send(to=outer).receipt)
        assert [log.address for log in receipt.logs] == [outer, inner, outer]


class DestructionTests:
    """SELFDESTRUCT, before and since EIP-6780."""

    def test_an_older_contract_only_gives_its_balance(self, world: World) -> None:
        contract = world.contract(assemble(BOB, "SELFDESTRUCT"), balance=9, storage={0: 1})
        executed = world.send(to=contract, block={"fork": "cancun"})
        assert executed.status == 1
        assert world.account(BOB).balance == ETHER + 9
        assert (world.account(contract).balance, world.slot(contract, 0)) == (0, 1)

    def test_before_cancun_it_goes_with_its_storage(self, world: World) -> None:
        program = assemble(5, 1, "SSTORE", BOB, "SELFDESTRUCT")
        contract = world.contract(program, balance=9, storage={0: 1, 2: 3})
        executed = world.send(to=contract, block={"fork": "shanghai"})
        assert executed.accounts[contract] is None
        assert executed.storage == {contract + n.to_bytes(32, "big"): None for n in (0, 2)}
        assert world.account(BOB).balance == ETHER + 9

    def test_destruction_before_cancun_finds_what_the_block_stored(self, world: World) -> None:
        """The slots are in no map yet: an earlier transaction of the same block wrote them."""
        program = assemble("CALLDATASIZE", 27, "JUMPI", BOB, "SELFDESTRUCT").ljust(27, b"\x00")
        contract = world.contract(program + assemble("JUMPDEST", 5, 0, "SSTORE"))
        write = world.sign(nonce=0, to=contract, data=b"\x01")
        destroy = world.sign(nonce=1, to=contract)
        first, second = world.run(write, destroy, fork="shanghai").results
        assert isinstance(first, Executed)
        assert isinstance(second, Executed)
        assert first.storage == {contract + bytes(32): b"\x05"}
        assert second.storage == {contract + bytes(32): None}

    def test_one_made_in_the_same_transaction_never_was(self, world: World) -> None:
        executed = world.send(to=None, data=assemble(1, 0, "SSTORE", BOB, "SELFDESTRUCT"), value=9)
        assert executed.status == 1
        assert executed.created not in executed.accounts
        assert not executed.storage
        assert not executed.code
        assert world.account(BOB).balance == ETHER + 9

    def test_ether_left_with_one_made_in_the_same_transaction_is_burnt(self, world: World) -> None:
        executed = world.send(to=None, data=assemble("ADDRESS", "SELFDESTRUCT"), value=9)
        assert executed.created not in executed.accounts
        assert executed.accounts.keys() == {ALICE, COINBASE}

    def test_destruction_in_favour_of_nobody_makes_no_account(self, world: World) -> None:
        executed = world.send(to=world.contract(assemble(NOBODY, "SELFDESTRUCT")))
        assert NOBODY not in executed.accounts
