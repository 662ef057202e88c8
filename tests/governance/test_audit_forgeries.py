"""Ledgers of a primary that lies, soundly signed all the same: each lie is named by rule and seqno."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.adapter import Applied
from coco_core.base import limits
from coco_core.errors import IntegrityError
from coco_core.governance import (
    escrow_epoch,
    node_writes,
    read_proposal,
    shipped_constitution,
)
from coco_core.governance.consortium import constitution_writes, removed_member_writes
from coco_core.governance.proposal_tables import proposal_writes
from coco_core.kv import Writes, maps, merge
from coco_core.testing.members import Signatory

Governed = Callable[..., Any]

DAVE = Signatory.make("dave")


def set_user(data: str = "x") -> dict[str, Any]:
    return {"name": "set_user", "args": {"cert": DAVE.certificate, "user_data": data}}


def refresh() -> dict[str, Any]:
    return {"name": "trigger_recovery_shares_refresh", "args": {}}


def executed(ledger: Any, path: str, message: bytes) -> Writes:
    """Return what an honest primary would write."""
    outcome = ledger.executed(path, message)
    assert isinstance(outcome, Applied), outcome
    return outcome.writes


def history(member: Signatory, message: bytes) -> Writes:
    value = json.dumps(base64.b64encode(message).decode()).encode()
    return {maps.COSE_HISTORY: {member.member_id.encode(): value}}


def edited(writes: Writes, name: str, **changes: Any) -> Writes:
    """Return the writes with other fields in the one record of a map."""
    ((key, value),) = writes[name].items()
    assert value is not None
    return writes | {name: {key: json.dumps(json.loads(value) | changes).encode()}}


# ── without a request ────────────────────────────────────────────────────────────────────────────


def test_a_constitution_swapped_silently(governed: Governed) -> None:
    ledger = governed()
    seqno = ledger.place(constitution_writes(shipped_constitution("operator")))
    ledger.refused("governance-cause", seqno)


@pytest.mark.parametrize("name", sorted(maps.GOVERNANCE))
def test_a_change_nobody_asked_for(governed: Governed, name: str) -> None:
    ledger = governed()
    ledger.place({"public:records": {b"k": b"v"}})
    seqno = ledger.place({name: {b"k": b'{"k": 1}'}})
    with pytest.raises(IntegrityError) as caught:
        ledger.audit()
    assert f"seqno {seqno}: [" in str(caught.value)


def test_a_member_removed_silently(governed: Governed) -> None:
    ledger = governed()
    seqno = ledger.place(removed_member_writes(ledger.carol.member_id))
    ledger.refused("governance-cause", seqno)


def test_a_proposal_called_accepted_that_nobody_voted_for(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    proposal = read_proposal(ledger.council.view, name)
    seqno = ledger.place(proposal_writes(attrs.evolve(proposal, state="Accepted")))
    ledger.refused("governance-cause", seqno)


def test_a_service_opened_silently(governed: Governed) -> None:
    ledger = governed()
    info = json.loads(ledger.council.view.get(maps.SERVICE_INFO, maps.SINGLETON_KEY))
    seqno = ledger.place(
        {maps.SERVICE_INFO: {maps.SINGLETON_KEY: json.dumps(info | {"status": "Open"}).encode()}}
    )
    ledger.refused("service-change", seqno)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def test_accepted_with_too_few_votes(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    writes = executed(ledger, *ledger.ballot(ledger.alice, name))
    seqno = ledger.place(edited(writes, maps.PROPOSALS_INFO, state="Accepted"))
    assert "it is Open (state)" in str(ledger.refused("proposal-state", seqno))


def test_called_failed_although_it_was_accepted(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    ledger.vote(ledger.alice, name)
    writes = executed(ledger, *ledger.ballot(ledger.bob, name))
    kept = {one: writes[one] for one in (maps.PROPOSALS_INFO, maps.COSE_HISTORY)}
    seqno = ledger.place(edited(kept, maps.PROPOSALS_INFO, state="Failed", failure="no"))
    ledger.refused("proposal-state", seqno)


def test_a_ballot_counted_otherwise_than_cast(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    writes = executed(ledger, *ledger.ballot(ledger.alice, name, False))
    seqno = ledger.place(
        edited(writes, maps.PROPOSALS_INFO, ballots={ledger.alice.member_id: {"vote": True}})
    )
    ledger.refused("proposal-state", seqno)


def test_a_ballot_of_somebody_else(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    path, message = ledger.ballot(ledger.alice, name)
    writes = executed(ledger, path, message)
    seqno = ledger.place({**writes, **history(ledger.bob, message)})
    ledger.refused("member-request", seqno)


def test_a_ballot_signed_by_who_is_no_member(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    proposal = read_proposal(ledger.council.view, name)
    assert proposal is not None
    voted = attrs.evolve(proposal, ballots={DAVE.member_id: {"vote": True}})
    _, message = ledger.ballot(DAVE, name)
    seqno = ledger.place({**proposal_writes(voted), **history(DAVE, message)})
    assert "not-a-member" in str(ledger.refused("member-request", seqno))


def test_a_ballot_whose_signature_does_not_verify(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    path, message = ledger.ballot(ledger.alice, name)
    forged = message[:-1] + bytes([message[-1] ^ 1])
    seqno = ledger.place({**executed(ledger, path, message), **history(ledger.alice, forged)})
    ledger.refused("member-request", seqno)


def test_a_ballot_for_another_proposal(governed: Governed) -> None:
    ledger = governed()
    one, other = (ledger.propose(ledger.alice, set_user(data)) for data in "ab")
    writes = executed(ledger, *ledger.ballot(ledger.alice, one))
    seqno = ledger.place({**writes, **history(ledger.alice, ledger.ballot(ledger.alice, other)[1])})
    ledger.refused("proposal-state", seqno)


def test_a_ballot_cast_again(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    writes = executed(ledger, *ledger.ballot(ledger.alice, name))
    ledger.place(writes)
    seqno = ledger.place(writes)
    ledger.refused("request-not-allowed", seqno)


def test_a_proposal_made_again(governed: Governed) -> None:
    ledger = governed()
    path, message = "/gov/members/proposals:create", ledger.proposal(ledger.alice, set_user())
    writes = executed(ledger, path, message)
    ledger.place(writes)
    again = edited(writes, maps.PROPOSALS_INFO, created_at_ms=ledger.now_ms)
    seqno = ledger.place(again)
    ledger.refused("member-replay", seqno)


def test_a_proposal_said_to_be_made_at_another_time(governed: Governed) -> None:
    ledger = governed()
    path, message = "/gov/members/proposals:create", ledger.proposal(ledger.alice, set_user())
    writes = edited(executed(ledger, path, message), maps.PROPOSALS_INFO, created_at_ms=ledger.now_ms + 1000)
    seqno = ledger.place(writes)
    ledger.refused("governance-time", seqno)


def test_a_proposal_from_the_future(governed: Governed) -> None:
    ledger = governed()
    late = ledger.now_ms // 1000 + limits.CREATED_AHEAD_MAX_S + 10
    message = ledger.alice.sign("proposal", {"actions": [set_user()]}, created_at_s=late)
    outcome = ledger.council.executed("/gov/members/proposals:create", message, now_ms=late * 1000)
    writes = edited(outcome.writes, maps.PROPOSALS_INFO, created_at_ms=ledger.now_ms)
    seqno = ledger.place(writes)
    ledger.refused("member-replay", seqno)


def test_another_proposal_than_was_signed(governed: Governed) -> None:
    ledger = governed()
    path, message = "/gov/members/proposals:create", ledger.proposal(ledger.alice, set_user())
    writes = executed(ledger, path, message)
    ((name, _),) = writes[maps.PROPOSALS].items()
    other = json.dumps({"actions": [set_user("another")]}).encode()
    seqno = ledger.place(writes | {maps.PROPOSALS: {name: other}})
    ledger.refused("request-effect", seqno)


def test_a_message_that_changes_nothing(governed: Governed) -> None:
    ledger = governed()
    seqno = ledger.place(history(ledger.alice, ledger.alice.sign("recovery_share", b"{}")))
    ledger.refused("member-request", seqno)


@pytest.mark.parametrize("value", [b"", b"null", b'"%"', b'"AAAA"', b"[1]", None])
def test_a_history_that_holds_no_message(governed: Governed, value: bytes | None) -> None:
    ledger = governed()
    seqno = ledger.place({maps.COSE_HISTORY: {ledger.alice.member_id.encode(): value}})
    ledger.refused("member-request" if value == b'"AAAA"' else "governance-tables", seqno)


def test_two_requests_in_one_entry(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    writes = executed(ledger, *ledger.ballot(ledger.alice, name))
    merge(writes, history(ledger.bob, ledger.ballot(ledger.bob, name)[1]))
    seqno = ledger.place(writes)
    ledger.refused("governance-alone", seqno)


def test_a_request_and_records_of_a_ledger_in_one_entry(governed: Governed) -> None:
    ledger = governed()
    name = ledger.propose(ledger.alice, set_user())
    writes = executed(ledger, *ledger.ballot(ledger.alice, name))
    seqno = ledger.place({**writes, "public:records": {b"k": b"v"}})
    ledger.refused("governance-alone", seqno)


@pytest.mark.parametrize("key", [b"ab" * 32, bytes(8), b"\xff"], ids=["id", "singleton", "binary"])
@pytest.mark.parametrize(
    "value", [b"", b"[]", b"\xff", b'{"k": 1}', b'"x"', b"1", b'{"recovery_threshold": 0}']
)
def test_a_founder_that_fills_tables_with_anything(governed: Governed, key: bytes, value: bytes) -> None:
    """Whatever a primary claims to have done over such tables, the audit ends with a verdict."""
    honest = governed()
    path = "/gov/members/proposals:create"
    request = executed(honest, path, honest.proposal(honest.alice, refresh()))
    join = node_writes([honest.network.joiner(3)])
    for name in sorted(maps.GOVERNANCE):
        for claimed in (request, join):
            ledger = governed(also={name: {key: value}})
            ledger.place(claimed)
            with contextlib.suppress(IntegrityError):
                ledger.audit()


# ── effects ──────────────────────────────────────────────────────────────────────────────────────


def decisive(ledger: Any, *actions: dict[str, Any]) -> Writes:
    """Return what the decisive ballot writes."""
    name = ledger.propose(ledger.alice, *actions)
    ledger.vote(ledger.alice, name)
    return executed(ledger, *ledger.ballot(ledger.bob, name))


def test_effects_that_were_not_proposed(governed: Governed) -> None:
    ledger = governed()
    writes = decisive(ledger, set_user())
    writes[maps.USERS_INFO] = {DAVE.member_id.encode(): b'{"user_data": "another"}'}
    seqno = ledger.place(writes)
    assert maps.USERS_INFO in str(ledger.refused("request-effect", seqno))


def test_effects_that_do_not_come(governed: Governed) -> None:
    ledger = governed()
    writes = decisive(ledger, set_user())
    del writes[maps.USERS_CERTS]
    seqno = ledger.place(writes)
    ledger.refused("request-effect", seqno)


def test_a_vote_judged_under_the_constitution_before(governed: Governed) -> None:
    ledger = governed()
    unanimous = {"name": "set_constitution", "args": {"constitution": shipped_constitution("unanimous")}}
    ledger.place(decisive(ledger, unanimous))
    name = ledger.propose(ledger.alice, set_user())
    ledger.vote(ledger.alice, name)
    writes = executed(ledger, *ledger.ballot(ledger.bob, name))
    seqno = ledger.place(edited(writes, maps.PROPOSALS_INFO, state="Accepted"))
    ledger.refused("proposal-state", seqno)


def opened(governed: Governed) -> Any:
    ledger = governed()
    certificate = ledger.network.service.certificate
    ledger.decide({"name": "transition_service_to_open", "args": {"next_service_identity": certificate}})
    return ledger


def dealt(writes: Writes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(writes[maps.RECOVERY][maps.SINGLETON_KEY] or b"")
    return found


@pytest.mark.parametrize("lie", ["threshold", "member", "key", "share"])
def test_shares_dealt_otherwise_than_decided(governed: Governed, lie: str) -> None:
    ledger = opened(governed)
    writes = decisive(ledger, refresh())
    said = dealt(writes)
    if lie == "threshold":
        said["threshold"] = 1
    elif lie == "member":
        said["members"]["ab" * 32] = said["members"].pop(ledger.alice.member_id)
    elif lie == "key":
        said["public_key"] = dealt(executed(ledger, *ledger.ballot(ledger.bob, pending(ledger))))[
            "public_key"
        ]
    else:
        one, other = ledger.alice.member_id, ledger.bob.member_id
        said["members"][one]["verification_key"] = said["members"][other]["verification_key"]
    writes[maps.RECOVERY] = {maps.SINGLETON_KEY: json.dumps(said).encode()}
    seqno = ledger.place(writes)
    ledger.refused("request-effect", seqno)


def pending(ledger: Any) -> str:
    """Return the proposal that one ballot more decides."""
    (found,) = [
        key.decode()
        for key, value in ledger.council.view.items(maps.PROPOSALS_INFO)
        if json.loads(value)["state"] == "Open"
    ]
    return found


@pytest.mark.parametrize("lie", ["kept", "old", "not escrowed", "other secret", "no shares"])
def test_epochs_not_escrowed_to_the_new_key(governed: Governed, lie: str) -> None:
    ledger = opened(governed)
    writes = decisive(ledger, refresh())
    ((key, value),) = writes[maps.EPOCHS].items()
    record = json.loads(value or b"")
    if lie == "kept":
        del writes[maps.EPOCHS]
    elif lie == "old":
        writes[maps.EPOCHS] = dict(ledger.council.view.items(maps.EPOCHS))
    elif lie == "not escrowed":
        writes[maps.EPOCHS] = {key: json.dumps(record | {"escrow": None}).encode()}
    elif lie == "other secret":
        writes[maps.EPOCHS] = {key: json.dumps(record | {"commitment": "ab" * 32}).encode()}
    else:
        del writes[maps.RECOVERY]
    seqno = ledger.place(writes)
    ledger.refused("request-effect", seqno)


def test_an_epoch_said_to_begin_at_another_time(governed: Governed) -> None:
    ledger = governed()
    view = ledger.council.view
    seqno = ledger.place(escrow_epoch(view, first_seqno=9, secret=bytes(32), created_ms=1, reason="time"))
    ledger.refused("governance-time", seqno)


def test_an_epoch_written_anew(governed: Governed) -> None:
    ledger = opened(governed)
    ((key, value),) = ledger.council.view.items(maps.EPOCHS)
    seqno = ledger.place({maps.EPOCHS: {key: json.dumps(json.loads(value) | {"escrow": None}).encode()}})
    ledger.refused("ledger-epoch", seqno)
