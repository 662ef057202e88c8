"""How many moves of cash a second a three-node network notarises, and its JVM worker alone.

The network is that of ``coco bench corda`` (moves of R3's finance contracts, each of a state of its own, over
TLS to the primary, ``--batch`` in a request, ``--clients`` requests under way). ``alone`` is the same moves,
read, verified and signed in this process with workers of its own, no network: as many at a time as a node
with so many under way takes into one round (250 at most), so that the share is one of like with like. Cold
start is from no JVM to the first verdict. A JVM compiles what it runs over its first ten thousand
transactions: figures before that are about its compiler.

    make jvm
    .venv/bin/python tools/bench_corda_network.py [--moves 2000] [--batch 100] [--help]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import trio
from side_by_side import NODES, SINGLE, say, side_by_side

from coco_corda.limits import ROUND_TRANSACTIONS_MAX
from coco_corda.plugin import adapter
from coco_corda.shell import Workers, find_launch
from coco_corda.testing import Ledger
from coco_corda.workloads import CashWorkload, make_workload
from coco_core.adapter import Applied, WorkloadOptions
from coco_core.cli.failing import status_of
from coco_core.cli.measuring import Run, network_for
from coco_core.cli.network import until_interrupted
from coco_core.errors import OperatorError


async def measure(options: argparse.Namespace, workload: CashWorkload, folder: Path) -> None:
    """Measure and print."""
    launch = find_launch(workload.node_settings(0))
    workers = Workers(launch)
    ledger = Ledger(adapter(workers), workload.config)
    at_a_time = max(1, min(options.clients * options.batch, ROUND_TRANSACTIONS_MAX))

    async def alone(first: int, count: int) -> float:
        moves = workload.payloads(first, count)
        began = time.perf_counter()
        for at in range(0, count, at_a_time):
            outcomes = await ledger.execute(*moves[at : at + at_a_time])
            if not all(isinstance(each, Applied) for each in outcomes):
                raise OperatorError("a move was refused")
        return count / (time.perf_counter() - began)

    try:
        began = time.perf_counter()
        await ledger.execute(workload.issue)
        cold_s = time.perf_counter() - began
        say(f"cold start: {cold_s:.1f} s from no JVM to the first verdict; {workers.described}")
        run = Run(
            spec=network_for(workload, folder=folder, nodes=NODES, ledger="corda", engine=""),
            workload=workload,
            adapter=ledger.adapter,
            outstanding=options.clients * options.batch,
            per_request=options.batch,
            rounds=options.rounds,
        )
        await side_by_side(run, alone, options.moves)
    finally:
        workers.close()


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=2_000, help="in each round")
    parser.add_argument("--batch", type=int, default=100, help="moves in one request")
    parser.add_argument("--clients", type=int, default=4, help="requests under way at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--warm-up", type=int, default=8_000, help="moves before the first round, alone and network"
    )
    sys.exit(status_of(partial(run, parser.parse_args())))


def run(options: argparse.Namespace) -> None:
    """Make the load, and measure."""
    count = options.rounds * options.moves + SINGLE
    workload = make_workload(WorkloadOptions(transactions=count, warm_up=options.warm_up))
    say(f"load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="coco-bench-") as temporary:
        trio.run(until_interrupted, partial(measure, options, workload, Path(temporary)))


if __name__ == "__main__":
    main()
