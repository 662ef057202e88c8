"""Shipped constitutions on real nodes: all but majority and unanimous, which other tests live under."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service
from coco_core.cli.local_node import reached
from coco_core.cli.network import NetworkSpec, running
from coco_core.node import load

pytestmark = pytest.mark.processes

PATIENCE_S = 120


@asynccontextmanager
async def governed(
    folder: Path, constitution: str
) -> AsyncIterator[tuple[GovernedNetwork, list[Organisation]]]:
    """Give a service of one node that three members founded, all of them active; audit what they did."""
    members = [Organisation.make(name, folder / "members") for name in "ABC"]
    config = load("ethereum").development().config
    spec = NetworkSpec(folder=folder / "network", nodes=1, ledger="ethereum", engine="", config=config)
    spec.folder.mkdir()
    network = GovernedNetwork(spec, members, constitution, 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            for one in members:
                await network.acknowledge(one)
            yield network, members
            ledger = network.nodes[0].ledger_folder
    await audit_service(ledger, network.service_certificate)


async def states(
    network: GovernedNetwork, proposer: Organisation, what: Any, *ballots: tuple[Organisation, bool]
) -> list[str]:
    """Return how a proposal stands once it is made, and after each ballot."""
    said = [await network.propose(proposer, what)]
    said += [await network.vote(who, str(said[0]["proposalId"]), ballot) for who, ballot in ballots]
    return [str(one["proposalState"]) for one in said]


def some(member: Organisation) -> Any:
    return action("set_user", cert=member.signer.certificate)


async def m_of_n(network: GovernedNetwork, a: Organisation, b: Organisation, c: Organisation) -> None:
    assert await states(network, a, some(a), (c, True), (b, True)) == ["Open", "Open", "Accepted"]
    assert await states(network, a, some(a), (b, False), (c, False)) == ["Open", "Open", "Rejected"]


async def veto(network: GovernedNetwork, a: Organisation, b: Organisation, c: Organisation) -> None:
    gives = action("set_member_data", member_id=c.member_id, member_data={"veto": True})
    assert await states(network, a, gives, (a, True), (b, True)) == ["Open", "Open", "Accepted"]
    ballots = (a, True), (b, True), (c, False)
    assert await states(network, a, some(a), *ballots) == ["Open", "Open", "Open", "Rejected"]
    assert await states(network, a, some(a), (c, True), (b, True)) == ["Open", "Open", "Accepted"]


async def operator(network: GovernedNetwork, a: Organisation, b: Organisation, c: Organisation) -> None:
    gives = action("set_member_data", member_id=c.member_id, member_data={"is_operator": True})
    assert await states(network, a, gives, (a, True), (b, True)) == ["Open", "Open", "Accepted"]
    node = action("set_node_data", node_id=network.nodes[0].info["node_id"], node_data={"rack": 1})
    assert await states(network, c, node) == ["Accepted"]
    assert await states(network, a, node) == ["Open"]
    ballots = (c, True), (a, True), (b, True)
    assert await states(network, c, some(a), *ballots) == ["Open", "Open", "Open", "Accepted"]


async def delegated_nodes(
    network: GovernedNetwork, a: Organisation, b: Organisation, c: Organisation
) -> None:
    """A member lets two nodes of its own in, and no third one."""
    for count in range(3):
        node = await network.add_node()
        trust = action("transition_node_to_trusted", node_id=node.info["node_id"])
        assert await states(network, b, trust) == (["Accepted"] if count < 2 else ["Open"])
        if count < 2:
            await reached([node], node.listening)
            await network.until_trusted(node)
    assert await states(network, b, some(b), (a, True), (c, True)) == ["Open", "Open", "Accepted"]


@pytest.mark.parametrize("live", [m_of_n, veto, operator, delegated_nodes])
async def test_members_live_under_it(tmp_path: Path, live: Callable[..., Awaitable[None]]) -> None:
    async with governed(tmp_path, live.__name__) as (network, members):
        await live(network, *members)
