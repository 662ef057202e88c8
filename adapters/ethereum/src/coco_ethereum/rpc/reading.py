"""One consistent reading of the chain: what the methods of a request see, all at the same version.

A request's transactions are waited for first, then the reading is opened: clients read their writes.
Only committed state is ever shown, so ``latest``, ``safe``, ``finalized`` and ``pending`` are one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from coco_core.adapter import LedgerService, ReadView
from coco_core.errors import CallerError, IntegrityError
from coco_ethereum import blocks
from coco_ethereum.blocks import Header
from coco_ethereum.chain import ChainConfig, read_config
from coco_ethereum.engine import BlockContext, EvmEngine, State
from coco_ethereum.records import (
    ACCOUNTS,
    BLOCK_HASH_SLICE,
    BLOCK_HASHES,
    BLOCKS,
    CODE,
    STORAGE,
    TRANSACTIONS,
    Block,
    Head,
    Transaction,
    key_number,
    number_key,
    packed_first_seqno,
    packed_header,
    packed_timestamp,
)
from coco_ethereum.rpc import values
from coco_ethereum.rpc.errors import server_error
from coco_ethereum.rpc.filters import Filters
from coco_ethereum.rpc.render import Mined
from coco_ethereum.state import ABSENT, Account, decode_account

_NEWEST: Final = frozenset(("latest", "pending", "safe", "finalized"))
_SELECTOR_FIELDS: Final = frozenset(("blockNumber", "blockHash", "requireCanonical"))


@attrs.frozen(slots=True)
class Selector:
    """Which block a caller means: by number, by hash, or the newest when both are None."""

    number: int | None = None
    hash: bytes | None = None


NEWEST: Final = Selector()


def read_selector(value: object) -> Selector:
    """Read a block number, tag, hash, or an EIP-1898 table; raises ValueError."""
    if isinstance(value, dict):
        return _read_selector_table(value)
    if isinstance(value, str) and len(value) == 66:
        return Selector(hash=values.read_hash(value))
    return read_number_selector(value)


def read_number_selector(value: object) -> Selector:
    """Read a block number or tag, where a hash is not allowed."""
    if isinstance(value, str) and value in _NEWEST:
        return NEWEST
    if value == "earliest":
        return Selector(number=0)
    number = values.read_number(value)
    if number >> 63:
        raise ValueError("block number larger than int64")
    return Selector(number=number)


def _read_selector_table(table: Mapping[str, object]) -> Selector:
    if not table.keys() <= _SELECTOR_FIELDS:
        raise ValueError("unknown field in block selector")
    number, block_hash = table.get("blockNumber"), table.get("blockHash")
    if number is not None and block_hash is not None:
        raise ValueError("cannot specify both BlockHash and BlockNumber, choose one or the other")
    if block_hash is not None:
        return Selector(hash=values.read_hash(block_hash))
    if number is not None:
        return read_number_selector(number)
    raise ValueError("unknown block selector: neither blockNumber nor blockHash")


class _MapView(Mapping[bytes, bytes | None]):
    """One map of a view as a mapping, so that a worker reads a version while the store moves on."""

    __slots__ = ("_name", "_view")

    def __init__(self, view: ReadView, name: str) -> None:
        self._view = view
        self._name = name

    def __getitem__(self, key: bytes) -> bytes | None:
        value = self._view.get(self._name, key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self._view.items(self._name))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@attrs.frozen(slots=True)
class StateAt:
    """State as one block left it, and that block's number."""

    view: ReadView
    number: int

    def account(self, address: bytes) -> Account:
        """Return an account; one that does not exist is empty."""
        packed = self.view.get(ACCOUNTS, address)
        return ABSENT if packed is None else decode_account(packed)

    def code(self, address: bytes) -> bytes:
        """Return the code at an address."""
        account = self.account(address)
        return (self.view.get(CODE, account.code_hash) or b"") if account.has_code else b""

    def slot(self, address: bytes, slot: bytes) -> bytes:
        """Return a storage slot's value, without leading zeros."""
        return self.view.get(STORAGE, address + slot) or b""

    def for_engine(self) -> State:
        """Return the three maps as an engine reads them, safe to use from a worker thread."""
        return State(*((_MapView(self.view, name),) for name in (ACCOUNTS, STORAGE, CODE)))


@attrs.frozen(slots=True)
class Slow:
    """A result that is to be computed away from the event loop."""

    work: Callable[[], object]
    delivered: Callable[[], None] | None = None
    """To be called, on the event loop, when the result has found its place in the answer."""


class Reading:
    """The chain at one committed version."""

    def __init__(self, service: LedgerService, engine: EvmEngine, filters: Filters) -> None:
        """Read what is committed now."""
        self.service = service
        self.engine = engine
        self.filters = filters
        self.view = service.view()
        self.chain: ChainConfig = read_config(self.view)
        self.head: Head = blocks.read_head(self.view)

    def packed_block(self, number: int) -> bytes | None:
        """Return a block's stored form, or None if there is no such block yet."""
        return self.view.get(BLOCKS, number_key(number))

    def number(self, selector: Selector) -> int | None:
        """Return the number of the block meant, or None if there is no such block."""
        if selector.hash is not None:
            key = self.view.get(BLOCK_HASHES, selector.hash)
            return None if key is None else key_number(key)
        if selector.number is None:
            return self.head.number
        return selector.number if selector.number <= self.head.number else None

    def packed(self, selector: Selector) -> bytes | None:
        """Return the stored form of the block meant, or None if there is no such block."""
        number = self.number(selector)
        return None if number is None else self.packed_at(number)

    def block(self, selector: Selector) -> Block | None:
        """Return the block meant, or None if there is no such block."""
        number = self.number(selector)
        return None if number is None else self.block_at(number)

    def block_at(self, number: int) -> Block:
        """Return the block with a number the chain has."""
        return Block.unpack(self.packed_at(number))

    def packed_at(self, number: int) -> bytes:
        """Return the stored form of the block with a number the chain has."""
        packed = self.packed_block(number)
        if packed is None:
            raise IntegrityError(f"block {number} is missing below head {self.head.number}")
        return packed

    def transaction(self, transaction_hash: bytes) -> Transaction | None:
        """Return a committed transaction's record."""
        packed = self.view.get(TRANSACTIONS, transaction_hash)
        return None if packed is None else Transaction.unpack(packed)

    def mined(self, transaction_hash: bytes) -> Mined | None:
        """Return a committed transaction with its block."""
        record = self.transaction(transaction_hash)
        if record is None:
            return None
        block = self.packed_at(record.number)
        return Mined(transaction_hash, record, block[BLOCK_HASH_SLICE], packed_timestamp(block))

    def mined_in(self, block: Block) -> Iterator[Mined]:
        """Yield a block's transactions; raises IntegrityError when one is missing."""
        for transaction_hash in block.transactions:
            record = self.transaction(transaction_hash)
            if record is None:
                raise IntegrityError(f"transaction {transaction_hash.hex()} of a block is missing")
            yield Mined(transaction_hash, record, block.hash, block.timestamp)

    def state(self, selector: Selector) -> StateAt:
        """Return state as the block meant left it.

        Raises RPCError (-32000) for a block that does not exist or whose state has left memory.
        """
        number = self.number(selector)
        if number is None:
            raise server_error("header for hash not found" if selector.hash else "header not found")
        if number == self.head.number:
            return StateAt(self.view, number)
        # The state a block left is the state just before its successor's first entry.
        seqno = packed_first_seqno(self.packed_at(number + 1)) - 1
        try:
            return StateAt(self.service.view(seqno), number)
        except CallerError as error:
            raise server_error(
                f"missing trie node: state of block {number:#x} is not available, "
                "this node keeps the state of recent blocks only"
            ) from error

    def context(self, number: int) -> BlockContext:
        """Return the environment a call on top of block ``number`` sees."""
        header = Header.decode(packed_header(self.packed_at(number)))
        return blocks.context_of(self.chain, header, blocks.block_hashes(self.view))
