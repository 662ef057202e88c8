"""The auditor of governance accepts what was governed by its rules, whatever happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.crypto import read_certificate, sha256
from coco_core.governance import (
    MEMBERS_CHANGED,
    RETIRED,
    TRUSTED,
    GovernanceAuditor,
    MembershipChange,
    StarlarkRuntime,
    begin_epoch,
    change_writes,
    dismissing_writes,
    forgetting_writes,
    lease_writes,
    node_writes,
    quarantine_due,
    read_change,
    read_leases,
    read_nodes,
    shipped_constitution,
    unfit_writes,
    want_epoch,
)
from coco_core.governance.leases import QUARANTINE
from coco_core.kv import Writes, maps, merge
from coco_core.testing.at_once import run_at_once
from coco_core.testing.members import Signatory

Governed = Callable[..., Any]

DAVE = Signatory.make("dave")

ALLOWING = """
def validate(proposal):
    return None
def resolve(proposal, proposer, votes, members):
    return "Accepted"
def apply(proposal):
    return proposal["actions"]
"""


def opening(ledger: Any) -> dict[str, Any]:
    certificate = ledger.network.service.certificate
    return {"name": "transition_service_to_open", "args": {"next_service_identity": certificate}}


def set_user(data: str = "x") -> dict[str, Any]:
    return {"name": "set_user", "args": {"cert": DAVE.certificate, "user_data": data}}


def set_constitution(name: str) -> dict[str, Any]:
    return {"name": "set_constitution", "args": {"constitution": shipped_constitution(name)}}


def digest(name: str) -> str:
    return sha256(shipped_constitution(name).encode()).hex()


def made(ledger: Any) -> Writes:
    """Return the writes by which the change under way is made."""
    change, nodes = read_change(ledger.council.view), read_nodes(ledger.council.view)
    assert change is not None
    changed = [attrs.evolve(nodes[name], status=TRUSTED) for name in change.add]
    changed += [attrs.evolve(nodes[name], status=RETIRED) for name in change.remove]
    writes = node_writes(changed)
    merge(writes, change_writes(None))
    merge(writes, want_epoch(MEMBERS_CHANGED))
    return writes


def test_a_whole_story(governed: Governed) -> None:
    ledger = governed()
    assert ledger.decide(opening(ledger)) == "Accepted"
    dave = {
        "name": "set_member",
        "args": {"cert": DAVE.certificate, "encryption_pub_key": DAVE.encryption_public},
    }
    assert ledger.decide(dave) == "Accepted"
    ledger.acknowledge(DAVE)
    waiting = ledger.propose(ledger.carol, set_user())
    name = ledger.propose(ledger.alice, set_constitution("unanimous"))
    for member in (ledger.alice, ledger.bob):
        assert ledger.vote(member, name) == "Open"
    assert ledger.vote(DAVE, name, "def vote(proposal, proposer):\n    return True\n") == "Accepted"
    changed = ledger.seqno - 1
    name = ledger.propose(ledger.alice, {"name": "remove_user", "args": {"user_id": "ab" * 32}})
    for member in (ledger.alice, ledger.bob, ledger.carol):
        assert ledger.vote(member, name) == "Open"
    assert ledger.vote(DAVE, name) == "Failed"
    taken = ledger.propose(DAVE, set_user())
    path = f"/gov/members/proposals/{taken}:withdraw"
    ledger.post(path, DAVE.sign("withdrawal", b"{}", proposal_id=taken))
    name = ledger.propose(ledger.bob, set_user())
    assert ledger.vote(ledger.carol, name, "def vote(p, q):\n    return 1 // 0\n") == "Rejected"
    report = ledger.audit()
    assert report.last_judged == ledger.seqno
    assert report.founded_by == 2
    assert report.proposals == {"Accepted": 3, "Dropped": 1, "Failed": 1, "Withdrawn": 1, "Rejected": 1}
    assert report.ballots == 2 + 2 + 3 + 4 + 1
    assert set(report.members.values()) == {"Active"}
    assert len(report.members) == 4
    assert [(one.digest, one.first_seqno, one.last_seqno) for one in report.constitutions] == [
        (digest("majority"), 1, changed),
        (digest("unanimous"), changed, ledger.seqno),
    ]
    assert waiting != name


def test_members_who_hold_shares_come_and_go(governed: Governed) -> None:
    ledger = governed()
    ledger.decide(opening(ledger))
    for action in (
        {"name": "trigger_recovery_shares_refresh", "args": {}},
        {"name": "set_recovery_threshold", "args": {"recovery_threshold": 3}},
        {"name": "set_recovery_threshold", "args": {"recovery_threshold": 4}},
    ):
        ended = ledger.decide(action)
    assert ended == "Failed"
    assert ledger.audit().proposals == {"Accepted": 3, "Failed": 1}


def test_nodes_come_and_go_as_decided(governed: Governed) -> None:
    ledger = governed(ALLOWING)
    fourth = ledger.network.joiner(3)
    ledger.place(ledger.joining(fourth))
    restarted = attrs.evolve(ledger.network.joiner(4), peer_address=fourth.peer_address)
    writes = ledger.joining(restarted)
    merge(writes, forgetting_writes([fourth.node_id]))
    ledger.place(writes)
    first = ledger.network.identities[1].node_id
    ledger.propose(
        ledger.alice,
        {"name": "replace_node", "args": {"node_id": restarted.node_id, "replaces": first}},
    )
    ledger.place(made(ledger))
    retired = read_nodes(ledger.council.view)[first]
    ledger.place(node_writes([attrs.evolve(retired, retired_committed=True)]))
    ledger.place(forgetting_on_end(ledger, first))
    assert ledger.audit().changes == 8


def test_who_may_not_come_in_any_more_is_left_out(governed: Governed) -> None:
    ledger = governed(ALLOWING)
    fourth = ledger.network.joiner(3)
    ledger.place(ledger.joining(fourth))
    ledger.propose(ledger.alice, {"name": "transition_node_to_trusted", "args": {"node_id": fourth.node_id}})
    assert unfit_writes(ledger.council.view) is None
    ledger.propose(ledger.alice, {"name": "remove_platform", "args": {"platform": fourth.evidence.format}})
    writes = unfit_writes(ledger.council.view)
    assert writes is not None
    ledger.place(writes)
    assert fourth.node_id not in read_nodes(ledger.council.view)
    assert read_change(ledger.council.view) is None
    assert ledger.audit().changes == 4


def forgetting_on_end(ledger: Any, gone: str) -> Writes:
    """Return the end of another node's removal, with which a record is forgotten that ended before."""
    second = ledger.network.identities[2].node_id
    ledger.propose(ledger.alice, {"name": "remove_node", "args": {"node_id": second}})
    ledger.place(made(ledger))
    record = read_nodes(ledger.council.view)[second]
    writes = node_writes([attrs.evolve(record, retired_committed=True)])
    merge(writes, forgetting_writes([gone]))
    return writes


def test_operators_of_a_service_nobody_governs(governed: Governed) -> None:
    ledger = governed(None)
    operator = read_certificate(ledger.network.operator).fingerprint
    fourth, fifth = ledger.network.joiner(3), ledger.network.joiner(4)
    for node in (fourth, fifth):
        ledger.place(ledger.joining(node))
    change = MembershipChange((fourth.node_id,), (ledger.network.identities[0].node_id,), operator)
    writes = change_writes(change)
    merge(writes, forgetting_writes([fifth.node_id]))
    ledger.place(writes)
    taken_back = {**change_writes(None), **want_epoch("an addition was cancelled")}
    ledger.place({**taken_back, **dismissing_writes(ledger.council.view, [fourth.node_id])})
    other = ledger.network.joiner(5)
    ledger.place(ledger.joining(other))
    ledger.place(change_writes(attrs.evolve(change, add=(other.node_id,))))
    ledger.place(made(ledger))
    now_ms, seqno = ledger.now_ms, ledger.seqno + 1
    ledger.place(begin_epoch(ledger.council.view, bytes, seqno=seqno, time_ms=now_ms, reason=MEMBERS_CHANGED))
    ledger.place(ledger.joining(fifth))
    ledger.place(forgetting_writes([fifth.node_id]))
    report = ledger.audit()
    assert (report.constitutions, report.members, report.ballots) == ((), {}, 0)


def test_what_no_signature_covers_is_not_judged(governed: Governed) -> None:
    ledger = governed()
    covered = ledger.seqno
    forged = change_writes(MembershipChange((), (), "nobody"))
    ledger.append(forged)
    report = ledger.audit()
    assert (report.last_judged, report.changes) == (covered, 0)


def test_an_audit_goes_on_from_a_snapshot(governed: Governed) -> None:
    ledger = governed()
    ledger.decide(set_constitution("unanimous"))
    at = ledger.seqno
    tables = {name: dict(ledger.council.view.items(name)) for name in maps.GOVERNANCE}
    name = ledger.propose(ledger.alice, set_user())
    ledger.vote(ledger.alice, name)
    entries = ledger.watched()
    auditor = GovernanceAuditor(StarlarkRuntime())
    auditor.begin(at, {**tables, "records": {b"k": b"v"}})
    for entry in entries:
        if entry.txid.seqno > at:
            auditor.note(entry)
    run_at_once(auditor.judge())
    report = auditor.finish()
    assert (report.changes, report.ballots, report.founded_by) == (2, 1, 0)
    (constitution,) = report.constitutions
    assert (constitution.digest, constitution.first_seqno) == (digest("unanimous"), at)


def leased(ledger: Any) -> int:
    """Have leases end after a day at most; return when that is for those there are."""
    ended: int = ledger.now_ms + 24 * 3600 * 1000
    ledger.propose(ledger.alice, {"name": "set_lease_policy", "args": {"lease_s": 24 * 3600}})
    return ended


def test_leases_begin_and_end_with_changes_and_whose_ran_out_goes(governed: Governed) -> None:
    ledger = governed(ALLOWING)
    ended = leased(ledger)
    fourth, first = ledger.network.joiner(3).node_id, ledger.network.identities[1].node_id
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    ledger.propose(ledger.alice, {"name": "replace_node", "args": {"node_id": fourth, "replaces": first}})
    writes = made(ledger)
    merge(writes, lease_writes([fourth], 24 * 3600, ledger.now_ms))
    merge(writes, lease_writes([first], None, 0))
    ledger.place(writes)
    ledger.now_ms = ended + 500
    due = quarantine_due(ledger.council.view, ledger.now_ms)
    assert due is not None
    ledger.place(due)
    ledger.place(made(ledger))
    assert ledger.audit().changes == 6
    late = {ledger.network.identities[number].node_id for number in (0, 2)}
    assert read_leases(ledger.council.view).keys() == {*late, fourth}


@pytest.mark.parametrize("late", [False, True])
def test_why_a_node_left_is_told_as_it_was(governed: Governed, late: bool) -> None:
    ledger = governed(ALLOWING)
    ended = leased(ledger)
    first = ledger.network.identities[1].node_id
    ledger.propose(ledger.alice, {"name": "remove_node", "args": {"node_id": first}})
    if late:
        ledger.now_ms = ended + 5_000
        ledger.place()
    writes = made(ledger)
    # A lease that held is said to have run out; one that ran out, to have held.
    seqno = ledger.place(writes | lease_writes([first], None, 0) if late else writes)
    ledger.refused("node-membership", seqno)


def test_who_was_late_goes_just_before_the_last_lease_ends(governed: Governed) -> None:
    ledger = governed(ALLOWING)
    leased(ledger)
    fourth = ledger.network.joiner(3).node_id
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    ledger.propose(ledger.alice, {"name": "transition_node_to_trusted", "args": {"node_id": fourth}})
    writes = made(ledger)
    merge(writes, lease_writes([fourth], 24 * 3600, ledger.now_ms))
    ledger.place(writes)
    last = read_leases(ledger.council.view)[fourth].until_ms
    ledger.now_ms = last - 1500
    ledger.place({})
    due = quarantine_due(ledger.council.view, ledger.now_ms)
    assert due is not None
    ledger.append(due)
    ledger.council.write(due)
    ledger.now_ms = last + 100
    ledger.place({})
    assert ledger.audit().changes == 5


@pytest.mark.parametrize("lie", ["longer", "earlier", "none", "other node"])
def test_leases_granted_otherwise_than_the_policy_says(governed: Governed, lie: str) -> None:
    ledger = governed(ALLOWING)
    leased(ledger)
    fourth = ledger.network.joiner(3).node_id
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    ledger.propose(ledger.alice, {"name": "transition_node_to_trusted", "args": {"node_id": fourth}})
    writes = made(ledger)
    lease_s, node, at_ms = 24 * 3600, fourth, ledger.now_ms
    if lie == "longer":
        lease_s += 1
    elif lie == "earlier":
        at_ms -= 60_000
    elif lie == "other node":
        node = ledger.network.identities[1].node_id
    merge(writes, {} if lie == "none" else lease_writes([node], lease_s, at_ms))
    seqno = ledger.place(writes)
    ledger.refused("governance-time" if lie == "earlier" else "node-membership", seqno)


def test_nobody_is_quarantined_whose_lease_holds(governed: Governed) -> None:
    ledger = governed(ALLOWING)
    ended = leased(ledger)
    due = quarantine_due(ledger.council.view, ended)
    assert due is None
    early = MembershipChange((), (ledger.network.identities[1].node_id,), QUARANTINE)
    seqno = ledger.place(change_writes(early))
    ledger.refused("node-membership", seqno)
