"""The pool over real JVMs: what is cancelled costs no worker, and later answers are the right ones."""

from __future__ import annotations

import trio

from coco_corda import wire
from coco_corda.shell import Workers
from coco_corda.testing import Samples


async def test_who_stops_waiting_costs_no_worker(workers: Workers, samples: Samples) -> None:
    names = [f"valid-{number}" for number in range(40)]
    await workers.describe([samples[names[0]]])
    before, replaced = workers.pids, workers.replaced
    for steps in (1, 2, 3, 5, 8):
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await workers.describe([samples[name] for name in names])

            nursery.start_soon(ask)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        found = await workers.describe([samples[name] for name in names])
        for name, description in zip(names, found, strict=True):
            assert isinstance(description, wire.Description)
            assert description.tx_id.hex().upper() == samples.tx_id(name)
    assert workers.pids == before
    assert workers.replaced == replaced
