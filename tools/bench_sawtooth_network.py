"""How many Sawtooth transactions a second a three-node network commits, and its processor alone.

The network is that of ``coco bench sawtooth`` (batches of ``--batch`` intkey transactions over REST to the
primary, ``--clients`` of them under way, unmodified processors beside each node). ``alone`` is the bare loop
of ``bench_sawtooth_processors`` with processors of its own.

    make sawtooth-clients
    .venv/bin/python tools/bench_sawtooth_network.py [--sdk javascript] [--processors 2] [--help]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio
from bench_sawtooth_processors import RAW, SDKS, Measured, measure_alone
from side_by_side import NODES, SINGLE, say, side_by_side

from coco_core.adapter import Workload, WorkloadOptions
from coco_core.cli.failing import status_of
from coco_core.cli.measuring import Run, network_for
from coco_core.cli.network import until_interrupted
from coco_sawtooth.plugin import SawtoothPlugin

BESIDE = 10_000_000
"""Names of what is set alone begin there, for nobody else to set."""


async def measure(options: argparse.Namespace, workload: Workload, folder: Path) -> None:
    """Measure and print."""

    async def alone(first: int, count: int) -> float:
        into, endpoint = Measured(), f"ipc://{folder}/alone-{first}"
        one_round = argparse.Namespace(**{**vars(options), "transactions": count})
        # In a thread: Ctrl-C, or what else cancels this, is heard when it looks.
        look = trio.from_thread.check_cancelled
        work = partial(measure_alone, one_round, options.window, endpoint, BESIDE + first, into, look)
        await trio.to_thread.run_sync(work)
        return into.rates[0]

    (folder / "network").mkdir()
    run = Run(
        spec=network_for(workload, folder=folder / "network", nodes=NODES, ledger="sawtooth", engine=""),
        workload=workload,
        adapter=SawtoothPlugin().create("", {}),
        outstanding=options.clients * options.batch,
        per_request=options.batch,
        rounds=options.rounds,
    )
    await side_by_side(run, alone, options.transactions)


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--sdk", choices=SDKS, default=SDKS[0])
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("--transactions", type=int, default=4_000, help="in each round")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8, help="batches under way at a time")
    parser.add_argument("--window", type=int, default=10, help="in flight per processor, alone")
    parser.add_argument("--rounds", type=int, default=3)
    sys.exit(status_of(partial(run, parser.parse_args())))


def run(options: argparse.Namespace) -> None:
    """Make the load, and measure."""
    count = options.rounds * options.transactions + SINGLE
    arguments = {"sdk": options.sdk, "processors": str(options.processors)}
    workload = SawtoothPlugin().workload(WorkloadOptions(transactions=count, arguments=arguments))
    say(f"load {os.getloadavg()[0]:.1f} before; alone {options.window} in flight per processor")
    with tempfile.TemporaryDirectory(prefix="coco-bench-") as temporary:
        trio.run(until_interrupted, partial(measure, options, workload, Path(temporary)))


if __name__ == "__main__":
    main()
