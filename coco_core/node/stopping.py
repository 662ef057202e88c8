"""Stopping on purpose: what a node still does between being told to stop and stopping."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
import trio

from coco_core.base import limits
from coco_core.node.driver import Driver
from coco_core.node.peers import PeerNetwork
from coco_core.replica import Replica
from coco_core.replica.events import HandOver

_LOOK_S = 0.01

_log = structlog.get_logger("coco.stopping")


@asynccontextmanager
async def outliving(farewell: Callable[[], Awaitable[None]]) -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose tasks, when cancelled from outside, run on until ``farewell`` returned.

    ``farewell`` must end by itself within a bounded time. Faults of the tasks end everything at once.
    """
    cancelled = trio.Event()

    async def watch() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def part(serving: trio.CancelScope) -> None:
        await cancelled.wait()
        await farewell()
        serving.cancel()

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        with trio.CancelScope(shield=True) as serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(part, serving)
                yield nursery
        watching.cancel_scope.cancel()


async def hand_over(driver: Driver, network: PeerNetwork) -> None:
    """If this node leads, have another lead before it goes: an election costs far more than this.

    Gives up after HAND_OVER_TIMEOUT_MS, and at once when no peer can be reached.
    """
    replica = driver.replica
    if not replica.is_primary:
        return
    with trio.move_on_after(limits.HAND_OVER_TIMEOUT_MS / 1000):
        driver.feed(HandOver())
        # Until the successor is heard of: its election may need this node's vote.
        while not _follows(replica):
            if not network.connected:
                return
            await trio.sleep(_LOOK_S)
        _log.info("handed over", to=replica.leader)


def _follows(replica: Replica) -> bool:
    return replica.leader is not None and not replica.is_primary
