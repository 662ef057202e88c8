"""``python -m coco_core.testing.catching_up``: how long a node far behind needs, while load goes on.

Three processes on loopback run Ethereum transfers. One is killed and its disk taken away; when the other two
are ``--transactions`` further, a new one is started in its place, let in, and timed until it is a member and
has committed what the primary had. Prints its figures with their conditions; a benchmark, not a test.
"""

from __future__ import annotations

import json
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import attrs
import click
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.cli.measuring import machine
from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network
from coco_core.cli.nodes import make_operator
from coco_core.client import Connection, LoadResult, LoadSettings, NodeClient, pinned_context, run_load
from coco_core.errors import OperatorError
from coco_core.node import load

PER_REQUEST = 100
AWAY = 2


@attrs.frozen
class Caught:
    """What one run gave, in seconds since the new process was started."""

    behind: int
    """Entries the new node lacked when it was let in."""
    waiting_s: float
    open_s: float
    """Its first commit: from here on it serves."""
    member_s: float
    """It is a member, and has committed what the primary had."""
    began_at: int
    """Seqno of the snapshot it began at; 0 if it fetched the whole log."""
    before_tps: float
    during_tps: float


@click.command()
@click.option("--transactions", default=100_000, show_default=True, help="How far the node falls behind.")
@click.option("--outstanding", default=200, show_default=True, help="Transactions under way at one time.")
@click.option("--snapshot-interval", default=10_000, show_default=True, help="Entries between chunk ends.")
def main(transactions: int, outstanding: int, snapshot_interval: int) -> None:
    """Measure how a node far behind catches up."""
    with tempfile.TemporaryDirectory(prefix="coco-catch-up-") as folder:
        caught = trio.run(_run, Path(folder), transactions, outstanding, snapshot_interval)
    click.echo(f"behind            {caught.behind} entries ({transactions} transactions)")
    click.echo(f"began at          {f'snapshot {caught.began_at}' if caught.began_at else 'the whole log'}")
    click.echo(f"asked after       {caught.waiting_s:.1f} s")
    click.echo(f"open after        {caught.open_s:.1f} s (first commit)")
    click.echo(f"member after      {caught.member_s:.1f} s (up to date, counted)")
    click.echo(
        f"load              {caught.before_tps:.0f} tx/s before, {caught.during_tps:.0f} tx/s meanwhile"
    )
    click.echo(f"snapshot interval {snapshot_interval} entries; outstanding {outstanding}")
    click.echo(f"machine           {json.dumps(machine())}")


async def _run(folder: Path, transactions: int, outstanding: int, snapshot_interval: int) -> Caught:
    # As much again, and half, for the load that goes on meanwhile.
    options = WorkloadOptions(kind="transfers", transactions=5 * transactions // 2, seed=1)
    workload = load("ethereum").workload(options)
    certificate, key = make_operator(folder / "keys")
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=3,
        ledger="ethereum",
        engine="",
        config=workload.config,
        operators=[certificate],
        settings={"snapshot_interval": snapshot_interval},
    )
    spec.folder.mkdir()
    async with open_network(spec) as network:
        tls = pinned_context(network.service_certificate)
        tls.load_cert_chain(certificate, key)
        run = _Run(network, workload, outstanding, tls)
        return await run.measure(workload.loads(PER_REQUEST), transactions)


@attrs.frozen
class _Run:
    network: LocalNetwork
    workload: Workload
    outstanding: int
    tls: ssl.SSLContext

    async def measure(self, loads: Iterator[Load], transactions: int) -> Caught:
        away = self.network.nodes[AWAY]
        self.network.kill(AWAY)
        await away.ended.wait()
        shutil.rmtree(away.folder)
        before = await self._send(islice(loads, transactions // PER_REQUEST))
        meanwhile: list[LoadResult] = []
        async with trio.open_nursery() as nursery:

            async def go_on() -> None:
                meanwhile.append(await self._send(loads))

            nursery.start_soon(go_on)
            times = await self._bring_back(str(away.info["node_id"]))
            if meanwhile:
                raise OperatorError("the load ended before the node had caught up: ask for more transactions")
            during = (await self._committed([0]))[0]
            nursery.cancel_scope.cancel()
        began, (waiting, opened, member), lacked = times
        snapshots = (self.network.nodes[AWAY].folder / "snapshots").glob("snapshot_*.committed")
        seqnos = [int(path.name.split("_")[1]) for path in snapshots]
        return Caught(
            behind=lacked,
            waiting_s=waiting - began,
            open_s=opened - began,
            member_s=member - began,
            began_at=min(seqnos, default=0),
            before_tps=len(before.sent_at) / (before.ended_at - before.started_at),
            during_tps=(during - lacked) / (trio.current_time() - began),
        )

    async def _bring_back(self, old: str) -> tuple[float, tuple[float, float, float], int]:
        began = trio.current_time()
        lacked = (await self._committed([0]))[0]
        node = await self.network.replace(AWAY, [0])
        waiting = trio.current_time()
        async with await Connection.open(self.network.nodes[0].info["admin"], self.tls) as connection:
            await NodeClient(connection).change_members([str(node.info["node_id"])], [old])
        await node.opened.wait()
        opened = trio.current_time()
        while True:
            goal, reached = await self._committed([0, AWAY])
            async with await Connection.open(node.info["admin"], self.tls) as connection:
                nodes = (await NodeClient(connection).network())["nodes"]
            if nodes.get(node.info["node_id"], {}).get("status") == "Trusted":
                while reached < goal:
                    _, reached = await self._committed([0, AWAY])
                return began, (waiting, opened, trio.current_time()), lacked
            await trio.sleep(0.05)

    async def _committed(self, nodes: Sequence[int]) -> list[int]:
        seqnos: list[int] = []
        for index in nodes:
            async with await Connection.open(self.network.nodes[index].info["admin"], self.tls) as connection:
                seqnos.append((await NodeClient(connection).committed_after(-1))[1])
        return seqnos

    async def _send(self, loads: Iterator[Load]) -> LoadResult:
        settings = LoadSettings(
            endpoints=[self.network.endpoints[0], self.network.endpoints[1]],
            service_certificate=self.network.service_certificate,
            outstanding=self.outstanding,
            per_request=PER_REQUEST,
        )
        return await run_load(settings, loads, self.workload.told, None)


if __name__ == "__main__":
    main()
