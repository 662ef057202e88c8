"""A ledger that begins behind a snapshot is audited from there, and proves the snapshot itself."""

from __future__ import annotations

import attrs
import pytest

from coco_core.base import TxID
from coco_core.kv.maps import NODES_INFO, SERVICE_INFO, SINGLETON_KEY
from coco_core.ledger import (
    LedgerSigner,
    Snapshot,
    audit,
    read_public_snapshot,
    read_snapshot,
    snapshot_evidence,
)


def begun(writer, **snapshot: object) -> Snapshot:
    """Write the snapshot of a founded service, and forget the ledger before it."""
    name, data = writer.snapshot(**snapshot)
    writer.files.clear()
    return read_public_snapshot(name, data, writer.ids.service)


def test_report_of_what_follows_a_snapshot(writer, ids, strangers, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](strangers.node_id, "Pending", joined="just now"))
    writer.view = 4
    name, data = writer.snapshot()
    writer.view = 5
    writer.tx({"public:records": {b"k": b"v"}, "records": {b"k": b"v"}})
    writer.sign()
    writer.tx({"public:records": {b"k": b"w"}})
    writer.leave_open(tail=b"\1")
    whole = audit(writer.files, service_cert_pem=ids.service)
    for pinned in (ids.service, None):
        start = read_public_snapshot(name, data, pinned)
        report = audit(writer.files[1:], service_cert_pem=pinned, start=start)
        assert report == attrs.evolve(
            whole, start=TxID(4, 5), entries=5, signatures=2, size_bytes=len(writer.files[1][1])
        )
    assert report.views == ((2, 1), (4, 5), (5, 8))
    assert report.nodes == {ids.node_id: "Trusted", strangers.node_id: "Pending"}
    opened = audit(
        writer.files[1:],
        service_cert_pem=ids.service,
        secrets=writer.secrets,
        start=read_snapshot(name, data, writer.secrets, ids.service),
    )
    assert opened == attrs.evolve(report, private_verified=True)


def test_the_ledger_goes_on_right_behind_it(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer.sign()
    writer.close()
    ((_, data),) = writer.files
    writer.files[:] = [("ledger_6-8.committed", data)]
    assert "begins at 6, expected 5" in str(writer.refused("file-range", start=start))


def test_views_go_on_where_the_snapshot_was(writer) -> None:
    writer.genesis()
    writer.view = 4
    start = begun(writer)
    writer.view = 3
    writer.sealer = type(writer.sealer)(writer.secrets)
    writer.tx({"public:records": {b"k": b"v"}})
    writer.refused("view", start=start)


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_snapshot_whose_evidence_is_not_in_the_ledger_proves_nothing(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer.refused("snapshot-evidence", start=attrs.evolve(start, evidence=TxID(2, 99)))


def test_evidence_that_is_not_signed_yet(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer._entries.pop()
    assert "2.5 is no signed evidence" in str(writer.refused("snapshot-evidence", start=start))


def test_no_entries_at_all(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer._entries.clear()
    assert writer.refused("snapshot-evidence", start=start).file == "snapshot_4_5.committed"


def test_a_claim_that_only_looks_like_evidence(writer) -> None:
    """Whoever may choose what a transaction claims can get a receipt for a snapshot of his own."""
    writer.genesis()
    writer.refused("snapshot-evidence", start=begun(writer, told=False))


def test_evidence_of_another_snapshot(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer.refused("snapshot-evidence", start=attrs.evolve(start, digest=bytes(32)))


def test_a_snapshot_that_lies_about_its_place(writer) -> None:
    writer.genesis()
    writer.refused("signature-root", start=begun(writer, leaf=bytes(32)))


def test_evidence_must_be_well_formed_in_any_ledger(writer) -> None:
    digest = bytes(range(32))
    for writes, claims in (
        (snapshot_evidence(digest, 3), bytes(32)),
        (snapshot_evidence(digest, 9), digest),
        ({name: {SINGLETON_KEY: b"{}"} for name in snapshot_evidence(digest, 3)}, digest),
    ):
        writer.__init__(writer.ids)
        writer.genesis()
        writer.tx(writes, claims=claims)
        writer.refused("snapshot-evidence")


# ── service and nodes as the snapshot has them ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (None, "service-status"),
        (b"{", "service-status"),
        (b'{"cert":"","status":"Superb"}', "service-status"),
        (b'{"cert":"nonsense","status":"Open"}', "service-identity"),
    ],
)
def test_service_information_of_a_snapshot_must_be_readable(writer, value, rule) -> None:
    writer.genesis()
    start = begun(writer)
    maps = dict(start.maps)
    maps[SERVICE_INFO] = {SINGLETON_KEY: value} if value is not None else {}
    writer.refused(rule, start=attrs.evolve(start, maps=maps))


def test_nodes_of_a_snapshot_must_be_readable(writer) -> None:
    writer.genesis()
    start = begun(writer)
    writer.refused("node-id", start=attrs.evolve(start, maps=start.maps | {NODES_INFO: {b"short": b"{}"}}))


def test_the_status_goes_on_from_the_snapshots(writer, ids, tables) -> None:
    writer.genesis()
    start = begun(writer)
    writer.tx(tables["service_info"](ids.service, "WaitingForRecoveryShares"))
    writer.refused("service-status", start=start)


def test_a_node_under_removal_signs_behind_the_snapshot_until_its_end(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    start = begun(writer)
    writer.view += 1
    writer.sign()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.sign()
    writer.close()
    report = audit(writer.files, service_cert_pem=ids.service, start=start)
    assert report.nodes == {ids.node_id: "Retired"}
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.sign()
    writer.refused("node-status", start=start)


def test_a_node_that_is_pending_in_the_snapshot_never_signs(writer, ids, strangers, tables) -> None:
    writer.genesis()
    certificate = ids.endorse(strangers.node_key)
    writer.tx(tables["node_info"](strangers.node_id, "Pending"))
    writer.tx(tables["endorsed"](strangers.node_id, certificate))
    start = begun(writer)
    writer.tx(tables["node_info"](strangers.node_id, "Retired"))
    writer.signer = LedgerSigner(strangers.node_key, strangers.node_id, certificate, ids.service_key)
    writer.sign()
    writer.refused("node-status", start=start)


def test_a_node_retired_for_good_does_not_sign_behind_the_snapshot(writer, ids, strangers, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](strangers.node_id, "Trusted"))
    writer.tx(tables["endorsed"](strangers.node_id, ids.endorse(strangers.node_key)))
    other = LedgerSigner(
        strangers.node_key, strangers.node_id, ids.endorse(strangers.node_key), ids.service_key
    )
    writer.tx(tables["node_info"](ids.node_id, "Retired", retired_committed=True))
    writer.signer, first = other, writer.signer
    start = begun(writer)
    writer.signer = first
    writer.sign()
    writer.refused("node-status", start=start)
