"""A policy is read strictly, and says by its digest which one it is."""

from __future__ import annotations

import json

import pytest

from coco_enclave import (
    EvidenceError,
    PlatformPolicy,
    TeePolicy,
    policy_from_json,
    policy_to_json,
    read_policy,
)

POLICY = TeePolicy(
    platforms={
        "sgx": PlatformPolicy(
            measurements=frozenset({"ab" * 32}),
            signers=frozenset({"cd" * 32}),
            minimum_svn=3,
            anchors=frozenset({"ef" * 32}),
            denied_products=frozenset({"Milan"}),
            tcb_statuses=frozenset({"UpToDate", "SWHardeningNeeded"}),
            allowed_advisories=frozenset({"INTEL-SA-00615"}),
            rules={"minimum_evaluation": 17},
        ),
        "tdx": PlatformPolicy(measurements=None),
    }
)


def test_policy_is_read_back() -> None:
    again = read_policy(json.dumps(policy_to_json(POLICY)).encode())
    assert again == POLICY
    assert again.digest == POLICY.digest


def test_what_is_not_said_is_refused() -> None:
    policy = policy_from_json({"platforms": {"sgx": {}}}).of("sgx")
    assert policy.measurements == frozenset()
    assert policy.anchors == policy.simulator_anchors == frozenset()
    assert policy.tcb_statuses == {"UpToDate"}
    assert not policy.debug


def test_roots_may_be_the_vendors() -> None:
    vendors = {"sgx": frozenset({"ab" * 32})}
    assert read_policy(b'{"platforms": {"sgx": {}}}', vendors).of("sgx").anchors == vendors["sgx"]
    assert read_policy(b'{"platforms": {"tdx": {}}}', vendors).of("tdx").anchors == frozenset()
    for named in ([], ["cd" * 32]):
        policy = json.dumps({"platforms": {"sgx": {"anchors": named}}}).encode()
        assert read_policy(policy, vendors).of("sgx").anchors == set(named)


def test_another_policy_has_another_digest() -> None:
    values = policy_to_json(POLICY)
    values["platforms"]["sgx"]["debug"] = True
    assert policy_from_json(values).digest != POLICY.digest


MALFORMED = {
    "no JSON": b"{",
    "no object": b"[]",
    "platforms no object": b'{"platforms": []}',
    "a platform no object": b'{"platforms": {"sgx": []}}',
    "a field twice": b'{"platforms": {"sgx": {"denied_products": ["0"], "denied_products": []}}}',
    "a platform twice": b'{"platforms": {"sgx": {}, "sgx": {}}}',
    "nested without end": b"[" * 1000 + b"]" * 1000,
    "a field nobody knows": b'{"platforms": {"sgx": {"debugg": true}}}',
    "a heading nobody knows": b'{"platforms": {}, "more": {}}',
    "a flag that is a number": b'{"platforms": {"sgx": {"debug": 1}}}',
    "a number that is a flag": b'{"platforms": {"sgx": {"minimum_svn": true}}}',
    "a number below zero": b'{"platforms": {"sgx": {"minimum_svn": -1}}}',
    "a list that is text": b'{"platforms": {"sgx": {"signers": "ab"}}}',
    "digests in upper case": b'{"platforms": {"sgx": {"anchors": ["AB"]}}}',
    "half a byte": b'{"platforms": {"sgx": {"anchors": ["abc"]}}}',
    "any among digests": b'{"platforms": {"sgx": {"measurements": ["any"]}}}',
    "a text that is none": b'{"platforms": {"sgx": {"minimum_tcb": 7}}}',
    "rules no object": b'{"platforms": {"sgx": {"rules": 7}}}',
    "a text of two lines": b'{"platforms": {"sgx": {"minimum_tcb": "1\\n2"}}}',
    "a long text": b'{"platforms": {"sgx": {"minimum_tcb": "' + b"1" * 257 + b'"}}}',
    "a long list": b'{"platforms": {"sgx": {"signers": [' + b'"ab",' * 1024 + b'"ab"]}}}',
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_policy_is_refused(what: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        read_policy(MALFORMED[what])
    assert caught.value.code == "policy"


@pytest.mark.parametrize(
    "value", [{1: {}}, {"platforms": {1: {}}}, {"platforms": {"sgx": {"rules": {1: 1}}}}]
)
def test_names_of_fields_are_text(value: object) -> None:
    with pytest.raises(EvidenceError) as caught:
        policy_from_json(value)
    assert caught.value.code == "policy"


def test_a_policy_for_development_says_so_plainly() -> None:
    assert policy_from_json({"development": True, "platforms": {}}) == TeePolicy(platforms={})
    with pytest.raises(EvidenceError, match="'development' must be true or false") as caught:
        policy_from_json({"development": "yes", "platforms": {}})
    assert caught.value.code == "policy"


def test_large_policy_is_refused() -> None:
    with pytest.raises(EvidenceError) as caught:
        read_policy(b" " * 65 * 1024 + b"{}")
    assert caught.value.code == "size"
