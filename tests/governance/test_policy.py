"""The policy: as tables, as JSON, and what it is known by."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_core.attestation import Policy
from coco_core.errors import IntegrityError
from coco_core.governance import (
    policy_digest,
    policy_from_json,
    policy_of,
    policy_to_json,
    policy_writes,
    read_policy,
)
from coco_core.kv import Store, View, Writes, maps

POLICY = Policy(
    formats=frozenset({"SGX", "a:b"}),
    measurements=frozenset({("SGX", "ab" * 32), ("SGX", "cd" * 32), ("a:b", "ab" * 32)}),
    minimum_tcb={"SGX": "7"},
    allowed_advisories={"a:b": frozenset({"SA-1", "SA-2"})},
    rules={"SGX": '{"minimum_svn": 3}'},
)


def view_of(*writes: Writes) -> View:
    store = Store()
    for seqno, one in enumerate(writes, 1):
        store.append(seqno, one)
    return store.head()


@pytest.mark.parametrize("policy", [POLICY, policy_of([("SGX", "ab" * 32)]), policy_of([])])
def test_policy_comes_back(policy: Policy) -> None:
    assert read_policy(view_of(policy_writes(policy))) == policy
    assert policy_from_json(policy_to_json(policy)) == policy


def test_nothing_is_accepted_by_empty_tables() -> None:
    assert read_policy(view_of()) == policy_of([])
    assert policy_writes(policy_of([])) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"formats": frozenset({"SGX"})},
        {"measurements": frozenset({("SGX", "ab" * 32)})},
        {"minimum_tcb": {}},
        {"minimum_tcb": {"SGX": "8"}},
        {"allowed_advisories": {}},
        {"rules": {}},
        {"rules": {"SGX": "{}"}},
    ],
)
def test_digest_tells_policies_apart(changes: dict[str, Any]) -> None:
    assert policy_digest(attrs.evolve(POLICY)) == policy_digest(POLICY)
    assert policy_digest(attrs.evolve(POLICY, **changes)) != policy_digest(POLICY)


MALFORMED: list[Writes] = [
    {maps.CODE_MEASUREMENTS: {b"ab": b"{}"}},
    {maps.CODE_MEASUREMENTS: {b"\xff:ab": b"{}"}},
    {maps.PLATFORMS: {b"SGX": b"{"}},
    {maps.PLATFORMS: {b"SGX": b"{}"}},
    {maps.PLATFORMS: {b"SGX": b"[]"}},
    {maps.PLATFORMS: {b"SGX": b'{"minimum_tcb": 1, "allowed_advisories": []}'}},
    {maps.PLATFORMS: {b"SGX": b'{"minimum_tcb": null, "allowed_advisories": [1]}'}},
    {maps.PLATFORMS: {b"SGX": b'{"minimum_tcb": null, "allowed_advisories": 1}'}},
    {maps.PLATFORMS: {b"SGX": b'{"minimum_tcb": null, "allowed_advisories": [], "rules": {}}'}},
    {maps.PLATFORMS: {b"\xff": b'{"minimum_tcb": null, "allowed_advisories": []}'}},
]


@pytest.mark.parametrize("writes", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_tables(writes: Writes) -> None:
    with pytest.raises(IntegrityError, match="code and platforms are malformed"):
        read_policy(view_of(writes))
