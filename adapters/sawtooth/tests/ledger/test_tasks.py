"""Tasks beside execution: the tree of state roots follows what is committed, parts are served."""

from __future__ import annotations

import trio

from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.merkle import state_root
from coco_sawtooth.roots import StateRoots
from coco_sawtooth.shell import catch_up, run_together, warm
from coco_sawtooth.testing import Intkey, intkey_transaction


class Service:
    """What the tasks need of a node."""

    def __init__(self, world):
        self.view = world.store.view


async def test_a_node_that_does_not_execute_keeps_its_tree_near(world, autojump_clock):
    roots = StateRoots()
    await warm(roots, world.store.view())
    committed = world.adapter.committed

    def both(batch):
        committed(batch)
        roots.committed(batch)

    world.adapter.committed = both
    batch = world.alice.batch(*(intkey_transaction(world.alice, "set", str(n), 1) for n in range(250)))
    await world.applied(batch)
    assert roots.stale == 250
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_together, [lambda: catch_up(roots, Service(world))])
        await trio.sleep(10)
        assert roots.stale == 0
        nursery.cancel_scope.cancel()
    roots.stand_at(world.head, world.store.head())
    assert roots.root_after({}) == state_root(world.state())


async def test_a_node_serves_its_parts_until_one_fails(world):
    told = []

    class Part:
        async def serve(self, service):
            told.append("served")
            raise OSError("no port")

        def committed(self, batch):
            told.append("committed")

        def restored(self, view):
            told.append("restored")

    world.adapter = SawtoothAdapter(Intkey(), [Part()])
    world.adapter.restored(world.store.view())
    await world.applied(world.alice.batch(intkey_transaction(world.alice, "set", "n", 1)))
    try:
        await world.adapter.serve(Service(world))
    except* OSError:
        told.append("failed")
    assert told == ["restored", "committed", "served", "failed"]
