"""Members' requests executed once more: the same message over the same tables must write the same.

The ledger does not hold the path a message was posted to, which follows from the message; nor the moment
it was executed, to the millisecond. That lies between the times of the signatures around it, and what was
made in it tells it: a proposal, or leases. Else nothing depends on it but whether a certificate was valid.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.crypto import read_certificate
from coco_core.errors import AttestationError, MemberError
from coco_core.governance.audit_keys import AuditedKeys
from coco_core.governance.audit_nodes import difference
from coco_core.governance.audit_rules import Fail, GovernanceRule
from coco_core.governance.consortium import read_member
from coco_core.governance.leases import read_leases
from coco_core.governance.member_requests import Moment
from coco_core.governance.proposal_tables import read_proposal, state_digest
from coco_core.governance.proposals import Governance
from coco_core.governance.refusal import RefusedError
from coco_core.governance.runtime import Runtime
from coco_core.governance.signed_requests import (
    ACK,
    BALLOT,
    PROPOSAL,
    STATE_DIGEST,
    WITHDRAWAL,
    SignedRequest,
    read_signed_request,
)
from coco_core.kv import View, Writes, maps

_REQUEST: Final = frozenset(
    {
        "malformed",
        "not-a-member",
        "signature",
        "certificate-expired",
        "wrong-type",
        "wrong-proposal",
        "wrong-member",
        "not-found",
    }
)
_REPLAY: Final = frozenset({"replay", "too-old", "created-in-the-future"})
_EXPLANATIONS: Final = ("failure", "vote_failures")
"""What a record says about faults: texts, of which only whether they are there follows from the rules."""


@attrs.frozen
class AuditedRequest:
    """A request found to be executed as the rules say."""

    kind: str
    member_id: str


async def check_request(
    runtime: Runtime, before: View, writes: Writes, window: tuple[int, int], fail: Fail
) -> AuditedRequest:
    """Judge an entry that a member's request became, made within ``window`` (milliseconds from, and to)."""
    member_id, message = _message(writes, fail)
    try:
        request = read_signed_request(message)
    except MemberError as fault:
        fail(GovernanceRule.REQUEST, str(fault))
    if request.member_id != member_id:
        fail(GovernanceRule.REQUEST, f"the request is {request.member_id[:16]}…'s, not {member_id[:16]}…'s")
    path = _path(request)
    if path is None:
        fail(GovernanceRule.REQUEST, f"a {request.kind} of member {member_id[:16]}… changes nothing")
    keys = AuditedKeys(before, writes, window, fail)
    moment = Moment(
        view=before,
        time_ms=_time_ms(request, before, writes, window, fail),
        state_digest=lambda: state_digest(before),
        begin_epoch=keys.begin_epoch,
        renew=keys.renew,
    )
    governance = Governance(runtime, keys.deal)
    try:
        expected, _ = await governance.execute(path, message, moment)
    except RefusedError as refusal:
        fail(
            _rule(refusal.code),
            f"the {request.kind} of member {member_id[:16]}… is refused ({refusal.code}): {refusal}",
        )
    _compare(writes, expected, fail)
    return AuditedRequest(request.kind, member_id)


def _message(writes: Writes, fail: Fail) -> tuple[str, bytes]:
    """Return who asked, as the history has it, and for what."""
    history = writes[maps.COSE_HISTORY]
    if len(history) != 1:
        fail(GovernanceRule.ALONE, f"it holds requests of {len(history)} members")
    ((key, value),) = history.items()
    try:
        return key.decode(), base64.b64decode(orjson.loads(value or b"null"), validate=True)
    except (ValueError, TypeError, RecursionError, binascii.Error) as fault:
        fail(GovernanceRule.TABLES, f"{maps.COSE_HISTORY}: {fault}")


def _path(request: SignedRequest) -> str | None:
    """Return where such a message is posted; None when that changes nothing."""
    member, proposal = request.member_id, request.proposal_id
    return {
        PROPOSAL: "/gov/members/proposals:create",
        BALLOT: f"/gov/members/proposals/{proposal}/ballots/{member}:submit",
        WITHDRAWAL: f"/gov/members/proposals/{proposal}:withdraw",
        STATE_DIGEST: f"/gov/members/state-digests/{member}:update",
        ACK: f"/gov/members/state-digests/{member}:ack",
    }.get(request.kind)


def _time_ms(
    request: SignedRequest, before: View, writes: Writes, window: tuple[int, int], fail: Fail
) -> int:
    """Return when the request was executed; if that is not told, a moment that speaks for it."""
    first, last = window
    after = before.over(writes)
    told = [
        made.created_at_ms
        for name, content in writes.get(maps.PROPOSALS, {}).items()
        if content is not None and (made := read_proposal(after, name.decode("ascii", "replace"))) is not None
    ]
    told += [
        ended.decided_at_ms
        for name in writes.get(maps.PROPOSALS_INFO, {})
        if (ended := read_proposal(after, name.decode("ascii", "replace"))) is not None
        and ended.decided_at_ms is not None
    ]
    granted = writes.get(maps.LEASES, {})
    told += [one.granted_ms for name, one in read_leases(after).items() if granted.get(name.encode())]
    for time_ms in told:
        if not first <= time_ms <= last:
            fail(GovernanceRule.TIME, f"something in it is said to be made at {time_ms} ms")
        return time_ms
    member = read_member(before, request.member_id)
    if member is None:
        return last
    try:
        certificate = read_certificate(member.certificate)
    except AttestationError as fault:
        fail(GovernanceRule.TABLES, f"{maps.MEMBERS_CERTS}: {fault}")
    # Valid at some time within the window is all that can be asked for.
    end = int(certificate.not_after.timestamp() * 1000)
    return max(first, min(last, end))


def _rule(code: str) -> GovernanceRule:
    if code in _REQUEST:
        return GovernanceRule.REQUEST
    if code in _REPLAY:
        return GovernanceRule.REPLAY
    return GovernanceRule.CONSTITUTION if code.startswith("constitution-") else GovernanceRule.NOT_ALLOWED


def _compare(writes: Writes, expected: Writes, fail: Fail) -> None:
    """Fail for the first difference; that of a proposal's record says the most."""
    records, wanted = writes.get(maps.PROPOSALS_INFO, {}), expected.get(maps.PROPOSALS_INFO, {})
    for key in sorted(records.keys() | wanted.keys()):
        found, right = _record(records.get(key), fail), _record(wanted.get(key), fail)
        if found != right or (key in records) != (key in wanted):
            fields = sorted(
                name for name in found.keys() | right.keys() if found.get(name) != right.get(name)
            )
            fail(
                GovernanceRule.PROPOSAL,
                f"the record of proposal {key.decode('ascii', 'replace')[:16]}… says {found.get('state')}, "
                f"and by its ballots and the constitution it is {right.get('state')} ({', '.join(fields)})",
            )
    others = [
        {name: changes for name, changes in one.items() if name != maps.PROPOSALS_INFO and changes}
        for one in (writes, expected)
    ]
    found_in = difference(*others)
    if found_in is not None:
        fail(GovernanceRule.EFFECT, f"executed once more, the request writes something else: {found_in}")


def _record(value: bytes | None, fail: Fail) -> Mapping[str, Any]:
    """Return a proposal's record, explanations replaced by whether, or about whom, they are."""
    try:
        record = orjson.loads(value) if value is not None else {}
    except (ValueError, RecursionError) as fault:
        fail(GovernanceRule.TABLES, f"{maps.PROPOSALS_INFO}: {fault}")
    if not isinstance(record, dict):
        fail(GovernanceRule.TABLES, f"{maps.PROPOSALS_INFO}: no object")
    for name in _EXPLANATIONS:
        said = record.get(name)
        record[name] = sorted(said) if isinstance(said, dict) else said is not None
    return record
