"""The contract of the native module.

Arguments are read by attribute, so any object of these shapes will do. A chain is a sequence of mappings,
newest first; the first that holds a key answers, and None there means removed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

_Chain: TypeAlias = Sequence[Mapping[bytes, bytes | None]]
_Changes: TypeAlias = dict[bytes, bytes | None]

class _State(Protocol):
    @property
    def accounts(self) -> _Chain: ...
    @property
    def storage(self) -> _Chain: ...
    @property
    def code(self) -> _Chain: ...

class _Context(Protocol):
    @property
    def chain_id(self) -> int: ...
    @property
    def fork(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def base_fee(self) -> int: ...
    @property
    def coinbase(self) -> bytes: ...
    @property
    def prev_randao(self) -> bytes: ...
    @property
    def excess_blob_gas(self) -> int: ...
    @property
    def pinned(self) -> bool: ...

class _Authorization(Protocol):
    @property
    def chain_id(self) -> int: ...
    @property
    def address(self) -> bytes: ...
    @property
    def nonce(self) -> int: ...
    @property
    def y_parity(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...

class _Call(Protocol):
    @property
    def sender(self) -> bytes: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def data(self) -> bytes: ...
    @property
    def value(self) -> int: ...
    @property
    def gas(self) -> int: ...
    @property
    def gas_price(self) -> int: ...
    @property
    def access_list(self) -> Sequence[tuple[bytes, Sequence[bytes]]]: ...
    @property
    def authorization_list(self) -> Sequence[_Authorization]: ...

# hash, sender, to, created, type, status, gas_used, effective_gas_price, output, log_count, receipt,
# accounts, storage, code
_Executed: TypeAlias = tuple[
    bytes,
    bytes,
    bytes | None,
    bytes | None,
    int,
    int,
    int,
    int,
    bytes,
    int,
    bytes,
    _Changes,
    _Changes,
    dict[bytes, bytes],
]
# code, message, hash
_Invalid: TypeAlias = tuple[str, str, bytes]
# address, topics, data
_Log: TypeAlias = tuple[bytes, tuple[bytes, ...], bytes]

REVM_VERSION: str
FORKS: tuple[str, ...]

class StateError(Exception):
    """State that cannot be read: a row is missing or malformed."""

def execute(
    context: _Context,
    transactions: Sequence[bytes],
    state: _State,
    block_hash: Callable[[int], bytes] | None,
) -> tuple[list[_Executed | _Invalid | None], int, bytes, bytes, bytes]:
    """Execute transactions in order: outcomes, gas used, transactions root, receipts root, logs bloom.

    None among the outcomes is a transaction the block has no room for.
    """

def call(
    context: _Context,
    call: _Call,
    state: _State,
    block_hash: Callable[[int], bytes] | None,
) -> tuple[str, int, bytes, str, tuple[_Log, ...]]:
    """Execute a call: status (success, revert or halt), gas used, output, error, logs."""

def keccak256(data: bytes) -> bytes: ...
def ordered_trie_root(items: Sequence[bytes]) -> bytes: ...
def state_root(state: _State) -> bytes: ...
