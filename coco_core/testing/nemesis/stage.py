"""A network of node processes in places of their own, with proxies between them: what a round plays on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from coco_core.cli.network import LedgerSpec, LocalNetwork, NetworkSpec, running
from coco_core.consensus import Role
from coco_core.testing.nemesis.injected import write_modules
from coco_core.testing.nemesis.links import Links
from coco_core.testing.nemesis.sites import Site
from coco_core.testing.nemesis.standing import Standing


@attrs.frozen(kw_only=True)
class Stage:
    """A running network and everything that can be done to it."""

    network: LocalNetwork
    links: Links
    site: Site
    standing: Standing


@asynccontextmanager
async def open_stage(
    site: Site, folder: Path, nodes: int, ledgers: Mapping[str, Mapping[str, Any]], chance: Random
) -> AsyncIterator[Stage]:
    """Start a network that runs Tally and ``ledgers`` (genesis by name); stop it on the way out."""
    modules = folder / "modules"
    write_modules(modules)
    network = LocalNetwork(
        NetworkSpec(
            folder=folder,
            nodes=nodes,
            ledger="tally",
            engine="",
            config={"counters": {}},
            beside={name: LedgerSpec(config=config) for name, config in ledgers.items()},
            places=[await site.place(index, folder / f"node-{index}", modules) for index in range(nodes)],
        )
    )

    def who_dialled(stream: trio.SocketStream) -> int | None:
        return site.who_dialled(stream, {node.index: node.pid for node in network.nodes if node.pid})

    links = Links(who_dialled, chance)
    standing = Standing(range(nodes), links.both_ways, trio.current_time)
    links.on_change = standing.note
    async with trio.open_nursery() as nursery:
        for index in range(nodes):
            nursery.start_soon(links.serve, index, *site.listeners(index))
        async with running(network):
            yield Stage(network=network, links=links, site=site, standing=standing)
        nursery.cancel_scope.cancel()


def leader_of(network: LocalNetwork, dead: Collection[int]) -> int | None:
    """Return the node, of those not ``dead``, that said last that it leads; None when nobody does.

    Who founded the service leads first, and announces only when that ends.
    """
    leaders = [
        node
        for node in network.nodes
        if node.index not in dead and (node.role == Role.LEADER.value or (not node.role and not node.index))
    ]
    return max(leaders, key=lambda node: node.view).index if leaders else None
