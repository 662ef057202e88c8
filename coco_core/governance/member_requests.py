"""Which requests of members are acceptable: by whom, for what, and made once.

Every fault is a RefusedError with a code that stays the same. Knows messages and tables; must not know
what a constitution is or what a proposal does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.base import limits, utc
from coco_core.crypto import read_certificate, service_id
from coco_core.errors import MemberError
from coco_core.governance.consortium import ACTIVE, Member, check_valid, read_member, read_service_info
from coco_core.governance.decision import BeginEpoch
from coco_core.governance.proposal_tables import PROPOSED, Proposal, read_proposal
from coco_core.governance.refusal import RefusedError
from coco_core.governance.runtime import JSON
from coco_core.governance.signed_requests import (
    ACK,
    BALLOT,
    PROPOSAL,
    RECOVERY_SHARE,
    STATE_DIGEST,
    WITHDRAWAL,
    SignedRequest,
    check_signature,
    read_signed_request,
)
from coco_core.governance.validity import Renew
from coco_core.kv import View, Writes, maps

RENEW_MEMBER: Final = "renew_member_certificate"
"""The action that has a member go on under another certificate over the same key."""

_PATHS: Final = [
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"/gov/members/proposals:create", PROPOSAL),
        (r"/gov/members/proposals/(?P<proposal>[0-9a-f]{64}):withdraw", WITHDRAWAL),
        (
            r"/gov/members/proposals/(?P<proposal>[0-9a-f]{64})/ballots/(?P<member>[0-9a-f]{64}):submit",
            BALLOT,
        ),
        (r"/gov/members/state-digests/(?P<member>[0-9a-f]{64}):update", STATE_DIGEST),
        (r"/gov/members/state-digests/(?P<member>[0-9a-f]{64}):ack", ACK),
    )
]


@attrs.frozen(kw_only=True)
class Moment:
    """When and over what a request is executed."""

    view: View
    time_ms: int
    state_digest: Callable[[], str]
    """Returns the digest of the state as of now, in hex: what a member acknowledges."""
    begin_epoch: BeginEpoch
    renew: Renew


@attrs.frozen(kw_only=True)
class Signed:
    """A request of a member, found to be that member's."""

    request: SignedRequest
    member: Member
    moment: Moment
    raw: bytes

    @property
    def view(self) -> View:
        """The tables as the request finds them."""
        return self.moment.view


# ── what a request must be ───────────────────────────────────────────────────────────────────────


def match_path(path: str) -> tuple[str, Mapping[str, str]]:
    """Return the kind of message posted to a path, and the names in it; raises RefusedError."""
    for pattern, kind in _PATHS:
        found = pattern.fullmatch(path)
        if found is not None:
            return kind, found.groupdict()
    raise RefusedError("not-found", f"nothing is posted to {path[:200]!r}")


def open_request(message: bytes, kind: str, names: Mapping[str, str], moment: Moment) -> Signed:
    """Return the request if a member of now signed it for exactly this; raises RefusedError."""
    try:
        request = read_signed_request(message)
    except MemberError as error:
        raise RefusedError("malformed", str(error)) from error
    member = read_member(moment.view, request.member_id)
    if member is None:
        raise RefusedError("not-a-member", f"{request.member_id} is no member of this consortium")
    try:
        check_signature(request, member.certificate)
    except MemberError as error:
        raise RefusedError("signature", str(error)) from error
    at = utc(moment.time_ms)
    try:
        check_valid(read_certificate(member.certificate), at)
    except MemberError as error:
        if not _outlives_certificate(request, kind, member, moment.view):
            raise RefusedError(
                "certificate-expired", f"{error}; {RENEW_MEMBER} is what it may vote for still"
            ) from error
    if request.kind != kind:
        raise RefusedError("wrong-type", f"the message is a {request.kind}, and a {kind} belongs here")
    if request.service is not None and kind != RECOVERY_SHARE:
        here = service_id(str(read_service_info(moment.view)["cert"]))
        if request.service != here:
            raise RefusedError("wrong-service", "the message was signed for another service")
    if names.get("proposal") != request.proposal_id:
        raise RefusedError(
            "wrong-proposal", "the message was signed for another proposal than the path names"
        )
    if names.get("member", request.member_id) != request.member_id:
        raise RefusedError("wrong-member", "the path names another member than the one who signed")
    return Signed(request=request, member=member, moment=moment, raw=message)


def _outlives_certificate(request: SignedRequest, kind: str, member: Member, view: View) -> bool:
    """Tell whether an active member may ask for this though its certificate has run out.

    What renews members' certificates and nothing else, and its share in a recovery: a consortium that forgot
    a date must be able to go on. That it is the member, its key shows.
    """
    if member.status != ACTIVE or kind not in (PROPOSAL, BALLOT, RECOVERY_SHARE):
        return False
    if kind == RECOVERY_SHARE:
        return True
    payload = request.payload
    if kind == BALLOT:
        payload = view.get(maps.PROPOSALS, (request.proposal_id or "").encode(errors="replace")) or b""
    try:
        match read_content(payload):
            case {"actions": list(actions)}:
                return bool(actions) and all(one["name"] == RENEW_MEMBER for one in actions)
    except RefusedError:
        pass
    return False


def require_active(signed: Signed) -> None:
    """Refuse a member that has not acknowledged the state yet."""
    if signed.member.status != ACTIVE:
        raise RefusedError("not-active", "the member has not acknowledged the state of the service yet")


def refuse_ahead(request: SignedRequest, time_ms: int) -> None:
    """Refuse a request that says it was made later than that Unix time, by more than clocks may differ."""
    if request.created_at_s * 1000 > time_ms + limits.CREATED_AHEAD_MAX_S * 1000:
        raise RefusedError("created-in-the-future", "the request says it was made later than now")


def remembered(signed: Signed) -> Writes:
    """Return the writes that remember a proposal's request; refuse one that was seen, or may have been."""
    created, digest = signed.request.created_at_s, signed.request.digest
    refuse_ahead(signed.request, signed.moment.time_ms)
    recent = {key.decode(): key for key, _ in signed.view.items(maps.COSE_RECENT_PROPOSALS)}
    times = sorted(int(one.partition(":")[0]) for one in recent)
    name = f"{created:016d}:{digest}"
    if name in recent:
        raise RefusedError("replay", "this very request was made before")
    if len(times) >= limits.RECENT_PROPOSALS_MAX and created <= times[len(times) // 2]:
        raise RefusedError("too-old", "the request is older than half of the newest proposals: sign it anew")
    changes: dict[bytes, bytes | None] = {name.encode(): digest.encode()}
    for one in sorted(recent)[: max(0, len(recent) + 1 - limits.RECENT_PROPOSALS_MAX)]:
        changes[one.encode()] = None
    return {maps.COSE_RECENT_PROPOSALS: changes}


def open_proposal(signed: Signed) -> Proposal:
    """Return the proposal the request is about while it can be voted on; raises RefusedError."""
    proposal = read_proposal(signed.view, signed.request.proposal_id or "")
    if proposal is None:
        raise RefusedError("not-found", "there is no such proposal")
    if proposal.state != PROPOSED:
        raise RefusedError("not-open", f"the proposal is {proposal.state}")
    return proposal


def read_content(payload: bytes) -> JSON:
    """Return a proposal's content, each action with arguments; raises RefusedError."""
    match read_object(payload):
        case {"actions": list(actions), **rest} if not rest and len(actions) <= limits.PROPOSAL_ACTIONS_MAX:
            for action in actions:
                match action:
                    case {"name": str(), **more} if more.keys() <= {"args"}:
                        action.setdefault("args", {})
                        if action["args"] is None:
                            action["args"] = {}
                    case _:
                        raise RefusedError("malformed", 'an action is {"name": …, "args": {…}}')
            return {"actions": actions}
    raise RefusedError(
        "malformed", f'a proposal is {{"actions": […]}}, at most {limits.PROPOSAL_ACTIONS_MAX} of them'
    )


def read_ballot(payload: bytes) -> Mapping[str, JSON]:
    """Return a ballot: ``{vote}`` or ``{ballot}``; raises RefusedError."""
    match read_object(payload):
        case {"ballot": str(text), **rest} if not rest:
            return {"ballot": text}
        case {"vote": bool(vote), **rest} if not rest:
            return {"vote": vote}
    raise RefusedError("malformed", 'a ballot is {"vote": true or false} or {"ballot": "a Starlark text"}')


def read_object(payload: bytes) -> dict[str, Any]:
    """Return a payload that is a JSON object; raises RefusedError."""
    try:
        value = orjson.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RefusedError("malformed", f"the payload is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RefusedError("malformed", "the payload is no JSON object")
    return value
