"""Leases: granted, run out, and whoever is left in quarantine."""

from __future__ import annotations

import pytest

from coco_core.errors import IntegrityError
from coco_core.governance import (
    LeasePolicy,
    MembershipChange,
    change_writes,
    founding_writes,
    lease_writes,
    node_writes,
    overdue,
    quarantine_due,
    read_change,
    read_lease_policy,
    read_leases,
)
from coco_core.kv import Store, View, Writes, maps
from coco_core.testing import Consortium

NETWORK = Consortium.of(5)
FIRST, SECOND, THIRD, FOURTH = (NETWORK.identities[number].node_id for number in range(4))
NOW_MS = 1_700_000_000_000


def tables(*changes: Writes) -> View:
    store = Store()
    founding = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    for seqno, writes in enumerate((founding, *changes), 1):
        store.append(seqno, writes)
        store.commit(seqno)
    return store.view()


def after(view: View, time_ms: int) -> MembershipChange | None:
    writes = quarantine_due(view, time_ms)
    return None if writes is None else read_change(view.over(writes))


def test_no_lease_is_for_ever() -> None:
    view = tables()
    assert read_lease_policy(view) == LeasePolicy()
    assert read_leases(view) == {}
    assert quarantine_due(view, 2 * NOW_MS) is None


def test_who_is_late_is_removed_in_one_change() -> None:
    view = tables(lease_writes([FIRST, SECOND], 10, NOW_MS))
    assert overdue(view, NOW_MS + 9_999) == []
    assert after(view, NOW_MS + 9_999) is None
    assert overdue(view, NOW_MS + 10_000) == sorted([FIRST, SECOND])
    change = after(view, NOW_MS + 10_000)
    assert change is not None
    assert (change.add, set(change.remove)) == ((), {FIRST, SECOND})
    assert "lease" in change.requested_by


def test_somebody_whose_lease_holds_must_be_left() -> None:
    view = tables(lease_writes([FIRST, SECOND, THIRD], 10, NOW_MS))
    assert len(overdue(view, NOW_MS + 10_000)) == 3
    assert after(view, NOW_MS + 10_000) is None
    view = tables(
        lease_writes([FIRST, SECOND], 10, NOW_MS),
        change_writes(MembershipChange((), (THIRD,), "somebody")),
    )
    assert after(view, NOW_MS + 10_000) is None


def test_it_joins_the_change_under_way_once() -> None:
    waiting = MembershipChange((FOURTH,), (SECOND,), "proposal 1")
    view = tables(node_writes([NETWORK.joiner(3)]), lease_writes([FIRST], 10, NOW_MS), change_writes(waiting))
    change = after(view, NOW_MS + 10_000)
    assert change == MembershipChange((FOURTH,), (SECOND, FIRST), "proposal 1")
    view = tables(lease_writes([FIRST], 10, NOW_MS), change_writes(change))
    assert after(view, NOW_MS + 10_000) is None


def test_a_lease_taken_back_ends_nothing() -> None:
    view = tables(lease_writes([FIRST], 10, NOW_MS), lease_writes([FIRST], None, NOW_MS))
    assert read_leases(view) == {}


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"granted_ms": "1", "until_ms": 2}'])
def test_malformed_tables_stop_the_node(value: bytes) -> None:
    with pytest.raises(IntegrityError, match="leases"):
        read_leases(tables({maps.LEASES: {FIRST.encode(): value}}))
    if value != b"{}":
        policy = value if value != b'{"granted_ms": "1", "until_ms": 2}' else b'{"lease_s": "1"}'
        with pytest.raises(IntegrityError, match="lease_policy"):
            read_lease_policy(tables({maps.LEASE_POLICY: {maps.SINGLETON_KEY: policy}}))
