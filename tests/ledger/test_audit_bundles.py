"""What a bundle's entry says of the entries before it, and lies that the auditor finds."""

from __future__ import annotations

import pytest

from coco_core.kv.maps import BUNDLE, SINGLETON_KEY
from coco_core.ledger import (
    BundledTransaction,
    LedgerAuditError,
    audit,
    bundle_claims,
    encode_bundle_record,
)

FIRST, SECOND = b"\x01" * 32, b"\x02" * 32


def bundle(writer, *rows, claims: bytes | None = None, beside=None) -> None:
    """Write an entry that says which ``(seqno, claims)`` were committed together."""
    record = encode_bundle_record([BundledTransaction(ledger="x", seqno=at, claims=of) for at, of in rows])
    writes = {BUNDLE: {SINGLETON_KEY: record}, **(beside or {})}
    writer.tx(writes, claims=bundle_claims(record) if claims is None else claims)


@pytest.fixture
def begun(writer):
    writer.genesis()
    writer.tx({"public:x": {b"a": b"1"}}, claims=FIRST)
    writer.sign()
    writer.tx({"public:x": {b"b": b"1"}}, claims=FIRST)
    writer.tx({"public:y": {b"c": b"1"}}, claims=SECOND)
    return writer


def judged(writer, ids):
    writer.sign()
    writer.close()
    return audit(writer.files, service_cert_pem=ids.service)


def test_a_bundle_that_says_what_is_there(begun, ids) -> None:
    at = begun.seqno
    bundle(begun, (at - 1, FIRST), (at, SECOND))
    assert judged(begun, ids).unsigned_tail == 0


LIES = {
    "another batch's": lambda at: [(at - 3, FIRST), (at, SECOND)],
    "other claims": lambda at: [(at - 1, FIRST), (at, FIRST)],
    "out of order": lambda at: [(at, SECOND), (at - 1, FIRST)],
    "one twice": lambda at: [(at, SECOND), (at, SECOND)],
    "itself": lambda at: [(at + 1, bytes(32))],
    "what comes later": lambda at: [(at + 9, FIRST)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_bundle_that_lies(begun, ids, lie: str) -> None:
    bundle(begun, *LIES[lie](begun.seqno))
    with pytest.raises(LedgerAuditError, match="was not committed with this bundle") as caught:
        judged(begun, ids)
    assert caught.value.rule == "bundle"


def test_the_entry_itself(begun, ids) -> None:
    bundle(begun, (begun.seqno, SECOND), claims=bytes(32))
    with pytest.raises(LedgerAuditError, match="claims another record"):
        judged(begun, ids)


@pytest.mark.parametrize(
    "writes",
    [
        {BUNDLE: {SINGLETON_KEY: None}},
        {BUNDLE: {b"other": b"{}"}},
        {BUNDLE: {SINGLETON_KEY: b"{}"}, "public:x": {b"a": b"1"}},
    ],
)
def test_a_record_is_alone(begun, ids, writes) -> None:
    begun.tx(writes)
    with pytest.raises(LedgerAuditError, match="not alone in its entry"):
        judged(begun, ids)


def test_a_record_that_cannot_be_read(begun, ids) -> None:
    begun.tx({BUNDLE: {SINGLETON_KEY: b"[]"}}, claims=bundle_claims(b"[]"))
    with pytest.raises(LedgerAuditError, match="malformed record of a bundle"):
        judged(begun, ids)
