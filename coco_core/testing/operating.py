"""What operators do with a :class:`Cluster`: let nodes ask to join, change the members, see what came of it.

Nodes are named by their numbers in the cluster's consortium. Must not know how a replica does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.base import NodeID
from coco_core.governance import (
    TRUSTED,
    JoinProof,
    MembershipChange,
    NodeRecord,
    cancel_payload,
    change_payload,
    join_payload,
    read_change,
    read_nodes,
)
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.stage import SafetyError
from coco_core.testing.tally import add


@attrs.frozen
class Operating:
    """The members of one cluster, as its operators see and change them."""

    cluster: Cluster

    # ── doing ────────────────────────────────────────────────────────────────────────────────────

    def begin(self, payload: bytes, *, at: ClusterNode | None = None, operator: bool = True) -> int:
        """Submit at the primary, or at another node; return the ticket."""
        return self.cluster.administer(at or self.cluster.primary, payload, operator=operator)

    def say(
        self, payload: bytes, *, at: ClusterNode | None = None, operator: bool = True
    ) -> Committed | Rejected | NotCommitted:
        """Submit and wait for the fate."""
        node = at or self.cluster.primary
        ticket = self.begin(payload, at=node, operator=operator)
        self.until(lambda: ticket in node.answers)
        (fate,) = node.answers[ticket]
        return fate

    def ask(
        self,
        number: int,
        *,
        at: ClusterNode | None = None,
        proof: JoinProof | None = None,
        **changes: Any,
    ) -> Committed | Rejected | NotCommitted:
        """Let node ``number`` ask to join, with another ``proof`` than it should have, or ``changes``."""
        consortium, asked = self.cluster.consortium, at or self.cluster.primary
        record = attrs.evolve(consortium.joiner(number), **changes)
        shown = proof or consortium.proof(number, consortium.number(asked.name))
        return self.say(join_payload(record, shown), at=asked, operator=False)

    def change(
        self,
        add: Iterable[int] = (),
        remove: Iterable[int] = (),
        *,
        at: ClusterNode | None = None,
        operator: bool = True,
    ) -> Committed | Rejected | NotCommitted:
        """Change the members."""
        names = [self.name(number) for number in add], [self.name(number) for number in remove]
        return self.say(change_payload(*names), at=at, operator=operator)

    def cancel(
        self, *, at: ClusterNode | None = None, operator: bool = True
    ) -> Committed | Rejected | NotCommitted:
        """Take the change under way back."""
        return self.say(cancel_payload(), at=at, operator=operator)

    def welcome(self, *numbers: int, remove: Iterable[int] = ()) -> None:
        """Let nodes ask, begin to add them, and put them on the table; the change goes on from there."""
        fates = [self.ask(number) for number in numbers]
        fates.append(self.change(numbers, remove))
        if not all(isinstance(fate, Committed) for fate in fates):
            raise SafetyError(f"the change was refused: {fates}")
        for number in numbers:
            self.cluster.seat(number)

    def replace(self, add: Iterable[int] = (), remove: Iterable[int] = ()) -> None:
        """Add and remove nodes, all at once, and wait until it is done."""
        self.welcome(*add, remove=remove)
        self.until(lambda: self.change_under_way is None)

    def restart(self, old: ClusterNode, number: int) -> ClusterNode:
        """Let node ``number`` take the place of ``old``, which ends, with its disk, not a member yet."""
        gone = [one for one in range(number) if self.name(one) == old.name]
        if not old.crashed:
            self.cluster.crash(old)
        self.until(self.is_led)
        fates = [self.ask(number), self.change([number], gone)]
        if not all(isinstance(fate, Committed) for fate in fates):
            raise SafetyError(f"the change was refused: {fates}")
        return self.cluster.seat(number, old=old)

    def lose_tail(self, count: int) -> ClusterNode:
        """Let the primary, cut off, write batches that never are agreed, and end; return it."""
        cluster, old = self.cluster, self.cluster.primary
        cluster.cut(old)
        for number in range(count):
            cluster.submit(old, add(f"lost{number}", "x", 100))
            cluster.execute(old)
            cluster.persist(old)
        cluster.run(20)
        cluster.crash(old)
        cluster.heal()
        self.until(self.is_led)
        return old

    def until(self, done: Callable[[], bool], ticks_max: int = 400) -> None:
        """Let time pass until ``done``."""
        for _ in range(ticks_max):
            self.cluster.settle()
            if done():
                return
            self.cluster.run(1)
        raise SafetyError(f"it did not come about in {ticks_max} ticks")

    # ── seeing ───────────────────────────────────────────────────────────────────────────────────

    def name(self, number: int) -> NodeID:
        """Return the name of node ``number``."""
        return self.cluster.consortium.identities[number].node_id

    def node(self, number: int) -> ClusterNode:
        """Return node ``number``, which is on the table."""
        return self.cluster.nodes[self.name(number)]

    def is_led(self) -> bool:
        """Tell whether any living node leads."""
        return any(node.replica.is_primary for node in self.cluster.alive)

    def record(self, number: int) -> NodeRecord | None:
        """Return what is agreed of node ``number``, as the primary knows it."""
        return read_nodes(self.cluster.primary.replica.chain.store.view()).get(self.name(number))

    def status(self, number: int) -> str:
        """Return the status of node ``number``, empty when nothing is known of it."""
        record = self.record(number)
        return record.status if record is not None else ""

    @property
    def members(self) -> list[int]:
        """Who takes part, as is agreed."""
        return [n for n in range(len(self.cluster.consortium.identities)) if self.status(n) == TRUSTED]

    @property
    def change_under_way(self) -> MembershipChange | None:
        """The change that is agreed to be under way, as the primary knows it."""
        return read_change(self.cluster.primary.replica.chain.store.view())
