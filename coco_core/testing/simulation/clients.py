"""Simulated clients: each sends its transactions, and again on another node until it is certain of them.

A transaction keeps its name when it is sent again, so it must take effect once. Clients keep their own
history for the linearizability checker. They know front ends, not replicas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Final

import attrs

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.testing.linearizability import Operation
from coco_core.testing.simulation.asking import Fates
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.model import Issued, Model
from coco_core.testing.simulation.plan import MILLISECOND_US, Plan
from coco_core.testing.tally import add

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

_CALM_US: Final = 200 * MILLISECOND_US
"""How long a client waits for an answer when nothing is wrong any more."""


@attrs.define(eq=False)
class Pending:
    """One transaction the client is not certain of."""

    name: str
    counter: str
    amount: int
    payload: bytes
    called_us: int


@attrs.define(kw_only=True, eq=False)
class Client:
    """One client with one group of transactions at a time."""

    label: str
    plan: Plan
    rng: Random
    model: Model
    counts: Counter[str]
    pending: dict[str, Pending] = attrs.field(factory=dict)
    history: dict[str, list[Operation]] = attrs.field(factory=dict)
    """Certain operations by counter."""
    sent_us: int | None = None
    """When the group now waiting for an answer was submitted; None: to be sent."""
    alarm: int = 0
    """Number of the newest time this client means to act at."""
    _number: int = 0
    _host: Host | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing this client is uncertain of."""
        return not self.pending

    def act(self, world: World) -> int:
        """Send what is to be sent, a new group if there is nothing and the world is not calm."""
        self._send(world, world.now_us, more=not world.calm)
        delay_us = min(self.plan.patience_us, _CALM_US) if world.calm else self.plan.patience_us
        if self.sent_us is None:
            delay_us = max(self.plan.think_us, 30 * MILLISECOND_US) if self.pending else self.plan.think_us
        return int(delay_us * (0.5 + self.rng.random()))

    def _send(self, world: World, now_us: int, *, more: bool) -> None:
        if not self.pending:
            if not more:
                return
            self._begin(now_us)
        self.sent_us = None
        if self._host is None or self._host.ended or self.rng.random() < 0.3:
            self._host = world.choose()
        if self._host is None:
            return
        group = list(self.pending.values())
        names, payloads = [one.name for one in group], [one.payload for one in group]
        if self.rng.random() < self.plan.fail_share and more:
            names.append("")
            payloads.append(b"fail it")
        if world.submit(self, self._host, names, payloads):
            self.sent_us = now_us

    def answered(self, world: World, host: Host, names: Sequence[str], fates: Fates) -> int:
        """Take note of the fates of a group this client sent, the newest or an earlier one."""
        del host
        for name, fate in zip(names, fates, strict=True):
            one = self.pending.get(name)
            if one is None:
                continue
            if isinstance(fate, Committed):
                self.counts["transactions committed"] += 1
                self._certain(one, world.now_us, int(fate.receipt), fate.txid.seqno)
            elif isinstance(fate, Rejected) and fate.code == "duplicate":
                self.counts["duplicates refused"] += 1
                self._certain(one, world.now_us, None, int(fate.data))
            else:
                self.counts["not committed, sent again"] += isinstance(fate, NotCommitted)
                self._host = None
        self.sent_us = None
        return int(self.plan.think_us * (0.5 + self.rng.random()))

    def operations(self) -> dict[str, list[Operation]]:
        """Return everything this client did, by counter, unfinished operations included."""
        result = {counter: list(operations) for counter, operations in self.history.items()}
        for one in self.pending.values():
            result.setdefault(one.counter, []).append(Operation(one.amount, one.called_us, None, None))
        return result

    def _begin(self, now_us: int) -> None:
        for _ in range(1 + int(self.rng.random() * self.plan.group_max)):
            self._number += 1
            name = f"{self.label}-{self._number}"
            counter = "abcd"[int(self.rng.random() * self.plan.counters)]
            amount = int(self.rng.random() * 7) - 2  # Adding nothing is how this ledger is read.
            self.pending[name] = Pending(name, counter, amount, add(name, counter, amount), now_us)
            self.model.issued[name] = Issued(counter, amount)

    def _certain(self, one: Pending, now_us: int, total: int | None, place: int) -> None:
        del self.pending[one.name]
        operation = Operation(one.amount, one.called_us, now_us, total, place)
        self.history.setdefault(one.counter, []).append(operation)
