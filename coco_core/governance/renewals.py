"""Leases renewed without a vote, where the consortium allows it: a fresh node comes for one that vouches.

The fresh node is judged as every joiner. What its voucher adds is that it comes in the place of a node that
is trusted, at once and with the same owner: there are never more nodes than members voted for. The laws:

* The policy allows it, and the lease that is renewed is in its second half: who runs a node has so many
  changes of members, and no more.
* Who comes in another's place by a vote does so by itself, too: the old node stays until then, or until its
  lease ends, and if members send the fresh one away.
* Renewals under way at one time wait for each other no longer than it takes them: the change of members is
  made without those whose fresh node has not caught up, and goes on with them. Nor do they, or the end of a
  node whose lease ran out, wait for nodes that members let in and that do not catch up.
* A renewal that does not come about in a quarter of the lease, or until its end, is taken back.
* Members' vote against the fresh node is one against this renewal: no voucher renews that lease any more, be
  it for the same node or another. A node can still be voted in.
* Where the fresh node is left out of the change, for whatever reason, the old one stays until its lease ends.
  Where members send the old one away, the fresh one goes with it.

A law of the tables alone, so that an auditor finds the same as the primary.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs

from coco_core.base import NodeID
from coco_core.crypto import SignatureError, read_certificate, service_id
from coco_core.errors import AttestationError
from coco_core.governance.admission import read_admission
from coco_core.governance.consortium import ACTIVE, read_member, read_service_info
from coco_core.governance.epochs import ADDITION_CANCELLED, want_epoch
from coco_core.governance.json_values import read_json
from coco_core.governance.leases import (
    VOUCHED,
    Lease,
    overdue,
    read_lease_policy,
    read_leases,
    refused_renewal_writes,
)
from coco_core.governance.membership import (
    TRUSTED,
    MembershipChange,
    NodeRecord,
    change_writes,
    dismissing_writes,
    read_change,
    read_nodes,
)
from coco_core.governance.refusal import RefusedError
from coco_core.governance.vouchers import Voucher
from coco_core.kv import View, Writes, maps, merge

RENEWAL: Final = "a node's lease is renewed"
"""Who asks for a change of members that renews a lease."""
RENEWABLE_SHARE: Final = 1 / 2
"""Of a lease that must be over before it may be renewed."""
RENEWAL_SHARE: Final = 1 / 4
"""Of a lease that renewing it may take."""


@attrs.frozen(kw_only=True)
class Renewal:
    """One under way."""

    replaces: NodeID
    begun_ms: int


# ── beginning one ────────────────────────────────────────────────────────────────────────────────


def renewal_writes(view: View, fresh: NodeID, voucher: Voucher, time_ms: int) -> Writes:
    """Return the writes that begin to put ``fresh`` in the place of who vouches for it.

    Raises RefusedError: ``lease`` for one that has run out, or has just begun; ``voucher`` for whatever else.
    """
    if read_lease_policy(view).renewal != VOUCHED:
        raise RefusedError("voucher", "members vote for every node that comes in the place of another")
    old = read_nodes(view).get(voucher.replaces)
    if old is None or old.status != TRUSTED:
        status = "unknown" if old is None else old.status
        raise RefusedError("voucher", f"node {voucher.replaces[:64]} is {status}: its word does not count")
    change = read_change(view) or MembershipChange((), (), RENEWAL)
    if old.node_id in change.remove:
        raise RefusedError("voucher", f"node {old.node_id} is being replaced or removed already")
    _check_signature(voucher, old, fresh, str(read_service_info(view)["cert"]))
    _check_lease(read_leases(view).get(old.node_id), time_ms)
    change = change.of((*change.add, fresh), (*change.remove, old.node_id))
    writes = change_writes(change)
    merge(writes, _owner_writes(view, old.node_id, fresh))
    return writes


def _check_signature(voucher: Voucher, old: NodeRecord, fresh: NodeID, service_certificate: str) -> None:
    try:
        key = read_certificate(old.certificate).public_key
        voucher.check(key, service_id(service_certificate), fresh)
    except (AttestationError, SignatureError) as error:
        raise RefusedError("voucher", f"node {old.node_id} gave no such voucher: {error}") from error


def _check_lease(lease: Lease | None, time_ms: int) -> None:
    if lease is None:
        raise RefusedError("lease", "who vouches for the node has no lease that could be renewed")
    if time_ms >= lease.until_ms:
        raise RefusedError("lease", "the lease of who vouches for the node has run out")
    if lease.renewal_refused:
        raise RefusedError("voucher", "members sent away who came to renew this lease: they vote who comes")
    if time_ms < lease.after_ms(RENEWABLE_SHARE):
        raise RefusedError("lease", "the lease of who vouches for the node is in its first half still")


def _owner_writes(view: View, old: NodeID, fresh: NodeID) -> Writes:
    """Return the write that hands the old node's owner on, an active member; raises RefusedError."""
    record = read_json(view, maps.NODE_OWNERS, old.encode())
    if record is None:
        return {}
    if record["member_id"] is not None:
        member = read_member(view, record["member_id"])
        if member is None or member.status != ACTIVE:
            raise RefusedError("voucher", f"the owner of node {old} is no active member any more")
    return {maps.NODE_OWNERS: {fresh.encode(): view.get(maps.NODE_OWNERS, old.encode())}}


# ── one under way ────────────────────────────────────────────────────────────────────────────────


def read_renewals(view: View) -> dict[NodeID, Renewal]:
    """Return the renewals under way, by the fresh node; raises IntegrityError for malformed tables."""
    change = read_change(view)
    found: dict[NodeID, Renewal] = {}
    for name in change.add if change is not None else ():
        record = read_admission(view, name)
        if change is None or record is None or record.voucher is None:
            continue
        if record.voucher.replaces in change.remove:
            found[name] = Renewal(replaces=record.voucher.replaces, begun_ms=record.judged_at_ms)
    return found


def sent_away_writes(view: View, names: Collection[NodeID]) -> Writes:
    """Return the writes that refuse the renewals for which any of ``names`` has come."""
    olds = [one.replaces for fresh, one in read_renewals(view).items() if fresh in names]
    return refused_renewal_writes(view, olds)


def replacements(view: View, change: MembershipChange) -> dict[NodeID, NodeID]:
    """Return who comes in whose place by the change under way, by a voucher or by a vote."""
    renewals = {fresh: one.replaces for fresh, one in read_renewals(view).items()}
    return dict(change.replaces) | renewals


def left_out(view: View, change: MembershipChange, names: Collection[NodeID]) -> MembershipChange:
    """Return the change under way without ``names``, which it adds; whom they were to replace stays."""
    stays = {old for fresh, old in replacements(view, change).items() if fresh in names}
    return change.of(
        (name for name in change.add if name not in names),
        (name for name in change.remove if name not in stays),
    )


def divided(
    view: View, change: MembershipChange, slow: Collection[NodeID], time_ms: int
) -> tuple[MembershipChange, MembershipChange | None]:
    """Return the part of a change that is made while ``slow`` have not caught up, and the rest, if any.

    Replacements by ``slow`` are left, of renewals and of votes. For others all that members decided waits,
    but neither other replacements nor the end of nodes whose lease has run out at ``time_ms``.
    """
    pairs = replacements(view, change)
    waits = any(name in slow and name not in pairs for name in change.add)
    later = {name for name in change.add if (waits if name not in pairs else name in slow)}
    if not later:
        return change, None
    add = tuple(name for name in change.add if name not in later)
    late = set(overdue(view, time_ms))
    trusted = {name for name, node in read_nodes(view).items() if node.status == TRUSTED}
    ends = late if add or trusted - set(change.remove) - late else set()
    # Renewals are taken back when a lease ends (see ``lapsed_writes``); what was voted for is not.
    voted = ends - {one.replaces for one in read_renewals(view).values()}
    goes = set(change.remove) - ({pairs[name] for name in later if name in pairs} - voted)
    if waits:
        goes = {pairs[name] for name in add} | (goes & ends)
        if not goes:
            return change, None
    return (
        change.of(add, (name for name in change.remove if name in goes)),
        change.of(
            (name for name in change.add if name in later),
            (name for name in change.remove if name not in goes),
        ),
    )


def lapses(view: View) -> dict[NodeID, int]:
    """Return when each renewal under way is taken back (Unix milliseconds), by the fresh node."""
    renewals = read_renewals(view)
    leases = read_leases(view) if renewals else {}
    return {fresh: _lapse_ms(renewal, leases.get(renewal.replaces)) for fresh, renewal in renewals.items()}


def lapsed_writes(view: View, time_ms: int) -> Writes | None:
    """Return the writes that take renewals back which took too long; None when there are none."""
    change = read_change(view)
    late = [fresh for fresh, end_ms in lapses(view).items() if end_ms <= time_ms]
    if change is None or not late:
        return None
    rest = left_out(view, change, late)
    writes = change_writes(rest if rest.add or rest.remove else None)
    merge(writes, dismissing_writes(view, late))
    merge(writes, want_epoch(ADDITION_CANCELLED))
    return writes


def _lapse_ms(renewal: Renewal, lease: Lease | None) -> int:
    if lease is None:
        return renewal.begun_ms
    share_ms = lease.after_ms(RENEWAL_SHARE) - lease.granted_ms
    return min(renewal.begun_ms + share_ms, lease.until_ms)
