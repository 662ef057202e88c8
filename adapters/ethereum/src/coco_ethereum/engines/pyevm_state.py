"""State for py-evm over our maps: lazily read, journalled, and reduced to one write set a transaction.

py-evm keeps accounts and storage in tries and derives changes from roots; we keep flat maps and need
changes by key. So this mixin takes the place of its account database: what a transaction wrote lies
in dictionaries, every write notes the old value in one undo log, and a revert plays the log back. It
knows py-evm's state interface and our encodings; it must not know rules of any fork.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from eth.abc import ExecutionContextAPI
from eth.typing import JournalDBCheckpoint
from eth.vm.state import BaseState
from eth_hash.auto import keccak
from eth_typing import Address, Hash32

from coco_ethereum.engine import State
from coco_ethereum.state import (
    ABSENT,
    EMPTY_CODE_HASH,
    Account,
    encode_account,
    encode_slot_value,
    lookup,
    read_account,
    read_code,
    read_slot,
    slot_key,
)
from coco_ethereum.validity import AMOUNT_MAX

ANCESTORS_MAX: Final = 256
"""How far back BLOCKHASH sees (yellow paper, appendix H)."""

_NO_ROOT: Final = Hash32(bytes(32))
_UNSET: Final = object()


@attrs.frozen(slots=True)
class WriteSet:
    """What one transaction changed, in the encodings of ``coco_ethereum.engine``."""

    accounts: dict[bytes, bytes | None]
    storage: dict[bytes, bytes | None]
    code: dict[bytes, bytes]


class MapState(BaseState):
    """A py-evm state whose accounts, storage and code are our maps; a fork's state class follows it.

    *Origin* is the state before the current transaction (the chains, and what earlier transactions of
    the block changed); *current* is what the current transaction made of it. ``take_writes`` ends a
    transaction.
    """

    def __init__(
        self,
        context: ExecutionContextAPI,
        state: State,
        block_hashes: Mapping[int, bytes] | Callable[[int], bytes],
    ) -> None:
        """Start over some state; deliberately not py-evm's constructor, which would build tries."""
        self.execution_context = context
        self._state = state
        self._block_hashes = block_hashes
        self._origin_accounts: dict[bytes, Account] = {}
        self._origin_slots: dict[bytes, int] = {}
        self._origin_code: dict[bytes, bytes] = {}
        self._accounts: dict[bytes, Account] = {}
        self._slots: dict[bytes, int] = {}
        self._code: dict[bytes, bytes] = {}
        self._transient: dict[bytes, bytes] = {}
        self._warm: dict[bytes, None] = {}
        self._undo: list[tuple[dict[bytes, Any], bytes, object]] = []

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────

    def origin_account(self, address: bytes) -> Account:
        """Return an account as it was before the current transaction."""
        account = self._origin_accounts.get(address)
        if account is None:
            account = self._origin_accounts[address] = read_account(self._state.accounts, address)
        return account

    def current_account(self, address: bytes) -> Account:
        """Return an account as the current transaction has left it so far."""
        return self._accounts.get(address) or self.origin_account(address)

    def get_balance(self, address: Address) -> int:
        """Return wei."""
        return self.current_account(address).balance

    def set_balance(self, address: Address, balance: int) -> None:
        """Write wei, at most 256 bits of them: more cannot exist on a chain that our genesis began."""
        account = self.current_account(address)
        kept = min(balance, AMOUNT_MAX)
        self._write(self._accounts, address, Account(account.nonce, kept, account.code_hash))

    def get_nonce(self, address: Address) -> int:
        """Return an account's next nonce."""
        return self.current_account(address).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Write a nonce."""
        account = self.current_account(address)
        self._write(self._accounts, address, Account(nonce, account.balance, account.code_hash))

    def increment_nonce(self, address: Address) -> None:
        """Count one transaction, creation or authorization."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def has_code_or_nonce(self, address: Address) -> bool:
        """Return whether a creation at the address collides (EIP-684)."""
        account = self.current_account(address)
        return account.nonce != 0 or account.has_code

    def account_exists(self, address: Address) -> bool:
        """Return whether an account is in state; an empty one never is (EIP-161)."""
        return not self.current_account(address).is_empty

    def account_is_empty(self, address: Address) -> bool:
        """Return whether an account is empty by EIP-161."""
        return self.current_account(address).is_empty

    def touch_account(self, address: Address) -> None:
        """Do nothing: EIP-161 clears touched empty accounts, and ours are never stored at all."""

    def delete_account(self, address: Address) -> None:
        """Remove an account with its storage (SELFDESTRUCT)."""
        self.delete_storage(address)
        self._write(self._accounts, address, ABSENT)

    # ── code ─────────────────────────────────────────────────────────────────────────────────────

    def get_code(self, address: Address) -> bytes:
        """Return the code at an address, empty if there is none."""
        code_hash = self.current_account(address).code_hash
        if code_hash == EMPTY_CODE_HASH:
            return b""
        for fresh in (self._code, self._origin_code):
            if code_hash in fresh:
                return fresh[code_hash]
        code = self._origin_code[code_hash] = read_code(self._state.code, code_hash)
        return code

    def set_code(self, address: Address, code: bytes) -> None:
        """Give an account code."""
        code_hash = keccak(code)
        self._write(self._code, code_hash, code)
        self._set_code_hash(address, code_hash)

    def delete_code(self, address: Address) -> None:
        """Take an account's code (clearing a delegation, EIP-7702)."""
        self._set_code_hash(address, EMPTY_CODE_HASH)

    def get_code_hash(self, address: Address) -> Hash32:
        """Return the hash of an account's code."""
        return Hash32(self.current_account(address).code_hash)

    def _set_code_hash(self, address: bytes, code_hash: bytes) -> None:
        account = self.current_account(address)
        self._write(self._accounts, address, Account(account.nonce, account.balance, code_hash))

    # ── storage ──────────────────────────────────────────────────────────────────────────────────

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """Return a slot's current value, or its origin's (what EIP-2200 calls the original value)."""
        key = slot_key(address, slot)
        if from_journal and key in self._slots:
            return self._slots[key]
        return self._origin_slot(key)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Write a slot."""
        self._write(self._slots, slot_key(address, slot), value)

    def delete_storage(self, address: Address) -> None:
        """Clear all slots of an account."""
        for key in [key for key in self._slots if key.startswith(address)]:
            self._write(self._slots, key, 0)
        if not self.origin_account(address).has_code:
            # An account created just now has no older slots. Before EIP-6780 (cancun) an older one
            # may be destroyed: only then all of storage is walked.
            return
        # Each layer is copied in one step: other threads fold layers into the base meanwhile.
        stored = {key for layer in self._state.storage for key in list(layer) if key.startswith(address)}
        stored |= {key for key in self._origin_slots if key.startswith(address)}
        for key in sorted(stored):
            self._write(self._slots, key, 0)

    def _origin_slot(self, key: bytes) -> int:
        value = self._origin_slots.get(key)
        if value is None:
            address, slot = key[:20], int.from_bytes(key[20:], "big")
            value = self._origin_slots[key] = read_slot(self._state.storage, address, slot)
        return value

    def get_transient_storage(self, address: Address, slot: int) -> bytes:
        """Return a transient slot, empty if unset (EIP-1153)."""
        return self._transient.get(slot_key(address, slot), b"")

    def set_transient_storage(self, address: Address, slot: int, value: bytes) -> None:
        """Write a transient slot (EIP-1153)."""
        self._write(self._transient, slot_key(address, slot), value)

    def clear_transient_storage(self) -> None:
        """Forget transient storage at the end of a transaction (EIP-1153)."""
        self._transient.clear()

    # ── access (EIP-2929) and ancestors ──────────────────────────────────────────────────────────

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """Return whether the transaction has used a slot."""
        return slot_key(address, slot) in self._warm

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """Note that the transaction uses a slot."""
        self._warm_up(slot_key(address, slot))

    def is_address_warm(self, address: Address) -> bool:
        """Return whether the transaction has used an account; precompiles always are warm."""
        return address in self._warm or address in self.computation_class.get_precompiles()

    def mark_address_warm(self, address: Address) -> None:
        """Note that the transaction uses an account."""
        self._warm_up(address)

    def _warm_up(self, key: bytes) -> None:
        if key not in self._warm:
            self._write(self._warm, key, None)

    def get_ancestor_hash(self, block_number: int) -> Hash32:
        """Return the hash of one of the last 256 blocks, else zero (BLOCKHASH)."""
        if not 0 < self.block_number - block_number <= ANCESTORS_MAX:
            return _NO_ROOT
        if callable(self._block_hashes):
            return Hash32(self._block_hashes(block_number))
        return Hash32(self._block_hashes.get(block_number, _NO_ROOT))

    # ── journal ──────────────────────────────────────────────────────────────────────────────────

    def _write(self, table: dict[bytes, Any], key: bytes, value: object) -> None:
        self._undo.append((table, key, table.get(key, _UNSET)))
        table[key] = value

    def snapshot(self) -> tuple[Hash32, JournalDBCheckpoint]:
        """Return a point to revert to: a length of the undo log (py-evm wants a root beside it)."""
        return _NO_ROOT, JournalDBCheckpoint(len(self._undo))

    def commit(self, snapshot: tuple[Hash32, JournalDBCheckpoint]) -> None:
        """Do nothing: only reverting looks at snapshots."""

    def revert(self, snapshot: tuple[Hash32, JournalDBCheckpoint]) -> None:
        """Undo every write since a snapshot."""
        while len(self._undo) > snapshot[1]:
            table, key, old = self._undo.pop()
            if old is _UNSET:
                del table[key]
            else:
                table[key] = old

    def take_writes(self) -> WriteSet:
        """End the transaction: return what it changed and make that the next one's origin."""
        writes = WriteSet(self._take_accounts(), self._take_slots(), self._take_code())
        self._origin_accounts.update(self._accounts)
        self._origin_slots.update(self._slots)
        for table in (self._accounts, self._slots, self._code, self._transient, self._warm):
            table.clear()
        self._undo.clear()
        return writes

    def _take_accounts(self) -> dict[bytes, bytes | None]:
        changed = sorted(a for a, account in self._accounts.items() if account != self.origin_account(a))
        return {address: encode_account(self._accounts[address]) for address in changed}

    def _take_slots(self) -> dict[bytes, bytes | None]:
        changed = sorted(k for k, value in self._slots.items() if value != self._origin_slot(k))
        return {key: encode_slot_value(self._slots[key]) for key in changed}

    def _take_code(self) -> dict[bytes, bytes]:
        """Return code that is new to the code map and that an account has in the end."""
        named = {account.code_hash for account in self._accounts.values()} & self._code.keys()
        fresh = {
            code_hash: self._code[code_hash]
            for code_hash in sorted(named - self._origin_code.keys())
            if lookup(self._state.code, code_hash) is None
        }
        self._origin_code.update(fresh)
        return fresh
