"""The operator of a simulated service: who changes its members, looks what came of it, and cancels.

He is sensible: he asks for nothing that would leave the service without a majority of living members.
He is also human: he removes nodes that are well, those that lead too, and changes his mind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import attrs

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.base import NodeID
from coco_core.governance import PENDING, cancel_payload, change_payload
from coco_core.testing.simulation.asking import Fates
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.members import Told
from coco_core.testing.simulation.plan import MILLISECOND_US, SECOND_US
from coco_core.testing.violation import ViolationError

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

MEMBERS_MAX: Final = 7
_CALM_US: Final = 20 * MILLISECOND_US
_LATE_US: Final = 2 * SECOND_US
"""How long a request may be under way that nobody waits for any more."""


@attrs.frozen
class Wish:
    """A change that was asked for, and may be made once or, by mistake, again."""

    add: frozenset[NodeID]
    remove: frozenset[NodeID]
    asked_us: int = 0

    def after(self, voters: frozenset[NodeID]) -> frozenset[NodeID]:
        """Return who takes part when it is made."""
        return (voters - self.remove) | self.add


class Operator:
    """Looks at the members now and then, and asks for what seems right, until he is certain of it."""

    label = "operator"

    def __init__(self, world: World) -> None:
        """Look after ``world``."""
        self._world = world
        self._rng: Random = world.rng
        self.alarm = 0
        self.sent_us: int | None = None
        self._payload: bytes | None = None
        self._wishes: list[Wish] = []

    @property
    def idle(self) -> bool:
        """Whether everybody alive is a member, every member alive, and nothing is asked for."""
        newest = self._world.members.newest
        alive = {host.name for host in self._world.alive}
        return self._payload is None and not newest.change and alive == newest.voters == set(_known(newest))

    def can_spare(self, host: Host) -> bool:
        """Return whether the service goes on without ``host``: with a majority of every set with a say."""
        alive = [one for one in self._world.alive if one is not host]
        names = self.in_touch() - {host.name}
        sets = self._deciding(alive)
        for one in alive:
            sets += [told.voters for told in one.told if told.index > one.committed]
        newest = self._world.members.newest
        changes = [Wish(frozenset(newest.add), frozenset(newest.remove)), *self._wishes]
        sets += [change.after(newest.voters) for change in changes]
        return all(2 * len(voters & names) > len(voters) for voters in sets)

    def _deciding(self, alive: Sequence[Host]) -> list[frozenset[NodeID]]:
        """Return the agreed sets that have a say, earlier ones until most know that they have not."""
        sets: list[frozenset[NodeID]] = []
        for told in reversed(self._world.members.agreed):
            sets.append(told.voters)
            know = sum(host.name in told.voters and host.committed >= told.index for host in alive)
            if 2 * know > len(told.voters):
                break
        return sets

    # ── asking ───────────────────────────────────────────────────────────────────────────────────

    def act(self, world: World) -> int:
        """Ask again, or for something new."""
        self.sent_us = None
        late_us = world.now_us - _LATE_US
        newest = self._wishes[-1:] if self._payload is not None else []
        self._wishes = [wish for wish in self._wishes if wish.asked_us > late_us or wish in newest]
        self._switch_off()
        if self._payload is None:
            self._payload = self._decide()
        host = world.choose()
        if self._payload is None or host is None:
            return self._pause_us()
        if world.administer(self, host, self._payload, operator=True):
            self.sent_us = world.now_us
        return world.plan.patience_us

    def answered(self, world: World, host: Host, names: Sequence[str], fates: Fates) -> int:
        """Ask again unless it is certain what became of it; then look again."""
        del host, names
        (fate,) = fates
        self.sent_us = None
        if not isinstance(fate, NotCommitted):
            world.counts["changes asked for" if isinstance(fate, Committed) else "changes refused"] += 1
            self._payload = None
        return self._pause_us()

    def _pause_us(self) -> int:
        pause_us = _CALM_US if self._world.calm else self._world.plan.operator_us
        return int(pause_us * (0.5 + self._rng.random()))

    # ── deciding ─────────────────────────────────────────────────────────────────────────────────

    def _decide(self) -> bytes | None:
        world, newest = self._world, self._world.members.newest
        if not newest.index:
            return None
        coming = world.comings.names()
        # Who comes is as good as alive: it waits to be let in.
        alive = self.in_touch().union(coming)
        if newest.change:
            change = Wish(frozenset(newest.add), frozenset(newest.remove))
            hopeless = not alive.issuperset(newest.add) or not self._sensible(change, alive)
            doubts = not world.calm and self._rng.random() < 0.15
            return cancel_payload() if hopeless or doubts else None
        pending = [name for name in _known(newest) if newest.status[name] == PENDING]
        add = self._some(name for name in pending if name in alive)
        remove = self._some(name for name in sorted(newest.voters) if name not in alive)
        replaces = len(add) > 1 and self._rng.random() < 0.5
        extra = self._well(len(add)) if not world.calm and (replaces or self._rng.random() < 0.3) else []
        refuse = self._some(name for name in pending if name not in alive and name not in coming)
        if not world.calm and self._rng.random() < 0.05:
            refuse += add[:1]
            add = add[1:]
        for also in (extra, []):
            wish = Wish(frozenset(add), frozenset([*remove, *also]), world.now_us)
            if (add or remove or also or refuse) and self._sensible(wish, alive):
                self._wishes.append(wish)
                return change_payload(add, [*remove, *also, *refuse])
        return None

    def _sensible(self, wish: Wish, alive: frozenset[NodeID]) -> bool:
        """Return whether a majority lives when it is made, whatever else may be made late."""
        after = wish.after(self._world.members.newest.voters)
        sets = [after, *(late.after(after) for late in self._wishes)]
        small = len(after) <= MEMBERS_MAX or self._world.calm
        return small and all(2 * len(voters & alive) > len(voters) for voters in sets)

    def _some(self, names: Iterable[NodeID]) -> list[NodeID]:
        """Return most of ``names``, all of them in calm."""
        return [name for name in names if self._world.calm or self._rng.random() < 0.7]

    def _well(self, added: int) -> list[NodeID]:
        """Return members that are well, one that leads perhaps, or as many as are to be added."""
        voters = self._world.members.newest.voters
        alive = [host for host in self._world.alive if host.name in voters]
        leaders = [host for host in alive if host.leads_since is not None]
        chosen = self._rng.sample(alive, min(len(alive), max(1, added)))
        if leaders and self._rng.random() < 0.4:
            chosen = leaders[:1]
        return [host.name for host in chosen]

    def in_touch(self) -> frozenset[NodeID]:
        """Return the living nodes that know another living one, or need none."""
        names = {host.name for host in self._world.alive}
        voters = self._world.members.newest.voters
        return frozenset(
            host.name for host in self._world.alive if host.knows & names or voters == {host.name}
        )

    def _switch_off(self) -> None:
        """Switch off whoever will never be told anything: the service forgot it, or it knows nobody alive."""
        world, newest = self._world, self._world.members.newest
        if not newest.index:
            return
        in_touch = self.in_touch()
        for host in world.alive:
            if host.name not in newest.status or host.name not in in_touch:
                world.counts["lost nodes switched off"] += 1
                world.end(host)


class Stranger:
    """Somebody who is no operator and asks for a change all the same, once."""

    label = "stranger"

    def __init__(self, world: World) -> None:
        """Ask in ``world``."""
        self._world = world
        self.alarm = 0
        self.sent_us: int | None = None

    def act(self, world: World) -> int:
        """Ask that everybody be removed but one."""
        host = world.choose()
        if host is not None and not world.calm:
            voters = sorted(world.members.newest.voters)
            world.administer(self, host, change_payload([], voters[1:]), operator=False)
        return 100 * SECOND_US

    def answered(self, world: World, host: Host, names: Sequence[str], fates: Fates) -> int:
        """Be refused."""
        del names
        (fate,) = fates
        if isinstance(fate, Committed):
            raise ViolationError("members", f"{host.label} did what a stranger asked for, at {fate.txid}")
        world.counts["strangers refused"] += isinstance(fate, Rejected)
        return 100 * SECOND_US


def _known(told: Told) -> list[NodeID]:
    """Return whoever is not retired, in the order of names."""
    return sorted(name for name, status in told.status.items() if status == PENDING or name in told.voters)
