"""How a demonstration is told: in chapters, each step with what must come true."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs
import trio
from rich.console import Console
from rich.markup import escape

from coco_core.cli.ledger import audit_folder
from coco_core.cli.network import LocalNetwork, until_interrupted
from coco_core.client import (
    BundleClient,
    BundlePart,
    CommittedBundle,
    Connection,
    NodeClient,
    pinned_context,
    verify_bundle,
)
from coco_core.errors import IntegrityError

ENDED: Final = "[green]every step came true; the network is stopped and nothing is left behind[/]"
"""What is printed at the very end, the network's folder being removed."""


@attrs.define(kw_only=True)
class Telling:
    """Says what came true; the first thing that does not ends the story."""

    console: Console
    chapter: int = 0

    def heading(self, text: str) -> None:
        """Begin the next part."""
        self.chapter += 1
        self.console.print(f"\n[bold]{self.chapter}. {escape(text)}[/]")

    def true(self, what: str, holds: bool) -> None:
        """Say what came true; raise IntegrityError when it did not."""
        if not holds:
            raise IntegrityError(f"this did not come true: {what}")
        self.console.print(f"   [green]✓[/] {escape(what)}")


def tell_and_audit(console: Console, network: LocalNetwork, tell: Callable[[], Awaitable[None]]) -> None:
    """Tell a story that starts and stops ``network``, then audit the ledger of every node.

    Raises CocoError with what did not come true, or what a ledger does not stand up to.
    """
    trio.run(until_interrupted, tell)
    for node in network.nodes:
        report = audit_folder(node.ledger_folder, network.service_certificate)
        console.print(f"audit of node {node.index}: {report.entries} entries, every one as signed")


async def commit_bundle(network: LocalNetwork, node: int, parts: Sequence[BundlePart]) -> CommittedBundle:
    """Submit a bundle to a node, fetch its receipt there, and check that this proves it.

    Raises what ``BundleClient.submit`` and ``verify_bundle`` raise.
    """
    info, tls = network.nodes[node].info, pinned_context(network.service_certificate)
    async with await Connection.open(info["rpc"]["bundles"], tls) as connection:
        bundle = await BundleClient(connection).submit(parts)
    async with await Connection.open(info["admin"], tls) as connection:
        receipt = await NodeClient(connection).receipt(str(bundle.txid))
    verify_bundle(bundle, receipt, network.service_certificate)
    return bundle
