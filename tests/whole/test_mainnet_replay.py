"""The main job: real mainnet transactions through three node processes, judged by records and strangers.

Two EVMs recorded what every transaction must give and the state all of them must lead to; the
independent reader and the offline auditor read what the nodes left on disk. Nothing is timed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.measuring import Measurement, Run, measure
from coco_core.cli.network import SERVICE_FILE, NetworkSpec
from coco_core.client import verify_receipt
from coco_core.errors import IntegrityError
from coco_core.node import LEDGER_FOLDER, load

pytestmark = [pytest.mark.processes, pytest.mark.shared]

NODES = 3
TRANSACTIONS = 2_293
"""The recorded 2 295 without its two blob transactions."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def measured(shared: Path, folder: Path) -> Iterator[Measurement]:
    plugin = load("ethereum")
    workload = plugin.workload(WorkloadOptions(data=str(shared / "data" / "mainnet")))
    run = Run(
        spec=NetworkSpec(folder=folder, nodes=NODES, ledger="ethereum", engine="", config=workload.config),
        workload=workload,
        adapter=plugin.create("", {}),
        outstanding=200,
        per_request=100,
    )
    return trio.run(measure, run, None, print)


def test_every_transaction_gives_what_was_recorded(measured):
    assert measured.report["transactions"] == measured.report["committed"] == TRANSACTIONS
    assert measured.report["failed"] == 0
    assert list(measured.differences) == []


def test_every_ledger_passes_the_audit(measured, folder, offline_ledger):
    certificate = (folder / SERVICE_FILE).read_text()
    ledgers = [
        offline_ledger(folder / f"node-{index}" / LEDGER_FOLDER, certificate) for index in range(NODES)
    ]
    for ledger in ledgers:
        assert ledger.report.unsigned_tail == ledger.report.torn_tail_bytes == 0
        # So the last entry is a signature, and it is the one that was verified.
        assert ledger.report.last_verified.seqno == ledger.report.entries > TRANSACTIONS
    shortest = min(ledger.report.entries for ledger in ledgers)
    assert ledgers[0].entries[:shortest] == ledgers[1].entries[:shortest] == ledgers[2].entries[:shortest]


def test_another_service_identity_is_refused(measured, folder, offline_ledger, up):
    with pytest.raises(IntegrityError):
        offline_ledger(folder / "node-0" / LEDGER_FOLDER, up["service_certificate"])


@pytest.mark.parametrize("node", range(NODES))
def test_the_independent_reader_accepts_the_ledger(
    measured, folder, offline_ledger, read_independently, node
):
    ledger = folder / f"node-{node}" / LEDGER_FOLDER
    report = offline_ledger(ledger, (folder / SERVICE_FILE).read_text()).report
    found = read_independently(ledger)
    assert found["entries"] == report.entries
    assert found["signatures"] == report.signatures
    assert found["last_verified_txid"] == str(report.last_verified)


def test_receipts_prove_themselves_offline(measured, folder, offline_ledger):
    certificate = (folder / SERVICE_FILE).read_text()
    ledger = offline_ledger(folder / "node-1" / LEDGER_FOLDER, certificate)
    assert {path.suffix for path in measured.receipts} == {".json", ".cose"}
    for path in measured.receipts:
        assert str(verify_receipt(path.read_bytes(), certificate).txid) in ledger.txids


def test_an_altered_receipt_proves_nothing(measured, folder):
    certificate = (folder / SERVICE_FILE).read_text()
    path = next(path for path in measured.receipts if path.suffix == ".cose")
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 1
    with pytest.raises(IntegrityError):
        verify_receipt(bytes(altered), certificate)
