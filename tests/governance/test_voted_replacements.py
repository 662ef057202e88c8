"""Nodes that come in others' places by a vote, one of which never catches up."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_core.base import NodeID
from coco_core.errors import MemberError
from coco_core.governance import (
    ACTIVE,
    RETIRED,
    MembershipChange,
    change_writes,
    divided,
    founding_writes,
    lease_writes,
    node_writes,
    policy_writes,
    quarantine_due,
    read_change,
    read_nodes,
    unfit_writes,
)
from coco_core.governance.actions import carry_out, plan
from coco_core.governance.consortium import member_writes
from coco_core.governance.decision import Decision
from coco_core.kv import Store, View, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.consortium import POLICY
from coco_core.testing.members import NOW_MS, Signatory

NETWORK = Consortium.of(7)
ALICE = Signatory.make("alice")
LEASE_S = 100
END_MS = NOW_MS + LEASE_S * 1000
BY = "proposal 1"


def name(number: int) -> NodeID:
    return NETWORK.identities[number].node_id


def replacing(fresh: int, old: int) -> dict[str, Any]:
    return {"name": "replace_node", "args": {"node_id": name(fresh), "replaces": name(old)}}


def removing(node: int) -> dict[str, Any]:
    return {"name": "remove_node", "args": {"node_id": name(node)}}


def trusting(node: int) -> dict[str, Any]:
    return {"name": "transition_node_to_trusted", "args": {"node_id": name(node)}}


def decided(*actions: dict[str, Any], view: View | None = None) -> View:
    """Return tables of nodes 0 to 2, with nodes 3 to 6 waiting, after a proposal of these actions."""
    if view is None:
        first = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
        merge(first, node_writes(NETWORK.joiner(number) for number in range(3, 7)))
        merge(first, policy_writes(POLICY))
        merge(first, member_writes(ALICE.member(status=ACTIVE)))
        store = Store()
        store.append(1, first)
        view = store.head()
    decision = Decision(
        base=view,
        proposal_id="1",
        proposer=ALICE.member_id,
        time_ms=NOW_MS,
        deal=lambda *_: {},
        begin_epoch=lambda *_: {},
        renew=lambda *_: "",
    )
    carry_out(plan(list(actions)), decision)
    return view.over(decision.writes)


def change(add: list[int], remove: list[int], *pairs: tuple[int, int]) -> MembershipChange:
    named = tuple((name(fresh), name(old)) for fresh, old in pairs)
    return MembershipChange(tuple(map(name, add)), tuple(map(name, remove)), BY, named)


def parts(view: View, *slow: int, time_ms: int = NOW_MS) -> tuple[MembershipChange, MembershipChange | None]:
    begun = read_change(view)
    assert begun is not None
    return divided(view, begun, [name(number) for number in slow], time_ms)


def test_one_replacement_does_not_wait_for_another() -> None:
    view = decided(replacing(3, 0), replacing(4, 1))
    assert read_change(view) == change([3, 4], [0, 1], (3, 0), (4, 1))
    assert parts(view) == (read_change(view), None)
    assert parts(view, 3) == (change([4], [1], (4, 1)), change([3], [0], (3, 0)))
    assert parts(view, 3, 4)[0] == change([], [])


def test_other_votes_do_not_wait_for_a_replacement_nor_it_for_them() -> None:
    view = decided(replacing(3, 0), trusting(4), removing(1))
    assert parts(view, 3) == (change([4], [1]), change([3], [0], (3, 0)))
    assert parts(view, 4) == (change([3], [0], (3, 0)), change([4], [1]))


def test_who_is_to_be_replaced_stays_if_members_send_the_fresh_one_away() -> None:
    view = decided(removing(3), view=decided(replacing(3, 0), trusting(4)))
    assert read_change(view) == change([4], [])
    assert name(3) not in read_nodes(view)
    with pytest.raises(MemberError, match="nothing to remove"):
        decided(removing(0), view=decided(replacing(3, 0)))


def test_another_one_takes_the_place_of_who_does_not_catch_up() -> None:
    view = decided(replacing(4, 3), view=decided(replacing(3, 0)))
    assert read_change(view) == change([4], [0], (4, 0))


def test_who_is_to_be_replaced_stays_if_the_fresh_one_is_unfit() -> None:
    view = decided(replacing(3, 0))
    view = view.over({maps.CODE_MEASUREMENTS: {key: None for key, _ in view.items(maps.CODE_MEASUREMENTS)}})
    writes = unfit_writes(view)
    assert writes is not None
    assert read_change(view.over(writes)) is None


def test_a_lease_that_runs_out_waits_for_no_replacement() -> None:
    view = decided(replacing(3, 0)).over(lease_writes([name(0)], LEASE_S, NOW_MS))
    assert parts(view, 3, time_ms=END_MS - 1)[0] == change([], [])
    assert quarantine_due(view, END_MS) is None
    assert parts(view, 3, time_ms=END_MS) == (change([], [0]), change([3], []))
    everybody = view.over(lease_writes([name(1), name(2)], LEASE_S, NOW_MS))
    assert parts(everybody, 3, time_ms=END_MS)[0] == change([], [])


def test_a_change_of_before_has_no_pairs() -> None:
    begun = change([3], [0])
    row = change_writes(begun)[maps.MEMBERSHIP_CHANGE][maps.SINGLETON_KEY]
    assert row is not None
    old = row.replace(b',"replaces":[]', b"")
    assert old != row
    view = Store().head().over({maps.MEMBERSHIP_CHANGE: {maps.SINGLETON_KEY: old}})
    assert read_change(view) == begun


def test_who_left_meanwhile_is_replaced_by_nobody() -> None:
    view = decided()
    gone = attrs.evolve(NETWORK.nodes[name(0)], status=RETIRED)
    with pytest.raises(MemberError, match="Retired"):
        decided(replacing(3, 0), view=view.over(node_writes([gone])))
