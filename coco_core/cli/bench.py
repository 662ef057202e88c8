"""``coco bench``: the published demonstration as a benchmark, on this machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import attrs
import click
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.measuring import Measurement, Run, describe, describe_memory, measure, network_for
from coco_core.cli.network import prepare_folder, until_interrupted
from coco_core.errors import IntegrityError, OperatorError
from coco_core.node import load

DIFFERENCES_SHOWN = 10
BESIDE_MAX = 300
"""Transactions of a comparison run: enough for a figure, short on a slow engine."""


@click.command()
@click.argument("ledger")
@click.option("--data", type=click.Path(path_type=Path), help="Folder with recorded transactions.")
@click.option("--workload", "kind", default="", help="Generated mix instead; the adapter says which it has.")
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(1, 9))
@click.option("--arg", "args", multiple=True, help="NAME=VALUE for the adapter's workload.")
@click.option("--transactions", default=0, help="How many; 0 = all recorded ones or the adapter's default.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="Parts to measure.")
@click.option("--warm-up", type=click.IntRange(0), help="How many before; the adapter has a default.")
@click.option("--outstanding", default=200, show_default=True, help="Transactions sent and not answered.")
@click.option("--per-request", default=100, show_default=True, help="Transactions per request.")
@click.option("--engine", default="", help="Execution engine; see 'coco adapters list'.")
@click.option("--seed", default=1, show_default=True, help="Seed of a generated mix.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Keep ledgers and receipts here.")
@click.option("--json", "report_file", type=click.Path(path_type=Path), help="Write the report here.")
@click.option("--no-verify", is_flag=True, help="Do not compare state and receipts afterwards.")
@click.option("--beside", default="", help="Also run the first transactions on this engine, for comparison.")
def bench(
    ledger: str,
    data: Path | None,
    kind: str,
    args: tuple[str, ...],
    nodes: int,
    transactions: int,
    rounds: int,
    warm_up: int | None,
    outstanding: int,
    per_request: int,
    engine: str,
    seed: int,
    folder: Path | None,
    report_file: Path | None,
    no_verify: bool,
    beside: str,
) -> None:
    """Replay a workload through LEDGER on a fresh network of this machine and report figures.

    The client runs on the same machine and shares its processors with the nodes.
    """
    plugin = load(ledger)
    options = WorkloadOptions(
        kind=kind,
        data=str(data) if data else "",
        transactions=transactions,
        warm_up=warm_up,
        seed=seed,
        arguments=dict(map(_argument, args)),
    )

    def run(engine: str, options: WorkloadOptions, folder: Path, rounds: int) -> Measurement:
        adapter = plugin.create(engine, {})
        workload = plugin.workload(options)
        prepare_folder(folder)
        spec = network_for(workload, folder=folder.resolve(), nodes=nodes, ledger=ledger, engine=engine)
        one = Run(
            spec=spec,
            workload=workload,
            adapter=adapter,
            outstanding=max(outstanding, per_request),
            per_request=per_request,
            rounds=rounds,
            verify=not no_verify,
        )
        say = partial(click.echo, err=True)
        return trio.run(until_interrupted, partial(measure, one, None, say))

    with _opened(report_file) as output, tempfile.TemporaryDirectory(prefix="coco-bench-") as temporary:
        measurement = run(engine, options, folder or Path(temporary, "network"), rounds)
        show(measurement)
        report = dict(measurement.report)
        if beside:
            few = attrs.evolve(options, transactions=min(transactions or BESIDE_MAX, BESIDE_MAX), warm_up=0)
            other = run(beside, few, Path(temporary, "beside"), 1)
            report["beside"] = other.report
            click.echo(f"\nbeside it, {other.report['engine']}, the first {other.report['transactions']}:")
            show(other)
            check(other)
        if output is not None:
            output.truncate(0)
            output.write(json.dumps(report, indent=2) + "\n")
    check(measurement)


def _argument(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OperatorError(f"--arg {text}: expected NAME=VALUE")
    return name, value


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    """Open the report before the run, so that no figures are lost to a place that cannot be written.

    A file made here and left empty, because the run failed, is removed again.
    """
    if path is None:
        yield None
        return
    existed = path.exists()
    try:
        # Not "w": an older report stays until there is a newer one.
        output = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"--json {path}: {error.strerror}") from error
    try:
        with output:
            yield output
    finally:
        if not existed and not path.stat().st_size:
            path.unlink()


def show(measurement: Measurement) -> None:
    """Print the figures as a table."""
    for title, value in (*describe(measurement.report), *describe_memory(measurement.report)):
        click.echo(f"{title:>26}  {value}")
    for reason in measurement.report["refused"][:DIFFERENCES_SHOWN]:
        click.echo(f"{'refused':>26}  {reason}")


def check(measurement: Measurement) -> None:
    """Raise IntegrityError when the network's state is not what the workload knows to be right."""
    for line in measurement.differences[:DIFFERENCES_SHOWN]:
        click.echo(f"DIFFERENCE {line}", err=True)
    if measurement.differences:
        raise IntegrityError(f"{len(measurement.differences)} differences from what is known to be right")
