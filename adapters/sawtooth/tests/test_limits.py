"""Bounds: what this adapter allows fits what the core does, also in the worst case."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from coco_core.base import limits as core
from coco_sawtooth import limits, messages
from coco_sawtooth.batches import read
from coco_sawtooth.blocks import block_writes, next_block, receipt
from coco_sawtooth.contexts import Context, TooMuchError
from coco_sawtooth.rejections import rejected
from coco_sawtooth.testing import Client

ENTRY_ROWS_MAX_BYTES = 64 * 1024
"""Names of maps and rows of the block itself."""


@pytest.mark.parametrize(
    "write",
    [
        lambda context, number: context.set([(f"{number:070x}", b"")]),
        lambda context, number: context.set([(f"{number:070x}", bytes(300_000))]),
        lambda context, number: context.delete([f"{number:070x}"]),
    ],
    ids=["many small values", "few large values", "deletions"],
)
def test_the_most_a_batch_may_write_fits_an_entry(write):
    client = Client.named("alice")
    batch = read(
        client.batch(client.transaction(family=("f", "1"), inputs=[""], outputs=[""])).SerializeToString()
    )
    context = Context(("",), ("",), ())
    with contextlib.suppress(TooMuchError):
        for number in itertools.count():
            write(context, number)
    block = next_block(client.signer, None, [batch.id], "00" * 32, 0)
    writes = block_writes(block, [(batch, [receipt(batch.transactions[0].id, context)])], context.writes)
    rows = [(key, value or b"") for changes in writes.values() for key, value in changes.items()]
    # Every row is framed by a few bytes, see the encoding of write sets.
    size = sum(len(key) + len(value) + 10 for key, value in rows)
    assert size + core.PAYLOAD_SIZE_MAX_BYTES + ENTRY_ROWS_MAX_BYTES < core.WRITE_SET_SIZE_MAX_BYTES


def test_events_and_data_without_content_count_too():
    context = Context((), (), ())
    for _ in range(1_000):
        context.add_event(messages.Event())
        context.add_receipt_data(b"")
    assert context.size >= len(receipt("ab" * 64, context))


def test_the_longest_refusals_fit_a_core_batch_beside_what_is_applied():
    longest = rejected(
        "code",
        "\U0001f600" * 10_000,
        batch_id="ab" * 64,
        transaction_id="ab" * 64,
        extended_data=bytes(10**6),
    )
    size = len(longest.data) + len(longest.message.encode())
    assert size < core.REJECTION_SIZE_MAX_BYTES
    # Nothing is put off before something is applied; what is applied then may be as large as an entry.
    before = max(core.BATCH_REQUESTS_MAX * size, limits.ROUND_WRITES_SIZE_MAX_BYTES)
    assert before + core.WRITE_SET_SIZE_MAX_BYTES < core.BATCH_RESULT_MAX_BYTES
