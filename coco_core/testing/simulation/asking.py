"""Whoever asks nodes for something and goes on asking until it is certain: clients, joiners, operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.testing.simulation.host import Host

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

Fates = Sequence[Committed | Rejected | NotCommitted]


class Asker(Protocol):
    """Somebody who sends and waits."""

    alarm: int
    """Number of the newest time it means to act at."""
    sent_us: int | None
    """When what now waits for an answer was submitted; None: to be sent."""

    @property
    def label(self) -> str:
        """What it is called."""
        ...

    def act(self, world: World) -> int:
        """Send what is to be sent; return when to act again if nothing comes back, in microseconds."""
        ...

    def answered(self, world: World, host: Host, names: Sequence[str], fates: Fates) -> int:
        """Take note of an answer, to the newest submission or an earlier one; return when to act next."""
        ...
