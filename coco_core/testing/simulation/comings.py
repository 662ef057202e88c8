"""Nodes that come: each asks to join until it is certain that it may, and is then seated on its machine.

A machine whose node ended seats another, which has a new name, the old address and, mostly, the old disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.base import NodeID
from coco_core.governance import NodeRecord, join_payload
from coco_core.ledger import LedgerSecrets
from coco_core.replica import Agreed
from coco_core.testing.simulation.asking import Fates
from coco_core.testing.simulation.consortia import IDENTITIES
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.operators import Operator, Stranger
from coco_core.testing.simulation.plan import MILLISECOND_US

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World


@attrs.define(eq=False)
class Machine:
    """Where nodes run, one after the other."""

    number: int
    host: Host | None = None
    """The newest node on it."""
    joiner: Joiner | None = None
    """Who is to be the next."""

    @property
    def free(self) -> bool:
        """Whether another node may come."""
        return self.joiner is None and (self.host is None or self.host.ended)


@attrs.define(eq=False)
class Joiner:
    """A node that asks to join."""

    number: int
    machine: Machine
    name: NodeID
    record: NodeRecord
    alarm: int = 0
    sent_us: int | None = None
    welcomed: bool = False
    ended: bool = False

    @property
    def label(self) -> str:
        """What it is called."""
        return f"j{self.number}"

    def act(self, world: World) -> int:
        """Ask, or ask again."""
        self.sent_us = None
        host = world.choose()
        if self.welcomed or self.ended or host is None:
            return 30 * MILLISECOND_US
        consortium = world.consortium
        proof = consortium.proof(self.number, consortium.number(host.name))
        if world.administer(self, host, join_payload(self.record, proof), operator=False):
            self.sent_us = world.now_us
        return world.plan.patience_us

    def answered(self, world: World, host: Host, names: Sequence[str], fates: Fates) -> int:
        """Be welcomed by a node that knows that the request is agreed."""
        del names
        (fate,) = fates
        self.sent_us = None
        if isinstance(fate, Committed) or (isinstance(fate, Rejected) and fate.code == "duplicate"):
            world.counts["joins asked for again"] += isinstance(fate, Rejected)
            world.comings.welcome(self, host)
        else:
            world.counts["joins refused"] += not isinstance(fate, NotCommitted)
            if isinstance(fate, Rejected) and fate.code == "retired":
                # Its addition was taken back: its process ends, and another may come.
                self.ended, self.machine.joiner = True, None
        return 30 * MILLISECOND_US


class Comings:
    """The machines of one world, who comes, and who decides about them."""

    def __init__(self, world: World) -> None:
        """Begin with the founders."""
        self._world = world
        self._next = world.plan.nodes
        self._machines = [Machine(number) for number in range(world.plan.machines)]
        for host in world.hosts.values():
            self._machines[host.machine].host = host
        self.operator = Operator(world)
        if world.plan.arrival_us:
            world.wake(self.operator, world.plan.operator_us)
            world.at(world.plan.arrival_us, self._look)

    @property
    def idle(self) -> bool:
        """Whether nobody comes or goes, or is to."""
        if not self._world.plan.arrival_us:
            return True
        return self.operator.idle and not self.names()

    def names(self) -> list[NodeID]:
        """Return the names of those who are coming."""
        return [machine.joiner.name for machine in self._machines if machine.joiner is not None]

    def unrest(self) -> str:
        """Return what is under way, for the report."""
        newest = self._world.members.newest
        labels = {host.name: host.label for host in self._world.hosts.values()}
        status = ", ".join(
            f"{labels.get(name, name[:8])} {is_}" for name, is_ in sorted(newest.status.items())
        )
        coming = [machine.joiner.label for machine in self._machines if machine.joiner is not None]
        adds = [labels.get(name, name[:8]) for name in newest.add]
        return f"{status}; change adds {adds}, removes {len(newest.remove)}; coming {coming}"

    # ── coming ───────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        world = self._world
        if world.calm:
            return
        world.at(int(world.plan.arrival_us * (0.5 + world.rng.random())), self._look)
        free = [machine for machine in self._machines if machine.free]
        if not free or self._next == IDENTITIES or not world.judge.agreed:
            return
        if world.rng.random() < 0.1:
            world.wake(Stranger(world), 0)
        machine, number = world.rng.choice(free), self._next
        self._next += 1
        record = attrs.evolve(
            world.consortium.joiner(number), peer_address=f"127.0.0.1:{7000 + machine.number}"
        )
        machine.joiner = Joiner(number, machine, record.node_id, record)
        world.counts["nodes that came"] += 1
        world.wake(machine.joiner, 0)

    def welcome(self, joiner: Joiner, asked: Host) -> None:
        """Let a node in that ``asked`` welcomes; it asks on until somebody does."""
        if joiner.welcomed:
            return
        welcome = self._world.seats.welcome(asked, joiner.name)
        if welcome is None:
            return
        joiner.welcomed = True
        delay_us = int(self._world.rng.choice((1, 20, 200)) * MILLISECOND_US * self._world.rng.random())
        self._world.at(delay_us, self._seat, joiner, *welcome)

    def _seat(
        self,
        joiner: Joiner,
        nodes: Mapping[NodeID, NodeRecord],
        secrets: LedgerSecrets,
        agreed: Agreed,
    ) -> None:
        world, machine = self._world, joiner.machine
        host, effects = world.seats.seat(joiner.number, machine.number, nodes, secrets, agreed, machine.host)
        world.counts["nodes seated"] += 1
        machine.host, machine.joiner = host, None
        world.enter(host, effects)
