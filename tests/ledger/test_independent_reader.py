"""The ``ccf`` package, which we did not write, reads and verifies what we write."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from coco_core.kv.maps import PREVIOUS_IDENTITIES, is_public
from coco_core.ledger import (
    ChunkName,
    LedgerSigner,
    audit,
    cose_receipt,
    encode_chunk,
    endorsements_in,
    json_receipt,
    read_snapshot,
)
from coco_core.testing import Cluster, Consortium
from coco_core.testing.lagging import fill
from coco_core.testing.operating import Operating

ROOT = Path(__file__).resolve().parents[2]
READER = Path(__file__).with_name("independent_reader.py")


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter that has the ``ccf`` package."""
    named = os.environ.get("COCO_CCF_PYTHON")
    path = Path(named) if named else ROOT / ".venv-ccf" / "bin" / "python"
    if not path.exists():
        pytest.skip(f"no interpreter with the ccf package at {path}; set COCO_CCF_PYTHON")
    return str(path)


def _run(python: str, *arguments: object) -> dict[str, object]:
    done = subprocess.run(
        [python, str(READER), *map(str, arguments)],
        capture_output=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _write(folder: Path, files: list[tuple[str, bytes]]) -> None:
    folder.mkdir()
    for name, data in files:
        (folder / name).write_bytes(data)


@pytest.mark.parametrize("level", ["OFFSETS", "HEADERS", "MERKLE", "FULL"])
def test_ledger_passes_at_every_level(python, writer, ids, tmp_path, level) -> None:
    writer.sample()
    _write(tmp_path / "ledger", writer.files)
    report = audit(writer.files, service_cert_pem=ids.service)
    found = _run(python, tmp_path / "ledger", level)
    assert found["entries"] == report.entries
    assert found["signatures"] == report.signatures
    if level in {"MERKLE", "FULL"}:
        assert found["last_verified_txid"] == str(report.last_verified) == f"3.{writer.seqno}"


@pytest.mark.parametrize("level", ["OFFSETS", "HEADERS", "MERKLE", "FULL"])
def test_ledger_of_several_epochs_passes(python, tmp_path, level) -> None:
    operating = Operating(
        Cluster.found(3, draw=random.Random(7).randint, consortium=Consortium.of(6), chunk_entries=8)
    )
    cluster = operating.cluster
    operating.replace([3, 4], [1])
    operating.replace([5], [2])
    fill(cluster, 3)
    assert len(cluster.secrets.epochs) == 3
    ledger = [entry.data for entry in cluster.primary.disk.entries]
    file = str(ChunkName(1, len(ledger), True)), encode_chunk(ledger)
    report = audit([file], service_cert_pem=cluster.consortium.service.certificate)
    _write(tmp_path / "ledger", [file])
    found = _run(python, tmp_path / "ledger", level)
    assert (found["entries"], found["signatures"]) == (report.entries, report.signatures)
    if level in {"MERKLE", "FULL"}:
        assert found["last_verified_txid"] == str(report.last_verified)


@pytest.mark.parametrize("level", ["MERKLE", "FULL"])
def test_flushed_tree_is_read_at_every_size(python, writer, tmp_path, level) -> None:
    writer.genesis()
    for number in range(40):
        for _ in range(number % 4):
            writer.tx({"public:numbers": {b"n": str(number).encode()}})
        writer.sign()
    writer.close()
    _write(tmp_path / "ledger", writer.files)
    found = _run(python, tmp_path / "ledger", level)
    assert found["last_verified_txid"] == f"2.{writer.seqno}"


def test_receipts_pass(python, writer, ids, tmp_path) -> None:
    writer.genesis()
    claims = bytes(range(32))
    seqno = writer.tx({"records": {b"k": b"v"}}, claims=claims)
    for _ in range(5):
        writer.tx({"records": {b"k": b"w"}})
    size = writer.tree.size
    writer.sign()
    writer.close()
    _write(tmp_path / "ledger", writer.files)
    path = writer.tree.path(seqno, size)
    _write(
        tmp_path / "receipts",
        [
            ("receipt.json", json_receipt(writer.components(seqno), path, writer.signature)),
            ("receipt.cose", cose_receipt(writer.components(seqno), path, writer.signature)),
            ("service.pem", ids.service.encode()),
        ],
    )
    receipts = tmp_path / "receipts"
    found = _run(python, tmp_path / "ledger", "FULL", receipts, receipts / "service.pem", claims.hex())
    assert found["receipts"] == 2


def test_receipts_from_before_a_recovery_pass_under_the_new_identity(
    python, writer, strangers, tables, tmp_path
) -> None:
    writer.genesis()
    claims = bytes(range(32))
    seqno = writer.tx({"records": {b"k": b"v"}}, claims=claims)
    size = writer.tree.size
    writer.sign()
    path, signature = writer.tree.path(seqno, size), writer.signature
    endorsing = tables["endorsing"](writer, strangers)
    endorsements = endorsements_in(endorsing[PREVIOUS_IDENTITIES])
    writer.view += 100
    writer.tx(
        tables["service_info"](strangers.service, "Opening")
        | endorsing
        | {
            **tables["node_info"](strangers.node_id, "Trusted"),
            **tables["endorsed"](strangers.node_id, strangers.node),
        }
    )
    writer.signer = LedgerSigner(strangers.node_key, strangers.node_id, strangers.node, strangers.service_key)
    writer.sign()
    writer.tx(tables["service_info"](strangers.service, "Open"))
    writer.sign()
    writer.close()
    assert audit(writer.files, service_cert_pem=strangers.service).recoveries == 1
    _write(tmp_path / "ledger", writer.files)
    components = writer.components(seqno)
    _write(
        tmp_path / "receipts",
        [
            ("receipt.json", json_receipt(components, path, signature, endorsements)),
            ("receipt.cose", cose_receipt(components, path, signature, endorsements)),
            ("service.pem", strangers.service.encode()),
        ],
    )
    receipts = tmp_path / "receipts"
    found = _run(python, tmp_path / "ledger", "FULL", receipts, receipts / "service.pem", claims.hex())
    assert (found["receipts"], found["last_verified_txid"]) == (2, f"102.{writer.seqno}")


def test_a_snapshot_passes_with_its_receipt(python, writer, ids, tmp_path) -> None:
    writer.genesis()
    writer.view = 5
    writer.tx({"public:records": {b"": b"", b"key": b"value"}, "records": {b"secret": b"value"}})
    name, data = writer.snapshot()
    _write(tmp_path / "snapshots", [(name, data)])
    found = _run(python, tmp_path / "snapshots" / name)
    read = read_snapshot(name, data, writer.secrets, ids.service)
    assert (found["txid"], found["seqno"]) == ("5.5", 5)
    assert found["tables"] == {
        table: {key.hex(): value.hex() for key, value in values.items()}
        for table, values in read.maps.items()
        if is_public(table)
    }
    assert found["private_size"] == 8 + len("records") + 16 + 8 + 8 + 8 + 16


def test_a_snapshot_with_a_foreign_receipt_does_not_pass(python, writer, tmp_path) -> None:
    writer.genesis()
    name, data = writer.snapshot()
    size = 8 + int.from_bytes(data[2:8], "little")
    seqno = writer.tx({"public:records": {b"k": b"v"}}, claims=bytes(32))
    _write(tmp_path / "snapshots", [(name, data[:size] + writer.receipt(seqno))])
    with pytest.raises(AssertionError, match="does not match receipt claim"):
        _run(python, tmp_path / "snapshots" / name)
