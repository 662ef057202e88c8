"""What a transaction costs before its first instruction, and the price it pays per unit.

This room knows gas schedules by fork. It must not know state or signatures.
"""

from __future__ import annotations

from typing import Final

from coco_ethereum.engine import FORKS
from coco_ethereum.transactions import AccessList, Transaction

TRANSACTION_GAS: Final = 21_000
CREATION_GAS: Final = 32_000
INITCODE_WORD_GAS: Final = 2
"""Per 32 bytes of init code (EIP-3860)."""
ZERO_BYTE_GAS: Final = 4
NONZERO_BYTE_GAS: Final = 16
"""EIP-2028."""
ACCESS_ADDRESS_GAS: Final = 2_400
ACCESS_SLOT_GAS: Final = 1_900
"""EIP-2930."""
AUTHORIZATION_GAS: Final = 25_000
"""PER_EMPTY_ACCOUNT_COST of EIP-7702; half of it comes back if the authority exists."""
FLOOR_TOKEN_GAS: Final = 10
"""EIP-7623: per token, of which a zero byte is one and any other byte four."""
NONZERO_BYTE_TOKENS: Final = 4

INITCODE_SIZE_MAX_BYTES: Final = 49_152
"""EIP-3860."""
TRANSACTION_GAS_MAX: Final = 2**24
"""EIP-7825, from osaka on."""


def fork_at_least(fork: str, since: str) -> bool:
    """Return whether a fork is ``since`` or later; raises ValueError for a fork not in FORKS."""
    if fork not in FORKS:
        raise ValueError(f"unknown fork {fork!r}; known are {', '.join(FORKS)}")
    return FORKS.index(fork) >= FORKS.index(since)


def intrinsic_gas(data: bytes, access_list: AccessList, *, creates: bool, authorizations: int = 0) -> int:
    """Return the gas taken before execution (yellow paper §6.2; EIP-2028, 2930, 3860, 7702)."""
    zeros = data.count(0)
    gas = TRANSACTION_GAS + ZERO_BYTE_GAS * zeros + NONZERO_BYTE_GAS * (len(data) - zeros)
    if creates:
        gas += CREATION_GAS + INITCODE_WORD_GAS * ((len(data) + 31) // 32)
    for _, slots in access_list:
        gas += ACCESS_ADDRESS_GAS + ACCESS_SLOT_GAS * len(slots)
    return gas + AUTHORIZATION_GAS * authorizations


def floor_gas(data: bytes, fork: str) -> int:
    """Return the least a transaction pays for its data; zero before prague (EIP-7623)."""
    if not fork_at_least(fork, "prague"):
        return 0
    zeros = data.count(0)
    tokens = zeros + NONZERO_BYTE_TOKENS * (len(data) - zeros)
    return TRANSACTION_GAS + FLOOR_TOKEN_GAS * tokens


def effective_gas_price(transaction: Transaction, base_fee: int) -> int:
    """Return the wei per gas a transaction pays in a block (EIP-1559)."""
    tip_and_base = transaction.max_priority_fee_per_gas + base_fee
    return min(transaction.max_fee_per_gas, tip_and_base)
