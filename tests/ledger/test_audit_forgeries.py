"""Forgeries that the independent reader lets through; the auditor names the rule each breaks."""

import pytest

from coco_core.base import TxID
from coco_core.kv.maps import (
    COSE_SIGNATURES,
    NODES_INFO,
)
from coco_core.ledger import (
    LedgerAuditError,
    LedgerSigner,
    audit,
    parse_chunk,
)


def test_unsigned_ledger(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening"))
    writer.tx({"public:records": {b"k": b"v"}})
    writer.refused("unsigned")


def test_empty_ledger(ids) -> None:
    with pytest.raises(LedgerAuditError, match=r"\[unsigned\]"):
        audit([], service_cert_pem=ids.service)


def test_unsigned_entries_called_committed(writer) -> None:
    writer.genesis()
    writer.close()
    writer.refused("unsigned")


def test_backward_view(writer) -> None:
    writer.genesis()
    writer.view = 1
    writer.sealer = type(writer.sealer)(writer.secrets)
    writer.sign()
    assert "view 1 follows view 2" in str(writer.refused("view"))


def test_seqno_gap(writer) -> None:
    writer.genesis()
    writer.tx({"public:records": {b"k": b"v"}}, skip=1)
    error = writer.refused("seqno")
    assert (error.file, error.seqno, error.reason) == ("ledger_1", 3, "entry 2.5 stands where 4 belongs")
    assert error.offset == parse_chunk(*writer.files[-1]).offsets[3]


def test_wrong_file_number(writer) -> None:
    writer.genesis()
    writer.sign()
    writer.close(name="ledger_501-504")
    writer.refused("file-range")


def test_missing_file(writer) -> None:
    writer.sample()
    del writer.files[1]
    writer.refused("file-range")


def test_unendorsed_node_certificate(writer, ids, strangers, tables) -> None:
    writer.tx(
        tables["service_info"](ids.service, "Opening")
        | tables["node_info"](strangers.node_id, "Trusted")
        | tables["endorsed"](strangers.node_id, strangers.node)
    )
    writer.refused("node-certificate")


def test_wrong_node_id(writer, ids, strangers, tables) -> None:
    writer.tx(
        tables["service_info"](ids.service, "Opening")
        | tables["node_info"](strangers.node_id, "Trusted")
        | tables["endorsed"](strangers.node_id, ids.node)
    )
    writer.refused("node-id")


def test_foreign_service_identity(writer, strangers) -> None:
    writer.sample()
    writer.refused("service-identity", pinned=strangers.service)


@pytest.mark.parametrize("status", ["Pending", "Retired"])
def test_signing_node_that_is_not_trusted(writer, status) -> None:
    writer.genesis(status=status)
    writer.refused("node-status")


def test_signing_node_that_is_unknown(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening"))
    writer.sign()
    writer.refused("node-status")


def test_signing_node_that_was_removed(writer, ids) -> None:
    writer.genesis()
    writer.tx({NODES_INFO: {ids.node_id.encode(): None}})
    writer.sign()
    writer.refused("node-status")


def test_wrong_cose_txid(writer) -> None:
    writer.genesis()
    elsewhere = writer.signature_writes(txid=TxID(writer.view, writer.seqno + 2))
    writer.sign(writer.signature_writes() | {COSE_SIGNATURES: elsewhere[COSE_SIGNATURES]})
    writer.refused("cose-txid")


def test_wrong_cose_kid(writer, ids, strangers) -> None:
    writer.genesis()
    foreign = LedgerSigner(ids.node_key, ids.node_id, ids.node, strangers.service_key)
    forged = writer.signature_writes(signer=foreign)
    writer.sign(writer.signature_writes() | {COSE_SIGNATURES: forged[COSE_SIGNATURES]})
    writer.refused("cose-kid")
