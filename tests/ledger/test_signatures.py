"""Signature entries: made, read back, checked; every lie has its own refusal."""

import base64

import attrs
import cbor2
import orjson
import pytest

from coco_core.base import TxID
from coco_core.crypto import Curve, PrivateKey, SignatureError
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import COSE_SIGNATURES, SIGNATURES, SINGLETON_KEY, TREE
from coco_core.ledger import (
    LedgerSigner,
    MerkleTree,
    check_root,
    check_signature,
    cose,
    read_signature,
    signed_at_s,
)

PLACE = TxID(2, 9)
ROOT = bytes(range(32))


@pytest.fixture(scope="module")
def writes(ids):
    signer = LedgerSigner(ids.node_key, ids.node_id, ids.node, ids.service_key, issuer="us", subject="ours")
    return signer.writes(ROOT, PLACE, MerkleTree().serialise(), 1_700_000_000)


@pytest.fixture(scope="module")
def signature(writes):
    return read_signature(writes)


def test_what_is_signed_is_read_and_checks(ids, signature) -> None:
    assert (signature.txid, signature.node, signature.root) == (PLACE, ids.node_id, ROOT)
    assert signature.node_cert_pem == ids.node
    check_root(signature, ROOT, PLACE, ids.node_key.public)
    statement = check_signature(signature, ROOT, PLACE, ids.node_key.public, ids.service_key.public)
    assert (statement.txid, statement.issued_at_s) == (PLACE, 1_700_000_000)
    assert (statement.issuer, statement.subject) == ("us", "ours")
    assert statement.algorithm == -35
    assert statement.kid == ids.service_key.public.node_id()


def test_a_p256_service_key_signs_es256(ids) -> None:
    key = PrivateKey.generate(Curve.P256)
    signer = LedgerSigner(ids.node_key, ids.node_id, ids.node, key)
    signature = read_signature(signer.writes(ROOT, PLACE, b"", 0))
    assert check_signature(signature, ROOT, PLACE, ids.node_key.public, key.public).algorithm == -7


def test_each_check_refuses_what_it_is_for(ids, strangers, signature) -> None:
    node, service = ids.node_key.public, ids.service_key.public
    with pytest.raises(IntegrityError, match="signed root"):
        check_root(signature, bytes(32), PLACE, node)
    with pytest.raises(IntegrityError, match=r"signature for 2.9 stands at 2.10"):
        check_root(signature, ROOT, TxID(2, 10), node)
    with pytest.raises(IntegrityError, match="is by"):
        check_root(signature, ROOT, PLACE, strangers.node_key.public)
    with pytest.raises(IntegrityError, match="kid"):
        check_signature(signature, ROOT, PLACE, node, strangers.service_key.public)
    check_signature(signature, ROOT, PLACE, node, service)


def test_the_services_statement_must_be_bare_and_for_this_place(ids, signature) -> None:
    node, service = ids.node_key.public, ids.service_key.public
    proof = cose.InclusionProof(bytes(32), "ce:2.1:00", bytes(32), ())
    proven = attrs.evolve(signature, cose=cose.with_proof(signature.cose, proof))
    with pytest.raises(IntegrityError, match="proof attached"):
        check_signature(proven, ROOT, PLACE, node, service)
    other = cose.sign_root(ids.service_key, ROOT, TxID(2, 8), issuer="", subject="", issued_at_s=0)
    with pytest.raises(IntegrityError, match=r"for 2.8 stands at 2.9"):
        check_signature(attrs.evolve(signature, cose=other), ROOT, PLACE, node, service)


def test_signatures_by_other_keys_are_refused(ids, strangers) -> None:
    forged = read_signature(
        LedgerSigner(ids.node_key, ids.node_id, ids.node, strangers.service_key).writes(ROOT, PLACE, b"", 0)
    )
    statement = cose.read(forged.cose)
    as_ours = cose.CoseRootSignature(
        **{name: getattr(statement, name) for name in statement.__slots__ if not name.startswith("_")}
        | {"kid": ids.service_key.public.node_id()}
    )
    with pytest.raises(SignatureError):
        cose.check(as_ours, ROOT, ids.service_key.public)
    honest = cose.read(cose.sign_root(ids.service_key, ROOT, PLACE, issuer="", subject="", issued_at_s=0))
    with pytest.raises(SignatureError):
        cose.check(honest, bytes(32), ids.service_key.public)


def test_a_signature_entry_says_when_it_was_made(writes) -> None:
    assert signed_at_s(writes) == 1_700_000_000
    with pytest.raises(IntegrityError, match="no signature entry"):
        signed_at_s({"public:records": {b"k": b"v"}})


def test_write_sets_without_a_signature_are_not_one() -> None:
    assert read_signature({"public:records": {b"k": b"v"}}) is None
    assert read_signature({TREE: {SINGLETON_KEY: b""}}) is None


def _table(writes, name, value):
    return writes | {name: {SINGLETON_KEY: value}}


def test_anything_but_our_own_form_is_refused(writes) -> None:
    fields = orjson.loads(writes[SIGNATURES][SINGLETON_KEY])
    sig = fields["sig"]
    bad_fields = [
        {"seqno": "9"},
        {"root": ROOT.hex().upper()},
        {"root": "00"},
        {"root": "zz" * 32},
        {"sig": sig[:-1]},
        {"sig": "not base64!"},
        {"sig": "MB=="},
        {"cert": None},
        {"more": 1},
    ]
    bad = [_table(writes, SIGNATURES, orjson.dumps(fields | change)) for change in bad_fields]
    bad += [
        {name: value for name, value in writes.items() if name != COSE_SIGNATURES},
        {name: value for name, value in writes.items() if name != SIGNATURES},
        {name: value for name, value in writes.items() if name != TREE},
        writes | {"public:records": {b"k": b"v"}},
        writes | {SIGNATURES: {b"other": b"{}"}},
        writes | {SIGNATURES: writes[SIGNATURES] | {b"other": b"{}"}},
        writes | {TREE: {SINGLETON_KEY: None}},
        _table(writes, SIGNATURES, orjson.dumps(fields) + b" "),
        _table(writes, SIGNATURES, b"{"),
        _table(writes, SIGNATURES, b"[]"),
        _table(writes, SIGNATURES, b" " * 20_000),
        _table(writes, COSE_SIGNATURES, b"1"),
    ]
    for wrong in bad:
        with pytest.raises(IntegrityError):
            read_signature(wrong)


def test_a_signer_must_be_who_it_says(ids, strangers) -> None:
    with pytest.raises(AttestationError, match="node ID"):
        LedgerSigner(ids.node_key, strangers.node_id, ids.node, ids.service_key)
    with pytest.raises(AttestationError, match="certificate"):
        LedgerSigner(ids.node_key, ids.node_id, strangers.node, ids.service_key)


def test_malformed_cose_is_refused(signature) -> None:
    good = cbor2.loads(signature.cose)
    protected, _, payload, raw = good.value
    header = dict(cbor2.loads(protected))
    encode = lambda value, tag=18: cbor2.dumps(cbor2.CBORTag(tag, value), canonical=True)  # noqa: E731 - a table of forgeries reads best with it
    headers = [
        {**header, 395: 1},
        {**header, 999: 0},
        {**header, "ccf.v1": {"txid": "02.9"}},
        {**header, "ccf.v1": {"txid": "nonsense"}},
        {**header, "ccf.v1": {"txid": "2.9", "more": 1}},
        {**header, 4: "text"},
        {key: value for key, value in header.items() if key != 15},
    ]
    bad = [encode([cbor2.dumps(wrong, canonical=True), {}, payload, raw]) for wrong in headers]
    proof = cbor2.dumps({1: [bytes(32), "ce", bytes(32)], 2: []}, canonical=True)
    unprotected = [
        {1: 2},
        {396: {}},
        {396: {-1: []}},
        {396: {-1: [1]}},
        {396: {-1: [b"\xa0"]}},
        {396: {-1: [proof], 1: 1}},
        {396: {-1: [cbor2.dumps({1: [bytes(31), "ce", bytes(32)], 2: []}, canonical=True)]}},
        {396: {-1: [cbor2.dumps({1: [bytes(32), "ce", bytes(32)], 2: [[1, bytes(32)]]}, canonical=True)]}},
    ]
    bad += [encode([protected, wrong, payload, raw]) for wrong in unprotected]
    bad += [
        encode([protected, {}, b"attached", raw]),
        encode([protected, {}, payload]),
        encode([protected, {}, payload, raw], tag=17),
        cbor2.dumps([protected, {}, payload, raw]),
        b"",
        base64.b64encode(signature.cose),
        bytes(100_000),
    ]
    for wrong in bad:
        with pytest.raises(IntegrityError):
            cose.read(wrong)
    assert cose.read(encode([protected, {396: {-1: [proof]}}, payload, raw])).proofs[0].path == ()
