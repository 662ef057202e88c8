"""Whether a transaction may stand in a block: one function per rule, each naming its source.

This room decides validity and nothing else; an invalid transaction has no effect at all. Engines put
it in front of their EVM. Rules run in the order and answer with the codes that
``coco_ethereum.engine.INVALID_CODES`` documents, so that every engine gives one answer. What execution
does is not its business, nor who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from coco_ethereum.engine import BlockContext
from coco_ethereum.gas import (
    INITCODE_SIZE_MAX_BYTES,
    TRANSACTION_GAS_MAX,
    floor_gas,
    fork_at_least,
    intrinsic_gas,
)
from coco_ethereum.state import Account
from coco_ethereum.transactions import (
    SET_CODE,
    InvalidTransactionError,
    Transaction,
    decode,
    envelope_type,
    transaction_hash,
)

NONCE_MAX: Final = 2**64 - 1
AMOUNT_MAX: Final = 2**256 - 1
GAS_COST_MAX: Final = 2**128 - 1
"""Far more wei than exist, and what the native engine computes in."""
DELEGATION_PREFIX: Final = b"\xef\x01\x00"
"""Code that begins so, and is 23 bytes long, delegates to the address behind it (EIP-7702)."""
DELEGATION_SIZE: Final = 23


def is_delegation(code: bytes) -> bool:
    """Return whether code is a delegation designator (EIP-7702)."""
    return len(code) == DELEGATION_SIZE and code.startswith(DELEGATION_PREFIX)


@attrs.frozen(slots=True)
class Decoded:
    """An envelope that decodes, belongs to the chain and was signed by somebody."""

    transaction: Transaction
    hash: bytes
    sender: bytes


@attrs.frozen(slots=True)
class Sender:
    """What the rules must know of the sender in the state the transaction meets."""

    address: bytes
    account: Account
    code: bytes


# ── from bytes to a known sender ─────────────────────────────────────────────────────────────────


def open_envelope(raw: bytes, context: BlockContext) -> Decoded:
    """Decode a transaction and find its sender; raises InvalidTransactionError for the first rule broken."""
    known_type(raw, context)
    transaction = decode(raw)
    right_chain(transaction, context)
    return Decoded(transaction, transaction_hash(raw), transaction.sender())


def known_type(raw: bytes, context: BlockContext) -> None:
    """The fork knows the envelope's type (EIP-2718; type 4 since prague, EIP-7702)."""
    if envelope_type(raw) == SET_CODE and not fork_at_least(context.fork, "prague"):
        raise InvalidTransactionError("type-not-supported", f"transaction type not supported: {SET_CODE}")


def right_chain(transaction: Transaction, context: BlockContext) -> None:
    """A transaction that names a chain names this one (EIP-155); only old legacy ones name none."""
    if transaction.chain_id is None:
        return
    if transaction.chain_id != context.chain_id:
        raise InvalidTransactionError(
            "chain-id",
            f"invalid chain id for signer: have {transaction.chain_id} want {context.chain_id}",
        )


def has_room(transaction: Transaction, context: BlockContext, gas_used: int) -> bool:
    """Return whether the block can still take a transaction (yellow paper §6.2, not if ``pinned``).

    True as well if no block could: then a rule below says so.
    """
    if context.pinned or transaction.gas_limit > context.gas_limit:
        return True
    return transaction.gas_limit <= context.gas_limit - gas_used


# ── rules on the transaction in its block ────────────────────────────────────────────────────────


def gas_limit_within_cap(transaction: Transaction, context: BlockContext) -> None:
    """No transaction takes more than 2**24 gas, from osaka on (EIP-7825)."""
    if fork_at_least(context.fork, "osaka") and transaction.gas_limit > TRANSACTION_GAS_MAX:
        raise InvalidTransactionError(
            "gas-limit-cap",
            f"transaction gas limit too high (cap: {TRANSACTION_GAS_MAX}, tx: {transaction.gas_limit})",
        )


def tip_within_fee_cap(transaction: Transaction, context: BlockContext) -> None:
    """The priority fee is at most the fee cap (EIP-1559)."""
    tip, cap = transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas
    if tip > cap:
        raise InvalidTransactionError(
            "tip-above-fee-cap",
            "max priority fee per gas higher than max fee per gas: "
            f"maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}",
        )


def fee_cap_covers_base_fee(transaction: Transaction, context: BlockContext) -> None:
    """The fee cap, or the gas price, is at least the block's base fee (EIP-1559)."""
    if transaction.max_fee_per_gas < context.base_fee:
        raise InvalidTransactionError(
            "fee-cap-below-base-fee",
            "max fee per gas less than block base fee: "
            f"maxFeePerGas: {transaction.max_fee_per_gas}, baseFee: {context.base_fee}",
        )


def has_authorizations(transaction: Transaction, context: BlockContext) -> None:
    """A type 4 transaction carries at least one authorization (EIP-7702)."""
    if transaction.type == SET_CODE and not transaction.authorization_list:
        raise InvalidTransactionError("empty-authorization-list", "EIP-7702 transaction with empty auth list")


def gas_limit_within_block(transaction: Transaction, context: BlockContext) -> None:
    """The gas limit is at most the whole block's (yellow paper §6.2)."""
    if transaction.gas_limit > context.gas_limit:
        raise InvalidTransactionError(
            "gas-limit",
            f"exceeds block gas limit: tx {transaction.gas_limit}, block {context.gas_limit}",
        )


def initcode_within_size(transaction: Transaction, context: BlockContext) -> None:
    """Init code has at most 49152 bytes (EIP-3860)."""
    size = len(transaction.data)
    if transaction.to is None and size > INITCODE_SIZE_MAX_BYTES:
        raise InvalidTransactionError(
            "initcode-size",
            f"max initcode size exceeded: code size {size} limit {INITCODE_SIZE_MAX_BYTES}",
        )


def nonce_below_max(transaction: Transaction, context: BlockContext) -> None:
    """The nonce can still be followed by another (EIP-2681)."""
    if transaction.nonce == NONCE_MAX:
        raise InvalidTransactionError("nonce-max", f"nonce has max value: {transaction.nonce}")


def gas_covers_intrinsic(transaction: Transaction, context: BlockContext) -> None:
    """The gas limit pays what is due before execution (yellow paper §6.2; EIP-2028, 2930, 3860, 7702)."""
    needed = intrinsic_gas(
        transaction.data,
        transaction.access_list,
        creates=transaction.to is None,
        authorizations=len(transaction.authorization_list),
    )
    if transaction.gas_limit < needed:
        raise InvalidTransactionError(
            "intrinsic-gas", f"intrinsic gas too low: have {transaction.gas_limit}, want {needed}"
        )


def gas_covers_floor(transaction: Transaction, context: BlockContext) -> None:
    """The gas limit pays the floor price of the data, from prague on (EIP-7623)."""
    needed = floor_gas(transaction.data, context.fork)
    if transaction.gas_limit < needed:
        raise InvalidTransactionError(
            "gas-floor",
            f"insufficient gas for floor data gas cost: have {transaction.gas_limit}, want {needed}",
        )


# ── rules on the sender's account ────────────────────────────────────────────────────────────────


def sender_is_eoa(transaction: Transaction, sender: Sender) -> None:
    """The sender has no code but a delegation (EIP-3607, EIP-7702)."""
    if sender.code and not is_delegation(sender.code):
        raise InvalidTransactionError(
            "sender-not-eoa", f"sender not an eoa: address 0x{sender.address.hex()}"
        )


def nonce_is_next(transaction: Transaction, sender: Sender) -> None:
    """The nonce is the account's next one (yellow paper §6.2)."""
    have, want = transaction.nonce, sender.account.nonce
    detail = f"address 0x{sender.address.hex()}, tx: {have} state: {want}"
    if have > want:
        raise InvalidTransactionError("nonce-too-high", f"nonce too high: {detail}")
    if have < want:
        raise InvalidTransactionError("nonce-too-low", f"nonce too low: {detail}")


def sender_can_pay(transaction: Transaction, sender: Sender) -> None:
    """The balance covers the gas at the fee cap and the value (yellow paper §6.2, EIP-1559)."""
    gas_cost = transaction.gas_limit * transaction.max_fee_per_gas
    cost = gas_cost + transaction.value
    have = sender.account.balance
    detail = f"address 0x{sender.address.hex()} have {have} want {cost}"
    message = f"insufficient funds for gas * price + value: {detail}"
    if gas_cost > GAS_COST_MAX or cost > AMOUNT_MAX:
        raise InvalidTransactionError("overflow", message)
    if cost > have:
        raise InvalidTransactionError("insufficient-funds", message)


BLOCK_RULES: Final[tuple[Callable[[Transaction, BlockContext], None], ...]] = (
    gas_limit_within_cap,
    tip_within_fee_cap,
    fee_cap_covers_base_fee,
    has_authorizations,
    gas_limit_within_block,
    initcode_within_size,
    nonce_below_max,
    gas_covers_intrinsic,
    gas_covers_floor,
)
"""Rules that hold or not whatever the state is, in order."""

SENDER_RULES: Final[tuple[Callable[[Transaction, Sender], None], ...]] = (
    sender_is_eoa,
    nonce_is_next,
    sender_can_pay,
)
"""Rules against the state as the transactions before left it, in order."""


def check_block_rules(transaction: Transaction, context: BlockContext) -> None:
    """Apply BLOCK_RULES; raises InvalidTransactionError for the first one broken."""
    for rule in BLOCK_RULES:
        rule(transaction, context)


def check_sender_rules(transaction: Transaction, sender: Sender) -> None:
    """Apply SENDER_RULES; raises InvalidTransactionError for the first one broken."""
    for rule in SENDER_RULES:
        rule(transaction, sender)
