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
    """Write an entry that says which ``(seqno, claims)`` were committed together, of ledger x or another."""
    record = encode_bundle_record(
        [BundledTransaction(ledger=(*ledger, "x")[0], seqno=at, claims=of) for at, of, *ledger in rows]
    )
    writes = {BUNDLE: {SINGLETON_KEY: record}, **(beside or {})}
    writer.tx(writes, claims=bundle_claims(record) if claims is None else claims)


@pytest.fixture
def begun(writer):
    writer.genesis()
    writer.tx({"public:x": {b"a": b"1"}}, claims=FIRST)
    writer.sign()
    writer.tx({"public:x.m": {b"b": b"1"}, "x.m": {b"b": b"1"}}, claims=FIRST)
    writer.tx({"public:y.m": {b"c": b"1"}}, claims=SECOND)
    return writer


def judged(writer, ids):
    writer.sign()
    writer.close()
    return audit(writer.files, service_cert_pem=ids.service)


def test_a_bundle_that_says_what_is_there(begun, ids) -> None:
    at = begun.seqno
    bundle(begun, (at - 1, FIRST), (at, SECOND, "y"))
    assert judged(begun, ids).unsigned_tail == 0


LIES = {
    "another batch's": lambda at: [(at - 3, FIRST), (at, SECOND, "y")],
    "other claims": lambda at: [(at - 1, FIRST), (at, FIRST)],
    "out of order": lambda at: [(at, SECOND, "y"), (at - 1, FIRST)],
    "one twice": lambda at: [(at, SECOND, "y"), (at, SECOND, "y")],
    "itself": lambda at: [(at + 1, bytes(32))],
    "what comes later": lambda at: [(at + 9, FIRST)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_bundle_that_lies(begun, ids, lie: str) -> None:
    bundle(begun, *LIES[lie](begun.seqno))
    with pytest.raises(LedgerAuditError, match="was not committed with this bundle") as caught:
        judged(begun, ids)
    assert caught.value.rule == "bundle"


@pytest.mark.parametrize("ledger", ["x", "", "y.m", "public:y", "Y", "coco"])
def test_a_bundle_that_says_another_ledger_wrote_it(begun, ids, ledger: str) -> None:
    bundle(begun, (begun.seqno, SECOND, ledger))
    with pytest.raises(LedgerAuditError, match=r"a bundle (says that ledger|names)") as caught:
        judged(begun, ids)
    assert caught.value.rule == "bundle"


def test_sealed_entries_have_a_ledger_for_who_can_open_them(begun, ids) -> None:
    begun.tx({"z.m": {b"d": b"1"}}, claims=SECOND)
    bundle(begun, (begun.seqno, SECOND, "x"))
    begun.sign()
    begun.close()
    audit(begun.files, service_cert_pem=ids.service)
    with pytest.raises(LedgerAuditError, match=r"ledger x wrote 'z\.m'"):
        audit(begun.files, service_cert_pem=ids.service, secrets=begun.secrets)


def test_no_entry_is_of_two_bundles(begun, ids) -> None:
    at = begun.seqno
    bundle(begun, (at, SECOND, "y"))
    bundle(begun, (at - 1, FIRST), (at, SECOND, "y"))
    with pytest.raises(LedgerAuditError, match="was not committed with this bundle"):
        judged(begun, ids)


def test_neither_governance_nor_a_bundle_is_part_of_a_bundle(begun, ids) -> None:
    begun.tx({"public:coco.gov.access": {b"x": b"{}"}})
    bundle(begun, (begun.seqno, bytes(32), "coco"))
    with pytest.raises(LedgerAuditError, match=r"ledger coco wrote 'public:coco\.gov\.access'"):
        judged(begun, ids)


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
