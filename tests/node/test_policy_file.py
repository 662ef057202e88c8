"""An operator's policy file is read whole or refused with a reason, before anybody is judged by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coco_core.attestation import VirtualPlatform, VirtualVerifier
from coco_core.base import limits
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import admit, check_policy, policy_writes, read_policy
from coco_core.kv import Store
from coco_core.node.policy_file import load_policy, policy_from_file

CODE, DATA = "ab" * 32, bytes(range(64))
VERIFIERS = {VirtualVerifier.format: VirtualVerifier()}
VIRTUAL = {"development": True, "platforms": {VirtualVerifier.format: {"measurements": [CODE]}}}
FULL = {
    "platforms": {
        "snp": {
            "measurements": ["c0" * 48],
            "minimum_tcb": "Milan bl=4,tee=0,snp=24,ucode=219",
            "allowed_advisories": ["SA-1"],
            "denied_products": ["Genoa"],
            "rules": {"host_data": ["44" * 32]},
        }
    }
}


def written(base: Path, value: Any) -> Path:
    path = base / "policy.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_what_a_file_says_is_what_the_tables_hold(tmp_path: Path) -> None:
    policy = policy_from_file(FULL)
    assert policy.production
    assert policy.measurements == {("snp", "c0" * 48)}
    assert policy.minimum_tcb == {"snp": "Milan bl=4,tee=0,snp=24,ucode=219"}
    assert policy.allowed_advisories == {"snp": {"SA-1"}}
    assert json.loads(policy.rules["snp"]) == {
        "denied_products": ["Genoa"],
        "rules": {"host_data": ["44" * 32]},
    }
    for one in (policy, load_policy(written(tmp_path, VIRTUAL))):
        store = Store()
        store.append(1, policy_writes(one))
        assert read_policy(store.head()) == one


def test_for_production_nothing_insecure_is_accepted(tmp_path: Path) -> None:
    evidence = VirtualPlatform(CODE).attest(DATA)
    development = load_policy(written(tmp_path, VIRTUAL))
    assert not admit(evidence, DATA, VERIFIERS, development, 0).secure
    production = policy_from_file({"platforms": VIRTUAL["platforms"]})
    with pytest.raises(AttestationError, match="protects nothing") as caught:
        admit(evidence, DATA, VERIFIERS, production, 0)
    assert caught.value.code == "insecure"


FAULTS: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "policy.json"),
    "a field twice": ('{"platforms": {"x": {"y": [1], "y": []}}}', "'y' is said twice"),
    "a list": ([], "expected"),
    "another field": ({**VIRTUAL, "production": True}, "expected"),
    "a number for a flag": ({**VIRTUAL, "development": 1}, "'development' must be true or false"),
    "nobody": ({"platforms": {}}, "nobody could join"),
    "a text for a platform": ({"platforms": {"x": "y"}}, "'x' must be an object"),
    "any code": ({"platforms": {"x": {"measurements": "any"}}}, "never takes 'any'"),
    "a text for a list": ({"platforms": {"x": {"measurements": "ab"}}}, "'measurements' must be a list"),
    "a number for code": ({"platforms": {"x": {"measurements": [1]}}}, "'measurements' must be text"),
    "a number for a floor": ({"platforms": {"x": {"minimum_tcb": 1}}}, "'minimum_tcb' must be text"),
    "a platform nobody knows": ({"platforms": {"mystery": {}}}, "no platform 'mystery' is installed"),
    "virtual for production": ({"platforms": VIRTUAL["platforms"]}, "for development alone"),
    "rules too long": ({"platforms": {"x": {"y": "z" * limits.PLATFORM_RULES_MAX_BYTES}}}, "rules of more"),
    "too long": (" " * (limits.POLICY_FILE_MAX_BYTES + 1), "more than"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_file_that_cannot_be_judged_by(tmp_path: Path, fault: str) -> None:
    value, message = FAULTS[fault]
    with pytest.raises(OperatorError, match=message):
        load_policy(written(tmp_path, value))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        load_policy(tmp_path / "policy.json")


def test_code_of_a_platform_that_is_not_accepted() -> None:
    policy = policy_from_file(VIRTUAL)
    stray = type(policy)(formats=frozenset(), measurements=policy.measurements)
    with pytest.raises(AttestationError, match="code is listed for 'Insecure_Virtual'"):
        check_policy(stray, VERIFIERS)
