"""Leases: how long a node may take part before it must be replaced by one that attested from a fresh start.

A lease is granted when a node becomes trusted, or to all who are when the policy is set. It is never
prolonged: a node's state may have been tampered with since it attested, so whoever goes on is a *new* node.
Members vote for that one or, if the policy says so, the old one vouches for it (see ``renewals``). One whose
lease has run out is **quarantined**: removed by a change of members of which the ledger says why, so that it
gets no new data and has no vote. At least one node whose lease holds must be left to lead; until one is,
nobody is quarantined, and health says so. Reads tables and the ledger's time; knows no clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import attrs
import orjson

from coco_core.base import NodeID, limits
from coco_core.errors import IntegrityError
from coco_core.governance.json_values import read_json
from coco_core.governance.membership import (
    TRUSTED,
    MembershipChange,
    change_writes,
    read_change,
    read_nodes,
)
from coco_core.kv import View, Writes, maps

VOTE: Final = "vote"
"""A lease is renewed as members vote for a fresh node."""
VOUCHED: Final = "vouched"
"""A lease is renewed, too, when the node that has it vouches for a fresh one."""
RENEWALS: Final = (VOTE, VOUCHED)

QUARANTINE: Final = "the lease ran out"
"""Who asks for a change of members that quarantines."""


@attrs.frozen(kw_only=True)
class Lease:
    """From when until when a node may take part, in Unix milliseconds of the ledger's time."""

    granted_ms: int
    until_ms: int
    renewal_refused: bool = False
    """Whether members sent away who came to renew it: then a voucher renews it no more."""

    def after_ms(self, share: float) -> int:
        """Return when that share of it is over."""
        return self.granted_ms + int((self.until_ms - self.granted_ms) * share)


@attrs.frozen(kw_only=True)
class LeasePolicy:
    """How long leases are, in seconds or None for ever, and what renews them: VOTE or VOUCHED."""

    lease_s: int | None = None
    renewal: str = VOTE


def lease_policy_writes(policy: LeasePolicy) -> Writes:
    """Return the write that puts a policy into force."""
    return {maps.LEASE_POLICY: {maps.SINGLETON_KEY: json.dumps(attrs.asdict(policy)).encode()}}


def read_lease_policy(view: View) -> LeasePolicy:
    """Return the policy in force; raises IntegrityError for a malformed table."""
    value = read_json(view, maps.LEASE_POLICY, maps.SINGLETON_KEY)
    match value:
        case None:
            return LeasePolicy()
        case {"lease_s": int() | None as lease_s} if value.get("renewal", VOTE) in RENEWALS:
            return LeasePolicy(lease_s=lease_s, renewal=value.get("renewal", VOTE))
    raise IntegrityError(f"{maps.LEASE_POLICY}: malformed")


def read_leases(view: View) -> dict[NodeID, Lease]:
    """Return the lease of every node that has one; raises IntegrityError for a malformed table."""
    leases: dict[NodeID, Lease] = {}
    for key, value in view.items(maps.LEASES):
        try:
            leases[NodeID(key.decode())] = _lease(value)
        except (ValueError, RecursionError) as error:
            raise IntegrityError(f"{maps.LEASES}: malformed lease of node {key[:64]!r}") from error
    return leases


@lru_cache(maxsize=2 * limits.NODES_KNOWN_MAX)
def _lease(value: bytes) -> Lease:
    """Read a row; remembered, because a primary looks at all of them in every tick."""
    match orjson.loads(value):
        case {"granted_ms": int(granted), "until_ms": int(until), **rest}:
            refused = rest.get("renewal_refused") is True
            return Lease(granted_ms=granted, until_ms=until, renewal_refused=refused)
    raise ValueError("granted_ms and until_ms are expected")


def lease_writes(nodes: Iterable[NodeID], lease_s: int | None, time_ms: int) -> Writes:
    """Return the writes that grant ``nodes`` a lease from now, or that give them back what had one."""
    value = None
    if lease_s is not None:
        value = json.dumps({"granted_ms": time_ms, "until_ms": time_ms + lease_s * 1000}).encode()
    changes: dict[bytes, bytes | None] = {node.encode(): value for node in nodes}
    return {maps.LEASES: changes} if changes else {}


def refused_renewal_writes(view: View, nodes: Iterable[NodeID]) -> Writes:
    """Return the writes that say of the leases of ``nodes`` that no voucher renews them."""
    leases = read_leases(view)
    changes: dict[bytes, bytes | None] = {
        node.encode(): json.dumps(attrs.asdict(attrs.evolve(leases[node], renewal_refused=True))).encode()
        for node in nodes
        if node in leases
    }
    return {maps.LEASES: changes} if changes else {}


def overdue(view: View, time_ms: int) -> list[NodeID]:
    """Return the trusted nodes whose lease has run out, in order of ID."""
    late = {node for node, lease in read_leases(view).items() if lease.until_ms <= time_ms}
    if not late:
        return []
    trusted = sorted(node.node_id for node in read_nodes(view).values() if node.status == TRUSTED)
    return [node for node in trusted if node in late]


def quarantine_due(view: View, time_ms: int) -> Writes | None:
    """Return the writes that begin, or add to, a change of members without whose lease has run out.

    None when all of those are leaving already, or when no trusted node would be left whose lease holds.
    """
    late = overdue(view, time_ms)
    if not late:
        return None
    change = read_change(view) or MembershipChange((), (), QUARANTINE)
    going = {*change.remove, *late}
    staying = [
        node.node_id
        for node in read_nodes(view).values()
        if node.status == TRUSTED and node.node_id not in going
    ]
    if not staying or going == set(change.remove):
        return None
    remove = (*change.remove, *(node for node in late if node not in change.remove))
    return change_writes(change.of(change.add, remove))
