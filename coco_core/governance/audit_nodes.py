"""What a primary may write of its own accord, and operators of a service that nobody governs: nodes.

Each function judges one entry over the tables before it. Requests of members are ``audit_requests``'.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from coco_core.attestation import Policy, known_verifiers
from coco_core.base import NodeID
from coco_core.crypto import PublicKey, service_id
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance.admission import AdmissionRecord, read_admission, reaudit_admission
from coco_core.governance.audit_rules import Fail, GovernanceRule
from coco_core.governance.consortium import read_constitution, read_service_info
from coco_core.governance.departures import departure_writes
from coco_core.governance.epochs import ADDITION_CANCELLED, MEMBERS_CHANGED, want_epoch
from coco_core.governance.fitness import unfit_writes
from coco_core.governance.joins import check_joiners_certificate, waiting_nodes
from coco_core.governance.leases import lease_writes, quarantine_due, read_lease_policy, read_leases
from coco_core.governance.membership import (
    PENDING,
    RETIRED,
    TRUSTED,
    MembershipChange,
    NodeRecord,
    change_writes,
    dismissing_writes,
    forgetting_writes,
    node_writes,
    read_change,
    read_nodes,
    read_operators,
    was_dismissed,
)
from coco_core.governance.policy import read_policy
from coco_core.governance.refusal import RefusedError
from coco_core.governance.renewals import divided, lapsed_writes, lapses, renewal_writes
from coco_core.kv import View, Writes, maps, merge

JOIN_MAPS = frozenset({maps.NODES_INFO, maps.NODES_ENDORSED_CERTIFICATES, maps.ADMISSIONS})
NODE_MAPS = JOIN_MAPS | {
    maps.DISMISSED_NODES,
    maps.LEASES,
    maps.MEMBERSHIP_CHANGE,
    maps.NODE_OWNERS,
    maps.REKEY_WANTED,
}


def check_nodes(before: View, writes: Writes, window: tuple[int, int], fail: Fail) -> None:
    """Judge an entry about nodes that no member asked for, made within ``window`` (milliseconds)."""
    was, now = read_nodes(before), read_nodes(before.over(writes))
    added = [name for name in now if name not in was]
    if added:
        _check_join(before, writes, [now[name] for name in added], window, fail)
    elif maps.MEMBERSHIP_CHANGE in writes:
        _check_change(before, writes, window, fail)
    elif any(name in was and now[name] != was[name] for name in now):
        _check_retired(before, writes, was, now, fail)
    else:
        _check_forgotten(before, writes, was, now, fail)


# ── joining ──────────────────────────────────────────────────────────────────────────────────────


def _check_join(
    before: View, writes: Writes, added: list[NodeRecord], window: tuple[int, int], fail: Fail
) -> None:
    rule = GovernanceRule.JOIN
    if len(added) != 1:
        fail(rule, f"{len(added)} nodes come in with one entry")
    (node,) = added
    if node.status != PENDING or node.retired_committed:
        fail(rule, f"node {node.node_id[:16]}… comes in {node.status}: only what was decided makes it more")
    if was_dismissed(before, node.node_id):
        fail(rule, f"node {node.node_id[:16]}… comes in again, and its addition was taken back")
    record = _check_admission(before, writes, node, window, fail)
    try:
        check_joiners_certificate(node.certificate, node.node_id, before, record.judged_at_ms)
    except AttestationError as fault:
        fail(rule, f"node {node.node_id[:16]}…: {fault}")
    expected = node_writes([node])
    merge(
        expected, {maps.ADMISSIONS: {node.node_id.encode(): writes[maps.ADMISSIONS][node.node_id.encode()]}}
    )
    if record.voucher is not None:
        try:
            merge(
                expected,
                renewal_writes(before, node.node_id, record.voucher, record.judged_at_ms),
            )
        except RefusedError as refusal:
            fail(rule, f"node {node.node_id[:16]}… comes in the place of another ({refusal.code}): {refusal}")
    merge(expected, forgetting_writes(_replaced(before, node)))
    _require(
        writes, expected, rule, "a node joins, and what else changes is not the end of its old entry", fail
    )


def _check_admission(
    before: View, writes: Writes, node: NodeRecord, window: tuple[int, int], fail: Fail
) -> AdmissionRecord:
    """Judge the joiner's evidence again, by the policy in force before the entry; return what is recorded."""
    rule = GovernanceRule.JOIN
    record = read_admission(before.over(writes), node.node_id)
    if record is None:
        fail(rule, f"nothing tells why node {node.node_id[:16]}… was admitted")
    if not window[0] <= record.judged_at_ms <= window[1]:
        fail(GovernanceRule.TIME, f"an admission was judged at {record.judged_at_ms} ms")
    check_admitted(record, node, str(read_service_info(before)["cert"]), read_policy(before), fail)
    return record


def check_founders(view: View, fail: Fail) -> None:
    """Judge the first nodes again by what the founder recorded of them, as whoever joins later.

    A founder may have recorded nothing, unless the service is for production.
    """
    service, policy = str(read_service_info(view)["cert"]), read_policy(view)
    for name, node in read_nodes(view).items():
        record = read_admission(view, name)
        if record is not None:
            check_admitted(record, node, service, policy, fail)
        elif policy.production:
            fail(GovernanceRule.JOIN, f"nothing tells why the first node {name[:16]}… was admitted")


def check_admitted(
    record: AdmissionRecord, node: NodeRecord, service_certificate: str, policy: Policy, fail: Fail
) -> None:
    """Judge what is recorded of a node's admission to a service, by the policy in force then."""
    rule = GovernanceRule.JOIN
    try:
        reaudit_admission(node.node_id, record, service_id(service_certificate), known_verifiers(), policy)
    except IntegrityError as fault:
        fail(rule, str(fault))
    if (record.platform, record.measurement) != (node.evidence.format, node.measurement):
        fail(rule, f"node {node.node_id[:16]}… is recorded as something else than it was measured as")
    if record.proof.transcript.encryption_key != PublicKey.from_pem(node.encryption_key).fingerprint:
        fail(rule, f"node {node.node_id[:16]}… is recorded with another encryption key than it proved")


def _replaced(before: View, node: NodeRecord) -> list[NodeID]:
    """Return whom a joiner takes the place of: who waits at the same address and is not being added."""
    waiting = waiting_nodes(read_nodes(before), before)
    return [one.node_id for one in waiting if one.peer_address == node.peer_address]


# ── changes of members ───────────────────────────────────────────────────────────────────────────


def _check_change(before: View, writes: Writes, window: tuple[int, int], fail: Fail) -> None:
    """Judge the change under way being made, begun or taken back."""
    change = read_change(before)
    if change is not None and writes == unfit_writes(before):
        return
    if change is not None and maps.NODES_INFO in writes and not _sends_away(before, writes, change):
        nodes = read_nodes(before)
        unknown = [name for name in (*change.add, *change.remove) if name not in nodes]
        if unknown:
            fail(
                GovernanceRule.MEMBERSHIP, f"the change under way names {unknown[0][:16]}…, which is no node"
            )
        made, rest = _divided(before, writes, change, window)
        expected = node_writes(
            [attrs.evolve(nodes[name], status=TRUSTED) for name in made.add]
            + [attrs.evolve(nodes[name], status=RETIRED) for name in made.remove]
        )
        merge(expected, change_writes(rest))
        merge(expected, want_epoch(MEMBERS_CHANGED))
        merge(expected, _leases(before, writes, made, window, fail))
        reason = "nodes change otherwise than the change under way"
        _require(writes, expected, GovernanceRule.MEMBERSHIP, reason, fail)
        return
    if _is_quarantine(before, writes, window) or _is_lapse(before, writes, window):
        return
    if read_constitution(before) is not None:
        fail(GovernanceRule.MEMBERSHIP, "a change of nodes begins or ends that no member asked for")
    _check_operators_change(before, writes, change, fail)


def _divided(
    before: View, writes: Writes, change: MembershipChange, window: tuple[int, int]
) -> tuple[MembershipChange, MembershipChange | None]:
    """Return what the entry may make of a change and leave of it, as at some time within the window."""
    left = read_change(before.over(writes))
    found = [
        divided(before, change, left.add if left is not None else (), time_ms)
        for time_ms in _lease_times(before, window)
    ]
    return next((one for one in found if one[1] == left), found[0])


def _lease_times(before: View, window: tuple[int, int]) -> list[int]:
    """Return the times within the window that differ in which leases have run out."""
    ends = {lease.until_ms for lease in read_leases(before).values()}
    return [*window, *(end for end in ends if window[0] <= end <= window[1])]


def _sends_away(before: View, writes: Writes, change: MembershipChange) -> bool:
    """Tell whether the entry forgets nodes that the change under way adds: then it takes it back."""
    return not read_nodes(before.over(writes)).keys() >= set(change.add)


def _leases(
    before: View, writes: Writes, change: MembershipChange, window: tuple[int, int], fail: Fail
) -> Writes:
    """Return the leases that begin with a change, from when the entry was made, and those it ends."""
    lease_s, leases = read_lease_policy(before).lease_s, read_leases(before.over(writes))
    leases_before = read_leases(before)
    granted = {leases[name].granted_ms for name in change.add if name in leases}
    if len(granted) > 1 or any(not window[0] <= time_ms <= window[1] for time_ms in granted):
        fail(GovernanceRule.TIME, f"leases are granted at {sorted(granted)} ms")
    if lease_s is not None and change.add and not granted:
        fail(GovernanceRule.MEMBERSHIP, "nodes are trusted, and get no lease, as the policy wants")
    first, last = (*granted, *granted) if granted else window
    expected: Writes = {}
    for name in change.remove:
        # What ran out while the entry may have been made is as the entry has it.
        until_ms = leases_before[name].until_ms if name in leases_before else 0
        unsure = first < until_ms <= last and name.encode() not in writes.get(maps.LEASES, {})
        merge(expected, departure_writes(before, [name], last if unsure else first))
    for time_ms in granted:
        merge(expected, lease_writes(change.add, lease_s, time_ms))
    return expected


def _is_quarantine(before: View, writes: Writes, window: tuple[int, int]) -> bool:
    """Tell whether the entry begins to remove whose lease ran out at some time within the window."""
    return any(quarantine_due(before, time_ms) == writes for time_ms in _lease_times(before, window))


def _is_lapse(before: View, writes: Writes, window: tuple[int, int]) -> bool:
    """Tell whether the entry takes renewals back that had taken too long at some time within the window."""
    times = [*window, *(end for end in lapses(before).values() if window[0] <= end <= window[1])]
    return any(lapsed_writes(before, time_ms) == writes for time_ms in times)


def _check_operators_change(
    before: View, writes: Writes, change: MembershipChange | None, fail: Fail
) -> None:
    rule = GovernanceRule.MEMBERSHIP
    begun = read_change(before.over(writes))
    if begun is None:
        if change is None:
            fail(rule, "a change is taken back, and none is under way")
        taken_back = change_writes(None)
        if change.add:
            merge(taken_back, dismissing_writes(before, change.add))
            merge(taken_back, want_epoch(ADDITION_CANCELLED))
        _require(writes, taken_back, rule, "taking a change back changes more, or less", fail)
        return
    if change is not None:
        fail(rule, "a change begins while another one is under way")
    if begun.requested_by not in read_operators(before):
        fail(rule, f"the change was asked for by {begun.requested_by[:16]}…, who is no operator")
    nodes = read_nodes(before)
    for names, status in ((begun.add, PENDING), (begun.remove, TRUSTED)):
        for name in names:
            found = nodes[name].status if name in nodes else "unknown"
            if found != status:
                fail(rule, f"the change names node {name[:16]}…, which is {found}, not {status}")
    refused = _forgotten(nodes, read_nodes(before.over(writes)))
    if any(nodes[name].status != PENDING or name in begun.add for name in refused):
        fail(rule, "a node is forgotten that is more than one that waits")
    expected = change_writes(begun)
    merge(expected, forgetting_writes(refused))
    _require(writes, expected, rule, "beginning a change changes more", fail)


# ── the end of nodes ─────────────────────────────────────────────────────────────────────────────


def _check_retired(
    before: View,
    writes: Writes,
    was: Mapping[NodeID, NodeRecord],
    now: Mapping[NodeID, NodeRecord],
    fail: Fail,
) -> None:
    """Judge that removals are called agreed."""
    rule = GovernanceRule.MEMBERSHIP
    changed = [node for name, node in now.items() if node != was[name]]
    for node in changed:
        old = was[node.node_id]
        if old.status != node.status:
            fail(
                rule,
                f"node {node.node_id[:16]}… goes from {old.status} to {node.status} without a change",
            )
        if (
            old.status != RETIRED
            or old.retired_committed
            or attrs.evolve(old, retired_committed=True) != node
        ):
            fail(
                rule, f"the record of node {node.node_id[:16]}… changes, and not by its removal being agreed"
            )
    gone = _forgotten(was, now)
    if any(not was[name].retired_committed for name in gone):
        fail(rule, "a node is forgotten whose removal is not agreed")
    expected = node_writes(changed)
    merge(expected, forgetting_writes(gone))
    _require(writes, expected, rule, "the end of nodes changes more", fail)


def _check_forgotten(
    before: View,
    writes: Writes,
    was: Mapping[NodeID, NodeRecord],
    now: Mapping[NodeID, NodeRecord],
    fail: Fail,
) -> None:
    """Judge that nodes which wait are refused: an operator may, of a service that nobody governs."""
    rule = GovernanceRule.MEMBERSHIP
    gone = _forgotten(was, now)
    change = read_change(before)
    learning = change.add if change is not None else ()
    if not gone or read_constitution(before) is not None:
        fail(rule, "nodes change, and nothing of the rules' has them change")
    if change is not None or any(was[name].status != PENDING or name in learning for name in gone):
        fail(rule, "a node is forgotten that is more than one that waits")
    _require(writes, forgetting_writes(gone), rule, "refusing nodes changes more", fail)


def _forgotten(was: Mapping[NodeID, NodeRecord], now: Mapping[NodeID, NodeRecord]) -> list[NodeID]:
    return [name for name in was if name not in now]


def _require(writes: Writes, expected: Writes, rule: GovernanceRule, reason: str, fail: Fail) -> None:
    found = difference(writes, expected)
    if found is not None:
        fail(rule, f"{reason} ({found})")


def difference(writes: Writes, expected: Writes) -> str | None:
    """Return the first map in which two write sets differ, and at which key; None for equal ones."""
    for name in sorted(writes.keys() | expected.keys()):
        one, other = writes.get(name, {}), expected.get(name, {})
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other or one[key] != other[key]:
                return f"{name} at {key.decode('ascii', 'replace')[:80]!r}"
    return None
