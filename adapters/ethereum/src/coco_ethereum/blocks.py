"""Blocks: one for each batch that changed anything, with a header as mainnet's fork defines it.

Blocks are how Ethereum's clients see order; the Coco ledger is what proves it. So the header keeps
the fields and the hash rule of its fork (yellow paper §4.4.3; EIP-1559, 4895, 4844, 4788, 7685),
but commits to transactions and receipts only: ``stateRoot`` is zero, because state is committed to
by the ledger's Merkle tree and a second tree over it would cost more than executing the batch
(ADR 0010). Pure; must not know JSON-RPC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import attrs
import rlp

from coco_core.adapter import Batch, ReadView, Writes
from coco_core.errors import IntegrityError
from coco_ethereum.chain import ChainConfig
from coco_ethereum.engine import BlockContext, BlockResult, EvmEngine
from coco_ethereum.records import (
    BLOCK_HASH_SLICE,
    BLOCK_HASHES,
    BLOCKS,
    HEAD,
    SINGLETON_KEY,
    Block,
    Head,
    number_key,
    packed_header,
)

EMPTY_OMMERS_HASH: Final = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
"""Keccak-256 of the RLP of an empty list: no block has ommers."""
EMPTY_TRIE_ROOT: Final = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
EMPTY_REQUESTS_HASH: Final = hashlib.sha256().digest()
"""EIP-7685: the hash over no requests."""
NO_STATE_ROOT: Final = bytes(32)
EMPTY_BLOOM: Final = bytes(256)

_HEADER_FIELDS: Final = {"shanghai": 17, "cancun": 20, "prague": 21, "osaka": 21}


@attrs.frozen(kw_only=True)
class Header:
    """A block header; the optional fields are those its fork added, None before it."""

    parent_hash: bytes
    coinbase: bytes
    state_root: bytes = NO_STATE_ROOT
    transactions_root: bytes = EMPTY_TRIE_ROOT
    receipts_root: bytes = EMPTY_TRIE_ROOT
    logs_bloom: bytes = EMPTY_BLOOM
    number: int
    gas_limit: int
    gas_used: int = 0
    timestamp: int
    """Seconds."""
    extra_data: bytes = b""
    prev_randao: bytes
    base_fee: int
    withdrawals_root: bytes = EMPTY_TRIE_ROOT
    blob_gas_used: int | None = None
    excess_blob_gas: int | None = None
    parent_beacon_root: bytes | None = None
    requests_hash: bytes | None = None

    def encode(self) -> bytes:
        """Return the consensus encoding, whose Keccak-256 is the block's hash."""
        values = [
            self.parent_hash,
            EMPTY_OMMERS_HASH,
            self.coinbase,
            self.state_root,
            self.transactions_root,
            self.receipts_root,
            self.logs_bloom,
            b"",  # difficulty, zero since the merge (EIP-3675)
            _integer(self.number),
            _integer(self.gas_limit),
            _integer(self.gas_used),
            _integer(self.timestamp),
            self.extra_data,
            self.prev_randao,
            bytes(8),  # nonce, zero since the merge
            _integer(self.base_fee),
            self.withdrawals_root,
        ]
        if self.blob_gas_used is not None and self.excess_blob_gas is not None:
            values += [_integer(self.blob_gas_used), _integer(self.excess_blob_gas)]
            values.append(self.parent_beacon_root or bytes(32))
        if self.requests_hash is not None:
            values.append(self.requests_hash)
        encoded: bytes = rlp.encode(values)
        return encoded

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read a stored header; raises IntegrityError when it is none of ours."""
        values = rlp.decode(data, strict=True)
        if len(values) not in _HEADER_FIELDS.values():
            raise IntegrityError(f"a stored block header has {len(values)} fields")
        late = values[17:]
        return cls(
            parent_hash=values[0],
            coinbase=values[2],
            state_root=values[3],
            transactions_root=values[4],
            receipts_root=values[5],
            logs_bloom=values[6],
            number=int.from_bytes(values[8]),
            gas_limit=int.from_bytes(values[9]),
            gas_used=int.from_bytes(values[10]),
            timestamp=int.from_bytes(values[11]),
            extra_data=values[12],
            prev_randao=values[13],
            base_fee=int.from_bytes(values[15]),
            withdrawals_root=values[16],
            blob_gas_used=int.from_bytes(late[0]) if late else None,
            excess_blob_gas=int.from_bytes(late[1]) if late else None,
            parent_beacon_root=late[2] if late else None,
            requests_hash=late[3] if len(late) > 3 else None,
        )


def read_head(view: ReadView) -> Head:
    """Return the newest block of a state; raises IntegrityError when genesis is missing."""
    packed = view.get(HEAD, SINGLETON_KEY)
    if packed is None:
        raise IntegrityError("the state has no Ethereum genesis")
    return Head.unpack(packed)


def context_of(chain: ChainConfig, header: Header, hashes: Callable[[int], bytes]) -> BlockContext:
    """Return what transactions of a block with ``header`` see of it."""
    fixed = chain.environment
    if fixed is not None:
        return BlockContext(
            chain_id=chain.chain_id,
            fork=chain.fork_at(fixed.timestamp),
            number=fixed.number,
            timestamp=fixed.timestamp,
            gas_limit=fixed.gas_limit,
            base_fee=fixed.base_fee,
            coinbase=fixed.coinbase,
            prev_randao=fixed.prev_randao,
            excess_blob_gas=fixed.excess_blob_gas,
            pinned=True,
        )
    return BlockContext(
        chain_id=chain.chain_id,
        fork=chain.fork_at(header.timestamp),
        number=header.number,
        timestamp=header.timestamp,
        gas_limit=header.gas_limit,
        base_fee=header.base_fee,
        coinbase=header.coinbase,
        prev_randao=header.prev_randao,
        excess_blob_gas=header.excess_blob_gas or 0,
        block_hashes=hashes,
    )


def block_hashes(view: ReadView) -> Callable[[int], bytes]:
    """Return a function from block number to hash, 32 zero bytes for a block that does not exist."""

    def block_hash(number: int) -> bytes:
        packed = view.get(BLOCKS, number_key(number)) if number >= 0 else None
        return packed[BLOCK_HASH_SLICE] if packed is not None else bytes(32)

    return block_hash


def next_header(
    chain: ChainConfig, parent: Head, time_ms: int, randomness: bytes, gas_limit: int | None = None
) -> Header:
    """Return the header of the block after ``parent``, still without what executing it will give.

    Time never runs backwards; two blocks may share a second, since blocks are made on demand. The gas limit
    is that of genesis unless another is given.
    """
    timestamp = max(time_ms // 1000, parent.timestamp)
    header = _header(chain, parent.number + 1, parent.hash, timestamp, randomness)
    return header if gas_limit is None else attrs.evolve(header, gas_limit=gas_limit)


def next_gas_limit(view: ReadView, parent: Head, wanted: int) -> int:
    """Return the gas limit of the block after ``parent`` when the consortium wants ``wanted``.

    It moves by less than 1/1024 from block to block: headers beyond that are invalid (Yellow Paper, 4.3.4).
    """
    packed = view.get(BLOCKS, number_key(parent.number))
    if packed is None:
        raise IntegrityError(f"the state has no block {parent.number}")
    before = Header.decode(packed_header(packed)).gas_limit
    most = before // 1024 - 1
    return min(max(wanted, before - most), before + most)


def _header(chain: ChainConfig, number: int, parent_hash: bytes, timestamp: int, randomness: bytes) -> Header:
    fields = _HEADER_FIELDS[chain.fork_at(timestamp)]
    return Header(
        parent_hash=parent_hash,
        coinbase=chain.coinbase,
        number=number,
        gas_limit=chain.gas_limit,
        timestamp=timestamp,
        prev_randao=randomness,
        base_fee=chain.effective_base_fee,
        blob_gas_used=0 if fields >= 20 else None,
        excess_blob_gas=0 if fields >= 20 else None,
        parent_beacon_root=bytes(32) if fields >= 20 else None,
        requests_hash=EMPTY_REQUESTS_HASH if fields >= 21 else None,
    )


def sealed(header: Header, result: BlockResult) -> Header:
    """Return ``header`` committing to what executing its transactions gave."""
    return attrs.evolve(
        header,
        transactions_root=result.transactions_root,
        receipts_root=result.receipts_root,
        logs_bloom=result.logs_bloom,
        gas_used=result.gas_used,
    )


def block_writes(
    header: Header, batch: Batch, envelopes: Sequence[bytes], hashes: Sequence[bytes], engine: EvmEngine
) -> Writes:
    """Return the writes of a finished block: its record, its hash, the new head."""
    return _writes(header, batch.first_seqno, envelopes, hashes, engine)


def genesis_block(
    chain: ChainConfig, timestamp: int, extra_data: bytes, prev_randao: bytes, engine: EvmEngine
) -> Writes:
    """Return the writes of block 0."""
    header = attrs.evolve(_header(chain, 0, bytes(32), timestamp, prev_randao), extra_data=extra_data)
    return _writes(header, 0, (), (), engine)


def _writes(
    header: Header, first_seqno: int, envelopes: Sequence[bytes], hashes: Sequence[bytes], engine: EvmEngine
) -> Writes:
    encoded = header.encode()
    block_hash = engine.keccak256(encoded)
    block = Block(
        first_seqno=first_seqno,
        hash=block_hash,
        timestamp=header.timestamp,
        size=_size(encoded, envelopes),
        header=encoded,
        transactions=tuple(hashes),
    )
    key = number_key(header.number)
    return {
        BLOCKS: {key: block.pack()},
        BLOCK_HASHES: {block_hash: key},
        HEAD: {SINGLETON_KEY: Head(header.number, header.timestamp, block_hash).pack()},
    }


def _size(header: bytes, envelopes: Sequence[bytes]) -> int:
    """Return the size of ``rlp([header, transactions, ommers, withdrawals])`` without building it."""
    # A typed envelope is a string inside the list, a legacy one a list of its own (EIP-2718).
    inner = sum(len(raw) if raw[0] >= 0xC0 else _with_prefix(len(raw)) for raw in envelopes)
    return _with_prefix(len(header) + _with_prefix(inner) + 1 + 1)


def _with_prefix(size: int) -> int:
    return size + 1 if size < 56 else size + 1 + (size.bit_length() + 7) // 8


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8)
