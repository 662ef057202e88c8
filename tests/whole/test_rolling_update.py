"""New code comes to all nodes by votes, one after the other, while clients go on; then leases run out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.base import TxID
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import Connection, Endpoint, LoadSettings, NodeClient, pinned_context, run_load
from coco_core.errors import OperatorError
from coco_core.node import load
from coco_core.node.measure import code_measurement

pytestmark = pytest.mark.processes

PATIENCE_S = 200
NEW = "ab" * 32
PLATFORM = "Insecure_Virtual"
PER_REQUEST = 5


class Clients:
    """Sends transactions until told to stop; every one of them is acknowledged."""

    def __init__(self, network: GovernedNetwork, workload: Workload) -> None:
        self._network = network
        self._workload = workload
        self._loads: Iterator[Load] = workload.loads(PER_REQUEST)
        self.node: LocalNode = network.nodes[0]
        self.places: list[TxID] = []
        self.stop = False

    async def send(self) -> None:
        node = self.node
        endpoint = Endpoint(rpc=node.info["rpc"]["ethereum"], admin=node.info["admin"])
        settings = LoadSettings(
            endpoints=[endpoint],
            service_certificate=self._network.service_certificate,
            outstanding=PER_REQUEST,
            per_request=PER_REQUEST,
        )
        result = await run_load(settings, islice(self._loads, 1), self._workload.told, None)
        assert not result.refused
        self.places += [place for place in result.places if place is not None]
        assert len(result.places) == PER_REQUEST

    async def run(self) -> None:
        while not self.stop:
            await self.send()


async def replaced(
    network: GovernedNetwork, members: list[Organisation], old: LocalNode, owner: Organisation
) -> LocalNode:
    """Have a node with the new code take the place of ``old``, which ends by itself."""
    node = await network.add_node({"virtual": {"measurement": NEW}})
    names = {"node_id": node.info["node_id"], "replaces": old.info["node_id"], "owner": owner.member_id}
    await network.decide(members, action("replace_node", **names))
    await node.listening.wait()
    await node.opened.wait()
    return node


async def test_code_is_updated_under_load_and_leases_end(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=12_000, seed=11))
    a, b = (Organisation.make(name, tmp_path / "members") for name in "AB")
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [a], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(a)
            await network.admit_member([a], b)
            members = [a, b]
            await network.admit_node(members, b)
            await network.open_service(members)
            first, second = network.nodes
            clients = Clients(network, workload)
            clients.node = second
            with pytest.RaisesGroup(pytest.RaisesExc(OperatorError, match="not in the code manifest")):
                await network.add_node({"virtual": {"measurement": NEW}})
            network.nodes.pop()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(clients.run)
                allow = action("add_code_measurement", platform=PLATFORM, measurement=NEW)
                await network.decide(members, allow)
                third = await replaced(network, members, first, a)
                await first.ended.wait()
                network.nodes.remove(first)
                clients.node = third
                so_far = len(clients.places)
                fourth = await replaced(network, members, second, b)
                await second.ended.wait()
                network.nodes.remove(second)
                await clients.send()
                clients.stop = True
            assert len(clients.places) > so_far + PER_REQUEST
            old = action("remove_code_measurement", platform=PLATFORM, measurement=code_measurement())
            await network.decide(members, old)
            with pytest.RaisesGroup(pytest.RaisesExc(OperatorError, match="not in the code manifest")):
                await network.add_node()
            network.nodes.pop()
            await clients.send()
            assert network.nodes == [third, fourth]
            await all_committed(network, third, clients.places)

            await network.decide(members, action("set_lease_policy", lease_s=2))
            fifth = await replaced(network, members, third, a)
            await third.ended.wait()
            await fourth.ended.wait()  # Nobody removed it but its lease.
            clients.node = fifth
            network.nodes = [fifth]
            await clients.send()
            await all_committed(network, fifth, clients.places)
    reports = await audit_service(fifth.ledger_folder, network.service_certificate)
    assert reports
    assert len(clients.places) >= 4 * PER_REQUEST


async def all_committed(network: GovernedNetwork, node: LocalNode, places: list[TxID]) -> None:
    """Check that every acknowledged transaction is committed where the clients never sent it."""
    tls = pinned_context(network.service_certificate)
    async with await Connection.open(node.info["admin"], tls) as connection:
        client = NodeClient(connection)
        for place in places:
            assert await client.transaction_status(str(place)) == "Committed"
