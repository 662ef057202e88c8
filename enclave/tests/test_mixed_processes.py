"""Node processes on three kinds of simulated machines: they form a service, and strangers stay outside.

Both ways: the service refuses who is not in its manifest, and a joiner refuses a service that is not in its
own, whatever certificate and policy that shows. Roots are made for each run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import attrs
import pytest
import trio

from coco_core.adapter import Workload, WorkloadOptions
from coco_core.cli.ledger import audit_service
from coco_core.cli.network import (
    OPERATOR_FILE,
    OPERATOR_KEY_FILE,
    SERVICE_FILE,
    LocalNetwork,
    NetworkSpec,
    open_network,
)
from coco_core.cli.nodes import make_operator
from coco_core.client import LoadSettings, run_load
from coco_core.node import load, unix_ms
from coco_enclave.testing.machines import KINDS, Machine, make_machine

pytestmark = pytest.mark.processes

PATIENCE_S = 400
HOST_DATA = "44" * 32


@attrs.frozen
class Floor:
    """A folder with machines, and the policies that accept them."""

    folder: Path
    machines: Mapping[str, Machine]

    @classmethod
    def built(cls, folder: Path, *kinds: str) -> Floor:
        folder.mkdir()
        machines = {kind: make_machine(kind, unix_ms() // 1000) for kind in kinds}
        for kind, machine in machines.items():
            (folder / f"{kind}.machine").write_bytes(machine.to_bytes())
        return cls(folder, machines)

    def platform(self, kind: str, **told: str) -> dict[str, str]:
        return {"name": f"simulated-{kind}", "machine": str(self.folder / f"{kind}.machine"), **told}

    def accepting(self, **changes: Any) -> dict[str, Any]:
        """Return a policy that accepts these machines, but for what is said of some of them."""
        accepted = {kind: machine.policy() for kind, machine in self.machines.items()}
        return {"development": True, "platforms": {**accepted, **changes}}

    def written(self, name: str, policy: Mapping[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(policy))
        return path


def written(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return the settings file of a node in a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return str(path)


async def coco(*words: str) -> CompletedProcess[bytes]:
    command = [sys.executable, "-m", "coco_core", *words]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


async def refused(
    network: LocalNetwork, folder: Path, platform: Mapping[str, str], policy: Path | None
) -> str:
    """Let a node ask to join that must not come in; return the last words of its process."""
    settings = {
        "folder": str(folder / "node"),
        "admin": "127.0.0.1:0",
        "peer": "127.0.0.1:0",
        "platform": dict(platform),
        "join": {
            "target": network.nodes[0].info["admin"],
            "service_certificate": str(network.spec.folder / SERVICE_FILE),
            **({"policy": str(policy)} if policy is not None else {}),
        },
    }
    done = await coco("node", "run", written(folder, settings))
    assert done.returncode == 2, done.stderr
    (words,) = [line for line in done.stderr.decode().splitlines() if line.startswith("coco: ")]
    return words


def spec_of(folder: Path, policy: Path, platforms: list[dict[str, str]]) -> tuple[NetworkSpec, Workload]:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=60, seed=1))
    folder.mkdir()
    spec = NetworkSpec(
        folder=folder,
        nodes=len(platforms),
        ledger="ethereum",
        engine="",
        config=workload.config,
        policy=policy,
        platforms=platforms,
        operators=[make_operator(folder)[0]],
    )
    return spec, workload


async def seen(network: LocalNetwork, node: int) -> str:
    """Return what an operator sees of the nodes, and of whom a node refused."""
    service = str(network.spec.folder / SERVICE_FILE)
    admin = network.nodes[node].info["admin"]
    listed = await coco("nodes", "list", "--admin", admin, "--service-cert", service)
    assert listed.returncode == 0, listed.stderr
    return listed.stdout.decode()


async def test_a_service_on_three_kinds_of_machines(tmp_path: Path) -> None:
    floor = Floor.built(tmp_path / "floor", *KINDS)
    policy = floor.written("policy.json", floor.accepting())
    kinds = ("snp", "sgx", "vbs")
    spec, workload = spec_of(tmp_path / "network", policy, [floor.platform(kind) for kind in kinds])
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as network:
            for kind, node in zip(kinds, network.nodes, strict=True):
                await an_operator_sees_what_it_runs_on(network, node.info["admin"], kind, policy)
            await strangers_stay_outside(network, floor, tmp_path)
            gone = next(node.index for node in network.nodes if node.role == "leader")
            left = [number for number in range(spec.nodes) if number != gone]
            await transactions_go_through(network, workload, left[0], kill=gone)
            await another_takes_its_place(network, gone, left[0])
    for node in network.nodes:
        report, governance = await audit_service(node.ledger_folder, network.service_certificate)
        assert len(report.nodes) == spec.nodes + 1
        assert governance.changes > 0


async def an_operator_sees_what_it_runs_on(
    network: LocalNetwork, admin: str, kind: str, policy: Path
) -> None:
    service = str(network.spec.folder / SERVICE_FILE)
    by = ("--policy", str(policy), "--service-cert", service)
    told = await coco("node", "evidence", admin, *by)
    assert told.returncode == 0, told.stderr
    assert f"platform     {kind} (protects nothing)" in told.stdout.decode()
    judged = await coco("attest", "verify", "--node", admin, *by, "--json")
    assert judged.returncode == 0, judged.stderr
    finding = json.loads(judged.stdout)
    assert (finding["format"], finding["status"]) == (kind, "warning")
    assert "simulator" in finding["details"]["notes"]
    shown = await coco("attest", "show", "--node", admin)
    assert f"evidence of {kind}: read, not checked" in shown.stdout.decode()


async def strangers_stay_outside(network: LocalNetwork, floor: Floor, folder: Path) -> None:
    """Nobody joins whose code, root or platform the service does not list; operators see why."""
    believing = floor.written("believing.json", floor.accepting())
    other_code = floor.platform("snp", code="other code")
    words = await refused(network, folder / "other-code", other_code, believing)
    assert "is not accepted" in words
    assert words.endswith("[measurement]")
    elsewhere = Floor.built(folder / "elsewhere", "sgx")
    words = await refused(network, folder / "other-root", elsewhere.platform("sgx"), believing)
    assert words.endswith("[root]")
    words = await refused(network, folder / "virtual", {"name": "virtual"}, believing)
    assert words.endswith("[platform]")
    listed = await seen(network, 0)
    for code in ("measurement", "root", "platform"):
        assert f" {code}: " in listed
    assert "Pending" not in listed


async def transactions_go_through(
    network: LocalNetwork, workload: Workload, first: int, *, kill: int
) -> None:
    """Have all of them committed, though a node is killed after a third of them."""
    killed = False

    def progress(answered: int, _refused: int) -> None:
        nonlocal killed
        if not killed and answered >= workload.transactions // 3:
            killed = True
            network.kill(kill)

    settings = LoadSettings(
        endpoints=network.endpoints,
        service_certificate=network.service_certificate,
        outstanding=10,
        per_request=5,
        first=first,
    )
    result = await run_load(settings, workload.loads(5), workload.told, progress)
    assert killed
    assert result.refused == []
    assert len(result.places) == workload.transactions


async def another_takes_its_place(network: LocalNetwork, gone: int, through: int) -> None:
    old = network.nodes[gone].info["node_id"]
    fresh = await network.replace(gone, [through])
    folder = network.spec.folder
    changed = await coco(
        *("nodes", "change", "--admin", network.nodes[through].info["admin"]),
        *("--service-cert", str(folder / SERVICE_FILE)),
        *("--operator-cert", str(folder / OPERATOR_FILE), "--operator-key", str(folder / OPERATOR_KEY_FILE)),
        *("--add", fresh.info["node_id"], "--remove", old),
    )
    assert changed.returncode == 0, changed.stderr
    await fresh.opened.wait()


async def test_a_joiner_believes_no_service_that_its_own_policy_does_not(tmp_path: Path) -> None:
    """The service is in order by its own policy, and its certificate is the one the joiner was given."""
    floor = Floor.built(tmp_path / "floor", "snp", "sgx")
    snp, sgx = floor.machines["snp"], floor.machines["sgx"]
    theirs = floor.written("theirs.json", floor.accepting(snp=snp.policy(host_data=[HOST_DATA])))
    spec, _ = spec_of(tmp_path / "network", theirs, [floor.platform("snp", host_data=HOST_DATA)])
    other = make_machine("snp", unix_ms() // 1000)
    believed = {
        "measurement": floor.accepting(snp=snp.policy("the code I know")),
        "root": floor.accepting(snp={**other.policy(), "measurements": [snp.measurement()]}),
        "host_data": floor.accepting(snp=snp.policy(host_data=["55" * 32])),
        "platform": {"development": True, "platforms": {"sgx": sgx.policy()}},
    }
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as network:
            for code, policy in believed.items():
                own = floor.written(f"{code}.json", policy)
                words = await refused(network, tmp_path / code, floor.platform("sgx"), own)
                assert words.startswith("coco: the node that was asked: ")
                assert words.endswith(f"[{code}]")
            # Nobody was asked to be let in: the joiner showed nothing of itself.
            assert "refused" not in await seen(network, 0)
            without = tmp_path / "without"
            words = await refused(network, without, floor.platform("sgx"), None)
            assert "needs 'join.policy'" in words


async def test_simulators_are_never_for_production(tmp_path: Path) -> None:
    floor = Floor.built(tmp_path / "floor", "snp")
    accepted = floor.accepting()["platforms"]
    hidden = {"snp": {"measurements": [floor.machines["snp"].measurement()]}}
    (tmp_path / "genesis.json").write_text('{"counters": {}}')
    for platform, platforms, message in (
        (floor.platform("snp"), accepted, "simulators and debug builds are for development alone"),
        (floor.platform("snp"), hidden, "is not one this policy trusts [root]"),
        ({"name": "virtual"}, hidden, "is not accepted by this network [platform]"),
        (floor.platform("snp"), None, "needs 'found.policy': which code and roots may join"),
    ):
        policy = floor.written("policy.json", {"platforms": platforms})
        found = {"nodes": 1, "ledgers": {"tally": {"genesis": "genesis.json"}}}
        settings = {
            "folder": "node",
            "admin": "127.0.0.1:0",
            "peer": "127.0.0.1:0",
            "platform": platform,
            "found": {**found, "policy": str(policy)} if platforms is not None else found,
        }
        with trio.fail_after(PATIENCE_S):
            done = await coco("node", "run", written(tmp_path, settings))
        assert done.returncode == 2
        assert message in done.stderr.decode()
