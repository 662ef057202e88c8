"""The governance interface: members post what they signed, anybody reads what governs the service.

Paths, messages and names are those of CCF's governance API (``?api-version=2024-07-01``), so that its
tools serve here, too. They are on the administrative interface, apart from the ledgers' own.

=====================================================  ============================================
POST /gov/members/proposals:create                      a signed proposal
POST /gov/members/proposals/{id}:withdraw               its proposer takes it back
POST /gov/members/proposals/{id}/ballots/{m}:submit     member ``m`` votes
POST /gov/members/state-digests/{m}:update and :ack     a member asks what to acknowledge, and does
GET  /gov/members/proposals[/{id}[/actions]]            and ``/{id}/ballots/{m}``
GET  /gov/members/state-digests/{m}
GET  /gov/recovery/encrypted-shares/{m}                 the member's recovery share
GET  /gov/recovery/state                                the tables of shares and epochs, as they are
GET  /gov/service/info, constitution, members[/{m}], users[/{u}], nodes[/{n}], join-policy, jwk
=====================================================  ============================================

Transport only: what is acceptable is decided by ``coco_core.governance`` when it is executed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from coco_core.adapter import ANONYMOUS, Committed, HTTPRequest, HTTPResponse, PendingResponse, Rejected
from coco_core.errors import CallerError
from coco_core.governance import (
    ADMINISTRATION,
    governance_payload,
    read_config,
    read_consortium,
    read_constitution,
    read_nodes,
    read_participants,
    read_proposal,
    read_proposals,
    read_recovery,
    read_service_info,
    service_endorsements,
)
from coco_core.kv import View, maps
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets

PREFIX: Final = "/gov/"
_VERSIONS: Final = frozenset({"2024-07-01", "latest"})
_STATUSES: Final = {
    "malformed": 400,
    "invalid-proposal": 400,
    "wrong-type": 400,
    "wrong-proposal": 400,
    "wrong-member": 400,
    "not-a-member": 401,
    "signature": 401,
    "certificate-expired": 401,
    "not-active": 403,
    "not-proposer": 403,
    "other-service-identity": 403,
    "wrong-share": 403,
    "not-found": 404,
    "too-many-proposals": 503,
}
"""HTTP status by code; what is left contradicts the present state."""
_ID = r"(?P<id>[0-9a-f]{64})"
_COSE: Final = "application/cose"


class GovernanceRoutes:
    """Answers members, and whoever wants to know how the service is governed."""

    def __init__(self, driver: Driver, tickets: Tickets) -> None:
        """Read from and submit to ``driver``'s replica."""
        self._driver = driver
        self._tickets = tickets

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer one request whose path begins with PREFIX (see adapter.HTTPHandler)."""
        url = urlsplit(request.target)
        refusal = check_request(request)
        if refusal is not None:
            return refusal
        if request.method == "POST":
            return self._post(url.path, request)
        return read_governance(self._driver.replica.chain.store.view(), url.path)

    def _post(self, path: str, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        try:
            payload = governance_payload(path, request.body)
            submission = self._tickets.submit(self._driver, ADMINISTRATION, [payload], ANONYMOUS)
        except CallerError as error:
            return refused(503 if "queue" in str(error) else 400, "InvalidInput", str(error))

        async def answer() -> HTTPResponse:
            (fate,) = await submission.wait()
            match fate:
                case Committed():
                    headers = {"x-ms-ccf-transaction-id": str(fate.txid)}
                    return HTTPResponse(body=fate.receipt, headers=headers)
                case Rejected():
                    return refused(status_of(fate.code), fate.code, fate.message)
            return refused(503, "not-known", f"not known yet, ask for the proposal: {fate.reason}")

        return answer


def check_request(request: HTTPRequest) -> HTTPResponse | None:
    """Return the refusal of a request whose version, verb or content type is none of this interface."""
    version = parse_qs(urlsplit(request.target).query).get("api-version", ["latest"])[-1]
    if version not in _VERSIONS:
        return refused(400, "UnsupportedApiVersion", f"the versions are {', '.join(sorted(_VERSIONS))}")
    if request.method not in ("GET", "POST"):
        return refused(405, "UnsupportedHttpVerb", f"{request.method} is not offered here")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and content_type != _COSE:
        return refused(415, "InvalidHeaderValue", f"a signed request has content type {_COSE}")
    return None


def read_governance(view: View, path: str) -> HTTPResponse:
    """Answer what is read at ``path`` of the tables."""
    for pattern, reading in _READINGS:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        value = reading(view, found.groupdict())
        if value is None:
            return refused(404, "ResourceNotFound", f"there is nothing at {path[:200]}")
        return value if isinstance(value, HTTPResponse) else _json(value)
    return refused(404, "ResourceNotFound", "there is no such path")


# ── readings ─────────────────────────────────────────────────────────────────────────────────────


def _info(view: View, _names: Mapping[str, str]) -> Any:
    info = read_service_info(view)
    return {
        "status": info["status"],
        "certificate": info["cert"],
        "previousCertificate": info.get("previous_service_identity"),
        "recoveryCount": info.get("recovery_count", 0),
        "endorsements": service_endorsements(view),
        "configuration": {"recoveryThreshold": read_config(view).recovery_threshold},
    }


def _constitution(view: View, _names: Mapping[str, str]) -> Any:
    text = read_constitution(view)
    if text is None:
        return None
    return HTTPResponse(body=text.encode(), content_type="text/plain; charset=utf-8")


def _members(view: View, _names: Mapping[str, str]) -> Any:
    return {"value": [_member(view, {"id": name}) for name in read_consortium(view)]}


def _member(view: View, names: Mapping[str, str]) -> Any:
    member = read_consortium(view).get(names["id"])
    if member is None:
        return None
    return {
        "memberId": names["id"],
        "status": member.status,
        "certificate": member.certificate,
        "memberData": member.data,
        "publicEncryptionKey": member.encryption_key,
    }


def _users(view: View, _names: Mapping[str, str]) -> Any:
    return {"value": [_user(view, {"id": name}) for name in read_participants(view)]}


def _user(view: View, names: Mapping[str, str]) -> Any:
    user = read_participants(view).get(names["id"])
    if user is None:
        return None
    return {"userId": names["id"], "certificate": user.certificate, "userData": user.data}


def _nodes(view: View, _names: Mapping[str, str]) -> Any:
    return {"value": [_node(view, {"id": name}) for name in read_nodes(view)]}


def _node(view: View, names: Mapping[str, str]) -> Any:
    node = next((one for one in read_nodes(view).values() if one.node_id == names["id"]), None)
    if node is None:
        return None
    owner = view.get(maps.NODE_OWNERS, names["id"].encode())
    return {
        "nodeId": node.node_id,
        "status": node.status,
        "retiredCommitted": node.retired_committed,
        "certificate": node.certificate,
        "nodeData": None if owner is None else json.loads(owner),
        "quoteInfo": {"format": node.evidence.format, "measurement": node.measurement},
    }


def _join_policy(view: View, _names: Mapping[str, str]) -> Any:
    return {
        "measurements": [key.decode() for key, _ in view.items(maps.CODE_MEASUREMENTS)],
        "platforms": {key.decode(): json.loads(value) for key, value in view.items(maps.PLATFORMS)},
    }


def _jwk(view: View, _names: Mapping[str, str]) -> Any:
    return {
        "issuers": [key.decode() for key, _ in view.items(maps.JWT_ISSUERS)],
        "keys": {key.decode(): json.loads(value) for key, value in view.items(maps.JWT_KEYS)},
    }


def _proposals(view: View, _names: Mapping[str, str]) -> Any:
    return {"value": [proposal.to_json() for proposal in read_proposals(view).values()]}


def _proposal(view: View, names: Mapping[str, str]) -> Any:
    proposal = read_proposal(view, names["id"])
    return None if proposal is None else proposal.to_json()


def _actions(view: View, names: Mapping[str, str]) -> Any:
    content = view.get(maps.PROPOSALS, names["id"].encode())
    return None if content is None else HTTPResponse(body=content)


def _ballot(view: View, names: Mapping[str, str]) -> Any:
    proposal = read_proposal(view, names["id"])
    return None if proposal is None else proposal.ballots.get(names["member"])


def _digest(view: View, names: Mapping[str, str]) -> Any:
    value = view.get(maps.MEMBERS_ACKS, names["id"].encode())
    return (
        None if value is None else {"memberId": names["id"], "stateDigest": json.loads(value)["state_digest"]}
    )


def _share(view: View, names: Mapping[str, str]) -> Any:
    recovery = read_recovery(view)
    share = None if recovery is None else recovery.members.get(names["id"])
    if share is None:
        return None
    encrypted = base64.b64encode(share.encrypted_share).decode()
    return {"memberId": names["id"], "encryptedShare": encrypted}


def _recovery(view: View, _names: Mapping[str, str]) -> Any:
    return {
        name: {key.hex(): value.decode() for key, value in view.items(name)}
        for name in (maps.RECOVERY, maps.EPOCHS)
    }


def _json(value: Any, status: int = 200) -> HTTPResponse:
    return HTTPResponse(status=status, body=json.dumps(value).encode())


def refused(status: int, code: str, message: str) -> HTTPResponse:
    """Return the answer to what is refused, with a code that stays the same."""
    return _json({"error": {"code": code, "message": message}}, status)


def status_of(code: str) -> int:
    """Return the HTTP status for a code of the rules."""
    return _STATUSES.get(code, 409)


_READINGS: Final[Sequence[tuple[re.Pattern[str], Callable[[View, Mapping[str, str]], Any]]]] = [
    (re.compile(pattern), reading)
    for pattern, reading in (
        ("/gov/service/info", _info),
        ("/gov/service/constitution", _constitution),
        ("/gov/service/members", _members),
        (f"/gov/service/members/{_ID}", _member),
        ("/gov/service/users", _users),
        (f"/gov/service/users/{_ID}", _user),
        ("/gov/service/nodes", _nodes),
        (f"/gov/service/nodes/{_ID}", _node),
        ("/gov/service/join-policy", _join_policy),
        ("/gov/service/jwk", _jwk),
        ("/gov/members/proposals", _proposals),
        (f"/gov/members/proposals/{_ID}", _proposal),
        (f"/gov/members/proposals/{_ID}/actions", _actions),
        (f"/gov/members/proposals/{_ID}/ballots/(?P<member>[0-9a-f]{{64}})", _ballot),
        (f"/gov/members/state-digests/{_ID}", _digest),
        (f"/gov/recovery/encrypted-shares/{_ID}", _share),
        ("/gov/recovery/state", _recovery),
    )
]
