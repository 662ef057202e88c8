"""What is kept in the ledger's maps, and reading it back. Knows no rules: whoever writes has checked.

Identifiers, roots and addresses are 64, 32 and 35 raw bytes as keys, hex in the values this room hands out.
One block per applied batch, so everything about a batch is written by the entry that applies it.

| map | key | value |
|---|---|---|
| state | address | value |
| blocks | number, 8 bytes | ``Block`` without its batches, and where it is in the core's ledger |
| block_ids, roots | block id, state root | number, 8 bytes; of a root the newest block that has it |
| batches | batch id | number of its block, 8 bytes; the serialised ``Batch`` |
| transactions | transaction id | batch id; position in it, 4 bytes |
| receipts | transaction id | serialised ``TransactionReceipt`` |
| chain | ``head`` | number of the newest block, 8 bytes |
| keys | ``validator`` | private key that signs blocks |
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import attrs

from coco_core.adapter import ReadView
from coco_sawtooth import messages
from coco_sawtooth.addresses import is_id
from coco_sawtooth.identity import NAME

STATE: Final = f"{NAME}.state"
BLOCKS: Final = f"{NAME}.blocks"
BLOCK_IDS: Final = f"{NAME}.block_ids"
ROOTS: Final = f"{NAME}.roots"
BATCHES: Final = f"{NAME}.batches"
TRANSACTIONS: Final = f"{NAME}.transactions"
RECEIPTS: Final = f"{NAME}.receipts"
CHAIN: Final = f"{NAME}.chain"
KEYS: Final = f"{NAME}.keys"
MAPS: Final = (STATE, BLOCKS, BLOCK_IDS, ROOTS, BATCHES, TRANSACTIONS, RECEIPTS, CHAIN, KEYS)

HEAD: Final = b"head"
VALIDATOR: Final = b"validator"

NO_BLOCK: Final = "0" * 16
"""The previous block of the first one."""

_BLOCK: Final = struct.Struct(">Q64s")
_POSITION: Final = struct.Struct(">64sI")


@attrs.frozen(kw_only=True)
class Block:
    """A block of the chain."""

    id: str
    header: messages.BlockHeader
    header_bytes: bytes = attrs.field(repr=False)
    base_seqno: int
    """A seqno of the core before it was made: state at this block is the core's state there and what the
    blocks since then changed, up to this one. 0 for the first block."""

    @property
    def number(self) -> int:
        """Its number, the first block's is 0."""
        return self.header.block_num

    def pack(self) -> bytes:
        """Return the stored form."""
        return _BLOCK.pack(self.base_seqno, bytes.fromhex(self.id)) + self.header_bytes

    @classmethod
    def unpack(cls, data: bytes) -> Block:
        """Read the stored form."""
        base_seqno, raw_id = _BLOCK.unpack_from(data)
        header = data[_BLOCK.size :]
        return cls(
            id=raw_id.hex(),
            header=messages.BlockHeader.FromString(header),
            header_bytes=header,
            base_seqno=base_seqno,
        )


def number_key(number: int) -> bytes:
    """Return the key of a block number."""
    return number.to_bytes(8)


def position(batch_id: str, index: int) -> bytes:
    """Return the row of a transaction: its batch and its place in it."""
    return _POSITION.pack(bytes.fromhex(batch_id), index)


def head_number(view: ReadView) -> int | None:
    """Return the number of the newest block; None before genesis."""
    row = view.get(CHAIN, HEAD)
    return None if row is None else int.from_bytes(row)


def head(view: ReadView) -> Block | None:
    """Return the newest block; None before genesis."""
    number = head_number(view)
    return None if number is None else block_by_number(view, number)


def block_by_number(view: ReadView, number: int) -> Block | None:
    """Return block ``number``, or None beyond the newest."""
    row = view.get(BLOCKS, number_key(number)) if 0 <= number < 1 << 64 else None
    return None if row is None else Block.unpack(row)


def number_of_block(view: ReadView, block_id: str) -> int | None:
    """Return the number of the block with an id; None when there is none, or when it is no id."""
    row = view.get(BLOCK_IDS, bytes.fromhex(block_id)) if is_id(block_id) else None
    return None if row is None else int.from_bytes(row)


def block_by_id(view: ReadView, block_id: str) -> Block | None:
    """Return the block with an id, or None."""
    number = number_of_block(view, block_id)
    return None if number is None else block_by_number(view, number)


def block_by_root(view: ReadView, state_root: str) -> Block | None:
    """Return the newest block with a state root (64 hex digits), or None."""
    try:
        key = bytes.fromhex(state_root)
    except ValueError:
        return None
    row = view.get(ROOTS, key)
    return None if row is None else block_by_number(view, int.from_bytes(row))


def raw_batch(view: ReadView, batch_id: str) -> bytes | None:
    """Return a committed batch, serialised as it was sent; None when it is not committed."""
    row = view.get(BATCHES, bytes.fromhex(batch_id)) if is_id(batch_id) else None
    return None if row is None else row[8:]


def number_of_batch(view: ReadView, batch_id: str) -> int | None:
    """Return the number of the block that holds a batch, or None."""
    row = view.get(BATCHES, bytes.fromhex(batch_id)) if is_id(batch_id) else None
    return None if row is None else int.from_bytes(row[:8])


def place_of_transaction(view: ReadView, transaction_id: str) -> tuple[str, int] | None:
    """Return the id of the batch that holds a transaction and its place in it, or None."""
    row = view.get(TRANSACTIONS, bytes.fromhex(transaction_id)) if is_id(transaction_id) else None
    if row is None:
        return None
    batch, index = _POSITION.unpack(row)
    return batch.hex(), index


def transaction(view: ReadView, transaction_id: str) -> messages.Transaction | None:
    """Return a committed transaction, or None."""
    place = place_of_transaction(view, transaction_id)
    raw = None if place is None else raw_batch(view, place[0])
    if place is None or raw is None:
        return None
    return messages.Batch.FromString(raw).transactions[place[1]]


def raw_receipt(view: ReadView, transaction_id: str) -> bytes | None:
    """Return the serialised ``TransactionReceipt`` of a committed transaction, or None."""
    return view.get(RECEIPTS, bytes.fromhex(transaction_id)) if is_id(transaction_id) else None


def whole_block(view: ReadView, block: Block) -> messages.Block:
    """Return a block with its batches, as clients get it."""
    found = messages.Block(header=block.header_bytes, header_signature=block.id)
    for batch_id in block.header.batch_ids:
        found.batches.add().MergeFromString(raw_batch(view, batch_id) or b"")
    return found


def receipts_of_block(view: ReadView, block: Block) -> Iterator[messages.TransactionReceipt]:
    """Yield the receipts of a block's transactions, in their order."""
    for batch_id in block.header.batch_ids:
        raw = raw_batch(view, batch_id) or b""
        header = messages.BatchHeader.FromString(messages.Batch.FromString(raw).header)
        for transaction_id in header.transaction_ids:
            yield messages.TransactionReceipt.FromString(raw_receipt(view, transaction_id) or b"")


def changes_of_block(view: ReadView, block: Block) -> dict[bytes, bytes | None]:
    """Return what a block's transactions changed in state, from their receipts."""
    changes: dict[bytes, bytes | None] = {}
    for receipt in receipts_of_block(view, block):
        for change in receipt.state_changes:
            deleted = change.type == messages.StateChange.DELETE
            changes[bytes.fromhex(change.address)] = None if deleted else change.value
    return changes


def state_at(block: Block, newest: ReadView, base: ReadView) -> ReadView:
    """Return state as of ``block``, from committed views: the newest, and the core's at its ``base_seqno``.

    A core's batch may hold several blocks, and its views show it whole or not at all.
    """
    changes: dict[bytes, bytes | None] = {}
    at_base = head_number(base)
    for number in range(0 if at_base is None else at_base + 1, block.number + 1):
        each = block_by_number(newest, number)
        if each is not None:
            changes.update(changes_of_block(newest, each))
    return base.over({STATE: changes})


def state_value(view: ReadView, address: str) -> bytes | None:
    """Return the value at a whole address (70 hex digits), or None."""
    return view.get(STATE, bytes.fromhex(address))
