"""An operator changes who takes part: nodes come, go and are replaced, one change at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coco_core.adapter import Caller, Committed, Rejected
from coco_core.base import NodeID, limits
from coco_core.crypto import read_certificate
from coco_core.governance import (
    ADMINISTRATION,
    PENDING,
    RETIRED,
    TRUSTED,
    change_payload,
)
from coco_core.ledger import audit
from coco_core.replica.events import HandOver, Submitted
from coco_core.testing import add
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS


def code(fate: object) -> str:
    assert isinstance(fate, Rejected), fate
    return fate.code


def goes_on(operating: Operating, name: str = "on") -> None:
    """Check that the service still takes, agrees and spreads transactions, and that a ledger audits."""
    cluster = operating.cluster
    before = int(cluster.primary.state().get(COUNTERS, {}).get(b"x", b"0"))
    ticket = cluster.submit(cluster.primary, add(name, "x", 1))
    operating.until(lambda: ticket in cluster.primary.answers)
    assert [type(fate) for fate in cluster.primary.answers[ticket]] == [Committed]
    cluster.run(3)
    for number in operating.members:
        node = operating.node(number)
        if not node.crashed:
            assert node.state()[COUNTERS][b"x"] == b"%d" % (before + 1)
            assert node.replica.chain.tree.root() == cluster.primary.replica.chain.tree.root()
    audit(
        [cluster.primary.disk.file()],
        service_cert_pem=cluster.consortium.service.certificate,
        secrets=cluster.secrets,
    )


# ── who may ask, and for what ────────────────────────────────────────────────────────────────────


def test_only_an_operator_changes_members(operating: Operating) -> None:
    operating.ask(3)
    refusal = Rejected("not-operator", "only an operator of this service may ask for this")
    assert operating.change([3], operator=False) == refusal
    assert operating.change([3], operator=False, at=operating.cluster.backups[0]) == refusal
    assert operating.cancel(operator=False) == refusal
    cluster = operating.cluster
    fingerprint = read_certificate(cluster.consortium.operator).fingerprint
    other = read_certificate(cluster.consortium.service.certificate).fingerprint
    payload = change_payload([operating.name(3)], [])
    for number, caller in enumerate(
        (
            Caller(kind="operator", identity=other),
            Caller(kind="operator", identity=fingerprint.upper()),
            Caller(kind="operator", identity=""),
            Caller(kind="certificate", identity=fingerprint),
            Caller(kind="anonymous", identity=fingerprint),
        )
    ):
        cluster.handle(cluster.primary, Submitted(1000 + number, ADMINISTRATION, [payload], caller))
        cluster.settle()
        assert cluster.primary.answers[1000 + number] == [refusal]
    assert operating.change_under_way is None


def test_changes_that_cannot_be(operating: Operating) -> None:
    operating.ask(3)
    before = operating.cluster.primary.replica.chain.head
    name = operating.name
    expected = {
        ((), ()): ("nothing-to-change", "name nodes to add or to remove"),
        ((4,), ()): ("not-pending", f"node {name(4)} is unknown: only who asked to join is added"),
        ((0,), ()): ("not-pending", f"node {name(0)} is Trusted: only who asked to join is added"),
        ((3,), (3,)): ("not-pending", f"node {name(3)} is Pending: only who asked to join is added"),
        ((), (4,)): ("not-a-member", f"node {name(4)} is unknown: there is nothing to remove"),
        ((), (0, 1, 2)): (
            "too-few-or-many",
            f"0 members would be left; 1 to {limits.NODES_MAX} may be",
        ),
    }
    for (added, removed), (expected_code, message) in expected.items():
        assert operating.change(added, removed) == Rejected(expected_code, message)
    assert operating.cluster.primary.replica.chain.head == before


def test_members_are_bounded(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES_MAX", 4)
    operating.ask(3)
    operating.ask(4)
    assert operating.change([3, 4]) == Rejected("too-few-or-many", "5 members would be left; 1 to 4 may be")
    assert isinstance(operating.change([3, 4], [0]), Committed)


def test_retired_node_is_no_member(operating: Operating) -> None:
    operating.replace(remove=[2])
    message = f"node {operating.name(2)} is Retired: there is nothing to remove"
    assert operating.change(remove=[2]) == Rejected("not-a-member", message)
    assert code(operating.change([2])) == "not-pending"
    assert code(operating.ask(2)) == "retired"


def test_pending_node_is_refused_at_once(operating: Operating) -> None:
    operating.ask(3)
    operating.ask(4)
    assert isinstance(operating.change(remove=[3]), Committed)
    assert [operating.status(3), operating.status(4)] == ["", PENDING]
    assert operating.change_under_way is None
    assert isinstance(operating.ask(3), Committed)


def test_change_that_refuses_one_and_adds_another(operating: Operating) -> None:
    operating.ask(3)
    operating.ask(4)
    assert isinstance(operating.change([3], [4, 1]), Committed)
    change = operating.change_under_way
    assert change is not None
    assert (change.add, change.remove) == ((operating.name(3),), (operating.name(1),))
    assert operating.status(4) == ""


def test_one_change_at_a_time(operating: Operating) -> None:
    operating.ask(3)
    operating.ask(4)
    operating.change([3])
    change = operating.change_under_way
    assert change is not None
    assert change.requested_by == read_certificate(operating.cluster.consortium.operator).fingerprint
    message = "another change of members is under way; cancel it or wait"
    for added, removed in (((4,), ()), ((), (0,)), ((3,), ())):
        assert operating.change(added, removed) == Rejected("change-under-way", message)
    assert operating.change_under_way == change


def test_change_is_taken_back(operating: Operating) -> None:
    cluster = operating.cluster
    assert operating.cancel() == Rejected("no-change", "no change of members is under way")
    operating.welcome(3, remove=[0])
    before = operating.change_under_way
    cluster.cut(operating.node(3))
    assert operating.change_under_way == before
    assert isinstance(operating.cancel(), Committed)
    assert operating.change_under_way is None
    assert operating.status(3) == ""
    assert all(operating.name(3) not in node.peers for node in cluster.alive)
    cluster.heal()
    cluster.run(30)
    assert operating.members == [0, 1, 2]
    assert code(operating.change([3])) == "not-pending"
    cluster.crash(operating.node(3))
    operating.replace([4])
    operating.until(lambda: operating.members == [0, 1, 2, 4])
    goes_on(operating)


# ── how it goes ──────────────────────────────────────────────────────────────────────────────────


def test_node_learns_before_it_votes(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CAUGHT_UP_ENTRIES_MAX", 5)
    cluster = operating.cluster
    operating.ask(3)
    operating.change([3])
    cluster.run(3)
    primary = cluster.primary
    assert primary.replica.waits_for() == [operating.name(3)]
    learner = cluster.seat(3)
    cluster.cut(learner)
    for number in range(5):
        cluster.submit(primary, add(f"t{number}", "x", 1))
        cluster.run(1)
    assert operating.members == [0, 1, 2]
    # It counts for nothing: with one of three voters nothing is agreed, whatever the learner holds.
    cluster.heal()
    cluster.cut(*cluster.backups[:2])
    committed = primary.replica.chain.committed
    cluster.submit(primary, add("alone", "x", 1))
    cluster.settle()
    while learner.replica.chain.head < primary.replica.chain.head:
        cluster.tick(primary)
        cluster.settle()
    assert primary.replica.chain.committed == committed
    cluster.heal()
    operating.until(lambda: operating.members == [0, 1, 2, 3])
    assert operating.status(3) == TRUSTED
    assert operating.change_under_way is None
    goes_on(operating)


def test_change_waits_for_a_learner_that_lags(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CAUGHT_UP_ENTRIES_MAX", 5)
    cluster = operating.cluster
    operating.ask(3)
    operating.change([3], [0])
    learner = cluster.seat(3)
    cluster.persist(cluster.primary)
    # It is heard of, but lags: what it holds is that which came with the first answer.
    while not learner.replica.chain.head:
        cluster.tick(cluster.primary)
        for node in cluster.alive:
            cluster.persist(node)
        while cluster.pool and not learner.replica.chain.head:
            cluster.deliver()
    cluster.cut(learner)
    primary = cluster.primary
    for number in range(3):
        cluster.submit(primary, add(f"t{number}", "x", 1))
        cluster.run(1)
    assert primary.replica.waits_for() == [operating.name(3)]
    assert operating.change_under_way is not None
    # Only the primary knows how far they are.
    assert cluster.backups[0].replica.waits_for() == [operating.name(3)]
    cluster.heal()
    operating.until(lambda: operating.members == [1, 2, 3])
    assert cluster.primary.replica.waits_for() == []


@pytest.mark.parametrize("gone", [0, 1])
def test_member_is_removed(gone: int, operating: Operating) -> None:
    """The first node leads, the second follows: the service goes on without the one or the other."""
    cluster = operating.cluster
    assert cluster.primary is operating.node(0)
    operating.replace(remove=[gone])
    operating.until(lambda: operating.record(gone).retired_committed)  # type: ignore[union-attr] # known
    assert operating.status(gone) == RETIRED
    node = operating.node(gone)
    assert not node.replica.is_primary
    operating.until(lambda: node.retired)
    cluster.crash(node)
    goes_on(operating)


def test_leader_that_is_removed_hands_over_at_once(operating: Operating) -> None:
    cluster = operating.cluster
    old = cluster.primary
    operating.change(remove=[0])
    cluster.settle()
    assert not old.replica.is_primary
    assert cluster.primary is not old
    goes_on(operating)


@pytest.mark.parametrize(
    ("added", "removed"),
    [
        ([3, 4], []),
        ([3, 4], [1, 2]),
        ([3], [0]),
        ([3, 4, 5], [0, 1, 2]),
        ([3], [0, 1, 2]),
        ([], [0, 1]),
    ],
)
def test_several_in_one_step(added: list[int], removed: list[int], operating: Operating) -> None:
    cluster = operating.cluster
    cluster.submit(cluster.primary, add("before", "x", 1))
    operating.replace(added, removed)
    assert operating.members == sorted({0, 1, 2} - {*removed} | {*added})
    operating.until(lambda: all(operating.record(gone).retired_committed for gone in removed))  # type: ignore[union-attr] # known
    for gone in removed:
        cluster.crash(operating.node(gone))
    goes_on(operating)


@pytest.mark.parametrize("leads", ["first", "second"])
def test_from_one_to_three_and_back(leads: str, operate: Callable[..., Operating]) -> None:
    operating = operate(1)
    operating.replace([1, 2])
    assert operating.members == [0, 1, 2]
    goes_on(operating, "three")
    cluster = operating.cluster
    if leads == "second":
        cluster.handle(cluster.primary, HandOver())
        cluster.settle()
        cluster.elect()
    operating.replace(remove=[1, 2])
    assert operating.members == [0]
    operating.until(lambda: operating.record(2).retired_committed)  # type: ignore[union-attr] # known
    for gone in (1, 2):
        operating.until(lambda gone=gone: operating.node(gone).retired)  # type: ignore[misc] # bound
        cluster.crash(operating.node(gone))
    goes_on(operating, "one")


def test_one_is_replaced_by_another(operate: Callable[..., Operating]) -> None:
    operating = operate(1)
    operating.replace([1], [0])
    assert operating.members == [1]
    operating.until(lambda: operating.record(0).retired_committed)  # type: ignore[union-attr] # known
    operating.cluster.crash(operating.node(0))
    goes_on(operating)


def test_changes_one_after_another(operating: Operating) -> None:
    for added in range(3, 8):
        operating.replace([added], [added - 3])
        goes_on(operating, f"t{added}")
    assert operating.members == [5, 6, 7]


def test_change_asked_of_a_backup(operating: Operating) -> None:
    backup = operating.cluster.backups[0]
    assert isinstance(operating.ask(3, at=backup), Committed)
    assert isinstance(operating.change([3], at=backup), Committed)
    assert isinstance(operating.cancel(at=backup), Committed)
    assert code(operating.cancel(at=backup)) == "no-change"


def test_channel_is_open_to_members_learners_and_who_may_ask(operating: Operating) -> None:
    cluster = operating.cluster
    names = frozenset(map(operating.name, range(4)))
    operating.welcome(3, remove=[1])
    cluster.settle()
    assert cluster.primary.peers == names - {cluster.primary.name}
    operating.until(lambda: operating.members == [0, 2, 3])
    cluster.run(3)
    for number in operating.members:
        assert operating.node(number).peers == names - {operating.name(number)}


# ── with whom ────────────────────────────────────────────────────────────────────────────────────


def test_change_that_would_leave_a_majority_that_is_gone_waits(operating: Operating) -> None:
    """On a quiet ledger they have all there is, and yet they will never agree on anything again."""
    cluster = operating.cluster
    operating.replace([3, 4])
    for number in (3, 4):
        cluster.crash(operating.node(number))
    cluster.run(50)
    operating.begin(change_payload([], [operating.name(1), operating.name(2)]))
    cluster.run(40)
    assert operating.is_led()
    assert cluster.primary.replica.waits_for() == sorted(map(operating.name, (3, 4)))
    # The operator sees whom it waits for, and removes these instead.
    operating.cancel()
    operating.replace(remove=[3, 4])
    goes_on(operating)


def test_change_that_leaves_a_majority_is_made_without_the_others(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace([3, 4])
    cluster.crash(operating.node(3))
    cluster.run(50)
    operating.replace(remove=[2, 4])
    assert operating.members == [0, 1, 3]
    goes_on(operating)


def test_learner_that_ended_after_it_caught_up_is_waited_for(operating: Operating) -> None:
    cluster = operating.cluster
    for number in (3, 4):
        operating.ask(number)
    operating.change([3, 4])
    cluster.seat(3)
    operating.until(lambda: cluster.primary.replica.waits_for() == [operating.name(4)])
    cluster.crash(operating.node(3))
    cluster.run(50)
    cluster.seat(4)
    operating.until(lambda: cluster.primary.replica.waits_for() == [operating.name(3)])
    assert operating.members == [0, 1, 2]


def test_change_is_made_when_they_are_heard_of_again(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace([3, 4])
    away = [operating.node(number) for number in (3, 4)]
    cluster.cut(*away)
    cluster.run(50)
    operating.begin(change_payload([], [operating.name(1), operating.name(2)]))
    cluster.run(20)
    assert operating.members == [0, 1, 2, 3, 4]
    cluster.heal()
    operating.until(lambda: operating.members == [0, 3, 4])
    goes_on(operating)


def test_names_as_long_as_a_payload_may_be(operating: Operating) -> None:
    """The refusal quotes them, and must stay within its own bound."""
    long = "x" * (limits.PAYLOAD_SIZE_MAX_BYTES - 50)
    for added, removed in ((long, None), (None, long)):
        payload = change_payload(*([NodeID(one)] if one else [] for one in (added, removed)))
        fate = operating.say(payload)
        assert isinstance(fate, Rejected)
        assert fate.code in ("not-pending", "not-a-member")
        assert len(fate.message) < 300
    assert not operating.cluster.primary.faults
