"""Whom this node talks to, and whether it is still one of them.

The tables say who belongs to the service; from the entry that says so on, the channel is open. But a node
whose ledger lags knows the nodes of then: one that was away may wait for a primary that will never come, or
turn away one it has not heard of yet. So whoever hears of none for long asks all others, and is told who
takes part now, or that its own end is agreed.

Knows tables and three messages; must not know consensus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from coco_core.base import NodeID, limits
from coco_core.governance import PENDING, RETIRED, NodeRecord, read_change, read_nodes
from coco_core.kv import View
from coco_core.replica.effects import Channel, Effect, PeersChanged, Retired, SendToPeer
from coco_core.replica.messages import (
    MEMBERSHIP_QUESTION,
    RETIREMENT_NOTICE,
    MembersNotice,
    encode_members_notice,
)


class Neighbours:
    """The other nodes, as this one's shell was told of them."""

    def __init__(self, node_id: NodeID, emit: Callable[[Effect], None]) -> None:
        """Know of nobody yet."""
        self._node_id = node_id
        self._emit = emit
        self._peers: Mapping[NodeID, Channel] = {}
        """What the shell was told: all of the following."""
        self._named: Mapping[NodeID, Channel] = {}
        """Whom this node's own ledger names."""
        self._welcoming: Mapping[NodeID, Channel] = {}
        """Whom this node was welcomed by, until what is agreed in its ledger names it."""
        self._told: Mapping[NodeID, Channel] = {}
        """Whom a peer named last, until as much is agreed in this node's ledger."""
        self._told_at = 0
        self._ticks_alone = 0

    def __contains__(self, node: NodeID) -> bool:
        """Tell whether the channel to ``node`` is open."""
        return node in self._peers

    def join(self, nodes: Mapping[NodeID, NodeRecord]) -> None:
        """Open the channel to ``nodes``, who take part when this node joins: its ledger names them later."""
        self._welcoming = _channels(nodes)
        self._tell()

    def follow(self, newest: View, agreed: View, members: Set[NodeID], leader: NodeID | None) -> None:
        """Open the channel to whom the newest entries name, and end if it is agreed that this node may.

        It is closed to nobody before that is agreed: consensus goes on with all ``members`` until then, also
        with those that the newest entries forget. Nor to the ``leader`` this node hears: it takes back
        entries that name it, and what it puts in their place may name it much later.
        """
        named, known = _named(agreed), read_nodes(newest)
        if self._node_id in named:
            self._welcoming = {}
        if agreed.version >= self._told_at:
            self._told = {}
        learning = {name: known[name] for name in members if name in known}
        still = members if leader is None else {*members, leader}
        followed = {name: self._peers[name] for name in still if name in self._peers}
        self._named = followed | _channels({**named, **learning, **_named(newest)})
        self._tell()
        own = named.get(self._node_id)
        if own is not None and own.retired_committed:
            self._emit(Retired())

    def tick(self, *, alone: bool) -> None:
        """Let one tick pass, without a primary when ``alone``: after many, ask who takes part."""
        self._ticks_alone = self._ticks_alone + 1 if alone else 0
        if self._ticks_alone >= limits.MEMBERSHIP_ASKED_TICKS:
            self._ticks_alone = 0
            for peer in sorted(self._peers):
                self._emit(SendToPeer(peer, MEMBERSHIP_QUESTION))

    def asked(self, sender: NodeID, agreed: View) -> None:
        """Tell a node that asks who takes part as far as is agreed here, or that its own end is.

        Nothing to whom the channel was closed since, nor while nothing is agreed here.
        """
        named = _named(agreed)
        if sender not in self._peers or not named:
            return
        if sender in named and named[sender].retired_committed:
            self._emit(SendToPeer(sender, RETIREMENT_NOTICE))
            return
        there = {name: one.peer_address for name, one in named.items() if one.status != RETIRED}
        self._emit(SendToPeer(sender, encode_members_notice(MembersNotice(agreed.version, there))))

    def told(self, notice: MembersNotice, committed: int) -> None:
        """Open the channel to whom a peer names, if it knows more than this node and who told it before."""
        if notice.seqno > max(committed, self._told_at):
            self._told = {name: Channel(address) for name, address in notice.nodes.items()}
            self._told_at = notice.seqno
            self._tell()

    def _tell(self) -> None:
        """Open the channel to all whom this node knows of now, and close it to all others."""
        peers = {**self._told, **self._welcoming, **self._named}
        peers.pop(self._node_id, None)
        if peers != self._peers:
            self._peers = peers
            self._emit(PeersChanged(peers))


def _named(view: View) -> dict[NodeID, NodeRecord]:
    """Return the nodes that take part, or did, according to ``view``."""
    change = read_change(view)
    learners = change.add if change is not None else ()
    nodes = read_nodes(view)
    return {name: one for name, one in nodes.items() if one.status != PENDING or name in learners}


def _channels(nodes: Mapping[NodeID, NodeRecord]) -> dict[NodeID, Channel]:
    return {name: Channel(one.peer_address, leaving=one.retired_committed) for name, one in nodes.items()}
