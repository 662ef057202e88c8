"""A network of node processes in places of their own, with proxies between them: what a round plays on."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from coco_core.cli.network import LedgerSpec, LocalNetwork, NetworkSpec, running
from coco_core.node import LEDGER_FOLDER
from coco_core.testing.nemesis.injected import write_modules
from coco_core.testing.nemesis.ledgers import ARCHIVE_FOLDER, SNAPSHOTS_FOLDER
from coco_core.testing.nemesis.links import Links
from coco_core.testing.nemesis.operator import Operator
from coco_core.testing.nemesis.sites import Site
from coco_core.testing.nemesis.standing import Standing


@attrs.frozen(kw_only=True)
class Stage:
    """A running network and everything that can be done to it."""

    network: LocalNetwork
    links: Links
    site: Site
    standing: Standing
    operator: Operator
    ended: list[tuple[str, Path]] = attrs.field(factory=list)
    """What ended nodes that were replaced had on their disks, and what to call it."""

    async def replace(self, index: int, *, with_disk: bool) -> None:
        """Put a new node into the place of one that ended; return when it takes part.

        ``with_disk``: it finds what the old one left, as after a restart; else nothing, as on a new machine.
        """
        old = self.network.nodes[index]
        await old.ended.wait()
        kept = old.folder / f"ended-{len(self.ended)}"
        await trio.to_thread.run_sync(_set_aside, old.folder, kept, with_disk)
        self.ended.append((f"node {index}, ended as number {len(self.ended)},", kept / LEDGER_FOLDER))
        through = [other for other in self.standing.alive if other != index]
        # Now, not later: one of them may end meanwhile, and what replaces it is not asked before it is open.
        admins = [self.network.nodes[other].info["admin"] for other in through]
        new = await self.network.replace(index, through)
        await self.operator.replace(
            admins,
            self.network.service_certificate,
            new.info["node_id"],
            old.info["node_id"],
        )
        await new.opened.wait()
        self.standing.came_back(index)


def _set_aside(folder: Path, kept: Path, with_disk: bool) -> None:
    """Keep a copy of a node's ledger and snapshots, and leave them in place only ``with_disk``."""
    for name in (LEDGER_FOLDER, SNAPSHOTS_FOLDER, ARCHIVE_FOLDER):
        source = folder / name
        if not source.exists():
            continue
        shutil.copytree(source, kept / name)
        for path in [] if with_disk else source.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@asynccontextmanager
async def open_stage(
    site: Site,
    folder: Path,
    nodes: int,
    ledgers: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    chance: Random,
) -> AsyncIterator[Stage]:
    """Start a network that runs Tally and ``ledgers`` (genesis by name); stop it on the way out.

    ``settings`` are further ones of every node.
    """
    modules = folder / "modules"
    write_modules(modules)
    operator = Operator(folder)
    network = LocalNetwork(
        NetworkSpec(
            folder=folder,
            nodes=nodes,
            ledger="tally",
            engine="",
            config={"counters": {}},
            beside={name: LedgerSpec(config=config) for name, config in ledgers.items()},
            settings=settings,
            operators=[operator.certificate_file],
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
            yield Stage(network=network, links=links, site=site, standing=standing, operator=operator)
        nursery.cancel_scope.cancel()
