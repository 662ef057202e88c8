"""What a primary writes of its own accord: changes of members that became possible, their end, new epochs.

The laws:

* The change under way is made in one entry, once every node it adds has caught up and a majority of the
  new members is heard of and up to date; so the new set can go on at once, whatever it replaced. Nodes
  that come in another's place, by a voucher or a vote, and are not so far are left for another entry; and
  those that are, and the end of nodes whose lease ran out, do not wait for others that are added.
* Code must be accepted when a node comes to take part, not only when it asked: whoever is to be added and
  runs what the tables do not list any more is left out of the change, and forgotten.
* A node's lease begins when it comes to take part, and ends when it is removed. Whose lease has run out
  leaves by a change of members, and its lease stays in the tables, which tells why.
* A renewal that took too long is taken back: before it can be made, for a lease that ran out renews nothing.
* When a removal is agreed, one more entry says so (``retired_committed``): when *that* is agreed,
  whoever was removed may be switched off.
* Records of retired nodes are kept for a while, and not for ever.
* After a change of members a new epoch of ledger secrets begins, and one when the newest has lasted as long
  as the key policy lets it: not while somebody who left may be needed, for who has no copy of the new secret
  can read no further.

Each primary looks for it in the tables anew, so nothing is lost when leadership moves. Knows tables and how
far peers are; must not know consensus or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from coco_core.base import NodeID, limits
from coco_core.governance import (
    MEMBERS_CHANGED,
    RETIRED,
    TRUSTED,
    MembershipChange,
    NodeRecord,
    begin_epoch,
    change_writes,
    departure_writes,
    divided,
    forgetting_writes,
    lapsed_writes,
    lease_writes,
    leaving,
    newest_epoch,
    node_writes,
    overdue_epoch,
    quarantine_due,
    read_change,
    read_lease_policy,
    read_nodes,
    staying,
    taking_part,
    unfit_writes,
    want_epoch,
    wanted_epoch,
)
from coco_core.kv import View, Writes, merge
from coco_core.ledger import NO_CLAIMS
from coco_core.replica.chain import Chain


class Upkeep:
    """Looks for what is due."""

    def __init__(
        self,
        chain: Chain,
        match: Callable[[], Mapping[NodeID, int]],
        evidence_due: Callable[[], tuple[Writes, bytes] | None],
        entropy: Callable[[int], bytes],
    ) -> None:
        """Look in ``chain``; ``match`` tells how far peers are, ``entropy`` returns so many random bytes.

        ``evidence_due`` returns what the ledger should be told of a snapshot made here, and its claims.
        """
        self._chain = chain
        self._match = match
        self._evidence_due = evidence_due
        self._entropy = entropy
        self.due = False
        """Whether to look for anything."""
        self._removals_due = False
        """Whether removals may have been agreed that the ledger does not say are."""

    def members_changed(self) -> None:
        """Look for everything: nodes may have come, changed or gone, or this node leads now."""
        self.due = self._removals_due = True

    def take(self, time_ms: int) -> tuple[Writes, bytes] | None:
        """Return the writes that became due and what they claim: at most one thing, the next comes after."""
        chain = self._chain
        head = chain.store.head()
        writes = (
            lapsed_writes(head, time_ms)
            or change_due(head, self._match(), chain.head, time_ms)
            or quarantine_due(head, time_ms)
        )
        if writes is None and self._removals_due:
            writes = retirement_due(head, chain.store.view())
            self._removals_due = writes is not None
        if writes is None:
            reason = rekey_due(head, chain.store.view(), time_ms)
            if reason is not None:
                place = chain.head + 1
                writes = begin_epoch(head, self._entropy, seqno=place, time_ms=time_ms, reason=reason)
        found = (writes, NO_CLAIMS) if writes is not None else self._evidence_due()
        self.due = found is not None
        return found


def change_due(head: View, match: Mapping[NodeID, int], last: int, time_ms: int) -> Writes | None:
    """Return the writes that make the change under way, or None while it must wait.

    ``match`` is how far the ledger is durable on each node heard of, ``last`` where it ends. Leases of
    the nodes that are added begin at ``time_ms``.
    """
    change = read_change(head)
    if change is None:
        return None
    unfit = unfit_writes(head)
    if unfit is not None:
        return unfit
    slow = _slow(change.add, match, last)
    made, rest = divided(head, change, slow, time_ms)
    if waited_for(head, made, slow, match, last):
        return None
    nodes = read_nodes(head)
    changed = [attrs.evolve(nodes[name], status=TRUSTED) for name in made.add]
    changed += [attrs.evolve(nodes[name], status=RETIRED) for name in made.remove]
    writes = node_writes(changed)
    merge(writes, change_writes(rest))
    merge(writes, want_epoch(MEMBERS_CHANGED))
    merge(writes, departure_writes(head, made.remove, time_ms))
    lease_s = read_lease_policy(head).lease_s
    if lease_s is not None:
        merge(writes, lease_writes(made.add, lease_s, time_ms))
    return writes


def behind(head: View, match: Mapping[NodeID, int], last: int, time_ms: int) -> list[NodeID]:
    """Return whom the change under way waits for: added nodes, and members if too few are up to date."""
    change = read_change(head)
    if change is None:
        return []
    slow = _slow(change.add, match, last)
    made, _ = divided(head, change, slow, time_ms)
    return waited_for(head, made, slow, match, last)


def waited_for(
    head: View, made: MembershipChange, slow: list[NodeID], match: Mapping[NodeID, int], last: int
) -> list[NodeID]:
    """Return whom ``made`` waits for, the part of a change that could be made while ``slow`` are behind."""
    if slow and (set(slow) & set(made.add) or not (made.add or made.remove)):
        return slow
    trusted = {node.node_id for node in read_nodes(head).values() if node.status == TRUSTED}
    voters = (trusted - set(made.remove)) | set(made.add)
    late = _slow(sorted(voters), match, last)
    return late if 2 * (len(voters) - len(late)) <= len(voters) else []


def _slow(nodes: Iterable[NodeID], match: Mapping[NodeID, int], last: int) -> list[NodeID]:
    """Return who of ``nodes`` is not heard of, or far from the end."""
    far = last - limits.CAUGHT_UP_ENTRIES_MAX
    return [name for name in nodes if name not in match or match[name] < far]


def retirement_due(head: View, agreed: View) -> Writes | None:
    """Return the writes that say that removals are agreed, or None when all is said."""
    nodes = read_nodes(head)
    retired = [node for node in read_nodes(agreed).values() if node.status == RETIRED]
    unsaid = [
        attrs.evolve(node, retired_committed=True)
        for node in retired
        if node.node_id in nodes and not nodes[node.node_id].retired_committed
    ]
    if not unsaid:
        return None
    writes = node_writes(unsaid)
    merge(writes, forgetting_writes(_too_many(nodes)))
    return {name: changes for name, changes in writes.items() if changes}


def rekey_due(head: View, agreed: View, time_ms: int) -> str | None:
    """Return why a new epoch is to begin now, None while it is not.

    It waits while somebody leaves: as long as a removal, or a cancelled addition, is not agreed, others may
    send that node entries and need its vote, so it must be able to read on. Who holds the entry that begins
    the epoch knows that it is agreed: that entry is behind one that was written once it was.
    """
    reason = wanted_epoch(head)
    newest = newest_epoch(head)
    count = newest.number if newest is not None else 0
    if reason is None and count < limits.SCHEDULED_EPOCHS_MAX and overdue_epoch(head, time_ms):
        reason = "the epoch lasted as long as it may"
    if reason is None or count >= limits.NODES_EPOCHS_MAX:
        return None
    left = (taking_part(agreed) | leaving(read_nodes(head))) - staying(head)
    return None if left else reason


def _too_many(nodes: Mapping[NodeID, NodeRecord]) -> list[NodeID]:
    """Return who need not be remembered: nodes whose end is agreed, beyond the bound, in order of ID."""
    ended = sorted(node.node_id for node in nodes.values() if node.retired_committed)
    return ended[: max(0, len(ended) - limits.RETIRED_NODES_KEPT_MAX)]
