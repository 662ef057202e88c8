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
from coco_core.kv import Writes, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import Council, Signatory

NETWORK = Consortium.of(3)
ALICE = Signatory.make("alice")


@pytest.fixture
def council() -> Council:
    return council_over({})


def council_over(more: Writes) -> Council:
    """Return a council of one member over a service's first tables and ``more``."""
    administration = Administration(
        ADMISSION,
        NETWORK.service.key,
        runtime=StarlarkRuntime(),
        secrets=NETWORK.secrets,
        entropy=bytes,
    )
    tables: Writes = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    merge(tables, more)
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
    asked = set_platform(minimum_tcb="17", allowed_advisories=["INTEL-SA-00615"], rules=rules)
    assert decide(council, asked) == "Accepted"
    policy = read_policy(council.view)
    assert "sgx" in policy.formats
    assert policy.minimum_tcb["sgx"] == "17"
    assert policy.allowed_advisories["sgx"] == {"INTEL-SA-00615"}
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


MALFORMED = {
    "a field that nobody reads": ({"rules": {"minimum_svm": 3}}, "unknown field 'minimum_svm'"),
    "a field of another type": ({"rules": {"minimum_svn": "3"}}, "'minimum_svn' must be a whole number"),
    "a rule of another platform": ({"rules": {"rules": {"vmpl_max": 1}}}, "unknown field 'vmpl_max'"),
    "what has a place of its own": ({"rules": {"measurements": ["ab"]}}, "what is said elsewhere"),
    "another notation": ({"minimum_tcb": "seventeen"}, "the number of Intel's evaluation"),
    "an advisory that cannot be printed": ({"allowed_advisories": ["SA\n1"]}, "must be printable text"),
    "of a platform that has none": (
        {"platform": "Insecure_Virtual", "rules": {"debug": True}},
        "knows no rules",
    ),
    "a platform nobody can judge": ({"platform": "SGX"}, "no platform 'SGX' is installed"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_could_not_be_judged_by_is_not_proposed(kind: str, council: Council) -> None:
    args, said = MALFORMED[kind]
    outcome = council.propose(ALICE, set_platform(**args))
    assert isinstance(outcome, Rejected), outcome
    assert outcome.code == "invalid-proposal"
    assert "action 1 (set_platform): policy: " in str(outcome)
    assert said in str(outcome)


def test_code_is_named_as_its_platform_does(council: Council) -> None:
    def add(measurement: str, platform: str = "sgx") -> dict[str, Any]:
        args = {"platform": platform, "measurement": measurement}
        return {"name": "add_code_measurement", "args": args}

    assert decide(council, add("ab" * 32)) == "Accepted"
    refused = {
        "'measurement' must be lower-case hex": add("xyz"),
        "policy: the policy of 'sgx': 'measurements' must be a list of lower-case hex": add("abc"),
        "policy: no platform 'SGX' is installed": add("ab" * 32, "SGX"),
    }
    for said, action in refused.items():
        outcome = council.propose(ALICE, action)
        assert isinstance(outcome, Rejected), outcome
        assert f"action 1 (add_code_measurement): {said}" in str(outcome)


def test_a_service_for_production_is_given_no_simulators_by_vote() -> None:
    council = council_over({maps.PRODUCTION: {maps.SINGLETON_KEY: b"true"}})
    outcome = council.propose(ALICE, set_platform(rules={"simulator_anchors": ["ab" * 32]}))
    assert isinstance(outcome, Applied), outcome
    voted = council.vote(ALICE, json.loads(outcome.receipt)["proposalId"])
    assert isinstance(voted, Applied), voted
    said = json.loads(voted.receipt)
    assert said["proposalState"] == "Failed"
    assert "simulators and debug builds are for development alone" in said["failure"]
    assert "sgx" not in read_policy(council.view).formats
