"""Nodes that come, and the operator who changes the members.

Nobody comes yet: every world keeps the members it was founded with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coco_core.base import NodeID

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World


class Comings:
    """Who comes, and who is to be a member."""

    def __init__(self, world: World) -> None:
        """Begin in ``world``."""
        self._world = world

    @property
    def idle(self) -> bool:
        """Whether nobody wants anything."""
        return True

    def needed(self) -> list[frozenset[NodeID]]:
        """Return every set of voters of which a majority must live on."""
        return [self._world.members.newest.voters]

    def unrest(self) -> str:
        """Return what is under way."""
        return "nothing"
