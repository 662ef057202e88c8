"""Leases renew themselves under load: fresh nodes come, old ones go, and whoever is not kept is left out."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.base import TxID
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import NetworkSpec, running
from coco_core.client import (
    Connection,
    ConnectionLostError,
    Endpoint,
    LoadSettings,
    NodeClient,
    pinned_context,
    run_load,
)
from coco_core.node import load

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.name != "posix", reason="a process is made to hang with a signal"),
]

PATIENCE_S = 480
LEASE_MIN_S = 30
LEASE_IN_STARTS = 15
"""A quarter of it is for all nodes to be renewed at once, under load: measured by how long one took alone."""
LONG_LEASE_S = 40
"""Time for a second attempt."""
PER_REQUEST = 5


class KeptNode(LocalNode):
    """A process of ``coco node keep``, and what it tells of the nodes it runs."""

    def __init__(self, index: int, folder: Path) -> None:
        super().__init__(index, folder)
        self.events: list[Mapping[str, Any]] = []
        self.serving: dict[str, Any] = {}
        self.heard = trio.Event()

    def note(self, event: Mapping[str, Any]) -> None:
        super().note(event)
        self.events.append(event)
        if self.listening.is_set() and (not self.serving or event.get("event") == "renewed"):
            self.serving = dict(self.info)
        self.heard.set()
        self.heard = trio.Event()

    def said(self, name: str) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event.get("event") == name]

    async def until(self, done: Callable[[], object]) -> None:
        while not done():
            await self.heard.wait()

    async def renewed(self) -> None:
        await self.until(partial(self.said, "renewed"))


class KeptNetwork(GovernedNetwork):
    """Every node of which is kept."""

    node_class = KeptNode

    async def _spawn(self, node: LocalNode, settings: Mapping[str, Any]) -> None:
        await node.start(self._nursery, settings, command=("node", "keep"), options=())

    @property
    def kept(self) -> list[KeptNode]:
        return [node for node in self.nodes if isinstance(node, KeptNode)]

    async def seen(self, through: KeptNode) -> Mapping[str, Any]:
        tls = pinned_context(self.service_certificate)
        async with await Connection.open(through.serving["admin"], tls) as connection:
            found: Mapping[str, Any] = (await NodeClient(connection).network())["nodes"]
            return found

    async def next_commit(self, through: KeptNode) -> None:
        tls = pinned_context(self.service_certificate)
        async with await Connection.open(through.serving["admin"], tls) as connection:
            client = NodeClient(connection)
            await client.committed_after((await client.committed_after(-1))[1])


class Doors(Sequence[Endpoint]):
    """Where clients reach kept nodes at the moment, as a directory would tell them."""

    def __init__(self, nodes: Sequence[KeptNode]) -> None:
        self._nodes = nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, index: Any) -> Any:
        serving = self._nodes[index].serving
        return Endpoint(rpc=serving["rpc"]["ethereum"], admin=serving["admin"])


class Clients:
    """Sends transactions until told to stop, wherever somebody answers."""

    def __init__(self, network: KeptNetwork, workload: Workload) -> None:
        self._network = network
        self._workload = workload
        self._loads: Iterator[Load] = workload.loads(PER_REQUEST)
        self.places: list[TxID] = []
        self.sent = 0
        self.stop = False

    async def send(self) -> None:
        settings = LoadSettings(
            endpoints=Doors([node for node in self._network.kept if not node.ended.is_set()]),
            service_certificate=self._network.service_certificate,
            outstanding=PER_REQUEST,
            per_request=PER_REQUEST,
            first=self.sent // PER_REQUEST,
        )
        result = await run_load(settings, islice(self._loads, 1), self._workload.told, None)
        assert result.all_committed
        self.places += [place for place in result.places if place is not None]
        self.sent += len(result.places)

    async def run(self) -> None:
        while not self.stop:
            await self.send()

    async def check(self, through: KeptNode) -> None:
        """Check that every acknowledged transaction is committed, and nearly all have told their place."""
        tls = pinned_context(self._network.service_certificate)
        async with await Connection.open(through.serving["admin"], tls) as connection:
            client = NodeClient(connection)
            for place in self.places:
                assert await client.transaction_status(str(place)) == "Committed"
        assert self.sent >= len(self.places) >= self.sent // 2


async def test_nodes_renew_their_leases_under_load(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=20_000, seed=11))
    members = [Organisation.make(name, tmp_path / "members") for name in "AB"]
    network = kept_network(tmp_path, members[0], workload)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(members[0])
            await network.admit_member(members[:1], members[1])
            began = trio.current_time()
            await network.admit_node(members, members[1])
            start_s = trio.current_time() - began
            await network.admit_node(members, members[1])
            await network.open_service(members)
            clients = Clients(network, workload)
            first = [node.serving["node_id"] for node in network.kept]
            lease_s = max(LEASE_MIN_S, int(start_s * LEASE_IN_STARTS))
            await network.decide(members, action("set_lease_policy", lease_s=lease_s, renewal="vouched"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(clients.run)
                for node in network.kept:
                    await node.renewed()
                clients.stop = True
            kept, killed, hung = network.kept
            await all_renewed(network, first)
            await clients.check(kept)

            assert killed.process is not None
            assert hung.process is not None
            killed.process.kill()
            hung.process.send_signal(signal.SIGSTOP)
            await left_out(network, kept, killed, hung)
            hung.process.send_signal(signal.SIGCONT)
            await hung.ended.wait()
            assert [event["lease_ran_out"] for event in hung.said("retired")] == [False, True]
            assert hung.said("ended")
            await clients.check(kept)
            folder = kept.folder / f"generation-{kept.serving['generation']}" / "ledger"
    reports = await audit_service(folder, network.service_certificate)
    assert reports


async def test_a_renewal_that_fails_is_tried_again(tmp_path: Path) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=1, seed=1))
    member = Organisation.make("A", tmp_path / "members")
    with trio.fail_after(PATIENCE_S), socket.create_server(("127.0.0.1", 0)) as taken:
        admin = f"127.0.0.1:{taken.getsockname()[1]}"
        network = kept_network(tmp_path, member, workload, alternate={"admin": admin})
        async with running(network):
            await network.acknowledge(member)
            await network.open_service([member])
            (node,) = network.kept
            policy = {"lease_s": LONG_LEASE_S, "renewal": "vouched"}
            await network.decide([member], action("set_lease_policy", **policy))
            await node.until(partial(node.said, "not_renewed"))
            assert "in use by another process" in node.said("not_renewed")[0]["reason"]
            taken.close()
            await node.renewed()
            assert node.serving["admin"] == admin
            nodes = await network.seen(node)
    assert nodes[node.serving["node_id"]]["status"] == "Trusted"
    # Nobody reads its events any more, so that nobody tells of its end.
    assert node.process is not None
    assert node.process.returncode is not None


def kept_network(folder: Path, founder: Organisation, workload: Workload, **settings: Any) -> KeptNetwork:
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=1,
        ledger="ethereum",
        engine="",
        config=workload.config,
        settings=settings,
    )
    spec.folder.mkdir()
    return KeptNetwork(spec, [founder], "majority", 1)


async def all_renewed(network: KeptNetwork, first: list[str]) -> None:
    """Check that every one of the first nodes was replaced, none of them because its lease ran out."""
    for node in network.kept:
        await node.until(partial(node.said, "retired"))
        assert [event["lease_ran_out"] for event in node.said("retired")] == [False]
    nodes = await network.seen(network.kept[0])
    assert {name for name, one in nodes.items() if one["status"] == "Retired"} == set(first)
    assert {name for name, one in nodes.items() if one["status"] == "Trusted"} == {
        node.serving["node_id"] for node in network.kept
    }
    assert all(nodes[name]["lease_until_ms"] is None for name in first)


async def left_out(network: KeptNetwork, kept: KeptNode, *lost: KeptNode) -> None:
    """Return once ``lost`` are in quarantine, of which the tables tell why."""
    while True:
        # Who is asked may be replaced meanwhile.
        with contextlib.suppress(ConnectionLostError):
            nodes = await network.seen(kept)
            gone = [nodes[node.serving["node_id"]] for node in lost]
            if all(one["status"] == "Retired" for one in gone):
                assert all(one["lease_until_ms"] is not None for one in gone)
                return
            await network.next_commit(kept)
