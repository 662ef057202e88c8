"""Administrative transactions: requests about the service itself, in the same order as every other.

They are submitted like a ledger's, to the reserved name ``coco``, travel to the primary, and are executed
there like a ledger's batch, on the core's own maps. A payload is JSON with one member::

    {"join": {…}}                            a node asks to join, see ``joins``
    {"change": {"add": [...], "remove": [...]}}    an operator changes the members, all at once
    {"cancel": true}                         an operator takes the change under way back
    {"gov": {"path": …, "message": base64}}  a member's signed request, see ``proposals``

Who may ask for what is decided here, from the tables and from who the shell says is asking. What
a change waits for, and when it is made, is ``upkeep``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.adapter import Applied, Batch, BatchResult, Deferred, Outcome, Rejected, Request
from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey
from coco_core.governance.admission import Admission
from coco_core.governance.consortium import read_constitution
from coco_core.governance.decision import dealing_of
from coco_core.governance.epochs import ADDITION_CANCELLED, begin_epoch, want_epoch
from coco_core.governance.joins import join_writes
from coco_core.governance.member_requests import Moment
from coco_core.governance.membership import (
    PENDING,
    TRUSTED,
    MembershipChange,
    change_writes,
    dismissing_writes,
    forgetting_writes,
    read_change,
    read_nodes,
    read_operators,
)
from coco_core.governance.proposal_tables import state_digest
from coco_core.governance.proposals import Governance
from coco_core.governance.refusal import RefusedError
from coco_core.governance.runtime import Runtime
from coco_core.governance.validity import renewal_by
from coco_core.kv import View, Writes, maps, merge
from coco_core.ledger import LedgerSecrets
from coco_core.wire.values import from_base64, text, to_base64

ADMINISTRATION: Final = "coco"
"""The name administrative transactions are submitted to; no ledger may have it."""
ADMINISTRATION_MAPS: Final = maps.GOVERNANCE
"""What administrative transactions may write."""


# ── what is submitted ────────────────────────────────────────────────────────────────────────────


def change_payload(add: Iterable[NodeID], remove: Iterable[NodeID]) -> bytes:
    """Return the transaction that changes the members."""
    return json.dumps({"change": {"add": list(add), "remove": list(remove)}}).encode()


def governance_payload(path: str, message: bytes) -> bytes:
    """Return the transaction that carries what a member signed."""
    return json.dumps({"gov": {"path": path, "message": to_base64(message)}}).encode()


def cancel_payload() -> bytes:
    """Return the transaction that takes the change under way back."""
    return b'{"cancel": true}'


# ── what it does ─────────────────────────────────────────────────────────────────────────────────


class Administration:
    """Executes administrative transactions over a view of the tables."""

    def __init__(
        self,
        admission: Admission,
        service_key: PrivateKey,
        *,
        runtime: Runtime,
        secrets: LedgerSecrets,
        entropy: Callable[[int], bytes],
    ) -> None:
        """Judge joiners by ``admission``; ``service_key`` renews what it issued.

        Members' texts are evaluated in ``runtime``. ``secrets`` are the ledger's, ``entropy`` makes new ones.
        """
        self._admission = admission
        self._service_key = service_key
        self._secrets = secrets
        self._entropy = entropy
        self._governance = Governance(runtime, dealing_of(secrets))
        self._kinds: Mapping[str, Callable[[Any, _Asked], Writes]] = {
            "join": self._join,
            "change": _change,
            "cancel": _cancel,
        }

    async def execute(self, batch: Batch, view: View) -> BatchResult:
        """Execute ``batch`` in order, each request over what those before it wrote."""
        pending: Writes = {}
        outcomes: list[Outcome] = []
        for request in batch.requests:
            if maps.LEDGER_SECRETS in pending:
                # Nobody has the new secret before its entry has a place, and the next may have to escrow it.
                outcomes.append(Deferred())
                continue
            seqno = batch.first_seqno + sum(isinstance(one, Applied) for one in outcomes)
            outcome = await self._execute_one(_Asked(request, view.over(pending), batch.time_ms, seqno))
            if isinstance(outcome, Applied):
                merge(pending, outcome.writes)
            outcomes.append(outcome)
        return BatchResult(outcomes)

    async def _execute_one(self, asked: _Asked) -> Outcome:
        kinds = sorted({*self._kinds, "gov"})
        try:
            value = orjson.loads(asked.request.payload)
            ((kind, body),) = value.items()
            if kind not in kinds:
                raise KeyError(kind)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return Rejected("malformed", f"expected an object with one of {', '.join(kinds)}")
        try:
            if kind == "gov":
                return await self._govern(body, asked)
            return Applied(self._kinds[kind](body, asked))
        except RefusedError as error:
            return Rejected(error.code, str(error))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            return Rejected("malformed", f"{kind}: {error!r}")

    async def _govern(self, body: Any, asked: _Asked) -> Applied:
        message = from_base64(body["message"])
        moment = Moment(
            view=asked.view,
            time_ms=asked.time_ms,
            state_digest=lambda: state_digest(asked.view),
            begin_epoch=lambda view, reason: begin_epoch(
                view, self._entropy, seqno=asked.seqno, time_ms=asked.time_ms, reason=reason
            ),
            renew=renewal_by(self._service_key),
        )
        writes, answer = await self._governance.execute(text(body["path"]), message, moment)
        return Applied(writes, json.dumps(answer).encode())

    def _join(self, body: Any, asked: _Asked) -> Writes:
        return join_writes(body, asked.view, asked.time_ms, self._admission.verifiers)


@attrs.frozen
class _Asked:
    """One request and the state it is asked over."""

    request: Request
    view: View
    time_ms: int
    seqno: int
    """Of the entry that the request becomes if it is applied."""

    def operator(self) -> str:
        """Return the fingerprint of the operator who asks; raises RefusedError for anybody else."""
        if read_constitution(self.view) is not None:
            raise RefusedError("governed", "members decide on this service's nodes: propose it")
        caller = self.request.caller
        if caller.kind != "operator" or caller.identity not in read_operators(self.view):
            raise RefusedError("not-operator", "only an operator of this service may ask for this")
        return caller.identity


def _change(body: Any, asked: _Asked) -> Writes:
    operator = asked.operator()
    add, remove = _names(body["add"]), _names(body["remove"])
    if not add and not remove:
        raise RefusedError("nothing-to-change", "name nodes to add or to remove")
    if read_change(asked.view) is not None:
        raise RefusedError("change-under-way", "another change of members is under way; cancel it or wait")
    nodes = read_nodes(asked.view)
    status = {name: nodes[name].status if name in nodes else "unknown" for name in (*add, *remove)}
    for name in add:
        if status[name] != PENDING or name in remove:
            raise RefusedError(
                "not-pending", f"node {name[:64]} is {status[name]}: only who asked to join is added"
            )
    for name in remove:
        if status[name] not in (PENDING, TRUSTED):
            raise RefusedError(
                "not-a-member", f"node {name[:64]} is {status[name]}: there is nothing to remove"
            )
    retiring = tuple(name for name in remove if status[name] == TRUSTED)
    voters = sum(node.status == TRUSTED for node in nodes.values()) + len(add) - len(retiring)
    if not 1 <= voters <= limits.NODES_MAX:
        raise RefusedError(
            "too-few-or-many", f"{voters} members would be left; 1 to {limits.NODES_MAX} may be"
        )
    writes: Writes = {}
    if add or retiring:
        writes = change_writes(MembershipChange(tuple(add), retiring, operator))
    refused = [name for name in remove if status[name] == PENDING]
    if refused:
        merge(writes, forgetting_writes(refused))
    return writes


def _cancel(body: Any, asked: _Asked) -> Writes:
    asked.operator()
    if body is not True:
        raise ValueError("expected true")
    change = read_change(asked.view)
    if change is None:
        raise RefusedError("no-change", "no change of members is under way")
    writes = change_writes(None)
    if change.add:
        # They hold what was sealed until now, and no copy of what comes: each must ask anew, as another node.
        merge(writes, dismissing_writes(asked.view, change.add))
        merge(writes, want_epoch(ADDITION_CANCELLED))
    return writes


def _names(values: Any) -> list[NodeID]:
    if not isinstance(values, list) or len(values) > limits.NODES_MAX:
        raise ValueError(f"expected at most {limits.NODES_MAX} node IDs")
    if not all(isinstance(value, str) for value in values) or len(set(values)) != len(values):
        raise ValueError("expected different node IDs")
    return [NodeID(value) for value in values]
