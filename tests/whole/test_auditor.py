"""Members let an auditor read one epoch of a real ledger, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, running
from coco_core.client import LoadSettings, run_load
from coco_core.governance import read_epochs
from coco_core.node import load

pytestmark = pytest.mark.processes

PATIENCE_S = 120
PER_REQUEST = 5


async def coco(*words: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "coco_core", *map(str, words)]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


async def send(network: GovernedNetwork, workload: Workload, loads: Iterator[Load]) -> None:
    settings = LoadSettings(
        endpoints=network.endpoints,
        service_certificate=network.service_certificate,
        outstanding=PER_REQUEST,
        per_request=PER_REQUEST,
    )
    result = await run_load(settings, islice(loads, 1), workload.told, None)
    assert result.all_committed
    assert not result.refused


async def send_until(
    told: trio.Event, network: GovernedNetwork, workload: Workload, loads: Iterator[Load]
) -> None:
    while not told.is_set():
        await send(network, workload, loads)


async def test_epoch_is_read_with_enough_partials_and_no_other_epoch_is(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=2_000, seed=7))
    loads = workload.loads(PER_REQUEST)
    a, b = (Organisation.make(name, tmp_path / "members") for name in "AB")
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [a], "majority", 1)
    service = spec.folder / SERVICE_FILE
    partials = {member: tmp_path / f"{member.name}.partial" for member in (a, b)}
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(a)
            await network.admit_member([a], b)
            await network.decide([a, b], action("set_recovery_threshold", recovery_threshold=2))
            await network.open_service([a, b])
            await send(network, workload, loads)
            decided = trio.Event()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_until, decided, network, workload, loads)
                await network.decide([a, b], action("trigger_ledger_rekey"))
                decided.set()
            await send(network, workload, loads)
            node = ("--admin", network.nodes[0].info["admin"], "--service-cert", service)
            for member, out in partials.items():
                keys = ("--cert", member.files.certificate, "--enc-key", member.files.encryption_key)
                made = await coco("member", "partial", 1, *node, *keys, "--out", out)
                assert made.returncode == 0, made.stderr
            stranger = ("--cert", a.files.certificate, "--enc-key", b.files.encryption_key)
            refused = await coco("member", "partial", 1, *node, *stranger, "--out", tmp_path / "none")
            assert refused.returncode == 2
            assert b"Traceback" not in refused.stderr
            async with network.client() as client:
                second = read_epochs(await client.recovery_state())[1].first_seqno
    options = ("--ledger", network.nodes[0].ledger_folder, "--service-cert", service)
    opened = await coco("auditor", "open", 1, *partials.values(), *options)
    assert opened.returncode == 0, opened.stderr
    lines = [json.loads(line) for line in opened.stdout.splitlines()]
    assert lines
    assert {line["epoch"] for line in lines} == {1}
    assert all(int(line["transaction_id"].partition(".")[2]) < second for line in lines)
    assert b"epoch 2, seqnos %d to" % second in opened.stderr
    assert b"not readable" in opened.stderr
    for given, epoch in (([partials[a]], 1), (list(partials.values()), 2)):
        refused = await coco("auditor", "open", epoch, *given, *options)
        assert (refused.returncode, refused.stdout) == (1, b"")
