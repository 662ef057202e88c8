"""The portable, readable engine: py-evm's interpreter between our validity rules and our maps.

It is the reference other engines are compared with, not a fast one. It knows ``EvmEngine``'s contract
and py-evm; it must not know RPC or headers. Importing it costs a second of py-evm's own imports, so
``coco_ethereum.engines.load`` is the only one to do so.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, cast

import attrs
from eth.abc import ComputationAPI, SignedTransactionAPI
from eth.exceptions import (
    ContractCreationCollision,
    FullStack,
    InsufficientFunds,
    InsufficientStack,
    InvalidInstruction,
    InvalidJumpDestination,
    OutOfBoundsRead,
    OutOfGas,
    ReservedBytesInCode,
    Revert,
    StackDepthLimit,
    VMError,
    WriteProtection,
)
from eth.vm.execution_context import ExecutionContext
from eth_hash.auto import keccak
from eth_typing import Address, BlockNumber, Hash32

from coco_ethereum import trie
from coco_ethereum.bloom import merge_blooms
from coco_ethereum.engine import (
    NO_ROOM_MAX,
    BlockContext,
    BlockResult,
    Call,
    CallResult,
    Executed,
    Invalid,
    Log,
    NoRoom,
    State,
)
from coco_ethereum.engines.pyevm_forks import (
    STATES,
    CodeSizeError,
    DesignatedInvalidError,
    InitcodeSizeError,
    Runnable,
)
from coco_ethereum.engines.pyevm_state import MapState
from coco_ethereum.gas import (
    INITCODE_SIZE_MAX_BYTES,
    effective_gas_price,
    floor_gas,
    fork_at_least,
    intrinsic_gas,
)
from coco_ethereum.limits import CALL_GAS_MAX_PORTABLE
from coco_ethereum.receipts import Receipt
from coco_ethereum.transactions import (
    LEGACY,
    SET_CODE,
    AccessList,
    InvalidTransactionError,
    contract_address,
    transaction_hash,
)
from coco_ethereum.validity import (
    AMOUNT_MAX,
    Decoded,
    Sender,
    check_block_rules,
    check_sender_rules,
    has_room,
    open_envelope,
)

_NO_HASH: Final = ("undecodable", "type-not-supported", "blob-not-supported")
"""Codes of bytes that name no transaction."""

_HALTS: Final = {
    ContractCreationCollision: "contract address collision",
    FullStack: "stack limit reached",
    InsufficientFunds: "insufficient balance for transfer",
    InsufficientStack: "stack underflow",
    InvalidInstruction: "invalid opcode",
    InvalidJumpDestination: "invalid jump destination",
    OutOfBoundsRead: "return data out of bounds",
    OutOfGas: "out of gas",
    ReservedBytesInCode: "invalid code: must not begin with 0xef",
    StackDepthLimit: "max call depth exceeded",
    WriteProtection: "write protection",
}
"""Which of ``engine.HALTS`` an exception of py-evm means."""


def _halt(error: VMError) -> str:
    """Return the one of ``engine.HALTS`` that an error means; what only precompiles raise is theirs."""
    if isinstance(error, CodeSizeError):
        return "max code size exceeded"
    if isinstance(error, InitcodeSizeError):
        return "max initcode size exceeded"
    if isinstance(error, DesignatedInvalidError):
        return "invalid opcode: INVALID"
    return _HALTS.get(type(error), "precompile failed")


@attrs.frozen(slots=True)
class _Outcome:
    """What a computation came to, in our words."""

    succeeded: bool
    gas_used: int
    output: bytes
    logs: tuple[Log, ...]


class PyEvmEngine:
    """``EvmEngine`` over py-evm."""

    name = "py-evm"
    forks: tuple[str, ...] = tuple(STATES)
    call_gas_max = CALL_GAS_MAX_PORTABLE

    @property
    def version(self) -> str:
        """Version of py-evm."""
        return version("py-evm")

    def execute(self, context: BlockContext, transactions: Sequence[bytes], state: State) -> BlockResult:
        """Execute transactions in order; see ``EvmEngine.execute``."""
        block = _Block(context, _start(context, state))
        results = [block.execute(raw) for raw in transactions]
        return BlockResult(
            results,
            block.gas_used,
            self.ordered_trie_root(block.included),
            self.ordered_trie_root(block.receipts),
            merge_blooms(block.blooms),
        )

    def call(self, context: BlockContext, call: Call, state: State) -> CallResult:
        """Execute a call that leaves no trace; see ``EvmEngine.call``."""
        vm_state = _start(context, state)
        runnable = _callable(call, context)
        sender = Address(call.sender)
        # No balance check: gas is bought as far as the balance goes, and the value can always be sent.
        price = call.gas * call.gas_price
        vm_state.set_balance(sender, max(vm_state.get_balance(sender) - price, call.value) + price)
        computation = vm_state.apply_transaction(cast("SignedTransactionAPI", runnable))
        outcome = _outcome(computation, runnable, context)
        if outcome.succeeded:
            return CallResult("success", outcome.gas_used, outcome.output, "", outcome.logs)
        if isinstance(computation.error, Revert):
            return CallResult("revert", outcome.gas_used, outcome.output, "execution reverted")
        return CallResult("halt", outcome.gas_used, b"", _halt(computation.error))

    def keccak256(self, data: bytes) -> bytes:
        """Return the Keccak-256 digest."""
        return keccak(data)

    def ordered_trie_root(self, items: Sequence[bytes]) -> bytes:
        """Return the root of ``rlp(index) -> item``."""
        return trie.ordered_trie_root(items)

    def state_root(self, state: State) -> bytes:
        """Return the root of all state."""
        return trie.state_root(state)


def _start(context: BlockContext, state: State) -> MapState:
    """Return py-evm's state for a block; raises ValueError for a fork it does not know."""
    if context.fork not in STATES:
        raise ValueError(f"py-evm does not support fork {context.fork!r}; it supports {', '.join(STATES)}")
    execution_context = ExecutionContext(
        coinbase=Address(context.coinbase),
        timestamp=context.timestamp,
        block_number=BlockNumber(context.number),
        difficulty=0,
        mix_hash=Hash32(context.prev_randao),
        gas_limit=context.gas_limit,
        prev_hashes=(),
        chain_id=context.chain_id,
        base_fee_per_gas=context.base_fee,
        excess_blob_gas=context.excess_blob_gas,
    )
    return STATES[context.fork](execution_context, state, context.block_hashes)


class _Block:
    """A block being filled: the state so far and what its header will commit to."""

    def __init__(self, context: BlockContext, vm_state: MapState) -> None:
        self._context = context
        self._vm_state = vm_state
        self.gas_used = 0
        self._without_room = 0
        self.included: list[bytes] = []
        self.receipts: list[bytes] = []
        self.blooms: list[bytes] = []

    def execute(self, raw: bytes) -> Executed | Invalid | NoRoom:
        """Judge one transaction and, if it is valid and there is room, execute and include it."""
        if self._without_room >= NO_ROOM_MAX:
            return NoRoom()
        try:
            decoded = open_envelope(raw, self._context)
            if not has_room(decoded.transaction, self._context, self.gas_used):
                self._without_room += 1
                return NoRoom()
            check_block_rules(decoded.transaction, self._context)
            check_sender_rules(decoded.transaction, self._sender(decoded.sender))
        except InvalidTransactionError as error:
            named = b"" if error.code in _NO_HASH else transaction_hash(raw)
            return Invalid(error.code, error.message, named)
        executed = self._run(decoded)
        self.included.append(raw)
        return executed

    def _sender(self, address: bytes) -> Sender:
        account = self._vm_state.current_account(address)
        return Sender(address, account, self._vm_state.get_code(Address(address)))

    def _run(self, decoded: Decoded) -> Executed:
        transaction = decoded.transaction
        runnable = _runnable(decoded)
        computation = self._vm_state.apply_transaction(cast("SignedTransactionAPI", runnable))
        outcome = _outcome(computation, runnable, self._context)
        writes = self._vm_state.take_writes()
        self.gas_used += outcome.gas_used
        receipt = Receipt(transaction.type, int(outcome.succeeded), self.gas_used, outcome.logs)
        self.blooms.append(receipt.bloom)
        self.receipts.append(receipt.encode())
        creates = transaction.to is None
        return Executed(
            hash=decoded.hash,
            sender=decoded.sender,
            to=transaction.to,
            created=contract_address(decoded.sender, transaction.nonce) if creates else None,
            type=transaction.type,
            status=int(outcome.succeeded),
            gas_used=outcome.gas_used,
            effective_gas_price=effective_gas_price(transaction, self._context.base_fee),
            output=outcome.output,
            log_count=len(outcome.logs),
            receipt=self.receipts[-1],
            accounts=writes.accounts,
            storage=writes.storage,
            code=writes.code,
        )


def _runnable(decoded: Decoded) -> Runnable:
    transaction = decoded.transaction
    return Runnable(
        type_id=transaction.type,
        sender=decoded.sender,
        to=transaction.to or b"",
        nonce=transaction.nonce,
        gas=transaction.gas_limit,
        intrinsic_gas=intrinsic_gas(
            transaction.data,
            transaction.access_list,
            creates=transaction.to is None,
            authorizations=len(transaction.authorization_list),
        ),
        max_fee_per_gas=transaction.max_fee_per_gas,
        max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
        value=transaction.value,
        data=transaction.data,
        access_list=_slots_as_numbers(transaction.access_list),
        authorization_list=transaction.authorization_list,
    )


def _callable(call: Call, context: BlockContext) -> Runnable:
    """Return a call as py-evm runs it; raises ValueError if its gas does not even start it."""
    creates = call.to is None
    if creates and len(call.data) > INITCODE_SIZE_MAX_BYTES:
        raise ValueError(f"max initcode size exceeded: {len(call.data)} > {INITCODE_SIZE_MAX_BYTES}")
    if call.authorization_list and (creates or not fork_at_least(context.fork, "prague")):
        raise ValueError(f"transaction type not supported: {SET_CODE}")
    authorizations = len(call.authorization_list)
    intrinsic = intrinsic_gas(call.data, call.access_list, creates=creates, authorizations=authorizations)
    needed = max(intrinsic, floor_gas(call.data, context.fork))
    if call.gas < needed:
        raise ValueError(f"intrinsic gas too low: have {call.gas}, want {needed}")
    if call.gas * call.gas_price + call.value > AMOUNT_MAX // 2:
        raise ValueError("insufficient funds for gas * price + value: more wei than can exist")
    return Runnable(
        type_id=SET_CODE if call.authorization_list else LEGACY,
        sender=call.sender,
        to=call.to or b"",
        nonce=0,
        gas=call.gas,
        intrinsic_gas=intrinsic,
        max_fee_per_gas=call.gas_price,
        max_priority_fee_per_gas=call.gas_price,
        value=call.value,
        data=call.data,
        access_list=_slots_as_numbers(call.access_list),
        authorization_list=call.authorization_list,
    )


def _slots_as_numbers(access_list: AccessList) -> list[tuple[bytes, list[int]]]:
    return [(address, [int.from_bytes(slot, "big") for slot in slots]) for address, slots in access_list]


def _outcome(computation: ComputationAPI, runnable: Runnable, context: BlockContext) -> _Outcome:
    """Read a finished computation.

    Gas is what the executor charged: after the refund of at most a fifth (EIP-3529), not below the
    floor (EIP-7623). py-evm's own receipt code caps the refund after the floor and so may go below.
    """
    consumed = runnable.gas - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), consumed // 5)
    logs = tuple(
        Log(bytes(address), tuple(topic.to_bytes(32, "big") for topic in topics), bytes(data))
        for address, topics, data in computation.get_log_entries()
    )
    gas_used = max(consumed - refund, floor_gas(runnable.data, context.fork))
    return _Outcome(computation.is_success, gas_used, bytes(computation.output), logs)
