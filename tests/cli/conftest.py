"""The command line in this process, and a ledger to point it at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from coco_core.cli import main
from coco_core.ledger import LedgerSecrets
from coco_core.replica import make_receipt, plan_receipt
from coco_core.testing import Cluster, add


@attrs.frozen
class Ran:
    status: int
    out: str
    err: str


Coco = Callable[..., Ran]


@pytest.fixture
def coco(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Coco:
    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["coco", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A folder ``ledger``, ``service.pem`` and a receipt in both forms."""
    cluster = Cluster.found(1, draw=lambda low, _: low)
    cluster.settle()
    for name in ("a", "b"):
        cluster.submit(cluster.primary, add(name, "x", 1))
        cluster.settle()
    node = cluster.primary
    name, data = node.disk.file()
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / name).write_bytes(data)
    (tmp_path / "service.pem").write_text(cluster.consortium.service.certificate)
    plan = plan_receipt(node.replica.chain, node.batches[1].txid)
    secrets: LedgerSecrets = cluster.secrets
    entries = [node.disk.entries[seqno - 1].data for seqno in (plan.seqno, plan.signature_seqno)]
    for suffix, cose in (("json", False), ("cose", True)):
        receipt = make_receipt(plan, entries[0], entries[1], secrets, cose=cose)
        (tmp_path / f"receipt.{suffix}").write_bytes(receipt)
    return tmp_path
