"""What bundles look like in bytes, and what is not one."""

from __future__ import annotations

import pytest

from coco_core.adapter import (
    BundledTransaction,
    BundlePart,
    BundleReceipt,
    CommittedBundle,
    encode_bundle,
    encode_bundle_receipt,
    encode_bundle_record,
    read_bundle,
    read_bundle_receipt,
    read_bundle_record,
    read_committed_bundle,
)
from coco_core.base import TxID
from coco_core.errors import IntegrityError, MalformedError
from coco_core.wire import cbor

PARTS = (BundlePart("ethereum", b"\x02"), BundlePart("sawtooth", b""))
ROWS = (
    BundledTransaction(ledger="ethereum", seqno=7, claims=bytes(32)),
    BundledTransaction(ledger="sawtooth", seqno=9, claims=b"\x01" * 32),
)
RECEIPT = BundleReceipt(record=encode_bundle_record(ROWS), receipts=(b"a", b""))
COMMITTED = CommittedBundle(txid=TxID(3, 11), receipt=RECEIPT)


def test_there_and_back() -> None:
    assert read_bundle(encode_bundle(PARTS)) == PARTS
    assert read_bundle_record(RECEIPT.record) == RECEIPT.transactions == ROWS
    assert read_bundle_receipt(encode_bundle_receipt(RECEIPT)) == RECEIPT
    assert read_committed_bundle(COMMITTED.to_json()) == COMMITTED
    assert COMMITTED.transaction_ids == (TxID(3, 7), TxID(3, 9))


@pytest.mark.parametrize(
    "value", [b"", cbor.encode([["x"]]), cbor.encode([["x", "y"]]), cbor.encode([[1, b""]])]
)
def test_no_bundle(value: bytes) -> None:
    with pytest.raises(MalformedError):
        read_bundle(value)


@pytest.mark.parametrize(
    "value", [b"", cbor.encode([b"x"]), cbor.encode([b"x", [1]]), cbor.encode(["x", []])]
)
def test_no_receipt(value: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_bundle_receipt(value)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b'{"transactions": [{"ledger": 1, "seqno": 1, "claims": ""}]}',
        b'{"transactions": [{"x": 1}]}',
    ],
)
def test_no_record(record: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_bundle_record(record)


def test_an_answer_that_contradicts_its_record() -> None:
    for field in ("transaction_id", "record", "transactions"):
        value = COMMITTED.to_json()
        del value[field]
        with pytest.raises(IntegrityError):
            read_committed_bundle(value)
    value = COMMITTED.to_json()
    value["transactions"][0]["transaction_id"] = "3.8"
    with pytest.raises(IntegrityError, match="something else than its record"):
        read_committed_bundle(value)
    value = COMMITTED.to_json()
    value["transactions"].pop()
    with pytest.raises(IntegrityError):
        read_committed_bundle(value)
