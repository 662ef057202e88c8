"""Packed records: what is written is what is read, and the bloom is where readers look for it."""

from __future__ import annotations

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import IntegrityError
from coco_ethereum.blocks import Header
from coco_ethereum.engine import Log
from coco_ethereum.receipts import Receipt, decode_receipt, stored_receipt
from coco_ethereum.records import (
    BLOCK_HASH_SLICE,
    Block,
    Head,
    Transaction,
    key_number,
    number_key,
    pack_transaction,
    packed_bloom,
    packed_count,
    packed_first_seqno,
    packed_header,
    packed_timestamp,
    packed_transaction_hash,
    receipt_bloom,
)

U64 = st.integers(0, 2**64 - 1)
HASH = st.binary(min_size=32, max_size=32)
ADDRESS = st.binary(min_size=20, max_size=20)


@given(U64, U64, HASH)
def test_head(number, timestamp, block_hash):
    head = Head(number, timestamp, block_hash)
    assert Head.unpack(head.pack()) == head
    assert key_number(number_key(number)) == number


@given(U64, HASH, U64, st.binary(max_size=700), st.lists(HASH, max_size=5))
def test_block(first_seqno, block_hash, timestamp, header, hashes):
    block = Block(first_seqno, block_hash, timestamp, 9, header, tuple(hashes))
    packed = block.pack()
    assert Block.unpack(packed) == block
    assert packed[BLOCK_HASH_SLICE] == block_hash
    assert packed_timestamp(packed) == timestamp
    assert packed_first_seqno(packed) == first_seqno
    assert packed_header(packed) == header
    assert packed_count(packed) == len(hashes)
    assert [packed_transaction_hash(packed, index) for index in range(len(hashes) + 1)] == [*hashes, None]


@given(
    st.integers(0, 2**32 - 1),
    U64,
    st.integers(0, 2**128 - 1),
    ADDRESS,
    st.none() | ADDRESS,
    st.binary(),
    st.binary(),
)
def test_transaction(index, gas, price, sender, created, raw, receipt):
    fields = {
        "number": 7,
        "index": index,
        "first_log": 3,
        "gas_used": gas,
        "effective_gas_price": price,
        "sender": sender,
        "created": created,
        "raw": raw,
        "receipt": receipt,
    }
    assert Transaction.unpack(pack_transaction(**fields)) == Transaction(**fields)


@given(
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from([0, 1]),
    st.integers(0, 2**64 - 1),
    st.lists(
        st.builds(Log, ADDRESS, st.lists(HASH, max_size=4).map(tuple), st.binary(max_size=300)), max_size=3
    ),
    st.sampled_from([0, 70_000]),
)
def test_bloom_of_a_receipt(kind, status, gas, logs, more):
    receipt = Receipt(kind, status, gas, (*logs, Log(bytes(20), (), bytes(more))))
    assert receipt_bloom(receipt.encode()) == receipt.bloom


def test_receipts_that_are_none():
    receipt = Receipt(0, 1, 5, ())
    assert stored_receipt(receipt.encode()) == decode_receipt(receipt.encode()) == receipt
    for read in (stored_receipt, decode_receipt):
        with pytest.raises(IntegrityError, match="bloom of another size"):
            read(rlp.encode([1, 5, bytes(255), []]))
        with pytest.raises(IntegrityError, match="cannot be decoded"):
            read(rlp.encode([1, 5, bytes(256)]))
    with pytest.raises(IntegrityError, match="canonical encoding"):
        decode_receipt(rlp.encode([b"\0\1", 5, bytes(256), []]))


@given(st.binary(min_size=256, max_size=256), st.integers(0, 2**63), st.binary(max_size=32))
def test_bloom_of_a_packed_block(bloom, number, extra_data):
    header = Header(
        parent_hash=bytes(32),
        coinbase=bytes(20),
        logs_bloom=bloom,
        number=number,
        gas_limit=number,
        timestamp=0,
        extra_data=extra_data,
        prev_randao=bytes(32),
        base_fee=0,
    )
    assert packed_bloom(Block(1, bytes(32), 0, 0, header.encode(), ()).pack()) == bloom
    assert Header.decode(header.encode()) == header
