"""A folder whose ledger does not begin at 1 is audited with the snapshot that lies beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coco_core.base import TxID
from coco_core.kv import Store, Writes, maps
from coco_core.ledger import (
    NO_CLAIMS,
    EntrySealer,
    LeafComponents,
    LedgerSigner,
    MerkleTree,
    SnapshotName,
    SnapshotPlace,
    encode_chunk,
    json_receipt,
    read_signature,
    snapshot_evidence,
    write_snapshot,
)
from coco_core.testing import Consortium

Coco = Callable[..., Any]


class Ledger:
    """Writes one entry after the other, as a service of one node does."""

    def __init__(self, consortium: Consortium) -> None:
        self.sealer = EntrySealer(consortium.secrets)
        (self.node,), self.service = consortium.identities, consortium.service
        self.signer = LedgerSigner(self.node.key, self.node.node_id, self.node.certificate, self.service.key)
        self.tree, self.store, self.entries = MerkleTree(), Store(), []

    def write(self, writes: Writes, claims: bytes = NO_CLAIMS) -> LeafComponents:
        seqno = self.tree.size
        sealed = self.sealer.seal(TxID(2, seqno), writes, claims=claims)
        self.tree.append(sealed.leaf)
        self.entries.append(sealed.raw)
        self.store.append(seqno, writes)
        self.store.commit(seqno)
        return LeafComponents(sealed.write_set_digest, sealed.commit_evidence, claims)

    def sign(self) -> Writes:
        writes = self.signer.writes(self.tree.root(), TxID(2, self.tree.size), self.tree.serialise(), 0)
        self.write(writes)
        return writes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``ledger`` from seqno 3 on, ``snapshots`` with the one at 2, ``service.pem``."""
    consortium = Consortium.of(1)
    ledger = Ledger(consortium)
    node, certificate = ledger.node, ledger.service.certificate
    key = node.node_id.encode()
    ledger.write(
        {
            maps.SERVICE_INFO: {
                maps.SINGLETON_KEY: json.dumps({"cert": certificate, "status": "Opening"}).encode()
            },
            maps.NODES_INFO: {key: b'{"status":"Trusted"}'},
            maps.NODES_ENDORSED_CERTIFICATES: {key: node.certificate.encode()},
        }
    )
    ledger.sign()
    ledger.entries.clear()
    place = SnapshotPlace(TxID(2, 2), ledger.tree.leaf(2), ((2, 1),))
    snapshot = io.BytesIO()
    digest = write_snapshot(snapshot, place, ledger.store.pin(2), consortium.secrets)
    components = ledger.write(snapshot_evidence(digest, 2), digest)
    signature = read_signature(ledger.sign())
    assert signature is not None
    receipt = json_receipt(components, ledger.tree.path(3, 4), signature)
    for name in ("ledger", "snapshots"):
        (tmp_path / name).mkdir()
    (tmp_path / "ledger" / "ledger_3-4.committed").write_bytes(encode_chunk(ledger.entries))
    (tmp_path / "snapshots" / str(SnapshotName(2, 3))).write_bytes(snapshot.getvalue() + receipt)
    (tmp_path / "service.pem").write_text(certificate)
    return tmp_path


def test_the_snapshot_is_found_beside_the_ledger(coco: Coco, folder: Path) -> None:
    pinned = ("--service-cert", folder / "service.pem")
    ran = coco("ledger", "audit", folder / "ledger", *pinned)
    assert (ran.status, ran.err) == (0, "")
    assert "begins behind: 2.2\nentries: 2\n" in ran.out
    (folder / "snapshots").rename(folder / "elsewhere")
    for more in ((), pinned):
        where = ("--snapshots", folder / "elsewhere", "--json", *more)
        fields = json.loads(coco("ledger", "audit", folder / "ledger", *where).out)
        assert (fields["begins_behind"], fields["last_verified"]) == ("2.2", "2.4")


def test_a_missing_snapshot_is_named(coco: Coco, folder: Path) -> None:
    path = folder / "snapshots" / "snapshot_2_3.committed"
    path.rename(path.with_name("snapshot_1_3.committed"))
    ran = coco("ledger", "audit", folder / "ledger", "--service-cert", folder / "service.pem")
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert "begins at 3, behind a snapshot: no snapshot_2_*.committed in " in ran.err


def test_a_changed_snapshot_is_named(coco: Coco, folder: Path) -> None:
    path = folder / "snapshots" / "snapshot_2_3.committed"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    ran = coco("ledger", "audit", folder / "ledger", "--service-cert", folder / "service.pem")
    assert (ran.status, len(ran.err.splitlines())) == (1, 1)
    assert "snapshot_2_3.committed offset " in ran.err


def test_a_snapshot_that_cannot_be_read_is_named(coco: Coco, folder: Path) -> None:
    path = folder / "snapshots" / "snapshot_2_3.committed"
    path.unlink()
    path.mkdir()
    ran = coco("ledger", "audit", folder / "ledger")
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert "snapshot_2_3.committed" in ran.err
