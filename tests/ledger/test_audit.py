"""The auditor accepts what we write, and no damage to it goes unnoticed."""

import attrs
import pytest

from coco_core.base import TxID
from coco_core.crypto import self_signed
from coco_core.errors import IntegrityError
from coco_core.kv.maps import (
    NODES_ENDORSED_CERTIFICATES,
    NODES_INFO,
)
from coco_core.ledger import (
    LedgerAuditError,
    LedgerSigner,
    audit,
    parse_chunk,
)


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
    writer.tx(
        tables["service_info"](successor.service, "Recovering") | tables["endorsing"](writer, successor)
    )
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
    writer.refused("node-status")


def test_a_node_under_removal_may_lead_again_in_a_later_view(writer, ids, strangers, tables) -> None:
    """Its removal was not agreed yet when it lost the lead, so it had a say and was elected once more."""
    writer.genesis()
    certificate = ids.endorse(strangers.node_key)
    writer.tx(tables["node_info"](strangers.node_id, "Trusted"))
    writer.tx(tables["endorsed"](strangers.node_id, certificate))
    first = writer.signer
    other = LedgerSigner(strangers.node_key, strangers.node_id, certificate, ids.service_key)
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    for view, signer in ((5, first), (6, other), (8, first), (9, other)):
        writer.view, writer.signer = view, signer
        writer.sign()
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.sign()
    writer.close()
    nodes = {ids.node_id: "Retired", strangers.node_id: "Trusted"}
    assert audit(writer.files, service_cert_pem=ids.service).nodes == nodes
    writer.view, writer.signer = 10, first
    writer.sign()
    assert "which is Retired" in str(writer.refused("node-status"))


@pytest.mark.parametrize("statuses", [["Retired"], ["Pending", "Retired"]])
def test_a_retired_node_that_never_was_trusted_does_not_sign(writer, ids, tables, statuses) -> None:
    writer.tx(tables["service_info"](ids.service, "Opening"))
    writer.tx(tables["endorsed"](ids.node_id, ids.node))
    for status in statuses:
        writer.tx(tables["node_info"](ids.node_id, status))
    writer.sign()
    writer.refused("node-status")


@pytest.mark.parametrize("status", ["Trusted", "Retired"])
def test_a_node_that_was_forgotten_has_no_say_because_it_once_had(writer, ids, tables, status) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, status))
    writer.tx({NODES_INFO: {ids.node_id.encode(): None}})
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.sign()
    writer.refused("node-status")


def test_the_end_of_a_node_is_not_taken_back(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    assert "is taken back" in str(writer.refused("node-status"))


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
