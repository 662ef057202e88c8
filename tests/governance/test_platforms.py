"""Members say which platforms nodes may run on, and what each has to be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coco_core.adapter import Applied, Rejected
from coco_core.base import limits
from coco_core.governance import (
    ACTIVE,
    Administration,
    StarlarkRuntime,
    founding_writes,
    read_policy,
    shipped_constitution,
)
from coco_core.kv import Writes
from coco_core.testing import Consortium
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import Council, Signatory

NETWORK = Consortium.of(3)
ALICE = Signatory.make("alice")


@pytest.fixture
def council() -> Council:
    administration = Administration(
        ADMISSION,
        NETWORK.service.key,
        runtime=StarlarkRuntime(),
        secrets=NETWORK.secrets,
        entropy=bytes,
    )
    tables: Writes = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    members = [ALICE.member(status=ACTIVE, encryption_key=None)]
    return Council.of(administration, tables, members, shipped_constitution("majority"))


def set_platform(**args: Any) -> dict[str, Any]:
    return {"name": "set_platform", "args": {"platform": "sgx", **args}}


def decide(council: Council, action: dict[str, Any]) -> str:
    outcome = council.propose(ALICE, action)
    assert isinstance(outcome, Applied), outcome
    voted = council.vote(ALICE, json.loads(outcome.receipt)["proposalId"])
    assert isinstance(voted, Applied), voted
    state: str = json.loads(voted.receipt)["proposalState"]
    return state


def test_rules_of_a_platform_are_in_force(council: Council) -> None:
    rules = {"minimum_svn": 3, "anchors": ["ab" * 32]}
    asked = set_platform(minimum_tcb="17", allowed_advisories=["SA-1"], rules=rules)
    assert decide(council, asked) == "Accepted"
    policy = read_policy(council.view)
    assert "sgx" in policy.formats
    assert policy.minimum_tcb["sgx"] == "17"
    assert policy.allowed_advisories["sgx"] == {"SA-1"}
    assert json.loads(policy.rules["sgx"]) == rules


def test_what_is_not_repeated_is_gone(council: Council) -> None:
    assert decide(council, set_platform(rules={"minimum_svn": 3})) == "Accepted"
    assert decide(council, set_platform()) == "Accepted"
    assert read_policy(council.view).rules == {}


@pytest.mark.parametrize(
    "rules",
    [[], "{}", None, 3, {"text": "x" * limits.PLATFORM_RULES_MAX_BYTES}],
    ids=lambda one: str(one)[:9],
)
def test_rules_are_an_object_within_bounds(rules: Any, council: Council) -> None:
    outcome = council.propose(ALICE, set_platform(rules=rules))
    assert isinstance(outcome, Rejected), outcome
    assert "'rules' must be a JSON object" in str(outcome)
