"""What a primary writes of its own accord: for which tables and peers what is due, whom it waits for."""

from __future__ import annotations

import attrs
import pytest

from coco_core.attestation import Policy
from coco_core.base import NodeID, limits
from coco_core.governance import (
    PENDING,
    RETIRED,
    TRUSTED,
    MembershipChange,
    NodeRecord,
    change_writes,
    lease_writes,
    node_writes,
    policy_of,
    policy_writes,
    read_change,
    read_nodes,
)
from coco_core.kv import Store, View, Writes, maps
from coco_core.replica.upkeep import behind, change_due, retirement_due
from coco_core.testing import Consortium
from coco_core.testing.consortium import POLICY

CONSORTIUM = Consortium.of(8)
CLOSE = limits.CAUGHT_UP_ENTRIES_MAX
NOW_MS = 1_700_000_000_000
LAST = 3 * CLOSE


def name(number: int) -> NodeID:
    return CONSORTIUM.identities[number].node_id


def names(*numbers: int) -> list[NodeID]:
    return sorted(name(number) for number in numbers)


def record(number: int, status: str, *, ended: bool = False) -> NodeRecord:
    return attrs.evolve(CONSORTIUM.joiner(number), status=status, retired_committed=ended)


def view_of(
    *records: NodeRecord,
    add: tuple[int, ...] = (),
    remove: tuple[int, ...] = (),
    policy: Policy = POLICY,
) -> View:
    store = Store()
    writes: Writes = {}
    if add or remove:
        change = MembershipChange(tuple(map(name, add)), tuple(map(name, remove)), "ab")
        writes = change_writes(change)
    store.append(1, {**node_writes(records), **writes, **policy_writes(policy)})
    return store.head()


def trusted(*numbers: int) -> list[NodeRecord]:
    return [record(number, TRUSTED) for number in numbers]


def pending(*numbers: int) -> list[NodeRecord]:
    return [record(number, PENDING) for number in numbers]


def reached(*numbers: int, at: int = LAST) -> dict[NodeID, int]:
    return {name(number): at for number in numbers}


# ── the change under way ─────────────────────────────────────────────────────────────────────────


def test_without_a_change_nothing_is_due() -> None:
    view = view_of(*trusted(0, 1, 2), *pending(3))
    assert behind(view, reached(0, 1, 2, 3), LAST, NOW_MS) == []
    assert change_due(view, reached(0, 1, 2, 3), LAST, NOW_MS) is None


def test_change_is_made_once_everybody_is_there() -> None:
    view = view_of(*trusted(0, 1, 2), *pending(3, 4), add=(3,), remove=(0,))
    match = reached(0, 1, 2, 3)
    assert behind(view, match, LAST, NOW_MS) == []
    writes = change_due(view, match, LAST, NOW_MS)
    assert writes is not None
    after = view.over(writes)
    assert read_change(after) is None
    assert {number: read_nodes(after)[name(number)].status for number in range(5)} == {
        0: RETIRED,
        1: TRUSTED,
        2: TRUSTED,
        3: TRUSTED,
        4: PENDING,
    }
    assert not any(node.retired_committed for node in read_nodes(after).values())
    assert writes[maps.NODES_INFO].keys() == {one.encode() for one in names(0, 3)}


@pytest.mark.parametrize(("at", "waits"), [(LAST - CLOSE, False), (LAST - CLOSE - 1, True), (1, True)])
def test_how_close_is_close_enough(at: int, waits: bool) -> None:
    view = view_of(*trusted(0, 1, 2), *pending(3, 4), add=(3, 4))
    match = {**reached(0, 1, 2, 4), **reached(3, at=at)}
    assert behind(view, match, LAST, NOW_MS) == (names(3) if waits else [])
    assert (change_due(view, match, LAST, NOW_MS) is None) == waits


def test_all_that_are_added_are_waited_for() -> None:
    view = view_of(*trusted(0, 1, 2), *pending(3, 4, 5), add=(3, 4, 5))
    assert behind(view, {**reached(0, 1, 2, 4), **reached(5, at=1)}, LAST, NOW_MS) == [name(3), name(5)]
    assert behind(view, reached(0), LAST, NOW_MS) == [name(3), name(4), name(5)]


def test_whose_lease_ran_out_goes_while_another_catches_up() -> None:
    """Nodes 0, 1 and 2 take part, 1 is late; 3 was let in and is never heard of."""
    view = view_of(*trusted(0, 1, 2), *pending(3), add=(3,), remove=(1,))
    view = view.over(lease_writes(names(0, 1, 2), 60, NOW_MS)).over(lease_writes([name(1)], 30, NOW_MS))
    match, end_ms = reached(0, 2), NOW_MS + 30_000
    assert change_due(view, match, LAST, end_ms - 1) is None
    writes = change_due(view, match, LAST, end_ms)
    assert writes is not None
    after = view.over(writes)
    assert read_nodes(after)[name(1)].status == RETIRED
    change = read_change(after)
    assert change is not None
    assert (change.add, change.remove) == ((name(3),), ())
    assert behind(view, reached(0), LAST, end_ms) == names(2), "one of two is no majority"


@pytest.mark.parametrize(
    ("remove", "there", "waits_for"),
    [
        ((1, 2), (0, 1, 2, 3), ()),  # Two of the three that are left.
        ((1, 2), (0, 1, 2), (3, 4)),  # Three, but only one of those that are left.
        ((0,), (0, 1, 2, 3), ()),
        ((0,), (0, 1, 2), (3, 4)),  # Half of four is no majority.
        ((0, 1, 2, 3), (4,), ()),
        ((0, 1, 2, 3), (0, 1, 2, 3), (4,)),
    ],
)
def test_majority_that_is_left_must_be_there(
    remove: tuple[int, ...], there: tuple[int, ...], waits_for: tuple[int, ...]
) -> None:
    view = view_of(*trusted(0, 1, 2, 3, 4), remove=remove)
    assert behind(view, reached(*there), LAST, NOW_MS) == names(*waits_for)


@pytest.mark.parametrize(
    ("there", "waits_for"), [((0, 1, 2, 5), ()), ((0, 1, 5), (2, 3, 4)), ((5,), (0, 1, 2, 3, 4))]
)
def test_majority_with_those_that_are_added(there: tuple[int, ...], waits_for: tuple[int, ...]) -> None:
    view = view_of(*trusted(0, 1, 2, 3, 4), *pending(5), add=(5,))
    assert behind(view, reached(*there), LAST, NOW_MS) == names(*waits_for)


OLD = "0d" * 32
LISTED = policy_of([("Insecure_Virtual", OLD)])


def old(number: int) -> NodeRecord:
    return attrs.evolve(record(number, PENDING), measurement=OLD)


def test_code_that_is_accepted_no_more_does_not_come_in() -> None:
    view = view_of(*trusted(0, 1, 2), *pending(3), old(4), add=(3, 4), remove=(0,))
    writes = change_due(view, {}, LAST, NOW_MS)
    assert writes is not None
    after = view.over(writes)
    assert read_change(after) == MembershipChange((name(3),), (name(0),), "ab")
    assert name(4) not in read_nodes(after)
    assert change_due(after, reached(0, 1, 2), LAST, NOW_MS) is None
    made = change_due(after, reached(0, 1, 2, 3), LAST, NOW_MS)
    assert made is not None
    assert made[maps.NODES_INFO].keys() == {one.encode() for one in names(0, 3)}


def test_platform_that_is_accepted_no_more_does_not_come_in() -> None:
    elsewhere = attrs.evolve(POLICY, formats=frozenset({"SGX"}))
    view = view_of(*trusted(0, 1), *pending(3), add=(3,), policy=elsewhere)
    writes = change_due(view, reached(0, 1, 3), LAST, NOW_MS)
    assert writes is not None
    after = view.over(writes)
    assert read_change(after) is None
    assert read_nodes(after).keys() == {name(0), name(1)}


def test_change_that_would_leave_nobody_ends() -> None:
    view = view_of(*trusted(0, 1), *pending(3), add=(3,), remove=(0, 1), policy=LISTED)
    writes = change_due(view, reached(0, 1, 3), LAST, NOW_MS)
    assert writes is not None
    after = view.over(writes)
    assert read_change(after) is None
    assert {node.status for node in read_nodes(after).values()} == {TRUSTED}


def test_members_whose_code_is_accepted_no_more_stay_until_they_are_removed() -> None:
    view = view_of(*trusted(0, 1, 2), old(4), add=(4,), remove=(0,), policy=LISTED)
    writes = change_due(view, reached(0, 1, 2, 4), LAST, NOW_MS)
    assert writes is not None
    assert [read_nodes(view.over(writes))[name(n)].status for n in (0, 1, 4)] == [RETIRED, TRUSTED, TRUSTED]


# ── the end of who was removed ───────────────────────────────────────────────────────────────────


def test_end_is_due_when_the_removal_is_agreed() -> None:
    head = view_of(*trusted(0, 1), record(2, RETIRED))
    assert retirement_due(head, view_of(*trusted(0, 1, 2))) is None
    writes = retirement_due(head, head)
    assert writes is not None
    node = read_nodes(head.over(writes))[name(2)]
    assert (node.status, node.retired_committed) == (RETIRED, True)
    assert writes.keys() == {maps.NODES_INFO, maps.NODES_ENDORSED_CERTIFICATES}


def test_end_is_said_once_even_before_that_is_agreed() -> None:
    agreed = view_of(*trusted(0, 1), record(2, RETIRED))
    assert retirement_due(view_of(*trusted(0, 1), record(2, RETIRED, ended=True)), agreed) is None
    assert retirement_due(view_of(*trusted(0, 1)), agreed) is None


def test_several_ends_are_said_at_once() -> None:
    head = view_of(*trusted(0), record(1, RETIRED), record(2, RETIRED), record(3, RETIRED, ended=True))
    writes = retirement_due(head, head)
    assert writes is not None
    assert writes[maps.NODES_INFO].keys() == {one.encode() for one in names(1, 2)}


def test_what_is_kept_of_those_that_ended_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETIRED_NODES_KEPT_MAX", 2)
    ended = [record(number, RETIRED, ended=True) for number in (1, 2, 3, 4)]
    head = view_of(*trusted(0), *ended, record(5, RETIRED))
    writes = retirement_due(head, head)
    assert writes is not None
    left = read_nodes(head.over(writes))
    first, second, *kept = names(1, 2, 3, 4)
    assert left.keys() == {name(0), name(5), *kept}
    for one in (first, second):
        assert all(changes[one.encode()] is None for changes in writes.values())
