"""The chain as a round makes it longer: one block for each batch that is applied, in order.

Knows blocks, roots and what is injected; not who executed, nor when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from coco_core.adapter import Applied
from coco_core.errors import RejectedError
from coco_sawtooth import batches
from coco_sawtooth.batches import Batch
from coco_sawtooth.block_info import apply_block_info, injected_batch, is_injected
from coco_sawtooth.blocks import block_claims, block_writes, next_block, receipt
from coco_sawtooth.contexts import Context, Layer, look_up
from coco_sawtooth.records import Block
from coco_sawtooth.roots import StateRoots
from coco_sawtooth.signing import Signer


@attrs.frozen(eq=False)
class Injected:
    """A batch that stands before another one in its block, executed."""

    batch: Batch
    context: Context


@attrs.define(eq=False, kw_only=True)
class Chain:
    """The newest block, the state after it, and how to make the next."""

    head: Block
    signer: Signer
    roots: StateRoots
    base: Sequence[Layer]
    """State before the round."""
    time_s: int
    """Unix time of the round, in seconds."""
    base_seqno: int
    """The core's seqno before the round."""
    overlay: dict[bytes, bytes | None] = attrs.field(factory=dict)
    """What the round's valid batches wrote, also those whose blocks are not made yet."""

    def read(self, key: bytes) -> bytes:
        """Return the value of an address, empty when there is none."""
        return look_up((self.overlay, *self.base), key)

    def inject(self) -> Injected | None:
        """Return what the next block begins with by the settings in state, None when nothing."""
        if not is_injected(self.read):
            return None
        raw = injected_batch(self.signer, self.head, self.time_s).SerializeToString()
        batch = batches.read(raw)
        [transaction] = batch.transactions
        context = Context(transaction.inputs, transaction.outputs, (self.overlay, *self.base))
        try:
            apply_block_info(transaction, context, self.time_s)
        except RejectedError:
            return None
        return Injected(batch, context)

    def append(
        self,
        batch: Batch,
        contexts: Sequence[Context],
        writes: Mapping[bytes, bytes | None],
        injected: Injected | None,
    ) -> Applied:
        """Make the block of an executed batch; its ``writes``, of all contexts, are in the overlay."""
        made = [(batch, [_receipt(batch, index, context) for index, context in enumerate(contexts)])]
        changes = dict(writes)
        if injected is not None:
            self.overlay.update(injected.context.writes)
            self.overlay.update(writes)
            changes = injected.context.writes | changes
            made.insert(0, (injected.batch, [_receipt(injected.batch, 0, injected.context)]))
        root = self.roots.root_after(changes)
        ids = [each.id for each, _ in made]
        block = next_block(self.signer, self.head, ids, root, self.base_seqno)
        self.roots.made(block)
        self.head = block
        return Applied(
            block_writes(block, made, changes), receipt=bytes.fromhex(block.id), claims=block_claims(block)
        )


def _receipt(batch: Batch, index: int, context: Context) -> bytes:
    return receipt(batch.transactions[index].id, context)
