"""What an EVM is to the adapter: execute one block's transactions over key-value state.

Two engines meet this contract: ``engines.pyevm`` (portable, readable reference) and the native
``coco_ethereum_revm``. ``coco_ethereum.testing.EvmEngineTests`` judges both. An engine knows
Ethereum's execution rules and the three state maps; it must not know JSON-RPC, blocks' headers, or
how results are agreed.

State lives in three maps, read as chains of dictionaries (first hit wins, ``None`` = removed):

=========== ======================== ==========================================================
map         key                      value
=========== ======================== ==========================================================
accounts    address (20 bytes)       ``nonce u64 BE ‖ balance u256 BE`` (40 bytes), followed by the
                                     32-byte code hash if the account has code (72 bytes)
storage     address ‖ slot (52)      the 32-byte value without leading zero bytes; zero is removal
code        code hash (32)           the code itself
=========== ======================== ==========================================================

An account that is empty (EIP-161) is absent. Results never contain an unchanged key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

Chain = Sequence[Mapping[bytes, bytes | None]]
"""One map as dictionaries, newest first, the committed base last."""


@attrs.frozen
class State:
    """The three maps an engine reads."""

    accounts: Chain
    storage: Chain
    code: Chain


FORKS = ("shanghai", "cancun", "prague", "osaka")
"""Forks an engine may support, oldest first; names as in geth's chain configuration."""


@attrs.frozen(kw_only=True)
class BlockContext:
    """The environment transactions of one block execute in (yellow paper §4.4, EIP-4399, EIP-4844)."""

    chain_id: int
    fork: str
    number: int
    timestamp: int
    """Seconds."""
    gas_limit: int
    base_fee: int
    """Wei per gas."""
    coinbase: bytes
    prev_randao: bytes
    excess_blob_gas: int = 0
    block_hashes: Mapping[int, bytes] | Callable[[int], bytes] = attrs.field(factory=dict)
    """Hashes of up to 256 ancestors for BLOCKHASH; an absent number gives 32 zero bytes."""
    pinned: bool = False
    """True in the fixed environment: the gas limit bounds each transaction alone, not their sum."""


@attrs.frozen(slots=True)
class Log:
    """One event record (yellow paper §4.3.1)."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@attrs.frozen(slots=True)
class Executed:
    """A valid transaction's effect; ``status`` 0 means it failed but still pays for its gas."""

    hash: bytes
    sender: bytes
    to: bytes | None
    created: bytes | None
    """Address of the contract a creation made (also when it failed), else None."""
    type: int
    """Envelope type: 0 legacy, 1 EIP-2930, 2 EIP-1559, 4 EIP-7702."""
    status: int
    gas_used: int
    effective_gas_price: int
    output: bytes
    """Return or revert data."""
    log_count: int
    receipt: bytes
    """Consensus encoding: ``[type] ‖ rlp([status, cumulative_gas, bloom, logs])`` (EIP-2718)."""
    accounts: dict[bytes, bytes | None]
    storage: dict[bytes, bytes | None]
    code: dict[bytes, bytes]


@attrs.frozen(slots=True)
class Invalid:
    """The transaction breaks a validity rule: it has no effect and no place in a block.

    ``code`` is one of ``INVALID_CODES``; ``message`` is the wording Ethereum clients match on.
    """

    code: str
    message: str
    hash: bytes = b""


@attrs.frozen(slots=True)
class NoRoom:
    """The block's remaining gas is less than the transaction's limit; it may go into the next block."""


INVALID_CODES = (
    "undecodable",
    "type-not-supported",
    "blob-not-supported",
    "chain-id",
    "signature",
    "nonce-too-low",
    "nonce-too-high",
    "nonce-max",
    "insufficient-funds",
    "intrinsic-gas",
    "gas-floor",
    "gas-limit",
    "gas-limit-cap",
    "initcode-size",
    "fee-cap-below-base-fee",
    "tip-above-fee-cap",
    "sender-not-eoa",
    "empty-authorization-list",
    "create-not-allowed",
    "overflow",
)
"""Every reason an engine may give; both engines give the same one for the same transaction."""


@attrs.frozen(slots=True)
class BlockResult:
    """One result per transaction in order, and what the header commits to over the executed ones."""

    results: list[Executed | Invalid | NoRoom]
    gas_used: int
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes


@attrs.frozen(kw_only=True)
class Call:
    """A message call that leaves no trace (eth_call, eth_estimateGas)."""

    sender: bytes
    to: bytes | None
    data: bytes = b""
    value: int = 0
    gas: int = 0
    """Gas limit; the engine does not cap it."""
    gas_price: int = 0
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()


@attrs.frozen
class CallResult:
    """``status`` is ``success``, ``revert`` or ``halt``; ``halt`` names the reason in ``error``."""

    status: str
    gas_used: int
    output: bytes
    error: str = ""
    logs: tuple[Log, ...] = ()


class EvmEngine(Protocol):
    """An EVM implementation."""

    @property
    def name(self) -> str:
        """``revm`` or ``py-evm``: what genesis names."""
        ...

    @property
    def version(self) -> str:
        """Version of the EVM implementation itself."""
        ...

    @property
    def forks(self) -> tuple[str, ...]:
        """Supported names of FORKS."""
        ...

    def execute(self, context: BlockContext, transactions: Sequence[bytes], state: State) -> BlockResult:
        """Execute raw transactions (EIP-2718 envelopes) in order, each over what the ones before wrote.

        Nothing raises for a bad transaction: it becomes Invalid. Raises ValueError for a fork the
        engine does not support, and IntegrityError for state it cannot read.
        """
        ...

    def call(self, context: BlockContext, call: Call, state: State) -> CallResult:
        """Execute a call with balance, nonce and base-fee checks off; ``to`` None runs init code.

        The intrinsic gas is charged, as ``eth_call`` of other clients does. Raises ValueError for a
        gas limit below the intrinsic gas ("intrinsic gas too low").
        """
        ...

    def keccak256(self, data: bytes) -> bytes:
        """Return the Keccak-256 digest."""
        ...

    def ordered_trie_root(self, items: Sequence[bytes]) -> bytes:
        """Return the Merkle-Patricia root of ``rlp(index) -> item`` (yellow paper §4.3.2)."""
        ...

    def state_root(self, state: State) -> bytes:
        """Return the Merkle-Patricia state root; walks all state, for tests and audits only."""
        ...
