"""What one member, or who repeats what members said, cannot do to the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coco_core.adapter import Applied, Outcome, Rejected
from coco_core.base import limits
from coco_core.governance import (
    ACTIVE,
    Administration,
    StarlarkRuntime,
    founding_writes,
    shipped_constitution,
    sign_request,
)
from coco_core.testing import Consortium
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import NOW_MS, Council, Signatory

NETWORK = Consortium.of(3)
ALICE, BOB, CAROL, DAVE = (Signatory.make(name) for name in ("alice", "bob", "carol", "dave"))
MAJORITY = shipped_constitution("majority")
YES = (
    "def validate(p):\n    return None\n"
    "def resolve(p, a, v, m):\n    return 'Accepted'\n"
    "def apply(p):\n    return p['actions']\n"
)


def council(constitution: str = MAJORITY) -> Council:
    administration = Administration(
        ADMISSION,
        NETWORK.service.key,
        runtime=StarlarkRuntime(),
        secrets=NETWORK.secrets,
        entropy=bytes,
    )
    tables = founding_writes(NETWORK.nodes.values(), NETWORK.service.certificate)
    members = [one.member(status=ACTIVE, encryption_key=None) for one in (ALICE, BOB, CAROL)]
    return Council.of(administration, tables, members, constitution)


def answer(outcome: Outcome) -> Any:
    assert isinstance(outcome, Applied), outcome
    return json.loads(outcome.receipt)


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "applied"


def set_user() -> dict[str, Any]:
    return {"name": "set_user", "args": {"cert": DAVE.certificate}}


def test_a_request_for_another_service_is_refused() -> None:
    place = council()
    message = sign_request(
        ALICE.key,
        ALICE.certificate,
        "proposal",
        json.dumps({"actions": [set_user()]}).encode(),
        created_at_s=NOW_MS // 1000,
        service="0" * 64,
    )
    assert code(place.post("/gov/members/proposals:create", message)) == "wrong-service"


def test_what_a_member_asked_to_acknowledge_is_not_asked_again_by_others() -> None:
    place = council()
    path = f"/gov/members/state-digests/{ALICE.member_id}"
    asking = ALICE.sign("state_digest", b"{}")
    digest = answer(place.post(f"{path}:update", asking))["stateDigest"]
    acknowledging = ALICE.sign("ack", {"state_digest": digest})
    assert code(place.post(f"{path}:ack", acknowledging)) == "applied"
    assert code(place.post(f"{path}:ack", acknowledging)) == "replay"
    assert code(place.post(f"{path}:update", asking)) == "replay"


def test_one_member_cannot_take_all_places() -> None:
    place = council()
    for _ in range(limits.MEMBERS_OPEN_PROPOSALS_MAX):
        assert code(place.propose(ALICE, set_user())) == "applied"
    assert code(place.propose(ALICE, set_user())) == "too-many-proposals"
    assert code(place.propose(BOB, set_user())) == "applied"


def test_a_ballot_sees_the_service() -> None:
    place = council()
    name = answer(place.propose(ALICE, set_user()))["proposalId"]
    text = "def vote(proposal, proposer):\n    return service['status'] == 'Opening'\n"
    place.vote(ALICE, name, text)
    assert answer(place.vote(BOB, name, text))["proposalState"] == "Accepted"


@pytest.mark.parametrize(
    "broken",
    [
        YES.replace("return None", "return 'no'"),
        YES.replace("return 'Accepted'", "return 'Rejected'"),
        YES.replace("return 'Accepted'", "return 'Open' if not v else v[0]['typo']"),
    ],
)
def test_a_constitution_that_would_be_the_last_is_not_taken(broken: str) -> None:
    place = council(YES)
    taken = answer(place.propose(ALICE, {"name": "set_constitution", "args": {"constitution": broken}}))
    assert taken["proposalState"] == "Failed", taken


def test_a_member_who_never_acknowledged_can_be_removed() -> None:
    place = council(YES)
    place.propose(ALICE, {"name": "set_member", "args": {"cert": DAVE.certificate}})
    gone = place.propose(ALICE, {"name": "remove_member", "args": {"member_id": DAVE.member_id}})
    assert answer(gone)["proposalState"] == "Accepted"


def test_an_identity_that_is_none_is_refused_when_proposed() -> None:
    place = council(YES)
    action = {"name": "transition_service_to_open", "args": {"next_service_identity": None}}
    assert code(place.propose(ALICE, action)) == "invalid-proposal"
