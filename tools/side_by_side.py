"""A network in turn with what executes for it alone, so that the machine's mood is the same for both.

Networks, load and figures are those of ``coco bench``; here is what it does not do: the other half of each
round, the share of it that a network reaches, and the latency of transactions that come one at a time.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Awaitable, Callable

from coco_core.cli.measuring import Run, describe, open_bench, report_of
from coco_core.client import LoadResult, percentiles_ms
from coco_core.errors import OperatorError

NODES = 3
SINGLE = 100
"""Transactions that come one at a time, behind the rounds."""

Alone = Callable[[int, int], Awaitable[float]]
"""``await alone(first, count)``: transactions a second, of ``count`` of the workload's from ``first`` on."""


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def side_by_side(run: Run, alone: Alone, count: int) -> None:
    """Warm both up, measure ``run.rounds`` rounds of ``count`` transactions of both, and print.

    Raises OperatorError where there is nothing to measure, and when the network refuses something.
    """
    if min(count, run.rounds, run.per_request, run.outstanding) < 1:
        raise OperatorError(
            f"{run.rounds} rounds of {count}, {run.per_request} a request: nothing to measure"
        )
    results: list[LoadResult] = []
    alones: list[float] = []
    async with open_bench(run) as bench:
        if run.workload.warm_up:
            await alone(0, run.workload.warm_up)
        await bench.warm_up()
        before = await bench.readings()
        for _ in range(run.rounds):
            alones.append(await alone(bench.sent, count))
            results.append(await bench.load(count))
            if results[-1].refused:
                raise OperatorError(f"refused: {', '.join(list(dict.fromkeys(results[-1].refused))[:3])}")
            (rate,) = report_of(run, results[-1:], before, before)["rounds_tps"]
            say(f"alone {alones[-1]:.0f} tx/s, network {rate:.0f} tx/s committed ({rate / alones[-1]:.0%})")
        after = await bench.readings()
        single = percentiles_ms((await bench.load(SINGLE, outstanding=1, per_request=1)).answers())
    report = report_of(run, results, before, after)
    for title, value in describe(report):
        say(f"{title:>26}  {value}")
    rates = report["rounds_tps"]
    shares = [one / other for one, other in zip(rates, alones, strict=True)]
    for title, value in (
        ("best, median", f"{max(rates):.0f}, {statistics.median(rates):.0f} tx/s"),
        ("alone", f"{max(alones):.0f}, {statistics.median(alones):.0f} tx/s"),
        ("of alone", f"median {statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"),
        ("one at a time", "p50 {p50} ms, p95 {p95} ms, p99 {p99} ms".format(**single or {})),
    ):
        say(f"{title:>26}  {value}")
