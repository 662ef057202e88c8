"""``coco demo``: the main job in one command: replay, measure, audit, verify, stop."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coco_core.adapter import WorkloadOptions
from coco_core.cli.bench import check
from coco_core.cli.ledger import audit_folder
from coco_core.cli.measuring import Measurement, Run, describe, measure, network_for
from coco_core.cli.network import SERVICE_FILE, prepare_folder, until_interrupted
from coco_core.client import verify_receipt
from coco_core.errors import IntegrityError
from coco_core.node import LEDGER_FOLDER, load

SHARED_VARIABLE = "COCO_SHARED"
"""Names the folder that holds third-party data; without it, ``../shared`` beside the checkout."""


@click.command()
@click.option("--ledger", default="ethereum", show_default=True)
@click.option("--engine", default="", help="Execution engine; empty = the fastest one installed.")
@click.option("--transactions", default=0, help="How many; 0 = all recorded ones or the adapter's default.")
def demo(ledger: str, engine: str, transactions: int) -> None:
    """Start three nodes, replay real transactions, audit every ledger, verify receipts, stop."""
    console = Console()
    plugin = load(ledger)
    adapter = plugin.create(engine, {})
    data = _recorded()
    if data is None:
        console.print(
            "recorded mainnet transactions are not here (../shared/data/mainnet): generating a load"
        )
    workload = plugin.workload(WorkloadOptions(data=str(data) if data else "", transactions=transactions))
    with tempfile.TemporaryDirectory(prefix="coco-demo-") as temporary:
        folder = Path(temporary, "network")
        prepare_folder(folder)
        run = Run(
            spec=network_for(workload, folder=folder, nodes=3, ledger=ledger, engine=engine),
            workload=workload,
            adapter=adapter,
            outstanding=200,
            per_request=100,
        )
        console.print(
            f"[bold]{workload.name}[/] on three nodes, {adapter.manifest.engine}; TEE: virtual (INSECURE)"
        )
        measurement = _measure(run, console)
        _show(measurement, console)
        check(measurement)
        console.print(f"state and receipts on every node: {workload.transactions} transactions as expected")
        _audit(folder, console)
        _verify_receipts(folder, measurement, console)
    console.print("[green]the network is stopped and nothing is left behind[/]")


def _measure(run: Run, console: Console) -> Measurement:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("committed", total=run.workload.transactions)

        def progress(answered: int, refused: int) -> None:
            bar.update(task, completed=answered, description=f"committed, {refused} refused")

        return trio.run(until_interrupted, partial(measure, run, progress, console.print))


def _show(measurement: Measurement, console: Console) -> None:
    table = Table(show_header=False)
    for title, value in describe(measurement.report):
        table.add_row(title, value)
    console.print(table)
    if measurement.report["failed"]:
        raise IntegrityError(f"{measurement.report['failed']} transactions were refused")


def _audit(folder: Path, console: Console) -> None:
    certificate = (folder / SERVICE_FILE).read_text()
    for node in sorted(folder.glob("node-*")):
        report = audit_folder(node / LEDGER_FOLDER, certificate)
        console.print(
            f"audit of {node.name}: {report.entries} entries, {report.signatures} signatures, "
            f"last verified {report.last_verified}, unsigned tail {report.unsigned_tail}"
        )


def _verify_receipts(folder: Path, measurement: Measurement, console: Console) -> None:
    certificate = (folder / SERVICE_FILE).read_text()
    for path in measurement.receipts:
        verified = verify_receipt(path.read_bytes(), certificate)
        console.print(f"receipt {path.name}: transaction {verified.txid} proven offline")


def _recorded() -> Path | None:
    """Return the folder of recorded transactions, if this machine has it."""
    root = os.environ.get(SHARED_VARIABLE)
    shared = Path(root) if root else Path(__file__).resolve().parents[2].parent / "shared"
    folder = shared / "data" / "mainnet"
    return folder if (folder / "s1.txs.jsonl.gz").exists() else None
