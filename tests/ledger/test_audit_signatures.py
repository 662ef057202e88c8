"""What the auditor asks of signature entries and files, rule by rule."""

import base64

import orjson
import pytest

from coco_core.base import TxID
from coco_core.crypto import self_signed
from coco_core.kv.maps import (
    COSE_SIGNATURES,
    NODES_INFO,
    SIGNATURES,
    SINGLETON_KEY,
    TREE,
)
from coco_core.ledger import (
    LedgerAuditError,
    LedgerSecrets,
    LedgerSigner,
    MerkleTree,
    audit,
    cose,
    read_signature,
)


@pytest.mark.parametrize("missing", [SIGNATURES, COSE_SIGNATURES])
def test_one_signature_instead_of_two(writer, missing) -> None:
    writer.genesis()
    writes = writer.signature_writes()
    del writes[missing]
    writer.sign(writes)
    writer.refused("signature-dual")


def test_signature_entries_hold_nothing_else(writer) -> None:
    writer.genesis()
    writer.tx(writer.signature_writes() | {"public:records": {b"k": b"v"}})
    writer.refused("signature-format")


@pytest.mark.parametrize("more", [{"claims": b"c" * 32}, {"private": {"records": {b"k": b"v"}}}])
def test_signature_entries_claim_and_seal_nothing(writer, more) -> None:
    writer.genesis()
    private = more.pop("private", {})
    writer.tx(writer.signature_writes() | private, **more)
    writer.refused("signature-format")


def test_wrong_root(writer) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes(root=bytes(32)))
    writer.refused("signature-root")


def test_signature_from_another_place(writer) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes(txid=TxID(writer.view, writer.seqno + 2)))
    writer.refused("signature-txid")


@pytest.mark.parametrize("tree", [b"", MerkleTree().serialise()])
def test_wrong_tree_table(writer, tree) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes() | {TREE: {SINGLETON_KEY: tree}})
    writer.refused("tree")


def test_node_signature_by_another_key(writer, strangers) -> None:
    writer.genesis()
    writes = writer.signature_writes()
    fields = orjson.loads(writes[SIGNATURES][SINGLETON_KEY])
    other = LedgerSigner(
        strangers.node_key, strangers.node_id, strangers.node, writer.ids.service_key
    ).writes(writer.tree.root(), TxID(2, 4), b"", 0)
    fields["sig"] = orjson.loads(other[SIGNATURES][SINGLETON_KEY])["sig"]
    writer.sign(writes | {SIGNATURES: {SINGLETON_KEY: orjson.dumps(fields)}})
    writer.refused("node-signature")


@pytest.mark.parametrize("cert", ["stranger", "endorsed stranger", "nonsense", "trailing newline"])
def test_stated_certificate_of_another_key_or_form(writer, ids, strangers, cert) -> None:
    stated = {
        "stranger": strangers.node,
        "endorsed stranger": ids.endorse(strangers.node_key),
        "nonsense": "nonsense",
        "trailing newline": ids.node + "\n",
    }[cert]
    writer.genesis()
    writes = writer.signature_writes()
    fields = orjson.loads(writes[SIGNATURES][SINGLETON_KEY]) | {"cert": stated}
    writer.sign(writes | {SIGNATURES: {SINGLETON_KEY: orjson.dumps(fields)}})
    writer.refused("node-certificate")


def test_stated_certificate_that_nobody_endorsed(writer, ids) -> None:
    own = self_signed(
        ids.node_key, "Node", not_before=ids.service_not_before, not_after=ids.service_not_after
    )
    writer.genesis()
    writer.sign(writer.signature_writes(signer=LedgerSigner(ids.node_key, ids.node_id, own, ids.service_key)))
    writer.refused("node-certificate")


def test_node_without_endorsed_certificate(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening") | tables["node_info"](ids.node_id, "Trusted"))
    writer.sign()
    writer.refused("node-certificate")


def test_signature_or_certificate_before_any_service_identity(writer, ids, tables) -> None:
    writer.tx(tables["endorsed"](ids.node_id, ids.node))
    writer.refused("service-identity")


def test_first_entry_is_not_a_signature(writer) -> None:
    writer.sign()
    writer.refused("service-identity")


def test_files_after_one_in_progress(writer) -> None:
    writer.sample()
    writer.files.append(("ledger_12", writer.files[-1][1]))
    writer.refused("file-order")


def test_renaming_that_was_cut_off_is_no_fault(writer, ids) -> None:
    writer.genesis()
    writer.sign()
    writer.close(committed=False)
    writer.sign()
    writer.close()
    assert audit(writer.files, service_cert_pem=ids.service).signatures == 3


def test_proof_attached_to_the_ledgers_own_signature(writer) -> None:
    writer.genesis()
    writes = writer.signature_writes()
    proof = cose.InclusionProof(bytes(32), "ce:2.1:00", bytes(32), ())
    signature = cose.with_proof(read_signature(writes).cose, proof)
    table = orjson.dumps(base64.b64encode(signature).decode())
    writer.sign(writes | {COSE_SIGNATURES: {SINGLETON_KEY: table}})
    writer.refused("cose-format")


def test_removing_an_unknown_node_is_no_fault(writer, ids, strangers) -> None:
    writer.genesis()
    writer.tx({NODES_INFO: {strangers.node_id.encode(): None}})
    writer.sign()
    writer.close()
    assert audit(writer.files, service_cert_pem=ids.service).nodes == {ids.node_id: "Trusted"}


def test_damaged_file(writer) -> None:
    writer.sample()
    name, data = writer.files[0]
    writer.files[0] = (name, data[:-1])
    writer.refused("chunk-format")


def test_private_parts_are_checked_with_the_secrets(writer, ids) -> None:
    writer.sample()
    with pytest.raises(LedgerAuditError, match=r"\[private\]"):
        audit(writer.files, service_cert_pem=ids.service, secrets=LedgerSecrets([(1, b"x" * 32)]))
