"""Recovering a service all of whose nodes are lost, from the ledger in this node's folder.

Without any secret the ledger is audited up to its last signature, and this node makes a new service
identity. Members see it, confirm it and give their shares to it; with enough of them the secrets are there,
everything is read back, and this node goes on as the only one, in a later view. Until members have opened the
service (naming both identities), clients are not let in.

Whoever held the old nodes' secrets reads nothing of what comes: no old node takes part, and a new epoch
begins with the entry that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import structlog
import trio

from coco_core.adapter import HTTPRequest, HTTPResponse, LedgerAdapter, Manifest, PendingResponse
from coco_core.base import limits
from coco_core.crypto import endorse_predecessor, service_id
from coco_core.errors import MemberError, OperatorError
from coco_core.governance import (
    RecoveryRound,
    RefusedError,
    Takeover,
    admission_writes,
    read_manifests,
    read_operators,
    read_policy,
    read_service_info,
    takeover_writes,
)
from coco_core.kv import merge
from coco_core.ledger import LedgerSecrets
from coco_core.node.bare_node import BareNode, certify_own, new_service, own_admission
from coco_core.node.clock import unix_ms
from coco_core.node.forming import Membership, joined_adapters, parts_of
from coco_core.node.governance_routes import PREFIX, check_request, read_governance, refused, status_of
from coco_core.node.lost_service import LostService, find_lost
from coco_core.node.operator_routes import OperatorRoutes
from coco_core.node.restoring import OldLedger
from coco_core.replica import LedgerKeys, ServiceIdentity, Welcome, recover_service

_log = structlog.get_logger("coco.recovery")

WAITING = "WaitingForRecoveryShares"


class Recovery:
    """One attempt to recover a service; ``service`` and ``certificate`` exist before any share comes."""

    def __init__(self, node: BareNode, lost: LostService) -> None:
        """Make the new identity; raises OperatorError when nobody, or not this node, can recover.

        AttestationError when the service's policy does not accept this node.
        """
        if len(lost.endorsements) >= limits.RECOVERIES_MAX:
            raise OperatorError(f"the service was recovered {limits.RECOVERIES_MAX} times already")
        self._node = node
        self._lost = lost
        self._manifests: list[Manifest] = read_manifests(lost.tables)
        self._adapters: Mapping[str, LedgerAdapter] = joined_adapters(self._manifests, node.settings.adapters)
        made = new_service()
        self._endorsement = endorse_predecessor(lost.certificate, made.key, made.certificate, lost.until)
        self.service: ServiceIdentity = attrs.evolve(
            made, endorsements=(*lost.endorsements, self._endorsement)
        )
        self.certificate = certify_own(node, self.service)
        # Before anybody gives a share: who is not listed could not go on with them.
        self._measurement = node.measured(read_policy(lost.tables), unix_ms() // 1000)
        self.operators = list(read_operators(lost.tables).values())
        try:
            self._round = RecoveryRound(lost.tables, service_id(self.service.certificate))
        except MemberError as error:
            raise OperatorError(f"cannot recover this service: {error}") from error
        self._complete = trio.Event()

    @classmethod
    async def begin(cls, node: BareNode) -> Recovery:
        """Look at this node's folder; raises what ``find_lost`` raises."""
        return cls(node, await trio.to_thread.run_sync(find_lost, node.disk, node.snapshots))

    # ── while shares come ────────────────────────────────────────────────────────────────────────

    def give(self, path: str, message: bytes) -> Mapping[str, int]:
        """Take a member's share; raises RefusedError."""
        answer = self._round.accept(path, message, unix_ms())
        if self._round.complete:
            self._complete.set()
        return answer

    def told(self) -> dict[str, Any]:
        """Return how far the recovery is, and what members look at before they give a share."""
        lost, node = self._lost, self._node
        return {
            "status": WAITING,
            "certificate": self.service.certificate,
            "serviceIdentity": service_id(self.service.certificate),
            "previousCertificate": lost.certificate.pem,
            "previousServiceIdentity": service_id(lost.certificate.pem),
            "lastSigned": str(lost.until),
            "unsignedBytes": lost.unsigned_bytes,
            "recoveryThreshold": self._round.threshold,
            "submitted": self._round.given,
            "nodeCertificate": self.certificate,
            "measurement": self._measurement,
            "platform": node.platform.format,
        }

    def view_info(self) -> dict[str, Any]:
        """Return what ``/gov/service/info`` says meanwhile."""
        recovered = int(read_service_info(self._lost.tables).get("recovery_count") or 0)
        return {**self.told(), "recoveryCount": recovered}

    def read(self, path: str) -> HTTPResponse:
        """Answer what members read of the tables, as of the last signature."""
        return read_governance(self._lost.tables, path)

    # ── with enough of them ──────────────────────────────────────────────────────────────────────

    async def complete(self) -> Membership:
        """Wait for enough shares; return what going on as the only node gives.

        Raises IntegrityError when the ledger is not what its proofs say.
        """
        await self._complete.wait()
        node, lost = self._node, self._lost
        secrets = LedgerSecrets(self._round.secrets())
        view = lost.newest_view + limits.RECOVERY_UNKNOWN_VIEWS_MAX
        if lost.unsigned_bytes:
            kept = await trio.to_thread.run_sync(
                node.disk.keep_last, f"after_{lost.until}_recovered_in_{view}.ignored"
            )
            _log.warning("what no signature closes is cut", after=str(lost.until), copy=str(kept))
        keys = LedgerKeys(secrets, node.identity(self.certificate))
        old = OldLedger(node.disk, node.snapshots, keys, lost.certificate.pem, lost.endorsements)
        restored = await trio.to_thread.run_sync(old.restore, lost.agreed(view))
        # Clocks of lost nodes may have been ahead: the ledger's time goes on from there.
        now_ms = max(unix_ms(), lost.signed_at_ms)
        policy = read_policy(restored.chain.store.view())
        own = own_admission(node, self.certificate, self.service, policy, now_ms)
        welcome = Welcome(
            certificate=self.certificate,
            service=self.service,
            secrets=secrets,
            nodes=[own.node],
            manifests=self._manifests,
            policy=policy,
            judged_at_ms={own.node.node_id: now_ms},
            operators=self.operators,
        )
        parts = parts_of(node, welcome, now_ms)
        takeover = Takeover(
            node=own.node,
            service_certificate=self.service.certificate,
            endorsement=self._endorsement,
            until=lost.until,
            time_ms=parts.time_ms,
        )
        first = takeover_writes(restored.chain.store.view(), takeover)
        merge(first, admission_writes({own.node.node_id: own.admission}))
        replica, effects = recover_service(parts, restored, first)
        _log.info("the service is recovered", behind=str(lost.until), view=view)
        return Membership(
            replica=replica,
            first_effects=effects,
            adapters=self._adapters,
            welcome=welcome,
            begins_after=lost.until.seqno,
        )


class RecoveryRoutes:
    """The operators' and members' interface of a node that recovers a service.

    Before there are enough shares: ``/node/health``, ``/gov/service/info``, ``/gov/recovery/progress``, what
    else governs the service as of its last signature, and ``/gov/recovery/members/{m}:recover``. Then what
    every node answers.
    """

    def __init__(self, recovery: Recovery, then: OperatorRoutes) -> None:
        """Speak for ``recovery`` until ``complete``, then let ``then`` answer."""
        self._recovery = recovery
        self._then = then
        self.complete = False

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer one request (see adapter.HTTPHandler)."""
        path = request.target.partition("?")[0]
        if self.complete or not path.startswith((PREFIX, "/node/")):
            return self._then.accept(request)
        if path == "/node/health" and request.method == "GET":
            return _json({"state": "waiting for recovery shares", **self._recovery.told()})
        if not path.startswith(PREFIX):
            return _json({"error": "the service is being recovered: members must give their shares"}, 503)
        refusal = check_request(request)
        if refusal is not None:
            return refusal
        if request.method == "POST":
            return self._give(path, request.body)
        if path == "/gov/service/info":
            return _json(self._recovery.view_info())
        if path == "/gov/recovery/progress":
            return _json(self._recovery.told())
        return self._recovery.read(path)

    def _give(self, path: str, body: bytes) -> HTTPResponse:
        try:
            return _json(dict(self._recovery.give(path, body)))
        except RefusedError as error:
            return refused(status_of(error.code), error.code, str(error))


def _json(value: Mapping[str, Any], status: int = 200) -> HTTPResponse:
    return HTTPResponse(status=status, body=json.dumps(value).encode())
