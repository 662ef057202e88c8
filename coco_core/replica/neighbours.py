"""Whom this node talks to, and whether it is still one of them.

The tables say who belongs to the service; from the entry that says so on, the channel is open. A node that
was removed while it could not hear may wait for a primary that will never come, so whoever hears of
none for long asks all others, and is told when its end is agreed.

Knows tables and two messages; must not know consensus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from coco_core.base import NodeID, limits
from coco_core.kv import View
from coco_core.replica.effects import Effect, PeersChanged, Retired, SendToPeer
from coco_core.replica.membership import PENDING, NodeRecord, read_change, read_nodes
from coco_core.replica.messages import MEMBERSHIP_QUESTION, RETIREMENT_NOTICE


class Neighbours:
    """The other nodes, as this one's shell was told of them."""

    def __init__(self, node_id: NodeID, emit: Callable[[Effect], None]) -> None:
        """Know of nobody yet."""
        self._node_id = node_id
        self._emit = emit
        self._peers: Mapping[NodeID, NodeRecord] = {}
        self._welcoming: Mapping[NodeID, NodeRecord] = {}
        """Whom this node was told of, until its ledger reaches the place where it was told."""
        self._ticks_alone = 0

    def __contains__(self, node: NodeID) -> bool:
        """Tell whether the channel to ``node`` is open."""
        return node in self._peers

    def join(self, nodes: Mapping[NodeID, NodeRecord]) -> None:
        """Open the channel to ``nodes``, who take part when this node joins: its ledger names them later."""
        self._welcoming = nodes
        self._tell(nodes)

    def follow(self, newest: View, agreed: View, members: Set[NodeID]) -> None:
        """Open the channel to whom the newest entries name, and end if it is agreed that this node may.

        It is closed to nobody before that is agreed: consensus goes on with all ``members`` until then.
        """
        named, known = _named(agreed), read_nodes(newest)
        if self._node_id in named:
            self._welcoming = {}
        learning = {name: known[name] for name in members if name in known}
        nodes = {**self._welcoming, **named, **learning, **_named(newest)}
        if nodes:
            self._tell(nodes)
        own = read_nodes(agreed).get(self._node_id)
        if own is not None and own.retired_committed:
            self._emit(Retired())

    def tick(self, *, alone: bool) -> None:
        """Let one tick pass, without a primary when ``alone``: after many, ask whether this node belongs."""
        self._ticks_alone = self._ticks_alone + 1 if alone else 0
        if self._ticks_alone >= limits.MEMBERSHIP_ASKED_TICKS:
            self._ticks_alone = 0
            for peer in sorted(self._peers):
                self._emit(SendToPeer(peer, MEMBERSHIP_QUESTION))

    def asked(self, sender: NodeID, agreed: View) -> None:
        """Tell a node that asks when its end is agreed; otherwise there is nothing to say."""
        node = read_nodes(agreed).get(sender)
        if node is not None and node.retired_committed:
            self._emit(SendToPeer(sender, RETIREMENT_NOTICE))

    def _tell(self, nodes: Mapping[NodeID, NodeRecord]) -> None:
        """Open the channel to ``nodes``, and close it to all others."""
        peers = {name: node for name, node in nodes.items() if name != self._node_id}
        if peers != self._peers:
            self._peers = peers
            self._emit(PeersChanged(peers))


def _named(view: View) -> dict[NodeID, NodeRecord]:
    """Return the nodes that take part, or did, according to ``view``."""
    change = read_change(view)
    learners = change.add if change is not None else ()
    nodes = read_nodes(view)
    return {name: one for name, one in nodes.items() if one.status != PENDING or name in learners}
