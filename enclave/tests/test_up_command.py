"""``coco up`` on simulated machines: each node on its own, and nobody without a policy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coco_core.node import unix_ms
from coco_enclave.testing import make_machine

pytestmark = pytest.mark.processes

UP = (sys.executable, "-m", "coco_core", "up", "--ledger", "tally", "--rpc-port", "0", "--json")


def machines(folder: Path, *kinds: str) -> tuple[list[str], str]:
    """Make a machine of each kind; return the files that name them to nodes, and a policy's."""
    accepted = {}
    for kind in kinds:
        machine = make_machine(kind, unix_ms() // 1000)
        (folder / f"{kind}.machine").write_bytes(machine.to_bytes())
        (folder / f"{kind}.json").write_text(
            json.dumps({"name": f"simulated-{kind}", "machine": f"{kind}.machine"})
        )
        accepted[kind] = machine.policy()
    (folder / "policy.json").write_text(json.dumps({"development": True, "platforms": accepted}))
    return [f"{kind}.json" for kind in kinds], "policy.json"


def test_each_node_on_its_machine(tmp_path: Path) -> None:
    files, policy = machines(tmp_path, "snp", "sgx")
    named = [word for one in files for word in ("--platform", one)]
    command = [*UP, "--nodes", "2", *named, "--policy", policy]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        network: dict[str, Any] = json.loads(process.stdout.readline())
        shown = [
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "coco_core",
                    "attest",
                    "show",
                    "--node",
                    node["admin"][len("https://") :],
                ],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for node in network["nodes"]
        ]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert network["platforms"] == ["simulated-snp", "simulated-sgx"]
    assert "snp" in shown[0]
    assert "sgx" in shown[1]


def test_without_a_policy_nobody_is_believed(tmp_path: Path) -> None:
    files, _ = machines(tmp_path, "snp")
    done = subprocess.run(
        [*UP, "--platform", *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--platform needs --policy" in done.stderr


def test_one_machine_for_all_or_one_for_each(tmp_path: Path) -> None:
    files, policy = machines(tmp_path, "snp", "sgx")
    named = [word for one in files for word in ("--platform", one)]
    command = [*UP, "--nodes", "3", *named, "--policy", policy]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "2 are named for 3 nodes" in done.stderr
