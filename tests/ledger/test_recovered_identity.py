"""A recovery replaces the identity: what was signed before still proves itself, and nothing more."""

from __future__ import annotations

import pytest

from coco_core.base import TxID
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import PREVIOUS_IDENTITIES
from coco_core.ledger import (
    LedgerSigner,
    audit,
    cose_receipt,
    endorsements_in,
    json_receipt,
    predecessor_writes,
    verify_receipt,
)

CLAIMS = bytes(range(32))
MAKERS = [json_receipt, cose_receipt]


@pytest.fixture
def old(writer):
    """A transaction, its path and its signature, from before the recovery."""
    writer.genesis()
    seqno = writer.tx({"records": {b"k": b"v"}}, claims=CLAIMS)
    size = writer.tree.size
    writer.sign()
    return writer.components(seqno), writer.tree.path(seqno, size), writer.signature


@pytest.fixture
def recover(writer, strangers, tables):
    """Let strangers' identity take over; what the entry says of the identity before may be another's."""

    def do(endorsing=None, *, seqno_skipped: bool = False):
        endorsing = endorsing if endorsing is not None else tables["endorsing"](writer, strangers)
        if seqno_skipped:
            writer.tx({"public:records": {b"unsigned": b"tail"}})
        writer.view += 100
        writer.tx(
            tables["service_info"](strangers.service, "Opening")
            | tables["node_info"](strangers.node_id, "Trusted")
            | tables["endorsed"](strangers.node_id, strangers.node)
            | endorsing
        )
        writer.signer = LedgerSigner(
            strangers.node_key, strangers.node_id, strangers.node, strangers.service_key
        )
        writer.sign()
        return endorsements_in(endorsing.get(PREVIOUS_IDENTITIES, {}))

    return do


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────


def test_a_recovered_ledger_passes_under_the_new_identity(writer, strangers, old, recover) -> None:
    recover()
    writer.close()
    assert audit(writer.files, service_cert_pem=strangers.service).recoveries == 1


@pytest.mark.usefixtures("old")
def test_an_identity_that_just_takes_over_is_refused(writer, strangers, recover) -> None:
    recover({})
    writer.refused("service-endorsement", pinned=strangers.service)


@pytest.mark.usefixtures("old")
def test_nobody_else_endorses(writer, ids, strangers, recover, tables) -> None:
    """The old identity cannot name its successor: who recovers answers for what was before."""
    recover(tables["endorsing"](writer, ids))
    writer.refused("service-endorsement", pinned=strangers.service)


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("until", [TxID(2, 4), TxID(2, 6), TxID(102, 5)])
def test_it_endorses_what_was_signed_no_more_and_no_less(writer, strangers, recover, tables, until) -> None:
    recover(tables["endorsing"](writer, strangers, until))
    writer.refused("service-endorsement", pinned=strangers.service)


@pytest.mark.usefixtures("old")
def test_an_unsigned_tail_is_not_recovered(writer, strangers, recover) -> None:
    recover(seqno_skipped=True)
    writer.refused("service-endorsement", pinned=strangers.service)


@pytest.mark.usefixtures("old")
def test_nothing_is_endorsed_where_none_takes_over(writer, strangers, recover, tables) -> None:
    recover()
    writer.tx(tables["endorsing"](writer, strangers))
    writer.refused("service-endorsement", pinned=strangers.service)


@pytest.mark.usefixtures("old")
def test_the_table_must_be_readable(writer, strangers, recover) -> None:
    for table in ({b"short": b"x"}, {bytes(8): None}, {bytes(8): b"\xff"}):
        with pytest.raises(IntegrityError, match="previous_identities"):
            endorsements_in(table)
    recover({PREVIOUS_IDENTITIES: {bytes(8): b"no certificate"}})
    writer.refused("service-endorsement", pinned=strangers.service)


def test_only_what_came_later_is_endorsed() -> None:
    table = {
        **predecessor_writes("second", TxID(3, 20))[PREVIOUS_IDENTITIES],
        **predecessor_writes("first", TxID(2, 10))[PREVIOUS_IDENTITIES],
    }
    assert endorsements_in(table) == ["first", "second"]
    assert endorsements_in(table, after=9) == ["first", "second"]
    assert endorsements_in(table, after=10) == ["second"]
    assert endorsements_in(table, after=20) == []


# ── receipts ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", MAKERS)
def test_a_receipt_from_before_proves_itself_under_the_new_identity(make, strangers, old, recover) -> None:
    endorsements = recover()
    receipt = verify_receipt(make(*old, endorsements), strangers.service)
    assert (receipt.txid, receipt.claims, receipt.recoveries) == (TxID(2, 4), CLAIMS, 1)


@pytest.mark.parametrize("make", MAKERS)
def test_one_given_out_before_does_with_the_endorsements_beside_it(
    make, ids, strangers, old, recover
) -> None:
    endorsements = recover()
    assert verify_receipt(make(*old), ids.service).recoveries == 0
    with pytest.raises((IntegrityError, AttestationError)):
        verify_receipt(make(*old), strangers.service)
    assert verify_receipt(make(*old), strangers.service, endorsements).recoveries == 1


@pytest.mark.parametrize("make", MAKERS)
def test_what_was_signed_after_needs_none(make, writer, strangers, old, recover) -> None:
    endorsements = recover()
    seqno = writer.tx({"records": {b"k": b"v"}}, claims=CLAIMS)
    size = writer.tree.size
    writer.sign()
    made = writer.components(seqno), writer.tree.path(seqno, size), writer.signature
    assert verify_receipt(make(*made), strangers.service).recoveries == 0
    assert verify_receipt(make(*made), strangers.service, endorsements).recoveries == 0


@pytest.mark.parametrize("make", MAKERS)
def test_the_old_key_proves_nothing_behind_its_last_signature(make, writer, strangers, old, tables) -> None:
    """Whoever got hold of it can sign no more for this service."""
    endorsements = endorsements_in(tables["endorsing"](writer, strangers, TxID(2, 4))[PREVIOUS_IDENTITIES])
    with pytest.raises(AttestationError, match=r"nothing after 2\.4"):
        verify_receipt(make(*old, endorsements), strangers.service)


@pytest.mark.parametrize("make", MAKERS)
def test_endorsements_of_another_service_lead_nowhere(make, ids, strangers, old, recover) -> None:
    endorsements = recover()
    with pytest.raises((IntegrityError, AttestationError)):
        verify_receipt(make(*old, endorsements), ids.service)


@pytest.mark.parametrize("make", MAKERS)
def test_every_flipped_bit_is_refused_or_changes_nothing_proven(make, strangers, old, recover) -> None:
    data = make(*old, recover())
    honest = verify_receipt(data, strangers.service)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            receipt = verify_receipt(bytes(changed), strangers.service)
        except (IntegrityError, AttestationError):
            continue
        assert receipt == honest
