"""Real nodes under a measurement the network does not accept: refused, and seen to be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.cli.network import SERVICE_FILE, LocalNetwork, NetworkSpec, open_network
from coco_core.node import load
from coco_core.node.measure import code_measurement

pytestmark = pytest.mark.processes

OTHER = "ab" * 32
PATIENCE_S = 120


async def coco(*words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "coco_core", *words]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


def stranger(local: LocalNetwork, folder: Path) -> str:
    """Return the settings file of a node that says that it runs other code."""
    folder.mkdir()
    settings = {
        "folder": "node",
        "admin": "127.0.0.1:0",
        "peer": "127.0.0.1:0",
        "virtual": {"measurement": OTHER},
        "join": {
            "target": [node.info["admin"] for node in local.nodes],
            "service_certificate": str(local.spec.folder / SERVICE_FILE),
        },
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return str(folder / "settings.json")


async def test_other_code_is_refused_and_operators_see_it(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=1, seed=1))
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as local:
            admin = local.nodes[0].info["admin"]
            service = str(spec.folder / SERVICE_FILE)
            listed = await coco("nodes", "list", "--admin", admin, "--service-cert", service)
            assert b"refused" not in listed.stdout

            done = await coco("node", "run", stranger(local, tmp_path / "stranger"))
            assert done.returncode != 0
            assert b"is not in the code manifest" in done.stderr
            listed = await coco("nodes", "list", "--admin", admin, "--service-cert", service)
            assert listed.returncode == 0, listed.stderr
            (line,) = [one for one in listed.stdout.decode().splitlines() if OTHER in one]
            assert " measurement: code measurement" in line
            assert "Pending" not in listed.stdout.decode()
            log = (local.nodes[0].folder / "node.log").read_text()
            assert "a node was refused" in log

            own = f"Insecure_Virtual:{code_measurement()}"
            shown = await coco("node", "evidence", admin, "--measurement", own)
            assert shown.returncode == 0, shown.stderr
            words = shown.stdout.decode().split()
            assert local.nodes[0].info["node_id"] in words
            assert code_measurement() in words
            assert "(protects nothing)" in shown.stdout.decode()
            pinned = await coco("node", "evidence", admin, "--measurement", own, "--service-cert", service)
            assert pinned.stdout == shown.stdout
            wrong = await coco("node", "evidence", admin, "--measurement", f"Insecure_Virtual:{OTHER}")
            assert wrong.returncode != 0
            assert b"is not in the code manifest" in wrong.stderr
