"""Proposals as the tables hold them, and what a constitution sees of the service. Knows no requests."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
import orjson

from coco_core.base import limits
from coco_core.crypto import sha256
from coco_core.errors import IntegrityError
from coco_core.governance.consortium import read_config, read_service_info
from coco_core.governance.membership import RETIRED, read_nodes
from coco_core.governance.runtime import JSON
from coco_core.kv import View, Writes, maps
from coco_core.wire import cbor

_PASSING = frozenset(
    {
        maps.COSE_HISTORY,
        maps.COSE_RECENT_PROPOSALS,
        maps.LEDGER_SECRETS,
        maps.MEMBERS_ACKS,
        maps.REKEY_WANTED,
    }
)

PROPOSED, DECIDED, REJECTED = "Open", "Accepted", "Rejected"
WITHDRAWN, FAILED, DROPPED = "Withdrawn", "Failed", "Dropped"


@attrs.frozen(kw_only=True)
class Proposal:
    """One proposal as the tables hold it."""

    proposal_id: str
    proposer_id: str
    state: str
    ballots: Mapping[str, JSON]
    """Member ID to its ballot: ``{"vote": bool}`` or ``{"ballot": Starlark text}``."""
    created_at_ms: int
    decided_at_ms: int | None = None
    """When it ended, however it did; None while it is open."""
    final_votes: Mapping[str, bool] | None = None
    vote_failures: Mapping[str, str] | None = None
    failure: str | None = None

    def to_json(self) -> dict[str, JSON]:
        """Return what the API says of it."""
        return {
            "proposalId": self.proposal_id,
            "proposerId": self.proposer_id,
            "proposalState": self.state,
            "ballotCount": len(self.ballots),
            "finalVotes": self.final_votes,
            "voteFailures": self.vote_failures,
            "failure": self.failure,
        }


def read_proposals(view: View) -> dict[str, Proposal]:
    """Return every proposal by its ID; raises IntegrityError for malformed tables."""
    return {key.decode(): _read(key, value) for key, value in view.items(maps.PROPOSALS_INFO)}


def read_proposal(view: View, proposal_id: str) -> Proposal | None:
    """Return one proposal; raises IntegrityError for malformed tables."""
    key = proposal_id.encode(errors="replace")
    value = view.get(maps.PROPOSALS_INFO, key)
    return None if value is None else _read(key, value)


def _read(key: bytes, value: bytes) -> Proposal:
    try:
        info = orjson.loads(value)
        return Proposal(proposal_id=key.decode(), **info)
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{maps.PROPOSALS_INFO}: {error}") from error


def proposal_writes(proposal: Proposal) -> Writes:
    """Return the write of a proposal as it stands."""
    info = attrs.asdict(proposal, recurse=False)
    del info["proposal_id"]
    return {maps.PROPOSALS_INFO: {proposal.proposal_id.encode(): json.dumps(info).encode()}}


def forgotten_proposals(view: View) -> Writes:
    """Return the writes that take the oldest ended proposals, beyond the bound, out of the tables.

    The entries that made and ended them stay in the ledger.
    """
    ended = sorted(
        (one.decided_at_ms or one.created_at_ms, one.proposal_id)
        for one in read_proposals(view).values()
        if one.state != PROPOSED
    )
    surplus = ended[: max(0, len(ended) - limits.ENDED_PROPOSALS_KEPT_MAX)]
    gone: dict[bytes, bytes | None] = {name.encode(): None for _, name in surplus}
    return {maps.PROPOSALS: dict(gone), maps.PROPOSALS_INFO: gone} if gone else {}


def state_digest(view: View) -> str:
    """Return SHA-256 over everything that governs the service, in hex: what a member acknowledges.

    Over the canonical CBOR of each map's name, keys and values, in order. What members only asked for or
    signed lately is not part of it.
    """
    tables = [[name, list(view.items(name))] for name in sorted(maps.GOVERNANCE - _PASSING)]
    return sha256(cbor.encode(tables)).hex()


def service_state(view: View, proposal_id: str) -> JSON:
    """Return what a constitution sees of the service as its global ``service``."""
    owners = {key.decode(): orjson.loads(value) for key, value in view.items(maps.NODE_OWNERS)}
    nodes: dict[str, JSON] = {
        node.node_id: {
            "status": node.status,
            "owner": owners.get(node.node_id, {}).get("member_id"),
            "node_data": None if node.status == RETIRED else owners.get(node.node_id, {}).get("node_data"),
            "measurement": node.measurement,
            "platform": node.evidence.format,
        }
        for node in read_nodes(view).values()
    }
    code: list[JSON] = [key.decode().partition(":")[2] for key, _ in view.items(maps.CODE_MEASUREMENTS)]
    return {
        "nodes": nodes,
        "code": code,
        "status": str(read_service_info(view)["status"]),
        "recovery_threshold": read_config(view).recovery_threshold,
        "proposal_id": proposal_id,
    }
