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

from coco_ethereum.transactions import Authorization

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
    "gas-limit-cap",
    "tip-above-fee-cap",
    "fee-cap-below-base-fee",
    "empty-authorization-list",
    "gas-limit",
    "initcode-size",
    "nonce-max",
    "intrinsic-gas",
    "gas-floor",
    "sender-not-eoa",
    "nonce-too-high",
    "nonce-too-low",
    "overflow",
    "insufficient-funds",
)
"""Every reason an engine may give, in the order the rules are checked: the first broken rule is the answer.

Both engines give the same code for the same transaction, and a message that begins as geth's does.

``undecodable`` (``rlp: …``)
    Empty, not an envelope (first byte 0x80-0xbf), not canonical RLP, bytes left over, a field of the wrong
    length (so also a type 4 without destination), an integer too wide (chain id, nonce, gas limit and a
    legacy v 64 bits, fees 128, value, r and s 256), a y parity other than 0 and 1, a legacy v that is
    neither 27, 28 nor 35 or above. In a type 4 transaction the authorizations' nonces have 64 bits, their
    chain ids, r and s 256, their y parities 8.
``type-not-supported`` (``transaction type not supported``)
    First byte 0x00-0x7f that is not 1, 2, 3 or, from prague on, 4; the rest is not looked at.
``blob-not-supported`` (``blob transaction not supported``)
    First byte 3, whatever follows.
``chain-id`` (``invalid chain id for signer``)
    Another chain's. Only a legacy transaction with v 27 or 28 may be without one (EIP-155).
``signature`` (``invalid sender``)
    r or s zero or not below the curve's order, s in its upper half (EIP-2), or no public key to recover.
*no room*
    Not Invalid but NoRoom: with a limit the block allows but has no longer left (not if ``pinned``). Decided
    here, so that nothing below is judged against a state that is not yet the one it will run on. After
    NO_ROOM_MAX of them all others are NoRoom, whatever they are.
``gas-limit-cap`` (``transaction gas limit too high``)
    Above 2**24 gas, from osaka on (EIP-7825).
``tip-above-fee-cap`` (``max priority fee per gas higher than max fee per gas``)
    Types 2 and 4.
``fee-cap-below-base-fee`` (``max fee per gas less than block base fee``)
    Every type; of types 0 and 1 the gas price.
``empty-authorization-list`` (``EIP-7702 transaction with empty auth list``)
    Type 4.
``gas-limit`` (``exceeds block gas limit``)
    Above the whole block's.
``initcode-size`` (``max initcode size exceeded``)
    Above 49152 bytes (EIP-3860).
``nonce-max`` (``nonce has max value``)
    2**64 - 1 (EIP-2681).
``intrinsic-gas`` (``intrinsic gas too low``)
    Yellow paper §6.2 with EIP-2028, 2930, 3860 and 7702.
``gas-floor`` (``insufficient gas for floor data gas cost``)
    From prague on (EIP-7623).
``sender-not-eoa`` (``sender not an eoa``)
    The sender has code that is no delegation (EIP-3607, EIP-7702).
``nonce-too-high``, ``nonce-too-low`` (``nonce too high``, ``nonce too low``)
    Against the state as the transactions before left it.
``overflow``, ``insufficient-funds`` (``insufficient funds for gas * price + value``)
    Limit times fee cap does not fit 128 bits, or with the value added 256; or exceeds the balance.

``Invalid.hash`` is the transaction's hash, empty for the first three codes.
"""


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
    authorization_list: tuple[Authorization, ...] = ()
    """Signed delegations in force while the call runs, from prague on (EIP-7702); a void one is skipped."""


HALTS = (
    "out of gas",
    "invalid opcode",
    "invalid opcode: INVALID",
    "invalid jump destination",
    "stack underflow",
    "stack limit reached",
    "return data out of bounds",
    "contract address collision",
    "precompile failed",
    "nonce uint64 overflow",
    "max code size exceeded",
    "invalid code: must not begin with 0xef",
    "max initcode size exceeded",
    "write protection",
    "insufficient balance for transfer",
    "max call depth exceeded",
)
"""What may end an execution, in geth's words (core/vm/errors.go) where geth's name no numbers.

Geth adds which opcode and how deep the stack was, and words of their own for each precompile; and a creation
that cannot pay for its code is simply ``out of gas`` here.
"""


@attrs.frozen
class CallResult:
    """``status`` is ``success``, ``revert`` or ``halt``; ``halt`` names one of HALTS in ``error``."""

    status: str
    gas_used: int
    output: bytes
    error: str = ""
    logs: tuple[Log, ...] = ()


NO_ROOM_MAX = 8
"""A block that had no room for so many transactions is full: those that follow are NoRoom unlooked at.

Without this bound a queue of large transactions would be decoded again for every block.
"""


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

    @property
    def call_gas_max(self) -> int:
        """The most gas whoever offers calls to strangers should allow one: about a second's work."""
        ...

    def execute(self, context: BlockContext, transactions: Sequence[bytes], state: State) -> BlockResult:
        """Execute raw transactions (EIP-2718 envelopes) in order, each over what the ones before wrote.

        Other threads may run meanwhile, so nobody may take a key away from the chains: a layer is never
        changed, and the base only by what a layer above it says as well.

        Nothing raises for a bad transaction: it becomes Invalid. Raises ValueError for a fork the
        engine does not support, and IntegrityError for state it cannot read.
        """
        ...

    def call(self, context: BlockContext, call: Call, state: State) -> CallResult:
        """Execute a call with balance, nonce and base-fee checks off; ``to`` None runs init code.

        The intrinsic gas is charged, as ``eth_call`` of other clients does. Raises ValueError for what
        cannot begin: a gas limit below the intrinsic gas ("intrinsic gas too low"), too long init code,
        authorizations before prague or in a creation ("transaction type not supported"), more wei than exist.
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
