"""Accounts, storage and code as bytes in three maps (the table in ``coco_ethereum.engine``).

Engines, RPC and tests read state through these few functions, so its encoding is written down once.
This room knows the encoding; it must not know execution, tries or where the maps live.
"""

from __future__ import annotations

from typing import Final

import attrs
from eth_hash.auto import keccak

from coco_core.errors import IntegrityError
from coco_ethereum.engine import Chain

EMPTY_CODE_HASH: Final = keccak(b"")
_BARE_SIZE: Final = 40
_CODE_SIZE: Final = 72
_SLOT_VALUE_SIZE: Final = 32


@attrs.frozen(slots=True)
class Account:
    """An account without its storage: nonce, balance in wei, hash of its code."""

    nonce: int = 0
    balance: int = 0
    code_hash: bytes = EMPTY_CODE_HASH

    @property
    def is_empty(self) -> bool:
        """Whether the account is dead by EIP-161 and must not be in state."""
        return not self.nonce and not self.balance and self.code_hash == EMPTY_CODE_HASH

    @property
    def has_code(self) -> bool:
        """Whether code is stored at the address (a delegation counts, EIP-7702)."""
        return self.code_hash != EMPTY_CODE_HASH


ABSENT: Final = Account()
"""What an address without an account reads as."""


def encode_account(account: Account) -> bytes | None:
    """Return the stored value, or None for an empty account, which is not stored (EIP-161)."""
    if account.is_empty:
        return None
    value = account.nonce.to_bytes(8, "big") + account.balance.to_bytes(32, "big")
    return value + account.code_hash if account.has_code else value


def decode_account(value: bytes) -> Account:
    """Read a stored account; raises IntegrityError for bytes ``encode_account`` never writes."""
    if len(value) not in (_BARE_SIZE, _CODE_SIZE):
        raise IntegrityError(f"an account of {len(value)} bytes, not {_BARE_SIZE} or {_CODE_SIZE}")
    code_hash = value[40:] or EMPTY_CODE_HASH
    return Account(int.from_bytes(value[:8], "big"), int.from_bytes(value[8:40], "big"), code_hash)


def encode_slot_value(value: int) -> bytes | None:
    """Return a storage value as stored, or None for zero, which is removal."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big") or None


def decode_slot_value(value: bytes) -> int:
    """Read a stored storage value; raises IntegrityError for bytes ``encode_slot_value`` never writes."""
    if not value or len(value) > _SLOT_VALUE_SIZE or value[0] == 0:
        raise IntegrityError(f"a storage value that is not canonical: {value.hex()[:80]}")
    return int.from_bytes(value, "big")


def slot_key(address: bytes, slot: int) -> bytes:
    """Return the storage map's key of one slot: address ‖ slot, 52 bytes."""
    return address + slot.to_bytes(32, "big")


def lookup(chain: Chain, key: bytes) -> bytes | None:
    """Return the newest value of a key, None if it is absent or removed."""
    for layer in chain:
        if key in layer:
            return layer[key]
    return None


def read_account(accounts: Chain, address: bytes) -> Account:
    """Return an address's account; one that is not stored reads as ABSENT."""
    value = lookup(accounts, address)
    return ABSENT if value is None else decode_account(value)


def read_slot(storage: Chain, address: bytes, slot: int) -> int:
    """Return a storage slot's value, zero if unset."""
    value = lookup(storage, slot_key(address, slot))
    return 0 if value is None else decode_slot_value(value)


def read_code(code: Chain, code_hash: bytes) -> bytes:
    """Return the code with a hash; raises IntegrityError if an account names code nobody stored."""
    if code_hash == EMPTY_CODE_HASH:
        return b""
    value = lookup(code, code_hash)
    if value is None:
        raise IntegrityError(f"code {code_hash.hex()} is named by an account but not stored")
    return value


def flatten(chain: Chain) -> dict[bytes, bytes]:
    """Return a whole chain as one dictionary of what is present; walks everything."""
    merged: dict[bytes, bytes | None] = {}
    for layer in reversed(chain):
        merged.update(layer)
    return {key: value for key, value in merged.items() if value is not None}
