"""Making blocks: one for every batch that is applied, signed with the network's validator key.

Every node answers the same block ids, since blocks are made once and replicated. Knows records and signing,
not who executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from coco_core.adapter import Writes
from coco_sawtooth import messages, records
from coco_sawtooth.batches import Batch
from coco_sawtooth.contexts import Context
from coco_sawtooth.records import NO_BLOCK, Block
from coco_sawtooth.signing import Signer

CONSENSUS: Final = b"Coco"
"""What a block's header says of how it was agreed on; Sawtooth's own engines write their name first too."""
_CLAIMS_PREFIX: Final = b"coco.sawtooth.block.v1"


def block_claims(block: Block) -> bytes:
    """Return the claims digest of the entry that made a block: SHA-256 over prefix, block id and header.

    So whoever holds a Coco receipt for the entry can check that the consortium committed this block: its
    batches, its place in the chain and its state root.
    """
    return hashlib.sha256(_CLAIMS_PREFIX + bytes.fromhex(block.id) + block.header_bytes).digest()


def next_block(
    signer: Signer, previous: Block | None, batch_ids: Sequence[str], state_root: str, base_seqno: int
) -> Block:
    """Return the block after ``previous``, signed; the first one when there is none."""
    header = messages.BlockHeader(
        block_num=0 if previous is None else previous.number + 1,
        previous_block_id=NO_BLOCK if previous is None else previous.id,
        signer_public_key=signer.public_key,
        batch_ids=batch_ids,
        consensus=CONSENSUS,
        state_root_hash=state_root,
    )
    raw = header.SerializeToString(deterministic=True)
    return Block(
        id=signer.sign(raw),
        header=header,
        header_bytes=raw,
        base_seqno=base_seqno,
    )


def receipt(transaction_id: str, context: Context) -> bytes:
    """Return the serialised receipt of an executed transaction: what it set, then what it deleted."""
    found = messages.TransactionReceipt(
        transaction_id=transaction_id, events=context.events, data=context.data
    )
    changes = found.state_changes
    for key, value in context.writes.items():
        if value is not None:
            changes.add(address=key.hex(), value=value, type=messages.StateChange.SET)
    for key, value in context.writes.items():
        if value is None:
            changes.add(address=key.hex(), type=messages.StateChange.DELETE)
    return found.SerializeToString()


def block_writes(
    block: Block,
    batches: Sequence[tuple[Batch, Sequence[bytes]]],
    changes: Mapping[bytes, bytes | None],
) -> Writes:
    """Return what is written for a block: its batches with their receipts, and what they changed in state."""
    number = records.number_key(block.number)
    writes: Writes = {
        records.BLOCKS: {number: block.pack()},
        records.BLOCK_IDS: {bytes.fromhex(block.id): number},
        records.ROOTS: {bytes.fromhex(block.header.state_root_hash): number},
        records.CHAIN: {records.HEAD: number},
        records.BATCHES: {bytes.fromhex(batch.id): number + batch.raw for batch, _ in batches},
    }
    transactions: dict[bytes, bytes | None] = {}
    receipts: dict[bytes, bytes | None] = {}
    for batch, raw_receipts in batches:
        for index, (transaction, raw) in enumerate(zip(batch.transactions, raw_receipts, strict=True)):
            key = bytes.fromhex(transaction.id)
            transactions[key] = records.position(batch.id, index)
            receipts[key] = raw
    if transactions:
        writes |= {records.TRANSACTIONS: transactions, records.RECEIPTS: receipts}
    if changes:
        writes[records.STATE] = dict(changes)
    return writes
