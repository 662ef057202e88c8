"""What the adapter keeps in its maps: names, keys and the packed records of chain data.

Records are packed with ``struct``, not JSON: one is written for every transaction, read only when
somebody asks. Everything here is a pure function of bytes. The three state maps (accounts, storage,
code) are described in ``coco_ethereum.engine``.

================ ============================ ===============================================
map              key                          value
================ ============================ ===============================================
config           8 zero bytes                 the chain's configuration (``genesis``)
head             8 zero bytes                 ``number u64 ‖ timestamp u64 ‖ hash`` of the newest block
blocks           number u64                   Block
block_hashes     block hash                   number u64
transactions     transaction hash             Transaction
================ ============================ ===============================================

All integers are big-endian, so that keys sort by number.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

ACCOUNTS: Final = "ethereum.accounts"
STORAGE: Final = "ethereum.storage"
CODE: Final = "ethereum.code"
CONFIG: Final = "ethereum.config"
HEAD: Final = "ethereum.head"
BLOCKS: Final = "ethereum.blocks"
BLOCK_HASHES: Final = "ethereum.block_hashes"
TRANSACTIONS: Final = "ethereum.transactions"

MAPS: Final = (ACCOUNTS, BLOCK_HASHES, BLOCKS, CODE, CONFIG, HEAD, STORAGE, TRANSACTIONS)
"""Every map the adapter owns."""

SINGLETON_KEY: Final = bytes(8)

_NUMBER: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct(">QQ32s")
_BLOCK: Final = struct.Struct(">Q32sQIHI")
_TRANSACTION: Final = struct.Struct(">QIIQ16s20s20sBI")

BLOCK_HASH_SLICE: Final = slice(8, 40)
"""Where a packed block holds its hash, for readers that need nothing else."""
_TIMESTAMP_OFFSET: Final = 40

_HEADER_OFFSET: Final = _BLOCK.size
# Before the bloom a header holds, in RLP: list prefix (3), parent hash and ommers hash (33 each),
# coinbase (21), three roots (33 each) and the bloom's own prefix (3); its length is always 2 bytes long.
_BLOOM_OFFSET: Final = _HEADER_OFFSET + 3 + 33 + 33 + 21 + 3 * 33 + 3


def number_key(number: int) -> bytes:
    """Return the key of block ``number``."""
    return _NUMBER.pack(number)


def key_number(key: bytes) -> int:
    """Return the block number in a key or in a value of block_hashes."""
    number: int = _NUMBER.unpack(key)[0]
    return number


@attrs.frozen(slots=True)
class Head:
    """The newest block of a state."""

    number: int
    timestamp: int
    """Seconds."""
    hash: bytes

    def pack(self) -> bytes:
        """Return the stored form."""
        return _HEAD.pack(self.number, self.timestamp, self.hash)

    @classmethod
    def unpack(cls, data: bytes) -> Head:
        """Read the stored form."""
        return cls(*_HEAD.unpack(data))


@attrs.frozen(slots=True)
class Block:
    """A block: header in consensus encoding, place in the ledger, and its transactions' hashes."""

    first_seqno: int
    """Ledger seqno of its first transaction; state before this seqno is the parent's state."""
    hash: bytes
    timestamp: int
    """Seconds; the header's, here too so that it is read without decoding one."""
    size: int
    """Bytes of the whole block in RLP, as clients report it."""
    header: bytes
    transactions: tuple[bytes, ...]

    def pack(self) -> bytes:
        """Return the stored form."""
        fixed = _BLOCK.pack(
            self.first_seqno,
            self.hash,
            self.timestamp,
            self.size,
            len(self.header),
            len(self.transactions),
        )
        return b"".join((fixed, self.header, *self.transactions))

    @classmethod
    def unpack(cls, data: bytes) -> Block:
        """Read the stored form."""
        first_seqno, block_hash, timestamp, size, header_size, count = _BLOCK.unpack_from(data)
        start = _HEADER_OFFSET + header_size
        hashes = tuple(data[at : at + 32] for at in range(start, start + 32 * count, 32))
        return cls(first_seqno, block_hash, timestamp, size, data[_HEADER_OFFSET:start], hashes)


def packed_timestamp(data: bytes) -> int:
    """Return the seconds of a packed block without decoding anything else."""
    timestamp: int = _NUMBER.unpack_from(data, _TIMESTAMP_OFFSET)[0]
    return timestamp


def packed_header(data: bytes) -> bytes:
    """Return the header of a packed block without its transactions' hashes."""
    size: int = _BLOCK.unpack_from(data)[4]
    return data[_HEADER_OFFSET : _HEADER_OFFSET + size]


def packed_first_seqno(data: bytes) -> int:
    """Return the seqno of a packed block's first transaction."""
    return key_number(data[:8])


def packed_transaction_hash(data: bytes, index: int) -> bytes | None:
    """Return the hash of a packed block's transaction ``index``, or None beyond the last."""
    _, _, _, _, header_size, count = _BLOCK.unpack_from(data)
    start = _HEADER_OFFSET + header_size + 32 * index
    return data[start : start + 32] if index < count else None


def packed_count(data: bytes) -> int:
    """Return how many transactions a packed block has."""
    count: int = _BLOCK.unpack_from(data)[5]
    return count


def packed_bloom(data: bytes) -> bytes:
    """Return the 256-byte logs bloom of a packed block without decoding the header."""
    return data[_BLOOM_OFFSET : _BLOOM_OFFSET + 256]


def receipt_bloom(receipt: bytes) -> bytes:
    """Return the 256-byte logs bloom of a consensus receipt without decoding it.

    Before it stand, in RLP: the type if there is one (EIP-2718), the list's prefix, the status (one
    byte) and the cumulative gas.
    """
    at = 0 if receipt[0] >= 0xC0 else 1
    at += 1 + (receipt[at] - 0xF7) + 1
    gas = receipt[at]
    at += 1 if gas < 0x80 else 1 + gas - 0x80
    return receipt[at + 3 : at + 259]


@attrs.frozen(slots=True)
class Transaction:
    """A transaction in a block: the envelope, its receipt, and what neither of them says."""

    number: int
    """Of its block."""
    index: int
    """In its block."""
    first_log: int
    """Logs of the block before this transaction's."""
    gas_used: int
    effective_gas_price: int
    """Wei per gas; fee fields of an envelope have 128 bits."""
    sender: bytes
    created: bytes | None
    raw: bytes
    receipt: bytes

    @classmethod
    def unpack(cls, data: bytes) -> Transaction:
        """Read the stored form."""
        number, index, first_log, gas, price, sender, created, has_created, size = _TRANSACTION.unpack_from(
            data
        )
        end = _TRANSACTION.size + size
        return cls(
            number=number,
            index=index,
            first_log=first_log,
            gas_used=gas,
            effective_gas_price=int.from_bytes(price),
            sender=sender,
            created=created if has_created else None,
            raw=data[_TRANSACTION.size : end],
            receipt=data[end:],
        )


def pack_transaction(
    *,
    number: int,
    index: int,
    first_log: int,
    gas_used: int,
    effective_gas_price: int,
    sender: bytes,
    created: bytes | None,
    raw: bytes,
    receipt: bytes,
) -> bytes:
    """Return the stored form of a Transaction; a function, since it runs once per transaction."""
    fixed = _TRANSACTION.pack(
        number,
        index,
        first_log,
        gas_used,
        effective_gas_price.to_bytes(16),
        sender,
        created or bytes(20),
        created is not None,
        len(raw),
    )
    return fixed + raw + receipt
