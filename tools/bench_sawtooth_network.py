"""How many Sawtooth transactions a second a three-node network commits, and its processor alone.

Batches of ``--batch`` intkey transactions, signed beforehand, go over REST to the primary, to whose socket
the unmodified processors are connected; a transaction counts when its batch is COMMITTED, that is durable on
a majority. ``alone`` is the bare loop of ``bench_sawtooth_processors`` with processors of its own. Both in
turn, the network idle meanwhile, so that the machine's mood is the same for both; shares are of neighbours.

    make sawtooth-clients
    .venv/bin/python tools/bench_sawtooth_network.py [--sdk javascript] [--processors 2] [--help]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import tempfile
from collections import deque
from functools import partial
from pathlib import Path

import trio
from bench_sawtooth_processors import RAW, Measured, measure_alone, running, say

from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network
from coco_sawtooth import messages
from coco_sawtooth.development import development_ledger
from coco_sawtooth.testing import Client, intkey_transaction

NODES = 3
WARM_UP_BATCHES = 5
POLL_WAIT_S = 30


def signed(client: Client, batches: int, size: int, label: str) -> list[bytes]:
    """Return batch lists of one batch each, whose transactions touch nothing in common."""
    made = []
    for number in range(batches):
        wanted = [intkey_transaction(client, "set", f"{label}{number}-{n}", n) for n in range(size)]
        made.append(messages.BatchList(batches=[client.batch(*wanted)]).SerializeToString())
    return made


async def submit(address: str, work: deque[bytes]) -> None:
    """Send batches one after the other over one connection, each once the one before is committed."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def one(body: bytes) -> None:
        connection.request("POST", "/batches", body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        value = json.loads(answer.read())
        if answer.status != 202:
            raise SystemExit(f"{answer.status}: {value}")
        target = "/" + value["link"].split("/", 3)[3]
        connection.request("GET", f"{target}&wait={POLL_WAIT_S}")
        (status,) = json.loads(connection.getresponse().read())["data"]
        if status["status"] != "COMMITTED":
            raise SystemExit(f"a batch ended as {status}")

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


async def measure_network(
    options: argparse.Namespace, local: LocalNetwork, bodies: list[bytes], into: Measured
) -> None:
    """Measure a round."""
    address = (await primary(local)).info["rpc"]["sawtooth"]
    work = deque(bodies)
    with into.round(len(bodies) * options.batch):
        async with trio.open_nursery() as nursery:
            for _ in range(options.clients):
                nursery.start_soon(submit, address, work)


async def measure(options: argparse.Namespace) -> None:
    """Measure and print."""
    alone, network = Measured(), Measured()
    client = Client.named("bench")
    with tempfile.TemporaryDirectory(prefix="coco-bench-") as temporary:
        folder = Path(temporary)
        spec = NetworkSpec(
            folder=folder / "network",
            nodes=NODES,
            ledger="sawtooth",
            engine="",
            config=development_ledger().config,
            node_settings={"sawtooth": lambda index: {"processors": f"ipc://{folder}/p{index}"}},
        )
        spec.folder.mkdir()
        run_alone = partial(measure_alone, options, options.window)
        async with open_network(spec) as local:
            leader = await primary(local)
            with running(options.sdk, f"ipc://{folder}/p{leader.index}", options.processors):
                warm_up = signed(client, WARM_UP_BATCHES, options.batch, "w")
                await measure_network(options, local, warm_up, Measured())
                for number in range(options.rounds):
                    bodies = signed(
                        client, options.transactions // options.batch, options.batch, f"r{number}-"
                    )
                    endpoint = f"ipc://{folder}/a{number}"
                    await trio.to_thread.run_sync(run_alone, endpoint, number * 10_000_000, alone)
                    await measure_network(options, local, bodies, network)
                    say(f"alone {alone.rates[-1]:.0f} tx/s, network {network.rates[-1]:.0f} tx/s committed")
    shares = [one / other for one, other in zip(network.rates, alone.rates, strict=True)]
    say(
        f"alone {max(alone.rates):.0f}/{statistics.median(alone.rates):.0f} tx/s,"
        f" network {max(network.rates):.0f}/{statistics.median(network.rates):.0f} tx/s committed;"
        f" of alone {min(shares):.0%} to {max(shares):.0%}, median {statistics.median(shares):.0%}"
    )


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--sdk", choices=["python", "javascript"], default="python")
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("--transactions", type=int, default=4_000, help="in each round")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8, help="connections, one batch each at a time")
    parser.add_argument("--window", type=int, default=10, help="in flight per processor, alone")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    say(
        f"{options.processors} x intkey on the {options.sdk} SDK, {options.transactions} transactions in"
        f" batches of {options.batch}, {options.clients} clients; best/median of {options.rounds} rounds;"
        f" Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    trio.run(measure, options)


if __name__ == "__main__":
    main()
