"""How many moves of cash a second a three-node network notarises, and its JVM worker alone.

Moves of R3's finance contracts, made and signed beforehand, each of a state of its own, go over HTTP to the
primary, ``--batch`` in a request; a move counts when it is notarised, that is durable on a majority, and the
signature is here. ``alone`` is the same moves, read, verified and signed in this process with workers of its
own, no network. Both in turn, so that the machine's mood is the same for both; shares are of neighbours.
Latency is of single moves on one connection. Cold start is from no JVM to the first verdict. A JVM compiles
what it runs over its first ten thousand transactions: figures before that are about its compiler.

    make jvm
    .venv/bin/python tools/bench_corda_network.py [--moves 2000] [--batch 100] [--help]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import struct
import sys
import tempfile
import time
from collections import deque
from functools import partial
from pathlib import Path

import trio

from coco_corda.plugin import adapter
from coco_corda.shell import Workers, find_launch
from coco_corda.testing import Ledger, Samples, find_samples
from coco_core.adapter import Applied
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network

NODES = 3
VERIFY_SECONDS = 60
LATENCIES = 100
TRIES = 20
OCTETS = "application/octet-stream"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def submit(address: str, work: deque[bytes]) -> None:
    """Send bodies one after the other over one connection, each once the one before is answered."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=300)

    def one(body: bytes) -> None:
        for _ in range(TRIES):
            connection.request("POST", "/transactions/many", body, {"Content-Type": OCTETS})
            told = json.loads(connection.getresponse().read())
            refused = [each for each in told if each["code"] != 200] if isinstance(told, list) else [told]
            # No commit in time: a JVM that starts on a busy machine needs longer than the node waits.
            if not all(each.get("retry") for each in refused):
                raise SystemExit(f"not notarised: {refused}"[:500])
            if not refused:
                return
        raise SystemExit("the network commits nothing")

    while work:
        await trio.to_thread.run_sync(one, work.popleft())
    connection.close()


async def primary(local: LocalNetwork) -> LocalNode:
    """Return the node that leads, as soon as one says so."""
    while True:
        for node in local.nodes:
            if node.role == "leader":
                return node
        await trio.sleep(0.1)


async def measure_network(address: str, moves: list[bytes], options: argparse.Namespace) -> float:
    """Return moves a second, over several connections."""
    framed = [struct.pack(">I", len(move)) + move for move in moves]
    size = options.batch
    work = deque(b"".join(framed[at : at + size]) for at in range(0, len(framed), size))
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(options.clients):
            nursery.start_soon(submit, address, work)
    return len(moves) / (time.perf_counter() - began)


async def measure_alone(ledger: Ledger, moves: list[bytes], size: int) -> float:
    """Return moves a second that are read, verified, decided and signed in this process, by one worker."""
    began = time.perf_counter()
    for at in range(0, len(moves), size):
        outcomes = await ledger.execute(*moves[at : at + size])
        if not all(isinstance(each, Applied) for each in outcomes):
            raise SystemExit("a move was refused")
    return len(moves) / (time.perf_counter() - began)


async def latencies(address: str, moves: list[bytes]) -> list[float]:
    """Return the milliseconds of single moves."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    found: list[float] = []
    for move in moves:
        began = time.perf_counter()

        def one(body: bytes = move) -> int:
            connection.request("POST", "/transactions", body, {"Content-Type": OCTETS})
            answer = connection.getresponse()
            answer.read()
            return answer.status

        if await trio.to_thread.run_sync(one) != 200:
            raise SystemExit("a move was refused")
        found.append(1000 * (time.perf_counter() - began))
    connection.close()
    return found


async def measure(options: argparse.Namespace, samples: Samples) -> None:
    """Measure and print."""
    moves = [samples[f"left-{number}"] for number in range(samples.count)]
    config = samples.genesis(samples.count)
    launch = find_launch({"verify_seconds": VERIFY_SECONDS})
    workers = Workers(launch)
    alone = Ledger(adapter(workers), config)
    began = time.perf_counter()
    await alone.execute(samples["issue"])
    cold_s = time.perf_counter() - began
    say(f"cold start: {cold_s:.1f} s from no JVM to the first verdict; {workers.described}")
    warm, single = moves[: options.warm_up], moves[options.warm_up : options.warm_up + LATENCIES]
    rest = moves[options.warm_up + LATENCIES :]
    rates: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="coco-bench-") as temporary:
        settings = {"verify_seconds": VERIFY_SECONDS}
        spec = NetworkSpec(
            folder=Path(temporary),
            nodes=NODES,
            ledger="corda",
            engine="",
            config=config,
            node_settings={"corda": lambda index: settings},
        )
        async with open_network(spec) as local:
            address = (await primary(local)).info["rpc"]["corda"]
            await measure_alone(alone, warm, options.batch)
            await measure_network(address, warm, options)
            for number in range(options.rounds):
                part = rest[number * options.moves : (number + 1) * options.moves]
                one = await measure_alone(alone, part, options.batch)
                other = await measure_network(address, part, options)
                rates.append((one, other))
                say(f"alone {one:.0f} moves/s, network {other:.0f} moves/s notarised ({other / one:.0%})")
            found = sorted(await latencies(address, single))
    workers.close()
    best, median = max(other for _, other in rates), statistics.median(other for _, other in rates)
    share = statistics.median(other / one for one, other in rates)
    say(
        f"network {best:.0f} best, {median:.0f} median moves/s notarised, {share:.0%} of alone;"
        f" single move {statistics.median(found):.0f} ms median, {found[int(0.99 * len(found))]:.0f} ms p99"
    )


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=2_000, help="in each round")
    parser.add_argument("--batch", type=int, default=100, help="moves in one request")
    parser.add_argument("--clients", type=int, default=4, help="connections, one request each at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--warm-up", type=int, default=8_000, help="moves before the first round, alone and network"
    )
    options = parser.parse_args()
    samples = find_samples(options.warm_up + LATENCIES + options.rounds * options.moves, only_moves=True)
    if isinstance(samples, str):
        raise SystemExit(samples)
    say(
        f"{NODES} nodes, {options.moves} moves of cash in {options.rounds} rounds, {options.batch} a request,"
        f" {options.clients} connections; Python {platform.python_version()}, {os.cpu_count()} processors,"
        f" load {os.getloadavg()[0]:.1f}"
    )
    trio.run(partial(measure, options, samples))


if __name__ == "__main__":
    main()
