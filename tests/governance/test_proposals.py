"""Proposals from signature to effect, over real tables and the shipped constitutions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coco_core.adapter import Applied, Outcome, Rejected
from coco_core.base import limits
from coco_core.governance import (
    ACTIVE,
    ADMINISTRATION_MAPS,
    PENDING,
    Administration,
    StarlarkRuntime,
    founding_writes,
    node_writes,
    opening_writes,
    read_change,
    read_configuration,
    read_consortium,
    read_constitution,
    read_proposal,
    shipped_constitution,
    state_digest,
)
from coco_core.kv import Writes, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import NOW_MS, Council, Signatory
from coco_core.testing.tally import Tally

NETWORK = Consortium.of(6)
ALICE, BOB, CAROL = (Signatory.make(name) for name in ("alice", "bob", "carol"))
DAVE = Signatory.make("dave")
EXPIRED = Signatory.make("expired", days=0)


YES = (
    "def validate(p):\n    return None\n"
    "def resolve(p, a, v, m):\n    return 'Accepted'\n"
    "def apply(p):\n    return p['actions']\n"
)


def administration() -> Administration:
    return Administration(
        ADMISSION,
        NETWORK.service.key,
        runtime=StarlarkRuntime(),
        secrets=NETWORK.secrets,
        entropy=bytes,
    )


def council(constitution: str = "majority", *others: Signatory) -> Council:
    tables: Writes = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    merge(tables, node_writes([NETWORK.joiner(4), NETWORK.joiner(5)]))
    members = [one.member(status=ACTIVE, encryption_key=None) for one in (ALICE, BOB, CAROL, *others)]
    text = shipped_constitution(constitution) if constitution.isidentifier() else constitution
    return Council.of(administration(), tables, members, text)


def answer(outcome: Outcome) -> Any:
    assert isinstance(outcome, Applied), outcome
    assert outcome.writes.keys() <= ADMINISTRATION_MAPS
    return json.loads(outcome.receipt)


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "applied"


def set_user(data: str = "x") -> dict[str, Any]:
    return {"name": "set_user", "args": {"cert": DAVE.certificate, "user_data": data}}


SET_UNANIMOUS = {"name": "set_constitution", "args": {"constitution": shipped_constitution("unanimous")}}


# ── votes ────────────────────────────────────────────────────────────────────────────────────────


def test_a_majority_accepts_and_the_effect_is_in_the_same_entry() -> None:
    place = council()
    proposed = answer(place.propose(ALICE, set_user()))
    assert proposed["proposalState"] == "Open"
    name = proposed["proposalId"]
    assert answer(place.vote(ALICE, name))["proposalState"] == "Open"
    decisive = place.vote(BOB, name)
    assert answer(decisive)["proposalState"] == "Accepted"
    assert isinstance(decisive, Applied)
    assert decisive.writes["public:ccf.gov.users.certs"]
    assert code(place.vote(CAROL, name)) == "not-open"


def test_a_majority_rejects() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    place.vote(BOB, name, False)
    assert answer(place.vote(CAROL, name, False))["proposalState"] == "Rejected"


def test_a_ballot_may_decide_by_itself() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user("good")))["proposalId"]
    text = (
        "def vote(proposal, proposer):\n"
        "    return all([a['args']['user_data'] == 'good' for a in proposal['actions']])\n"
    )
    place.vote(ALICE, name, text)
    assert answer(place.vote(BOB, name, text))["proposalState"] == "Accepted"


def test_a_ballot_that_fails_is_a_no_and_says_why() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    place.vote(ALICE, name, "def vote(proposal, proposer):\n    return 1 // 0\n")
    last = answer(place.vote(BOB, name, False))
    assert last["proposalState"] == "Rejected"
    assert "zero" in last["voteFailures"][ALICE.member_id]


def test_the_rule_changes_by_the_old_rule_and_the_next_vote_is_under_the_new() -> None:
    place = council()
    waiting = answer(place.propose(CAROL, set_user()))["proposalId"]
    name = answer(place.propose(ALICE, SET_UNANIMOUS))["proposalId"]
    place.vote(ALICE, name)
    assert answer(place.vote(BOB, name))["proposalState"] == "Accepted"
    assert read_constitution(place.view) == shipped_constitution("unanimous")
    dropped = read_proposal(place.view, waiting)
    assert dropped is not None
    assert dropped.state == "Dropped"
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    place.vote(ALICE, name)
    assert answer(place.vote(BOB, name))["proposalState"] == "Open"
    assert answer(place.vote(CAROL, name))["proposalState"] == "Accepted"


def test_a_constitution_that_could_never_be_changed_again_is_not_taken() -> None:
    place = council()
    for text in ("def resolve(a):\n    return 1", "x = ", "def validate(p):\n    return None\n"):
        action = {"name": "set_constitution", "args": {"constitution": text}}
        name = answer(place.propose(ALICE, action))["proposalId"]
        place.vote(ALICE, name)
        last = answer(place.vote(BOB, name))
        assert last["proposalState"] == "Failed", last
        assert last["failure"].startswith("constitution-")
        assert read_constitution(place.view) == shipped_constitution("majority")


def test_a_constitution_that_loops_is_refused_and_nothing_changes() -> None:
    loop = (
        "def validate(p):\n    return None\n"
        "def resolve(p, a, v, m):\n    for i in range(100000000):\n        pass\n    return 'Accepted'\n"
        "def apply(p):\n    return p['actions']\n"
    )
    place = council(loop)
    before = state_digest(place.view)
    assert code(place.propose(ALICE, set_user())) == "constitution-step-limit"
    assert state_digest(place.view) == before


def test_withdrawing_is_the_proposers() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    path = f"/gov/members/proposals/{name}:withdraw"
    assert code(place.post(path, BOB.sign("withdrawal", b"{}", proposal_id=name))) == "not-proposer"
    taken = answer(place.post(path, ALICE.sign("withdrawal", b"{}", proposal_id=name)))
    assert taken["proposalState"] == "Withdrawn"
    assert code(place.vote(BOB, name)) == "not-open"


# ── who may ──────────────────────────────────────────────────────────────────────────────────────


def test_a_new_member_acknowledges_before_it_governs() -> None:
    place = council()
    action = {"name": "set_member", "args": {"cert": DAVE.certificate}}
    name = answer(place.propose(ALICE, action))["proposalId"]
    assert code(place.vote(DAVE, name)) == "not-a-member"
    place.vote(ALICE, name)
    place.vote(BOB, name)
    assert code(place.propose(DAVE, set_user())) == "not-active"
    path = f"/gov/members/state-digests/{DAVE.member_id}"
    assert code(place.post(f"{path}:ack", DAVE.sign("ack", {"state_digest": "0"}))) == "no-state-digest"
    digest = answer(place.post(f"{path}:update", DAVE.sign("state_digest", b"{}")))["stateDigest"]
    assert code(place.post(f"{path}:ack", DAVE.sign("ack", {"state_digest": "0"}))) == "other-state"
    place.post(f"{path}:ack", DAVE.sign("ack", {"state_digest": digest}))
    assert read_consortium(place.view)[DAVE.member_id].status == ACTIVE
    assert code(place.propose(DAVE, set_user())) == "applied"


def test_a_removed_members_ballots_count_no_more() -> None:
    place = council("majority", DAVE)
    waiting = answer(place.propose(ALICE, set_user()))["proposalId"]
    place.vote(DAVE, waiting)
    action = {"name": "remove_member", "args": {"member_id": DAVE.member_id}}
    name = answer(place.propose(ALICE, action))["proposalId"]
    for one in (ALICE, BOB, CAROL):
        place.vote(one, name)
    assert code(place.vote(DAVE, waiting)) == "not-a-member"
    assert code(place.propose(DAVE, set_user())) == "not-a-member"
    assert answer(place.vote(ALICE, waiting))["proposalState"] == "Open"
    assert answer(place.vote(BOB, waiting))["proposalState"] == "Accepted"


def test_an_expired_certificate_signs_nothing() -> None:
    place = council("majority", EXPIRED)
    assert code(place.propose(EXPIRED, set_user())) == "certificate-expired"


def test_messages_that_are_not_what_belongs_here() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    path = f"/gov/members/proposals/{name}/ballots/{ALICE.member_id}:submit"
    before = state_digest(place.view)
    vote = {"vote": True}
    other = "0" * 64
    for message, expected in (
        (b"", "malformed"),
        (b"\xd2\x84", "malformed"),
        (b"{}", "malformed"),
        (ALICE.sign("proposal", vote, proposal_id=name), "wrong-type"),
        (ALICE.sign("ballot", vote), "wrong-proposal"),
        (ALICE.sign("ballot", vote, proposal_id=other), "wrong-proposal"),
        (BOB.sign("ballot", vote, proposal_id=name), "wrong-member"),
        (DAVE.sign("ballot", vote, proposal_id=name), "not-a-member"),
        (ALICE.sign("ballot", b"yes", proposal_id=name), "malformed"),
        (ALICE.sign("ballot", {"vote": 1}, proposal_id=name), "malformed"),
        (ALICE.sign("ballot", {"ballot": "def vote("}, proposal_id=name), "ballot-syntax"),
        (ALICE.sign("ballot", vote, proposal_id=name)[:-1] + b"\0", "signature"),
        (bytes(limits.SIGNED_REQUEST_SIZE_MAX_BYTES + 1), "malformed"),
    ):
        assert code(place.post(path, message)) == expected
    assert code(place.post("/gov/members/nothing", ALICE.sign("ballot", vote))) == "not-found"
    assert state_digest(place.view) == before


# ── replay ───────────────────────────────────────────────────────────────────────────────────────


def test_a_proposal_is_made_once() -> None:
    place = council()
    message = ALICE.sign("proposal", {"actions": [set_user()]})
    assert code(place.post("/gov/members/proposals:create", message)) == "applied"
    assert code(place.post("/gov/members/proposals:create", message)) == "replay"


def test_a_proposal_older_than_the_median_of_the_newest_is_refused() -> None:
    place = council(YES)
    for _ in range(limits.RECENT_PROPOSALS_MAX):
        place.propose(ALICE, set_user())
    old = ALICE.sign("proposal", {"actions": [set_user("old")]}, created_at_s=NOW_MS // 1000)
    assert code(place.post("/gov/members/proposals:create", old)) == "too-old"


def test_a_proposal_from_the_future_is_refused() -> None:
    place = council()
    late = NOW_MS // 1000 + limits.CREATED_AHEAD_MAX_S + 10
    message = ALICE.sign("proposal", {"actions": [set_user()]}, created_at_s=late)
    assert code(place.post("/gov/members/proposals:create", message)) == "created-in-the-future"


def test_a_ballot_is_cast_once() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    place.vote(ALICE, name)
    assert code(place.vote(ALICE, name)) == "already-voted"


# ── actions ──────────────────────────────────────────────────────────────────────────────────────


BAD_ACTIONS: list[tuple[Any, str]] = [
    ({"name": "set_everything", "args": {}}, "invalid-proposal"),
    ({"name": "set_user", "args": {}}, "invalid-proposal"),
    ({"name": "set_user", "args": {"cert": "x"}}, "invalid-proposal"),
    ({"name": "set_user", "args": {"cert": DAVE.certificate, "more": 1}}, "invalid-proposal"),
    ({"name": "remove_member", "args": {"member_id": "x"}}, "invalid-proposal"),
    ({"name": "set_recovery_threshold", "args": {"recovery_threshold": 0}}, "invalid-proposal"),
    (
        {"name": "set_member", "args": {"cert": DAVE.certificate, "encryption_pub_key": "k"}},
        "invalid-proposal",
    ),
    ({"args": {}}, "malformed"),
    ("set_user", "malformed"),
    ({"name": "set_user", "args": []}, "invalid-proposal"),
]


@pytest.mark.parametrize(("action", "expected"), BAD_ACTIONS, ids=range(len(BAD_ACTIONS)))
def test_actions_that_cannot_be_meant(action: Any, expected: str) -> None:
    place = council()
    before = state_digest(place.view)
    assert code(place.propose(ALICE, action)) == expected
    assert state_digest(place.view) == before


def test_an_accepted_proposal_that_cannot_be_carried_out_changes_nothing() -> None:
    place = council()
    unknown = {"name": "remove_user", "args": {"user_id": "ab" * 32}}
    name = answer(place.propose(ALICE, set_user(), unknown))["proposalId"]
    place.vote(ALICE, name)
    last = answer(place.vote(BOB, name))
    assert last["proposalState"] == "Failed"
    assert "remove_user" in last["failure"]
    assert place.view.get("public:ccf.gov.users.certs", DAVE.member_id.encode()) is None


def test_the_last_active_member_stays() -> None:
    place = council(YES)
    removals = [
        {"name": "remove_member", "args": {"member_id": one.member_id}} for one in (ALICE, BOB, CAROL)
    ]
    assert answer(place.propose(ALICE, *removals))["proposalState"] == "Failed"
    assert len(read_consortium(place.view)) == 3


def test_nodes_come_and_go_in_one_change_whoever_proposed_what_when() -> None:
    place = council("delegated_nodes")
    fourth, fifth = (NETWORK.identities[number].node_id for number in (4, 5))
    code_action = {
        "name": "add_code_measurement",
        "args": {"platform": "Insecure_Virtual", "measurement": NETWORK.joiner(4).measurement},
    }
    name = answer(place.propose(ALICE, code_action))["proposalId"]
    place.vote(ALICE, name)
    place.vote(BOB, name)
    trust = {"name": "transition_node_to_trusted", "args": {"node_id": fourth}}
    assert answer(place.propose(ALICE, trust))["proposalState"] == "Accepted"
    change = read_change(place.view)
    assert change is not None
    assert change.add == (fourth,)
    first = NETWORK.identities[0].node_id
    replace = {"name": "replace_node", "args": {"node_id": fifth, "replaces": first}}
    name = answer(place.propose(BOB, replace))["proposalId"]
    place.vote(ALICE, name)
    assert answer(place.vote(BOB, name))["proposalState"] == "Accepted"
    change = read_change(place.view)
    assert change is not None
    assert (change.add, change.remove) == ((fourth, fifth), (first,))
    again = answer(place.propose(ALICE, trust))
    assert again["proposalState"] == "Failed"
    assert PENDING in again["failure"]


def test_a_ledger_is_configured_within_what_its_manifest_names() -> None:
    place = council()
    opening = opening_writes(NETWORK.service.certificate, [Tally().manifest], governed=True)
    place.write({maps.ADAPTERS: opening[maps.ADAPTERS]})

    def decide(configuration: object, ledger: str = "tally") -> dict[str, Any]:
        action = {"name": "configure_adapter", "args": {"name": ledger, "configuration": configuration}}
        name = answer(place.propose(ALICE, action))["proposalId"]
        place.vote(ALICE, name)
        return answer(place.vote(BOB, name))

    assert decide({"largest": 7})["proposalState"] == "Accepted"
    assert read_configuration(place.view, "tally") == {"largest": 7}
    for wrong, ledger, reason in (
        ({"largest": -1}, "tally", "must be 0 to"),
        ({"colour": 1}, "tally", "there is no 'colour'"),
        ({}, "other", "runs no ledger"),
    ):
        action = {"name": "configure_adapter", "args": {"name": ledger, "configuration": wrong}}
        refused = place.propose(ALICE, action)
        assert code(refused) == "invalid-proposal"
        assert isinstance(refused, Rejected)
        assert reason in refused.message, "whoever proposes is told, and nobody votes on it"
    assert read_configuration(place.view, "tally") == {"largest": 7}
    assert decide({})["proposalState"] == "Accepted"
    assert read_configuration(place.view, "tally") == {}
    assert code(
        place.propose(ALICE, {"name": "configure_adapter", "args": {"name": "tally", "configuration": 1}})
    )
