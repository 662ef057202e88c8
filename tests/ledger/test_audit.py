"""The auditor accepts what we write and names the rule that anything else breaks."""

import base64

import attrs
import orjson
import pytest

from coco_core.base import TxID
from coco_core.crypto import PrivateKey, endorse, self_signed
from coco_core.errors import IntegrityError
from coco_core.kv.maps import (
    COSE_SIGNATURES,
    NODES_ENDORSED_CERTIFICATES,
    NODES_INFO,
    SERVICE_INFO,
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
    parse_chunk,
    read_signature,
)


def refused(writer, rule: str, pinned=None) -> LedgerAuditError:
    """Close the ledger if needed, audit it, and expect that rule to be named."""
    if writer.unwritten:
        writer.leave_open()
    with pytest.raises(LedgerAuditError) as caught:
        audit(writer.files, service_cert_pem=writer.ids.service if pinned is None else pinned)
    assert caught.value.rule == rule, caught.value
    assert f"[{rule}]" in str(caught.value)
    return caught.value


# ── what is accepted ─────────────────────────────────────────────────────────────────────────────


def test_report_of_a_sound_ledger(writer, ids) -> None:
    writer.sample()
    report = audit(writer.files, service_cert_pem=ids.service, secrets=writer.secrets)
    assert report.entries == writer.seqno == 11
    assert report.signatures == 4
    assert report.last_verified == TxID(3, 11)
    assert (report.unsigned_tail, report.torn_tail_bytes, report.recoveries) == (0, 0, 0)
    assert report.views == ((2, 1), (3, 10))
    assert report.nodes == {ids.node_id: "Trusted"}
    assert report.service_fingerprint == ids.service_key.public.node_id()
    assert report.size_bytes == sum(len(data) for _, data in writer.files)
    assert report.private_verified
    without = audit(writer.files, service_cert_pem=None)
    assert attrs.evolve(without, private_verified=True) == report


def test_unsigned_and_torn_tail_are_counted(writer, ids) -> None:
    writer.genesis()
    writer.tx({"public:records": {b"k": b"v"}})
    writer.leave_open(tail=b"\1\0\xff")
    report = audit(writer.files, service_cert_pem=ids.service)
    assert report.last_verified == TxID(2, 2)
    assert (report.unsigned_tail, report.torn_tail_bytes) == (2, 3)


def test_renewed_certificates_of_the_same_keys_are_accepted(writer, ids, tables) -> None:
    writer.genesis()
    renewed = self_signed(
        ids.service_key,
        "Coco Service",
        not_before=ids.service_not_before,
        not_after=ids.service_not_after,
        ca=True,
    )
    writer.tx(tables["service_info"](renewed, "Open"))
    writer.tx(tables["endorsed"](ids.node_id, ids.endorse(ids.node_key)))
    writer.sign()
    writer.close()
    assert audit(writer.files, service_cert_pem=ids.service).recoveries == 0


def test_recovery_replaces_the_identity_and_the_new_one_is_pinned(writer, ids, strangers, tables) -> None:
    _recover(writer, strangers, tables)
    writer.close()
    report = audit(writer.files, service_cert_pem=strangers.service)
    assert report.recoveries == 1
    assert report.nodes == {ids.node_id: "Retired", strangers.node_id: "Trusted"}
    with pytest.raises(LedgerAuditError) as caught:
        audit(writer.files, service_cert_pem=ids.service)
    assert caught.value.rule == "service-identity"


def _recover(writer, successor, tables) -> None:
    writer.genesis()
    writer.sign()
    writer.view += 2
    writer.tx(tables["service_info"](successor.service, "Recovering"))
    writer.tx(
        tables["node_info"](writer.ids.node_id, "Retired")
        | {NODES_ENDORSED_CERTIFICATES: {writer.ids.node_id.encode(): None}}
    )
    writer.tx(tables["node_info"](successor.node_id, "Trusted"))
    writer.tx(tables["endorsed"](successor.node_id, successor.node))
    writer.signer = LedgerSigner(successor.node_key, successor.node_id, successor.node, successor.service_key)
    writer.sign()
    writer.tx(tables["service_info"](successor.service, "WaitingForRecoveryShares"))
    writer.tx(tables["service_info"](successor.service, "Open"))
    writer.sign()


def test_a_retiring_primary_signs_until_its_retirement_is_committed(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.sign()
    writer.close()
    assert audit(writer.files, service_cert_pem=ids.service).nodes == {ids.node_id: "Retired"}
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.sign()
    refused(writer, "node-status")


def test_a_retired_node_does_not_sign_in_a_later_view(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.sign()
    writer.view += 1
    writer.sign()
    refused(writer, "node-status")


# ── forgeries that the independent reader lets through ───────────────────────────────────────────


def test_unsigned_ledger(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening"))
    writer.tx({"public:records": {b"k": b"v"}})
    refused(writer, "unsigned")


def test_empty_ledger(ids) -> None:
    with pytest.raises(LedgerAuditError, match=r"\[unsigned\]"):
        audit([], service_cert_pem=ids.service)


def test_unsigned_entries_called_committed(writer) -> None:
    writer.genesis()
    writer.close()
    refused(writer, "unsigned")


def test_backward_view(writer) -> None:
    writer.genesis()
    writer.view = 1
    writer.sealer = type(writer.sealer)(writer.secrets)
    writer.sign()
    assert "view 1 follows view 2" in str(refused(writer, "view"))


def test_seqno_gap(writer) -> None:
    writer.genesis()
    writer.tx({"public:records": {b"k": b"v"}}, skip=1)
    error = refused(writer, "seqno")
    assert (error.file, error.seqno, error.reason) == ("ledger_1", 3, "entry 2.5 stands where 4 belongs")
    assert error.offset == parse_chunk(*writer.files[-1]).offsets[3]


def test_wrong_file_number(writer) -> None:
    writer.genesis()
    writer.sign()
    writer.close(name="ledger_501-504")
    refused(writer, "file-range")


def test_missing_file(writer) -> None:
    writer.sample()
    del writer.files[1]
    refused(writer, "file-range")


def test_unendorsed_node_certificate(writer, ids, strangers, tables) -> None:
    writer.tx(
        tables["service_info"](ids.service, "Opening")
        | tables["node_info"](strangers.node_id, "Trusted")
        | tables["endorsed"](strangers.node_id, strangers.node)
    )
    refused(writer, "node-certificate")


def test_wrong_node_id(writer, ids, strangers, tables) -> None:
    writer.tx(
        tables["service_info"](ids.service, "Opening")
        | tables["node_info"](strangers.node_id, "Trusted")
        | tables["endorsed"](strangers.node_id, ids.node)
    )
    refused(writer, "node-id")


def test_foreign_service_identity(writer, strangers) -> None:
    writer.sample()
    refused(writer, "service-identity", pinned=strangers.service)


@pytest.mark.parametrize("status", ["Pending", "Retired"])
def test_signing_node_that_is_not_trusted(writer, status) -> None:
    writer.genesis(status=status)
    refused(writer, "node-status")


def test_signing_node_that_is_unknown(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening"))
    writer.sign()
    refused(writer, "node-status")


def test_signing_node_that_was_removed(writer, ids) -> None:
    writer.genesis()
    writer.tx({NODES_INFO: {ids.node_id.encode(): None}})
    writer.sign()
    refused(writer, "node-status")


def test_wrong_cose_txid(writer) -> None:
    writer.genesis()
    elsewhere = writer.signature_writes(txid=TxID(writer.view, writer.seqno + 2))
    writer.sign(writer.signature_writes() | {COSE_SIGNATURES: elsewhere[COSE_SIGNATURES]})
    refused(writer, "cose-txid")


def test_wrong_cose_kid(writer, ids, strangers) -> None:
    writer.genesis()
    foreign = LedgerSigner(ids.node_key, ids.node_id, ids.node, strangers.service_key)
    forged = writer.signature_writes(signer=foreign)
    writer.sign(writer.signature_writes() | {COSE_SIGNATURES: forged[COSE_SIGNATURES]})
    refused(writer, "cose-kid")


# ── every other rule ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("missing", [SIGNATURES, COSE_SIGNATURES])
def test_one_signature_instead_of_two(writer, missing) -> None:
    writer.genesis()
    writes = writer.signature_writes()
    del writes[missing]
    writer.sign(writes)
    refused(writer, "signature-dual")


def test_signature_entries_hold_nothing_else(writer) -> None:
    writer.genesis()
    writer.tx(writer.signature_writes() | {"public:records": {b"k": b"v"}})
    refused(writer, "signature-format")


@pytest.mark.parametrize("more", [{"claims": b"c" * 32}, {"private": {"records": {b"k": b"v"}}}])
def test_signature_entries_claim_and_seal_nothing(writer, more) -> None:
    writer.genesis()
    private = more.pop("private", {})
    writer.tx(writer.signature_writes() | private, **more)
    refused(writer, "signature-format")


def test_wrong_root(writer) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes(root=bytes(32)))
    refused(writer, "signature-root")


def test_signature_from_another_place(writer) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes(txid=TxID(writer.view, writer.seqno + 2)))
    refused(writer, "signature-txid")


@pytest.mark.parametrize("tree", [b"", MerkleTree().serialise()])
def test_wrong_tree_table(writer, tree) -> None:
    writer.genesis()
    writer.sign(writer.signature_writes() | {TREE: {SINGLETON_KEY: tree}})
    refused(writer, "tree")


def test_node_signature_by_another_key(writer, strangers) -> None:
    writer.genesis()
    writes = writer.signature_writes()
    fields = orjson.loads(writes[SIGNATURES][SINGLETON_KEY])
    other = LedgerSigner(
        strangers.node_key, strangers.node_id, strangers.node, writer.ids.service_key
    ).writes(writer.tree.root(), TxID(2, 4), b"", 0)
    fields["sig"] = orjson.loads(other[SIGNATURES][SINGLETON_KEY])["sig"]
    writer.sign(writes | {SIGNATURES: {SINGLETON_KEY: orjson.dumps(fields)}})
    refused(writer, "node-signature")


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
    refused(writer, "node-certificate")


def test_stated_certificate_that_nobody_endorsed(writer, ids) -> None:
    own = self_signed(
        ids.node_key, "Node", not_before=ids.service_not_before, not_after=ids.service_not_after
    )
    writer.genesis()
    writer.sign(writer.signature_writes(signer=LedgerSigner(ids.node_key, ids.node_id, own, ids.service_key)))
    refused(writer, "node-certificate")


def test_node_without_endorsed_certificate(writer, ids, tables) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening") | tables["node_info"](ids.node_id, "Trusted"))
    writer.sign()
    refused(writer, "node-certificate")


def test_signature_or_certificate_before_any_service_identity(writer, ids, tables) -> None:
    writer.tx(tables["endorsed"](ids.node_id, ids.node))
    refused(writer, "service-identity")


def test_first_entry_is_not_a_signature(writer) -> None:
    writer.sign()
    refused(writer, "service-identity")


@pytest.mark.parametrize("status", ["Recovering", "WaitingForRecoveryShares", "Closed"])
def test_status_out_of_order(writer, ids, tables, status) -> None:
    writer.genesis()
    writer.tx(tables["service_info"](ids.service, "Open"))
    if status == "Recovering":
        writer.tx(tables["service_info"](ids.service, "Recovering"))
        status = "Open"
    writer.tx(tables["service_info"](ids.service, status))
    refused(writer, "service-status")


def test_service_info_must_be_readable(writer) -> None:
    for value in (None, b"{", b"[]", b'{"status":"Opening"}'):
        writer.__init__(writer.ids)
        writer.tx({SERVICE_INFO: {SINGLETON_KEY: value}})
        refused(writer, "service-status")
    writer.__init__(writer.ids)
    writer.tx({SERVICE_INFO: {SINGLETON_KEY: b'{"cert":"nonsense","status":"Opening"}'}})
    refused(writer, "service-identity")


def test_identity_replaced_without_recovery(writer, strangers, tables) -> None:
    writer.genesis()
    writer.tx(tables["service_info"](strangers.service, "Open"))
    refused(writer, "service-identity")


def test_identity_replaced_in_the_unsigned_tail(writer, strangers, tables) -> None:
    writer.genesis()
    writer.sign()
    writer.tx(tables["service_info"](strangers.service, "Opening"))
    refused(writer, "unsigned", pinned=strangers.service)


def test_node_tables_must_be_readable(writer, ids, tables) -> None:
    cases = [
        ({NODES_INFO: {ids.node_id.encode(): b"{}"}}, "node-status"),
        ({NODES_INFO: {ids.node_id.encode(): b'{"status":"Superb"}'}}, "node-status"),
        ({NODES_INFO: {b"short": b"{}"}}, "node-id"),
        ({NODES_INFO: {ids.node_id.upper().encode(): b"{}"}}, "node-id"),
        ({NODES_ENDORSED_CERTIFICATES: {ids.node_id.encode(): b"nonsense"}}, "node-certificate"),
    ]
    for writes, rule in cases:
        writer.__init__(writer.ids)
        writer.genesis()
        writer.tx(writes)
        refused(writer, rule)


def test_a_retired_node_never_returns(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.tx({NODES_INFO: {ids.node_id.encode(): None}})
    writer.tx(tables["node_info"](ids.node_id, "Trusted"))
    refused(writer, "node-status")


def test_files_after_one_in_progress(writer) -> None:
    writer.sample()
    writer.files.append(("ledger_12", writer.files[-1][1]))
    refused(writer, "file-order")


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
    refused(writer, "cose-format")


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
    refused(writer, "chunk-format")


def test_private_parts_are_checked_with_the_secrets(writer, ids) -> None:
    writer.sample()
    with pytest.raises(LedgerAuditError, match=r"\[private\]"):
        audit(writer.files, service_cert_pem=ids.service, secrets=LedgerSecrets([(1, b"x" * 32)]))


# ── every bit ────────────────────────────────────────────────────────────────────────────────────


def _missed(files, ids, secrets, places) -> set[tuple[int, int]]:
    """Return file number and offset of every byte whose lowest bit may be flipped unnoticed."""
    baseline = audit(files, service_cert_pem=ids.service, secrets=secrets)
    missed = set()
    for number, at in places:
        name, data = files[number]
        changed = bytearray(data)
        changed[at] ^= 1
        damaged = [*files[:number], (name, bytes(changed)), *files[number + 1 :]]
        try:
            report = audit(damaged, service_cert_pem=ids.service, secrets=secrets)
        except IntegrityError:
            continue
        if report == baseline:
            missed.add((number, at))
    return missed


def test_lowest_bit_of_every_byte_counts(new_writer, quick_ids) -> None:
    writer = new_writer(quick_ids)
    writer.found()
    writer.close()
    writer.tx({"public:records": {b"k": b"v"}, "records": {b"k": b"v"}}, claims=bytes(range(32)))
    writer.sign()
    writer.leave_open()
    files = writer.files
    everywhere = [(number, at) for number, (_, data) in enumerate(files) for at in range(len(data))]
    last = parse_chunk(*files[-1]).offsets[-1]
    # Of the last signature entry nothing later covers: the chunk flag in its header, and, for an
    # auditor without the secrets, the cipher's tag and the digest of the commit evidence.
    tag, evidence = range(last + 8, last + 24), range(last + 44 + 41, last + 44 + 73)
    unseen = {(1, last + 1), *((1, at) for at in (*tag, *evidence))}
    assert _missed(files, quick_ids, None, everywhere) == unseen
    at_the_end = [(1, at) for at in range(last, len(files[1][1]))]
    assert _missed(files, quick_ids, writer.secrets, at_the_end) == {(1, last + 1)}


def test_an_endorsed_key_cannot_endorse_another(writer, ids, tables) -> None:
    intruder = PrivateKey.generate()
    forged = endorse(
        intruder.public,
        "Coco Node",
        ids.node_key,
        ids.node,
        not_before=ids.service_not_before,
        not_after=ids.service_not_after,
    )
    writer.genesis()
    writer.tx(tables["endorsed"](intruder.public.node_id(), forged))
    refused(writer, "node-certificate")
