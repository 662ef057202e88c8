"""Receipts prove one transaction of one service, in both forms, and nothing else."""

import attrs
import orjson
import pytest

from coco_core.base import TxID
from coco_core.errors import AttestationError, IntegrityError
from coco_core.ledger import LeafComponents, ReceiptKind, cose, cose_receipt, json_receipt, verify_receipt

CLAIMS = bytes(range(32))
MAKERS = [json_receipt, cose_receipt]


@pytest.fixture
def made(writer):
    writer.genesis()
    writer.sign()
    seqno = writer.tx({"records": {b"k": b"v"}}, claims=CLAIMS)
    for _ in range(4):
        writer.tx({"records": {b"k": b"w"}})
    size = writer.tree.size
    writer.sign()
    return writer.components(seqno), writer.tree.path(seqno, size), writer.signature


@pytest.mark.parametrize("make", MAKERS)
def test_a_receipt_proves_its_transaction(make, made, ids) -> None:
    receipt = verify_receipt(make(*made), ids.service)
    assert (receipt.txid, receipt.claims) == (TxID(2, 5), CLAIMS)
    assert receipt.write_set_digest == made[0].write_set_digest
    assert receipt.root == made[2].root
    if make is json_receipt:
        assert (receipt.kind, receipt.node, receipt.signed_txid) == (ReceiptKind.JSON, ids.node_id, None)
    else:
        assert (receipt.kind, receipt.node, receipt.signed_txid) == (ReceiptKind.COSE, None, TxID(2, 10))


@pytest.mark.parametrize("make", MAKERS)
def test_another_services_receipt_is_refused(make, made, strangers) -> None:
    with pytest.raises((IntegrityError, AttestationError)):
        verify_receipt(make(*made), strangers.service)


@pytest.mark.parametrize("make", MAKERS)
def test_a_receipt_for_anything_else_is_refused(make, made, ids) -> None:
    components, path, signature = made
    digest, evidence, claims = components.write_set_digest, components.commit_evidence, components.claims
    others = [
        LeafComponents(bytes(32), evidence, claims),
        LeafComponents(digest, evidence.replace("2.5", "2.6"), claims),
        LeafComponents(digest, "not evidence", claims),
        LeafComponents(digest, evidence, bytes(32)),
    ]
    for other in others:
        with pytest.raises(IntegrityError):
            verify_receipt(make(other, path, signature), ids.service)
    for wrong in (path[1:], path[::-1], [(not left, d) for left, d in path], [*path, (True, bytes(32))]):
        with pytest.raises(IntegrityError):
            verify_receipt(make(components, wrong, signature), ids.service)


@pytest.mark.parametrize("make", MAKERS)
def test_every_flipped_bit_is_refused_or_changes_nothing_proven(make, made, ids) -> None:
    data = make(*made)
    honest = verify_receipt(data, ids.service)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            receipt = verify_receipt(bytes(changed), ids.service)
        except (IntegrityError, AttestationError):
            continue
        assert receipt == honest


def test_a_signature_cannot_cover_what_follows_it(made, ids) -> None:
    components, path, signature = made
    for place in (TxID(2, 5), TxID(2, 4), TxID(1, 10)):
        early = cose.sign_root(ids.service_key, signature.root, place, issuer="", subject="", issued_at_s=0)
        with pytest.raises(IntegrityError, match="cannot cover"):
            verify_receipt(cose_receipt(components, path, attrs.evolve(signature, cose=early)), ids.service)


def test_a_node_that_the_service_did_not_endorse_is_refused(made, ids, strangers) -> None:
    fields = orjson.loads(json_receipt(*made))
    with pytest.raises(AttestationError, match="not endorsed"):
        verify_receipt(
            orjson.dumps(fields | {"cert": strangers.node, "node_id": strangers.node_id}), ids.service
        )
    with pytest.raises(IntegrityError, match="node_id"):
        verify_receipt(orjson.dumps(fields | {"node_id": strangers.node_id}), ids.service)


def test_malformed_receipts_are_refused(made, ids) -> None:
    fields = orjson.loads(json_receipt(*made))
    parts = fields["leaf_components"]
    bad = [
        fields | {"more": 1},
        fields | {"is_signature_transaction": True},
        fields | {"proof": [{"left": "00" * 32, "right": "00" * 32}]},
        fields | {"proof": [{"up": "00" * 32}]},
        fields | {"proof": {}},
        fields | {"leaf_components": parts | {"more": 1}},
        fields | {"leaf_components": parts | {"claims_digest": "AB" * 32}},
        fields | {"leaf_components": parts | {"claims_digest": "nonsense"}},
        fields | {"signature": "!"},
        fields | {"signature": "AB=="},
        fields | {"cert": fields["cert"] + "\n"},
        fields | {"cert": 1},
        {},
    ]
    data = [orjson.dumps(value) for value in bad]
    data += [b"", b"{", b"\xd2", b"[]", b"{" + b" " * 100_000]
    # A ledger's own COSE signature proves no transaction.
    data.append(made[2].cose)
    for wrong in data:
        with pytest.raises(IntegrityError):
            verify_receipt(wrong, ids.service)
