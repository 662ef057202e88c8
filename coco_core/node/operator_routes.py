"""The operators' interface: health, commits, transaction status, receipts, joining.

==========================  =================================================================
GET  /node/health           role, view, positions, queue sizes, peers (also before the service opens)
GET  /node/commit           ``?after=SEQNO``: committed position, as soon as it is beyond SEQNO
GET  /node/tx               ``?transaction_id=V.S``: Unknown, Pending, Committed or Invalid
GET  /node/receipt          ``?transaction_id=V.S[&format=json|cose]``
GET  /node/resources        memory per map and per entry, processor time used
GET  /node/network          nodes, change of members under way, service certificate, ledgers
GET  /node/evidence         standing evidence of this node, what it is judged by, what it is bound to
GET  /node/refusals         nodes this one refused lately, with the code of the rule that failed
POST /node/join/challenge   a node that wants to join asks for a challenge (see ``doorkeeping``)
POST /node/join             a node asks to join (see ``admission``)
POST /node/members          operators: ``{"add": [node ID], "remove": [node ID]}``, all in one change
POST /node/members/cancel   operators: take the change under way back
==========================  =================================================================

Operators are those whose certificates the service was founded with; TLS asks for one, and a transaction
of theirs says who asked.

Members govern on the same interface, below ``/gov/`` (see ``governance_routes``).

It is apart from the ledgers' own interfaces: another port, another policy.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import attrs
import orjson
import psutil
import trio

from coco_core.adapter import Caller, Committed, HTTPRequest, HTTPResponse, PendingResponse, Rejected
from coco_core.base import TxID, limits
from coco_core.consensus import EntriesCompactedError
from coco_core.crypto import PublicKey, read_certificate
from coco_core.errors import BusyError, CallerError, CocoError, MalformedError
from coco_core.governance import (
    ADMINISTRATION,
    cancel_payload,
    change_payload,
    read_change,
    read_consortium,
    read_lease_policy,
    read_leases,
    read_nodes,
    standing_claims,
)
from coco_core.governance.json_values import evidence_to_json
from coco_core.kv import maps
from coco_core.ledger import LedgerSecrets
from coco_core.node.admission import (
    CHALLENGE_TARGET,
    JOIN_TARGET,
    FoundingAdmissions,
    RunningAdmissions,
)
from coco_core.node.disk import LedgerFiles
from coco_core.node.doorkeeping import Shown
from coco_core.node.driver import Driver
from coco_core.node.governance_routes import PREFIX, GovernanceRoutes
from coco_core.node.refusals import Refusals
from coco_core.node.service import Tickets
from coco_core.replica import make_receipt, plan_receipt, status_of
from coco_core.wire.values import to_base64

Query = Mapping[str, str]

REFUSALS_TARGET: Final = "/node/refusals"

_CHANGES: Final = frozenset({"/node/members", "/node/members/cancel"})
_STATUSES: Final = {"malformed": 400, "not-operator": 403}
"""HTTP status by what the service's rules say; anything else contradicts its present state."""
_SEQNO: Final = re.compile(r"-?[0-9]{1,20}")


class OperatorRoutes:
    """Answers operators; before the service opens, only of its health, refusals and joining."""

    def __init__(self, node_id: str, admissions: FoundingAdmissions | None, refusals: Refusals) -> None:
        """Speak for ``node_id``; ``admissions`` is the founder's, None on other nodes until they are open."""
        self._node_id = node_id
        self.refusals = refusals
        """Whom this node refused."""
        self._admissions: FoundingAdmissions | RunningAdmissions | None = admissions
        self._open: _Open | None = None
        self._governance: GovernanceRoutes | None = None

    def open(
        self,
        driver: Driver,
        disk: LedgerFiles,
        secrets: LedgerSecrets,
        peers: Callable[[], Mapping[str, Any]],
        shown: Shown,
        admissions: RunningAdmissions,
        tickets: Tickets,
    ) -> None:
        """Begin to answer everything."""
        self._open = _Open(driver, disk, secrets, peers, shown, tickets)
        self._admissions = admissions
        self._governance = GovernanceRoutes(driver, tickets)

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Answer one request (see adapter.HTTPHandler)."""
        try:
            url = urlsplit(request.target)
        except ValueError:
            return _json({"error": "the target is not a URL"}, 400)
        if url.path.startswith(PREFIX):
            if self._governance is None:
                return _json({"error": {"code": "NotOpen", "message": "the node has not joined yet"}}, 503)
            return self._governance.accept(request)
        if url.path in (CHALLENGE_TARGET, JOIN_TARGET) and request.method == "POST":
            return self._ask_admissions(url.path, request.body)
        if request.method == "POST" and self._open is not None and url.path in _CHANGES:
            return self._open.change_members(url.path, request)
        if request.method != "GET":
            return _json({"error": f"{request.method} is not offered here"}, 405)
        if url.path == REFUSALS_TARGET:
            return _json({"refusals": self.refusals.to_json()})
        if self._open is None:
            return self._not_open(url.path)
        route = self._open.routes.get(url.path)
        if route is None:
            return _json({"error": f"no such path; there are {', '.join(sorted(self._open.routes))}"}, 404)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            answer = route(query)
        except CocoError as error:
            return _refusal(error)
        return answer if isinstance(answer, HTTPResponse) else _guarded(answer)

    def _ask_admissions(self, path: str, body: bytes) -> HTTPResponse | PendingResponse:
        if self._admissions is None:
            return _json({"error": "this node does not admit nodes"}, 404)
        if path == CHALLENGE_TARGET:
            return self._admissions.challenge(body)
        return self._admissions.accept(body)

    def _not_open(self, path: str) -> HTTPResponse:
        if path == "/node/health":
            return _json({"node_id": self._node_id, "state": "joining"})
        return _json({"error": "the node has not joined yet"}, 503)


def _guarded(pending: PendingResponse) -> PendingResponse:
    async def answer() -> HTTPResponse:
        try:
            return await pending()
        except CocoError as error:
            return _refusal(error)

    return answer


def _until_ms(certificate: str) -> int:
    return int(read_certificate(certificate).not_after.timestamp() * 1000)


def _refusal(error: CocoError) -> HTTPResponse:
    match error:
        case MalformedError():
            status = 400
        case BusyError():
            status = 503
        case CallerError():
            status = 404
        case _:
            status = 500
    return _json({"error": str(error)}, status)


class _Open:
    """The routes of a node that takes part."""

    def __init__(
        self,
        driver: Driver,
        disk: LedgerFiles,
        secrets: LedgerSecrets,
        peers: Callable[[], Mapping[str, Any]],
        shown: Shown,
        tickets: Tickets,
    ) -> None:
        self._tickets = tickets
        self._driver = driver
        self._disk = disk
        self._secrets = secrets
        self._peers = peers
        self._shown = shown
        self.routes: dict[str, Callable[[Query], HTTPResponse | PendingResponse]] = {
            "/node/health": self._health,
            "/node/commit": self._commit,
            "/node/tx": self._tx,
            "/node/receipt": self._receipt,
            "/node/resources": self._resources,
            "/node/network": self._network,
            "/node/evidence": self._evidence,
        }

    def _health(self, query: Query) -> HTTPResponse:
        del query
        replica = self._driver.replica
        status = replica.status()
        return _json(
            {
                "node_id": status.node_id,
                "state": "open" if not replica.disk_full else "disk full",
                "role": status.role,
                "view": status.view,
                "primary": replica.leader,
                "committed": str(replica.chain.committed),
                "statistics": replica.statistics(),
                "peers": self._peers(),
                "failed_ledgers": dict(self._driver.failed_adapters),
                "disk_fault": self._driver.disk_fault,
            }
        )

    def _commit(self, query: Query) -> PendingResponse:
        after = query.get("after", "-1")
        if not _SEQNO.fullmatch(after):
            raise MalformedError("'after' must be a seqno")

        async def answer() -> HTTPResponse:
            committed = self._driver.replica.chain.committed
            with trio.move_on_after(limits.COMMIT_POLL_MAX_MS / 1000):
                committed = await self._driver.wait_committed_after(int(after))
            return _json({"view": committed.view, "seqno": committed.seqno})

        return answer

    def _tx(self, query: Query) -> HTTPResponse:
        txid = _txid(query)
        return _json(
            {"transaction_id": str(txid), "status": status_of(self._driver.replica.chain, txid).value}
        )

    def _receipt(self, query: Query) -> PendingResponse:
        form = query.get("format", "json")
        if form not in ("json", "cose"):
            raise MalformedError("'format' must be json or cose")
        plan = plan_receipt(self._driver.replica.chain, _txid(query))

        async def answer() -> HTTPResponse:
            # A majority may hold an entry before this node's own disk does.
            with trio.move_on_after(limits.COMMIT_POLL_MAX_MS / 1000) as slow:
                await self._driver.wait_persisted(plan.signature_seqno)
            if slow.cancelled_caught:
                raise BusyError("this node's disk is behind: ask again later, or another node")
            try:
                entry = self._disk.read_raw(plan.seqno)
                signature = self._disk.read_raw(plan.signature_seqno)
            except EntriesCompactedError as error:
                raise CallerError(
                    "this node has archived that part of its ledger: ask another one"
                ) from error
            receipt = make_receipt(plan, entry, signature, self._secrets, cose=form == "cose")
            content_type = "application/cose" if form == "cose" else "application/json"
            return HTTPResponse(body=receipt, content_type=content_type)

        return answer

    def _resources(self, query: Query) -> HTTPResponse:
        del query
        chain = self._driver.replica.chain
        process = psutil.Process()
        used = process.cpu_times()
        return _json(
            {
                "resident_bytes": process.memory_info().rss,
                "cpu_s": round(used.user + used.system, 2),
                "maps": {
                    name: {"keys": keys, "bytes": size} for name, (keys, size) in chain.store.sizes().items()
                },
                "merkle_tree_bytes": 64 * chain.tree.size,
                "statistics": self._driver.replica.statistics(),
            }
        )

    def _network(self, query: Query) -> HTTPResponse:
        del query
        view = self._driver.replica.chain.store.view()
        nodes = read_nodes(view)
        leases = read_leases(view)
        change = read_change(view)
        replica = self._driver.replica
        waits_for = replica.waits_for() if change is not None and replica.is_primary else None
        ledgers = {key.decode(): json.loads(value) for key, value in view.items(maps.ADAPTERS)}
        return _json(
            {
                "service_certificate": self._shown.service_certificate,
                "primary": self._driver.replica.leader,
                "nodes": {
                    node.node_id: {
                        "status": node.status,
                        "retired_committed": node.retired_committed,
                        "peer_address": node.peer_address,
                        "platform": node.evidence.format,
                        "measurement": node.measurement,
                        "certificate_until_ms": _until_ms(node.certificate),
                        "lease_until_ms": leases[node.node_id].until_ms if node.node_id in leases else None,
                    }
                    for node in nodes.values()
                },
                "members": {
                    name: {
                        "status": member.status,
                        "certificate_until_ms": _until_ms(member.certificate),
                    }
                    for name, member in read_consortium(view).items()
                },
                "change": None if change is None else {**attrs.asdict(change), "waits_for": waits_for},
                "lease_policy": attrs.asdict(read_lease_policy(view)),
                "ledgers": ledgers,
            }
        )

    def _evidence(self, query: Query) -> HTTPResponse:
        """Answer with this node's standing evidence and what it is judged by, which no certificate holds."""
        del query
        name = read_certificate(self._shown.certificate).public_key.node_id()
        node = read_nodes(self._driver.replica.chain.store.view()).get(name)
        if node is None:
            return _json({"error": "this node takes no part yet"}, 503)
        key = read_certificate(node.certificate).public_key
        claims = standing_claims(key, PublicKey.from_pem(node.encryption_key))
        return _json(
            {
                "node_id": node.node_id,
                "evidence": evidence_to_json(node.evidence),
                "claims": to_base64(claims),
            }
        )

    def change_members(self, path: str, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Hand an operator's request on to the service; answer once it is decided."""
        if request.peer_certificate is None:
            return _json({"error": "present an operator's certificate (TLS)"}, 401)
        fingerprint = hashlib.sha256(request.peer_certificate).hexdigest()
        try:
            payload = cancel_payload() if path.endswith("/cancel") else _change(request.body)
            caller = Caller(kind="operator", identity=fingerprint)
            submission = self._tickets.submit(self._driver, ADMINISTRATION, [payload], caller)
        except CallerError as error:
            return _refusal(error)

        async def answer() -> HTTPResponse:
            (fate,) = await submission.wait()
            match fate:
                case Committed():
                    return _json({"transaction_id": str(fate.txid)})
                case Rejected():
                    return _json({"error": fate.message, "code": fate.code}, _STATUSES.get(fate.code, 409))
            return _json({"error": f"not known yet, look at /node/network: {fate.reason}"}, 503)

        return answer


def _change(body: bytes) -> bytes:
    try:
        match orjson.loads(body):
            case {"add": list(add), "remove": list(remove), **rest} if not rest:
                return change_payload(add, remove)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error}") from error
    raise MalformedError('expected {"add": [node ID, …], "remove": [node ID, …]}')


def _txid(query: Query) -> TxID:
    return TxID.parse(query.get("transaction_id", ""))


def _json(value: Mapping[str, Any], status: int = 200) -> HTTPResponse:
    return HTTPResponse(status=status, body=json.dumps(value).encode())
