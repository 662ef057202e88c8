"""What members ask for, before it is signed: where it is posted, its kind and its payload.

The other side of ``member_requests``, for whoever speaks for a member. Knows no keys, tables or sockets.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.governance.runtime import JSON
from coco_core.governance.signed_requests import (
    ACK,
    BALLOT,
    PROPOSAL,
    RECOVERY_SHARE,
    STATE_DIGEST,
    WITHDRAWAL,
)

_MEMBERS: Final = "/gov/members"


@attrs.frozen(kw_only=True)
class MemberMessage:
    """One request of a member, not signed yet."""

    kind: str
    path: str
    """Where it is posted."""
    payload: bytes = attrs.field(repr=False)
    proposal_id: str | None = None

    @classmethod
    def proposal(cls, actions: Sequence[Mapping[str, Any]]) -> MemberMessage:
        """Propose ``actions``, each ``{"name", "args"}``."""
        return cls.proposal_of(json.dumps({"actions": list(actions)}).encode())

    @classmethod
    def proposal_of(cls, content: bytes) -> MemberMessage:
        """Propose what ``content`` says, JSON ``{"actions": […]}``."""
        return cls(kind=PROPOSAL, path=f"{_MEMBERS}/proposals:create", payload=content)

    @classmethod
    def ballot(cls, member_id: str, proposal_id: str, ballot: bool | str) -> MemberMessage:
        """Vote yes or no, or by a Starlark text that defines ``vote(proposal, proposer)``."""
        said: JSON = {"vote": ballot} if isinstance(ballot, bool) else {"ballot": ballot}
        return cls(
            kind=BALLOT,
            path=f"{_MEMBERS}/proposals/{proposal_id}/ballots/{member_id}:submit",
            payload=json.dumps(said).encode(),
            proposal_id=proposal_id,
        )

    @classmethod
    def withdrawal(cls, proposal_id: str) -> MemberMessage:
        """Take one's own proposal back."""
        path = f"{_MEMBERS}/proposals/{proposal_id}:withdraw"
        return cls(kind=WITHDRAWAL, path=path, payload=b"", proposal_id=proposal_id)

    @classmethod
    def state_digest(cls, member_id: str) -> MemberMessage:
        """Ask for the digest of the state as of now, to acknowledge it."""
        path = f"{_MEMBERS}/state-digests/{member_id}:update"
        return cls(kind=STATE_DIGEST, path=path, payload=b"")

    @classmethod
    def acknowledgement(cls, member_id: str, state_digest: str) -> MemberMessage:
        """Acknowledge the state whose digest was asked for."""
        payload = json.dumps({"state_digest": state_digest}).encode()
        return cls(kind=ACK, path=f"{_MEMBERS}/state-digests/{member_id}:ack", payload=payload)

    @classmethod
    def recovery_share(cls, member_id: str, share: bytes, service_identity: str) -> MemberMessage:
        """Give a recovery share to the service whose new key has this SHA-256."""
        said = {"share": base64.b64encode(share).decode(), "service_identity": service_identity}
        path = f"/gov/recovery/members/{member_id}:recover"
        return cls(kind=RECOVERY_SHARE, path=path, payload=json.dumps(said).encode())
