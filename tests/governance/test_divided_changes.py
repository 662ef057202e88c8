"""A change of nodes of which one never catches up: what does not wait for it."""

from __future__ import annotations

import pytest

from coco_core.base import NodeID
from coco_core.governance import MembershipChange, change_writes, divided, lease_writes, node_writes
from coco_core.kv import Store, View
from coco_core.testing import Consortium
from coco_core.testing.members import NOW_MS

NETWORK = Consortium.of(4)
END_MS = NOW_MS + 60_000


def name(number: int) -> NodeID:
    return NETWORK.identities[number].node_id


def tables(change: MembershipChange) -> View:
    """Return tables of three nodes that take part, two with leases that end, and one that was let in."""
    view = Store().head().over(node_writes([*NETWORK.first(3).values(), NETWORK.joiner(3)]))
    view = view.over(change_writes(change)).over(lease_writes([name(0), name(1)], 60, NOW_MS))
    return view.over(lease_writes([name(2)], 120, NOW_MS))


def change(*remove: int) -> MembershipChange:
    return MembershipChange((name(3),), tuple(map(name, remove)), "proposal 1")


def test_whose_lease_ran_out_does_not_wait() -> None:
    """Else who runs a node could have another let in, keep it from catching up, and stay for ever."""
    begun = change(0, 1)
    goes = MembershipChange((), begun.remove, begun.requested_by)
    assert divided(tables(begun), begun, [name(3)], END_MS) == (goes, change())
    assert divided(tables(begun), begun, [name(3)], END_MS - 1) == (begun, None)
    assert divided(tables(begun), begun, [], END_MS) == (begun, None)


@pytest.mark.parametrize("remove", [(2,), (2, 0, 1)])
def test_who_is_left_has_a_lease_that_holds(remove: tuple[int, ...]) -> None:
    begun = change(*remove)
    assert divided(tables(begun), begun, [name(3)], END_MS) == (begun, None)
