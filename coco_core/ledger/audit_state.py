"""The part of the public state an auditor follows: service identity and nodes.

Fed with the public writes of every entry, in order, or first with the state of a snapshot; refuses what
contradicts the life cycle of a service or a node. Knows nothing of files and signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Never

import attrs
import orjson

from coco_core.base import NodeID, TxID
from coco_core.crypto import Certificate, check_issued, read_certificate, read_predecessors
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import (
    NODES_ENDORSED_CERTIFICATES,
    NODES_INFO,
    PREVIOUS_IDENTITIES,
    SERVICE_INFO,
    SINGLETON_KEY,
)
from coco_core.kv.write_set import Writes
from coco_core.ledger.audit_rules import Rule
from coco_core.ledger.identities import endorsements_in

Fail = Callable[[Rule, str], Never]

SERVICE_TRANSITIONS: Final[dict[str | None, frozenset[str]]] = {
    None: frozenset({"Opening"}),
    "Opening": frozenset({"Opening", "Open", "WaitingForRecoveryShares"}),
    "Open": frozenset({"Open", "Opening", "Recovering"}),
    "Recovering": frozenset({"Recovering", "Opening", "WaitingForRecoveryShares"}),
    "WaitingForRecoveryShares": frozenset({"WaitingForRecoveryShares", "Opening", "Open"}),
}
"""Status to the statuses that may follow. ``Opening`` may always follow: recovery can begin any time."""

_IDENTITY_CHANGES_IN = frozenset({"Opening", "Recovering"})


@attrs.define(slots=True)
class _Node:
    status: str
    trusted_once: bool
    retired_committed: bool


class AuditedState:
    """Service identity, its status, and all nodes, as of the last entry applied."""

    def __init__(self) -> None:
        self.service: Certificate | None = None
        self.service_since = 0
        self.recoveries = 0
        self._status: str | None = None
        self._nodes: dict[NodeID, _Node] = {}
        self._removed: dict[NodeID, str] = {}
        self._certificates: dict[NodeID, Certificate] = {}

    def node_statuses(self) -> dict[NodeID, str]:
        """Return every node ever named with its last status."""
        return self._removed | {node: record.status for node, record in self._nodes.items()}

    def begin(self, txid: TxID, maps: Mapping[str, Mapping[bytes, bytes]], fail: Fail) -> None:
        """Take in the whole state at ``txid``, how it came about being proven elsewhere."""
        self._status, self.service = _service(maps.get(SERVICE_INFO, {}), fail)
        self.service_since = txid.seqno
        for key, value in maps.get(NODES_INFO, {}).items():
            self._apply_node(_node_id(key, fail), value, fail)
        for record in self._nodes.values():
            # How it came to be retired is not told, but nobody is who was not trusted.
            record.trusted_once = record.status != "Pending"
        for key, value in maps.get(NODES_ENDORSED_CERTIFICATES, {}).items():
            node = self._nodes.get(_node_id(key, fail))
            # Who signs nothing any more may have its certificate from an identity the service had before.
            if node is None or not node.retired_committed:
                self._apply_certificate(_node_id(key, fail), value, fail)

    def apply(self, txid: TxID, writes: Writes, fail: Fail) -> None:
        """Take in what one entry writes; calls ``fail`` on the first contradiction."""
        if SERVICE_INFO in writes:
            self._apply_service(txid, writes, fail)
        if PREVIOUS_IDENTITIES in writes and self.service_since != txid.seqno:
            fail(Rule.SERVICE_ENDORSEMENT, "an identity is endorsed where none takes over")
        if NODES_INFO in writes:
            for key, value in writes[NODES_INFO].items():
                self._apply_node(_node_id(key, fail), value, fail)
        if NODES_ENDORSED_CERTIFICATES in writes:
            for key, value in writes[NODES_ENDORSED_CERTIFICATES].items():
                self._apply_certificate(_node_id(key, fail), value, fail)

    def signing_node(self, node: NodeID, fail: Fail) -> Certificate:
        """Return the endorsed certificate of a node that may sign at this place.

        That is a trusted node, or one that was trusted and whose retirement is not committed yet: until then
        it has a say, and may lead on or even be elected anew.
        """
        record = self._nodes.get(node)
        if record is None:
            fail(Rule.NODE_STATUS, f"signed by node {node[:16]}…, which the ledger does not know")
        retiring = record.status == "Retired" and record.trusted_once and not record.retired_committed
        if record.status != "Trusted" and not retiring:
            fail(Rule.NODE_STATUS, f"signed by node {node[:16]}…, which is {record.status}")
        certificate = self._certificates.get(node)
        if certificate is None:
            fail(Rule.NODE_CERTIFICATE, f"node {node[:16]}… has no endorsed certificate")
        return certificate

    def _apply_service(self, txid: TxID, writes: Writes, fail: Fail) -> None:
        status, service = _service(writes[SERVICE_INFO], fail)
        if status not in SERVICE_TRANSITIONS[self._status]:
            fail(Rule.SERVICE_STATUS, f"status goes from {self._status} to {status}")
        self._status = status
        if self.service is None or service.public_key != self.service.public_key:
            if status not in _IDENTITY_CHANGES_IN:
                fail(Rule.SERVICE_IDENTITY, f"identity is replaced while {status}")
            if self.service is not None:
                _check_succession(txid, writes, self.service, service, fail)
                self.recoveries += 1
            self.service_since = txid.seqno
            self._certificates.clear()
        self.service = service

    def _apply_node(self, node: NodeID, value: bytes | None, fail: Fail) -> None:
        if value is None:
            removed = self._nodes.pop(node, None)
            if removed is not None:
                self._removed[node] = removed.status
            return
        match _json_object(value, Rule.NODE_STATUS, fail):
            case {"status": ("Pending" | "Trusted" | "Retired") as status, **rest}:
                committed = rest.get("retired_committed", False) is True
            case _:
                fail(Rule.NODE_STATUS, f"node {node[:16]}… has no known status")
        before = self._nodes.get(node)
        was = before.status if before is not None else self._removed.get(node)
        if was == "Retired" and status != "Retired":
            fail(Rule.NODE_STATUS, f"retired node {node[:16]}… returns as {status}")
        if before is not None and before.retired_committed and not committed:
            fail(Rule.NODE_STATUS, f"the end of node {node[:16]}… is taken back")
        once = status == "Trusted" or (before is not None and before.trusted_once)
        self._nodes[node] = _Node(status, once, committed)

    def _apply_certificate(self, node: NodeID, value: bytes | None, fail: Fail) -> None:
        if value is None:
            self._certificates.pop(node, None)
            return
        if self.service is None:
            fail(Rule.SERVICE_IDENTITY, "a certificate is endorsed before there is a service identity")
        try:
            certificate = read_certificate(value)
            if certificate.public_key.node_id() != node:
                fail(Rule.NODE_ID, f"node ID {node[:16]}… is not SHA-256 of the certificate's key")
            check_issued(certificate, self.service)
        except AttestationError as fault:
            fail(Rule.NODE_CERTIFICATE, str(fault))
        self._certificates[node] = certificate


def _check_succession(
    txid: TxID, writes: Writes, before: Certificate, service: Certificate, fail: Fail
) -> None:
    """Check that the identity which takes over at ``txid`` endorses the one before, for all before."""
    try:
        (predecessor,) = read_predecessors(endorsements_in(writes.get(PREVIOUS_IDENTITIES, {})), service)
    except (AttestationError, IntegrityError, ValueError) as fault:
        fail(Rule.SERVICE_ENDORSEMENT, f"the previous identity is not endorsed: {fault}")
    until = predecessor.until
    if predecessor.public_key != before.public_key:
        fail(Rule.SERVICE_ENDORSEMENT, "another identity is endorsed than the one before")
    if until.seqno != txid.seqno - 1 or until.view >= txid.view:
        fail(Rule.SERVICE_ENDORSEMENT, f"the previous identity is endorsed up to {until}, at {txid}")


def _service(values: Mapping[bytes, bytes | None], fail: Fail) -> tuple[str, Certificate]:
    match _json_object(values.get(SINGLETON_KEY), Rule.SERVICE_STATUS, fail):
        case {"cert": str(pem), "status": str(status)}:
            pass
        case _:
            fail(Rule.SERVICE_STATUS, "service info has no certificate or no status")
    if status not in SERVICE_TRANSITIONS:
        fail(Rule.SERVICE_STATUS, f"{status[:40]!r} is not a service's status")
    try:
        return status, read_certificate(pem)
    except AttestationError as fault:
        fail(Rule.SERVICE_IDENTITY, str(fault))


def _node_id(key: bytes, fail: Fail) -> NodeID:
    text = key.decode("ascii", "replace")
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        fail(Rule.NODE_ID, f"{text[:70]!r} is not a node ID")
    return NodeID(text)


def _json_object(value: bytes | None, rule: Rule, fail: Fail) -> dict[str, object]:
    try:
        parsed: object = orjson.loads(value) if value is not None else None
    except orjson.JSONDecodeError as fault:
        fail(rule, f"not JSON: {fault}")
    if not isinstance(parsed, dict):
        fail(rule, "not a JSON object")
    return parsed
