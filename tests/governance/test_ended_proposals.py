"""Ended proposals are remembered for a while: the newest stay, open ones too, and an auditor counts all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.adapter import Applied
from coco_core.base import limits
from coco_core.governance import read_proposals, shipped_constitution
from coco_core.kv import Writes, maps
from coco_core.testing.members import Signatory

Governed = Callable[..., Any]

DAVE = Signatory.make("dave")
KEPT = 3


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENDED_PROPOSALS_KEPT_MAX", KEPT)


def set_user(data: Any) -> dict[str, Any]:
    return {"name": "set_user", "args": {"cert": DAVE.certificate, "user_data": data}}


def withdrawn(ledger: Any, name: str) -> None:
    message = ledger.alice.sign("withdrawal", b"", proposal_id=name)
    assert ledger.post(f"/gov/members/proposals/{name}:withdraw", message)["proposalState"] == "Withdrawn"


def kept(ledger: Any) -> set[str]:
    """Return what both tables hold."""
    view = ledger.council.view
    records = {key.decode() for key, _ in view.items(maps.PROPOSALS_INFO)}
    assert {key.decode() for key, _ in view.items(maps.PROPOSALS)} == records
    return records


def test_the_newest_that_ended_stay_however_old_they_are(governed: Governed) -> None:
    ledger = governed()
    old, open_one = (ledger.propose(ledger.alice, set_user(data)) for data in ("old", "open"))
    names = [ledger.propose(ledger.alice, set_user(number)) for number in range(5)]
    for name in names:
        withdrawn(ledger, name)
    assert kept(ledger) == {old, open_one, *names[-KEPT:]}
    for member in (ledger.alice, ledger.bob):
        ledger.vote(member, old)
    assert read_proposals(ledger.council.view)[old].state == "Accepted"
    assert kept(ledger) == {old, open_one, *names[-KEPT + 1 :]}
    # Who votes on one that is forgotten is told so.
    outcome = ledger.executed(*ledger.ballot(ledger.carol, names[0]))
    assert outcome.code == "not-found"
    report = ledger.audit()
    assert report.proposals == {"Withdrawn": 5, "Accepted": 1, "Open": 1}


def test_what_new_rules_drop_is_forgotten_in_its_turn(governed: Governed) -> None:
    ledger = governed()
    for number in range(KEPT - 1):
        ledger.propose(ledger.alice, set_user(number))
    before = kept(ledger)
    text = shipped_constitution("unanimous")
    assert ledger.decide({"name": "set_constitution", "args": {"constitution": text}}) == "Accepted"
    assert len(kept(ledger)) == KEPT
    assert before < kept(ledger)
    name = ledger.propose(ledger.alice, set_user("x"))
    withdrawn(ledger, name)
    assert len(kept(ledger)) == KEPT
    assert name in kept(ledger)
    assert ledger.audit().proposals == {"Dropped": KEPT - 1, "Accepted": 1, "Withdrawn": 1}


def forgetting(ledger: Any) -> Writes:
    """Return what an honest primary writes of a withdrawal by which another proposal is forgotten."""
    names = [ledger.propose(ledger.alice, set_user(number)) for number in range(KEPT + 1)]
    for name in names[:-1]:
        withdrawn(ledger, name)
    message = ledger.alice.sign("withdrawal", b"", proposal_id=names[-1])
    outcome = ledger.executed(f"/gov/members/proposals/{names[-1]}:withdraw", message)
    assert isinstance(outcome, Applied)
    assert outcome.writes[maps.PROPOSALS] == {names[0].encode(): None}
    writes: Writes = outcome.writes
    return writes


@pytest.mark.parametrize("name", [maps.PROPOSALS, maps.PROPOSALS_INFO])
def test_a_primary_that_forgets_less(governed: Governed, name: str) -> None:
    ledger = governed()
    writes = forgetting(ledger)
    writes[name] = {key: value for key, value in writes[name].items() if value is not None}
    seqno = ledger.place(writes)
    ledger.refused("request-effect" if name == maps.PROPOSALS else "proposal-state", seqno)


def test_a_primary_that_forgets_another(governed: Governed) -> None:
    ledger = governed()
    writes = forgetting(ledger)
    gone = set(writes[maps.PROPOSALS])
    (other, *_) = [key for key, _ in ledger.council.view.items(maps.PROPOSALS) if key not in gone]
    for name in (maps.PROPOSALS, maps.PROPOSALS_INFO):
        rows = {key: value for key, value in writes[name].items() if key not in gone}
        writes[name] = {**rows, other: None}
    seqno = ledger.place(writes)
    ledger.refused("proposal-state", seqno)


@pytest.mark.parametrize("at_ms", [-60_000, 60_000])
def test_a_proposal_said_to_have_ended_at_another_time(governed: Governed, at_ms: int) -> None:
    ledger = governed()
    writes = forgetting(ledger)
    for key, value in writes[maps.PROPOSALS_INFO].items():
        if value is not None:
            record = json.loads(value) | {"decided_at_ms": ledger.now_ms + at_ms}
            writes[maps.PROPOSALS_INFO][key] = json.dumps(record).encode()
    seqno = ledger.place(writes)
    ledger.refused("governance-time", seqno)
