"""Nodes of a running network come, go, and start again: real processes, the command line, a load between.

The operator's steps are typed as a person would; what nodes say of themselves is all that is waited for.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import attrs
import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.cli.ledger import audit_folder
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import SERVICE_FILE, LocalNetwork, NetworkSpec, open_network
from coco_core.cli.nodes import make_operator
from coco_core.client import Connection, LoadSettings, NodeClient, pinned_context, run_load
from coco_core.errors import OperatorError
from coco_core.node import load

pytestmark = pytest.mark.processes

PER_REQUEST = 20
PATIENCE_S = 180
SETTINGS = {"snapshot_interval": 100, "archive": "archive"}


@attrs.frozen(eq=False)
class Stage:
    """A network, its operator, and a load sent piece by piece."""

    local: LocalNetwork
    certificate: Path
    key: Path
    workload: Workload
    loads: Iterator[Load]

    async def send(self, requests: int, *nodes: int) -> None:
        """Send the next part of the load to ``nodes``; every transaction must be committed."""
        endpoints = [self.local.endpoints[node] for node in nodes]
        settings = LoadSettings(
            endpoints=endpoints,
            service_certificate=self.local.service_certificate,
            outstanding=PER_REQUEST,
            per_request=PER_REQUEST,
        )
        result = await run_load(settings, islice(self.loads, requests), self.workload.told, None)
        assert result.all_committed, result.refused

    async def coco(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Type a command of ``coco nodes`` as the operator."""
        admin = next(node.info["admin"] for node in self.local.nodes if not node.ended.is_set())
        files = ["--admin", admin, "--service-cert", str(self.local.spec.folder / SERVICE_FILE)]
        if words[0] != "list":
            files += ["--operator-cert", str(self.certificate), "--operator-key", str(self.key)]
        command = [sys.executable, "-m", "coco_core", "nodes", *words, *files]
        return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)

    async def change(self, *words: str) -> None:
        done = await self.coco("change", *words)
        assert done.returncode == 0, done.stderr

    async def health(self, node: int) -> dict[str, object]:
        tls = pinned_context(self.local.service_certificate)
        async with await Connection.open(self.local.nodes[node].info["admin"], tls) as connection:
            return await NodeClient(connection).health()

    async def committed_equal(self) -> None:
        """Wait until every node has committed what the most advanced one has."""
        tls = pinned_context(self.local.service_certificate)
        alive = [node for node in self.local.nodes if not node.ended.is_set()]
        seqnos: list[int] = []
        for node in alive:
            async with await Connection.open(node.info["admin"], tls) as connection:
                seqnos.append((await NodeClient(connection).committed_after(-1))[1])
        for node in alive:
            async with await Connection.open(node.info["admin"], tls) as connection:
                while (await NodeClient(connection).committed_after(max(seqnos) - 1))[1] < max(seqnos):
                    pass

    def id_of(self, node: int) -> str:
        return str(self.local.nodes[node].info["node_id"])

    async def restart(self, index: int, through: int) -> LocalNode:
        """Start a node in the place of one that ended and have the operator put it in its place."""
        old = self.id_of(index)
        node = await self.local.replace(index, [through])
        await self.change("--add", str(node.info["node_id"]), "--remove", old)
        async with trio.open_nursery() as nursery:

            async def end(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(end, node.opened)
            nursery.start_soon(end, node.ended)
        return node


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=6_000, seed=3))
    certificate, key = make_operator(folder / "keys")
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=3,
        ledger="ethereum",
        engine="",
        config=workload.config,
        operators=[certificate],
        settings=SETTINGS,
    )
    spec.folder.mkdir()
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as local:
            yield Stage(local, certificate, key, workload, workload.loads(PER_REQUEST))


async def test_killed_node_comes_back_as_a_new_one_from_its_old_ledger(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.send(50, 0, 1)
        stage.local.kill(2)
        await stage.local.nodes[2].ended.wait()
        await stage.send(50, 0, 1)
        back = await stage.restart(2, through=0)
        assert back.opened.is_set(), back.last_words()
        log = (back.folder / "node.log").read_text()
        assert "took over the ledger in this folder" in log
        await stage.send(20, 2)
        await stage.committed_equal()
        listed = (await stage.coco("list")).stdout.decode()
        assert len(re.findall("Trusted", listed)) == 3
        assert len(re.findall("Retired", listed)) == 1
        # The archive holds what the newest snapshot makes superfluous, on every node.
        assert list((stage.local.nodes[0].folder / "archive").glob("ledger_1-*.committed"))
        folder = stage.local.spec.folder
        certificate = stage.local.service_certificate
    for index in range(3):
        report = audit_folder(folder / f"node-{index}" / "ledger", certificate)
        assert report.unsigned_tail == 0


async def test_node_far_behind_begins_at_a_snapshot_and_the_primary_may_go(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.send(60, 0, 1)
        stage.local.kill(2)
        await stage.local.nodes[2].ended.wait()
        folder = stage.local.nodes[2].folder
        for name in ("ledger", "snapshots", "archive"):
            if (folder / name).exists():
                (folder / name).rename(folder / f"moved-{name}")
        await stage.send(60, 0, 1)
        back = await stage.restart(2, through=1)
        assert back.opened.is_set(), back.last_words()
        snapshots = list((folder / "snapshots").glob("snapshot_*.committed"))
        assert snapshots, "it began with the whole ledger"
        await stage.send(10, 2)
        # The founder leads; its removal is its own last act, and it ends by itself.
        assert (await stage.health(0))["role"] == "primary"
        await stage.change("--remove", stage.id_of(0))
        await stage.local.nodes[0].ended.wait()
        process = stage.local.nodes[0].process
        assert process is not None
        assert process.returncode == 0
        await stage.send(10, 1, 2)


async def test_corrupt_chunk_keeps_a_node_from_starting_and_is_named(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.send(20, 0, 1)
        stage.local.kill(2)
        await stage.local.nodes[2].ended.wait()
        chunk = max((stage.local.nodes[2].folder / "ledger").glob("ledger_*"))
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(bytes(data))
        # It may end before it asks: when the fault is in what anybody can read.
        with contextlib.suppress(OperatorError):
            await stage.restart(2, through=0)
        told = stage.local.nodes[2].last_words()
        assert not stage.local.nodes[2].opened.is_set()
        assert chunk.name in told
        assert "offset" in told
        assert chunk.read_bytes() == bytes(data), "nothing is repaired in silence"


async def test_what_only_operators_may(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stranger, key = make_operator(tmp_path / "stranger")
        done = await attrs.evolve(stage, certificate=stranger, key=key).coco(
            "change", "--remove", stage.id_of(1)
        )
        assert done.returncode != 0
        tls = pinned_context(stage.local.service_certificate)
        async with await Connection.open(stage.local.nodes[1].info["admin"], tls) as connection:
            body = json.dumps({"add": [], "remove": [stage.id_of(1)]}).encode()
            await connection.send("POST", "/node/members", body)
            assert (await connection.receive()).status == 401
        refused = await stage.coco("change", "--add", "f" * 64)
        assert b"not-pending" in refused.stderr or b"unknown" in refused.stderr
        assert refused.returncode == 1
