"""What a primary writes of its own accord: changes of members that became possible, and their end.

The laws:

* The change under way is made in one entry, once every node it adds has caught up and a majority of the
  new members is heard of and up to date; so the new set can go on at once, whatever it replaced.
* Code must be accepted when a node comes to take part, not only when it asked: whoever is to be added and
  runs what the tables do not list any more is left out of the change, and forgotten.
* When a removal is agreed, one more entry says so (``retired_committed``): when *that* is agreed,
  whoever was removed may be switched off.
* Records of retired nodes are kept for a while, and not for ever.

Knows tables and how far peers are; must not know consensus, requests or time.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from coco_core.base import NodeID, limits
from coco_core.governance import (
    RETIRED,
    TRUSTED,
    NodeRecord,
    change_writes,
    forgetting_writes,
    node_writes,
    read_change,
    read_nodes,
    unfit_writes,
)
from coco_core.kv import View, Writes, merge


def change_due(head: View, match: Mapping[NodeID, int], last: int) -> Writes | None:
    """Return the writes that make the change under way, or None while it must wait.

    ``match`` is how far the ledger is durable on each node heard of, ``last`` where it ends.
    """
    change = read_change(head)
    if change is None:
        return None
    unfit = unfit_writes(head)
    if unfit is not None:
        return unfit
    if behind(head, match, last):
        return None
    nodes = read_nodes(head)
    changed = [attrs.evolve(nodes[name], status=TRUSTED) for name in change.add]
    changed += [attrs.evolve(nodes[name], status=RETIRED) for name in change.remove]
    writes = node_writes(changed)
    merge(writes, change_writes(None))
    return writes


def behind(head: View, match: Mapping[NodeID, int], last: int) -> list[NodeID]:
    """Return whom the change under way waits for: added nodes, and members if too few are up to date."""
    change = read_change(head)
    if change is None:
        return []
    slow = {name for name, index in match.items() if index + limits.CAUGHT_UP_ENTRIES_MAX < last}
    missing = [name for name in change.add if name in slow or name not in match]
    trusted = {node.node_id for node in read_nodes(head).values() if node.status == TRUSTED}
    voters = (trusted - set(change.remove)) | set(change.add)
    late = [name for name in sorted(voters) if name in slow or name not in match]
    return missing or (late if 2 * (len(voters) - len(late)) <= len(voters) else [])


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


def _too_many(nodes: Mapping[NodeID, NodeRecord]) -> list[NodeID]:
    """Return who need not be remembered: nodes whose end is agreed, beyond the bound, in order of ID."""
    ended = sorted(node.node_id for node in nodes.values() if node.retired_committed)
    return ended[: max(0, len(ended) - limits.RETIRED_NODES_KEPT_MAX)]
