"""Members' certificates that run out: renewed by a vote over the same keys, which they outlive."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from coco_core.adapter import Rejected
from coco_core.crypto import PrivateKey, self_signed
from coco_core.governance import ACTIVE, read_consortium, read_proposal, read_recovery
from coco_core.kv import maps
from coco_core.testing.members import NOW_MS, Signatory

Governed = Callable[..., Any]

DAY_MS = 24 * 3600 * 1000
DAVE = Signatory.make("dave", days=1)


def renewed(member: Signatory, *, days: int = 1000, key: PrivateKey | None = None) -> Signatory:
    """Return the member with a certificate from NOW on, over its key or another."""
    start = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
    end = start + datetime.timedelta(days=days)
    pem = self_signed(key or member.key, "renewed", not_before=start, not_after=end)
    return attrs.evolve(member, certificate=pem)


def renewal(old: Signatory, new: Signatory) -> Mapping[str, Any]:
    return {
        "name": "renew_member_certificate",
        "args": {"member_id": old.member_id, "cert": new.certificate},
    }


def failure(ledger: Any, *actions: Mapping[str, Any]) -> str:
    name = ledger.propose(ledger.alice, *actions)
    ledger.vote(ledger.alice, name)
    assert ledger.vote(ledger.bob, name) == "Failed"
    return str(read_proposal(ledger.council.view, name).failure)


def refusal(ledger: Any, path: str, message: bytes) -> str:
    outcome = ledger.executed(path, message)
    return outcome.code if isinstance(outcome, Rejected) else "applied"


def proposing(ledger: Any, member: Signatory, *actions: Mapping[str, Any]) -> str:
    return refusal(ledger, "/gov/members/proposals:create", ledger.proposal(member, *actions))


def expired(ledger: Any) -> None:
    """Let everybody's certificate run out."""
    ledger.now_ms = NOW_MS + 400 * DAY_MS
    ledger.place({})


REKEY = {"name": "trigger_ledger_rekey", "args": {}}


@pytest.mark.parametrize(("constitution", "votes"), [("majority", 2), ("unanimous", 3)])
def test_members_go_on_though_every_certificate_has_run_out(
    governed: Governed, constitution: str, votes: int
) -> None:
    ledger = governed(constitution)
    old = (ledger.alice, ledger.bob, ledger.carol)
    new = tuple(map(renewed, old))
    identity = ledger.network.service.certificate
    opening = {"name": "transition_service_to_open", "args": {"next_service_identity": identity}}
    name = ledger.propose(ledger.alice, opening)
    assert [ledger.vote(one, name) for one in old[:votes]][-1] == "Accepted"
    expired(ledger)
    assert proposing(ledger, ledger.alice, REKEY) == "certificate-expired"
    name = ledger.propose(ledger.alice, *map(renewal, old, new))
    assert [ledger.vote(one, name) for one in old[:votes]][-1] == "Accepted"
    members = read_consortium(ledger.council.view)
    assert members.keys() == {one.member_id for one in new}
    assert {one.status for one in members.values()} == {ACTIVE}
    recovery = read_recovery(ledger.council.view)
    assert recovery is not None
    assert recovery.members.keys() == members.keys()
    assert proposing(ledger, ledger.alice, REKEY) == "not-a-member"
    name = ledger.propose(new[0], REKEY)
    assert [ledger.vote(one, name) for one in new[:votes]][-1] == "Accepted"
    ledger.audit()


def test_an_expired_certificate_is_good_for_its_renewal_alone(governed: Governed) -> None:
    ledger = governed()
    waiting = ledger.propose(ledger.bob, REKEY)
    renewing = ledger.propose(ledger.bob, renewal(ledger.bob, renewed(ledger.bob)))
    expired(ledger)
    good = renewal(ledger.alice, renewed(ledger.alice))
    assert proposing(ledger, ledger.alice, good) == "applied"
    for actions in ([], [REKEY], [good, REKEY]):
        assert proposing(ledger, ledger.alice, *actions) == "certificate-expired"
    assert refusal(ledger, *ledger.ballot(ledger.alice, waiting)) == "certificate-expired"
    assert refusal(ledger, *ledger.ballot(ledger.alice, "0" * 64)) == "certificate-expired"
    assert refusal(ledger, *ledger.ballot(ledger.alice, renewing)) == "applied"
    withdrawal = ledger.bob.sign("withdrawal", b"", proposal_id=renewing)
    withdrawing = refusal(ledger, f"/gov/members/proposals/{renewing}:withdraw", withdrawal)
    assert withdrawing == "certificate-expired"


def test_what_is_no_renewal(governed: Governed) -> None:
    ledger = governed()
    other = renewed(ledger.carol, key=PrivateKey.generate())
    assert "another key" in failure(ledger, renewal(ledger.carol, other))
    short = renewed(ledger.carol, days=0)
    assert "valid from" in failure(ledger, renewal(ledger.carol, short))
    assert "member's already" in failure(ledger, renewal(ledger.carol, ledger.carol))
    assert "no member" in failure(ledger, renewal(DAVE, renewed(DAVE)))
    ledger.audit()


def test_a_renewed_member_keeps_its_nodes_and_data(governed: Governed) -> None:
    ledger = governed()
    node = ledger.network.identities[3].node_id
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    owner = {"node_id": node, "owner": ledger.carol.member_id}
    data = {"member_id": ledger.carol.member_id, "member_data": {"veto": True}}
    let_in = {"name": "transition_node_to_trusted", "args": owner}
    assert ledger.decide(let_in, {"name": "set_member_data", "args": data}) == "Accepted"
    new = renewed(ledger.carol)
    assert ledger.decide(renewal(ledger.carol, new)) == "Accepted"
    view = ledger.council.view
    assert json.loads(view.get(maps.NODE_OWNERS, node.encode()))["member_id"] == new.member_id
    assert read_consortium(view)[new.member_id].data == {"veto": True}
    ledger.audit()


def test_a_renewed_members_old_ballot_counts_no_more_and_it_votes_again(governed: Governed) -> None:
    ledger = governed()
    waiting = ledger.propose(ledger.alice, REKEY)
    ledger.vote(ledger.carol, waiting)
    new = renewed(ledger.carol)
    assert ledger.decide(renewal(ledger.carol, new)) == "Accepted"
    assert ledger.vote(ledger.alice, waiting) == "Open"
    assert ledger.vote(new, waiting) == "Accepted"
    ledger.audit()


@pytest.mark.parametrize("name", ["set_member", "set_user", "set_operator"])
def test_nobody_is_registered_by_an_expired_certificate(governed: Governed, name: str) -> None:
    ledger = governed()
    ledger.now_ms += 2 * DAY_MS
    ledger.place({})
    assert "valid from" in failure(ledger, {"name": name, "args": {"cert": DAVE.certificate}})
    ledger.audit()


def test_who_is_not_active_yet_has_nothing_to_renew_by(governed: Governed) -> None:
    ledger = governed()
    assert ledger.decide({"name": "set_member", "args": {"cert": DAVE.certificate}}) == "Accepted"
    expired(ledger)
    assert proposing(ledger, DAVE, renewal(DAVE, renewed(DAVE))) == "certificate-expired"
    digest = DAVE.sign("state_digest", b"{}")
    path = f"/gov/members/state-digests/{DAVE.member_id}:update"
    assert refusal(ledger, path, digest) == "certificate-expired"
