"""Form a service of three node processes on simulated SEV-SNP, SGX and VBS machines, a line for each node.

Then one is killed, a node of other code asks to join and is refused, and a joiner refuses a service that its
own policy does not name. Roots are made for this run; what they sign proves nothing, and the lines say so.
Exit status 0 only when all of it comes out as it must.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import attrs
import orjson
import trio

from coco_core.attestation import Policy, known_verifiers
from coco_core.cli.live_evidence import fetch_evidence
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import SERVICE_FILE, LocalNetwork, NetworkSpec, open_network
from coco_core.client import Connection, ConnectionLostError
from coco_core.governance import admit
from coco_core.node import load_policy, unix_ms
from coco_enclave.testing import Machine, make_machine

KINDS = ("snp", "sgx", "vbs")
PATIENCE_S = 300


@attrs.frozen
class Stage:
    """A folder with a machine of each kind."""

    folder: Path
    machines: dict[str, Machine]

    @classmethod
    def built(cls, folder: Path) -> Stage:
        """Make the machines, and put each into a file as nodes read it."""
        machines = {kind: make_machine(kind, unix_ms() // 1000) for kind in KINDS}
        for kind, machine in machines.items():
            (folder / f"{kind}.machine").write_bytes(machine.to_bytes())
        return cls(folder, machines)

    def platform(self, kind: str, **told: str) -> dict[str, str]:
        """Return what a node's settings say of its machine."""
        return {"name": f"simulated-{kind}", "machine": str(self.folder / f"{kind}.machine"), **told}

    def policy(self, name: str, **other: Any) -> Path:
        """Write a policy that accepts the machines, but for what is said of some otherwise."""
        accepted = {kind: machine.policy() for kind, machine in self.machines.items()}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"development": True, "platforms": {**accepted, **other}}))
        return path


async def main() -> int:
    """Return the exit status."""
    with tempfile.TemporaryDirectory(prefix="coco-tee-") as temporary, trio.fail_after(PATIENCE_S):
        stage = Stage.built(Path(temporary))
        policy = stage.policy("service")
        spec = NetworkSpec(
            folder=stage.folder / "network",
            nodes=len(KINDS),
            ledger="tally",
            engine="",
            config={"counters": {}},
            platforms=[stage.platform(kind) for kind in KINDS],
            policy=policy,
        )
        spec.folder.mkdir()
        async with open_network(spec) as network:
            service = spec.folder / SERVICE_FILE
            told = [await tell(node, load_policy(policy), service) for node in network.nodes]
            told.append(await survives(network))
            other_code = stage.platform("snp", code="other code")
            told.append(await stays_outside(network, "other code asks to join", other_code, policy))
            known = {kind: one.policy("the code I know") for kind, one in stage.machines.items()}
            own = stage.policy("own", **known)
            told.append(await stays_outside(network, "a joiner knows other code", stage.platform("vbs"), own))
    return 0 if all(told) else 1


async def tell(node: LocalNode, policy: Policy, service: Path) -> bool:
    """Print on what a node runs, and the verdict on what it shows."""
    found = await trio.to_thread.run_sync(fetch_evidence, node.info["admin"], service)
    now_s = unix_ms() // 1000
    verdict = admit(found.evidence, found.report_data, known_verifiers(), policy, now_s)
    name, measured = node.info["node_id"][:16], verdict.measurement[:16]
    simulated = "" if verdict.secure else " (simulated: protects nothing)"
    print(
        f"✓ node {node.index}  {verdict.format:6} accepted{simulated}  code {measured}  node {name}",
        flush=True,
    )
    return not verdict.secure


async def survives(network: LocalNetwork) -> bool:
    """Commit, kill the primary, and commit through a node that is left."""
    gone = next(node.index for node in network.nodes if node.role == "leader")
    left = next(node for node in network.nodes if node.index != gone)
    await add(left, "before")
    network.kill(gone)
    await network.nodes[gone].ended.wait()
    total = await add(left, "after")
    right = total == 2
    print(
        f"{mark(right)} node {gone} was the primary and is killed: the others go on, total {total}",
        flush=True,
    )
    return right


async def add(node: LocalNode, name: str) -> int:
    """Add one to a counter, asking until somebody leads again; return the total."""
    while True:
        try:
            async with await Connection.open(node.info["rpc"]["tally"], None) as connection:
                await connection.send("POST", "/", f"add {name} nodes 1".encode(), "text/plain")
                answer = await connection.receive()
        except ConnectionLostError:
            continue
        if answer.status != 503:
            return int(orjson.loads(answer.body).get("total", -1))
        await trio.sleep(0.1)


async def stays_outside(network: LocalNetwork, what: str, platform: dict[str, str], policy: Path) -> bool:
    """Print why a node does not come in: it is refused, or refuses."""
    target = next(node for node in network.nodes if not node.ended.is_set())
    folder = network.spec.folder / what.replace(" ", "-")
    node = LocalNode(len(network.nodes), folder)
    service = str(network.spec.folder / SERVICE_FILE)
    role = {"target": target.info["admin"], "service_certificate": service, "policy": str(policy)}
    settings = {"folder": ".", "admin": "127.0.0.1:0", "peer": "127.0.0.1:0"}
    async with trio.open_nursery() as nursery:
        await node.start(nursery, {**settings, "platform": platform, "join": role})
        await node.ended.wait()
    words = node.last_words()
    right = words.endswith("[measurement]")
    print(f"{mark(right)} {what}: {words}", flush=True)
    return right


def mark(right: bool) -> str:
    """Return how a line begins."""
    return "✓" if right else "✗"


if __name__ == "__main__":
    sys.exit(trio.run(main))
