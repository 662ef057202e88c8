"""The network's nodes as its tables tell, and the writes that change them.

Membership is read from the same tables governance changes, so that whoever may sign the ledger, elect
and agree is always decided by the ledger. A node is **Pending** once it asked to join, a *learner* while
the change under way adds it, **Trusted** when that change is made, and **Retired** when a change removed
it. ``retired_committed`` follows in an entry of its own, once the removal is agreed: when that entry is
agreed too, nobody needs the node any more (see ``coco_core.consensus``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import orjson

from coco_core.adapter import Manifest
from coco_core.attestation import Evidence
from coco_core.base import NodeID, limits
from coco_core.crypto import PublicKey, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance.json_values import evidence_from_json, evidence_to_json
from coco_core.governance.manifests import manifest_writes
from coco_core.kv import View, Writes, maps

PENDING, TRUSTED, RETIRED = "Pending", "Trusted", "Retired"
_STATUSES = frozenset({PENDING, TRUSTED, RETIRED})


@attrs.frozen(kw_only=True)
class NodeRecord:
    """One node as ``public:ccf.gov.nodes.info`` and its endorsed certificate describe it."""

    node_id: NodeID
    certificate: str
    """PEM, issued by the service identity."""
    peer_address: str
    """``host:port`` of its node-to-node interface."""
    encryption_key: str
    """PEM of the key that secrets for this node are sealed to."""
    measurement: str
    evidence: Evidence
    status: str = TRUSTED
    retired_committed: bool = False


@attrs.frozen
class MembershipChange:
    """A change of members under way: ``add`` learn, and take part once all of them have caught up."""

    add: tuple[NodeID, ...]
    remove: tuple[NodeID, ...]
    requested_by: str
    """The operator's fingerprint."""
    replaces: tuple[tuple[NodeID, NodeID], ...] = ()
    """Who comes in whose place by a vote: of those it adds and of those it removes."""

    def of(self, add: Iterable[NodeID], remove: Iterable[NodeID]) -> MembershipChange:
        """Return it with other nodes to add and remove; who came in another's place still does."""
        added, removed = tuple(add), tuple(remove)
        pairs = tuple((fresh, old) for fresh, old in self.replaces if fresh in added and old in removed)
        return attrs.evolve(self, add=added, remove=removed, replaces=pairs)


@attrs.frozen
class Members:
    """Who takes part in consensus."""

    voters: frozenset[NodeID]
    learners: frozenset[NodeID]


# ── writes ───────────────────────────────────────────────────────────────────────────────────────


def founding_writes(
    nodes: Iterable[NodeRecord], service_certificate: str, operators: Sequence[str] = ()
) -> Writes:
    """Return the first entry of a service: its identity, still opening, its nodes and operators."""
    writes: Writes = {
        maps.SERVICE_INFO: {maps.SINGLETON_KEY: _service_info(service_certificate, "Opening")},
        **node_writes(nodes),
    }
    if operators:
        writes[maps.OPERATORS] = {
            read_certificate(pem).fingerprint.encode(): pem.encode() for pem in operators
        }
    return writes


def opening_writes(service_certificate: str, adapters: Iterable[Manifest], *, governed: bool) -> Writes:
    """Return the entry that ends founding with the ledgers the service runs.

    It opens the service, unless that is for members to decide.
    """
    status = "Opening" if governed else "Open"
    return {
        maps.SERVICE_INFO: {maps.SINGLETON_KEY: _service_info(service_certificate, status)},
        **manifest_writes(adapters),
    }


def node_writes(nodes: Iterable[NodeRecord]) -> Writes:
    """Return the writes that put ``nodes`` into the tables as they are."""
    nodes = list(nodes)
    return {
        maps.NODES_INFO: {node.node_id.encode(): _node_info(node) for node in nodes},
        maps.NODES_ENDORSED_CERTIFICATES: {
            node.node_id.encode(): node.certificate.encode() for node in nodes
        },
    }


def forgetting_writes(nodes: Iterable[NodeID]) -> Writes:
    """Return the writes that take ``nodes`` out of the tables."""
    gone: dict[bytes, bytes | None] = {node.encode(): None for node in nodes}
    return {
        maps.NODES_INFO: dict(gone),
        maps.NODES_ENDORSED_CERTIFICATES: dict(gone),
        maps.ADMISSIONS: dict(gone),
        maps.LEASES: dict(gone),
        maps.NODE_OWNERS: gone,
    }


def dismissing_writes(view: View, nodes: Iterable[NodeID]) -> Writes:
    """Return the writes that take back the addition of ``nodes``: forgotten, and not to come again.

    They were welcomed: they hold what was sealed until now, and no copy of what comes. A request to join of
    theirs that is executed late would bring back who can read no further. The last ones are remembered.
    """
    gone = list(nodes)
    writes = forgetting_writes(gone)
    kept = sorted({*(key.decode() for key, _ in view.items(maps.DISMISSED_NODES)), *gone})
    beyond = kept[: max(0, len(kept) - limits.DISMISSED_NODES_KEPT_MAX)]
    rows: dict[bytes, bytes | None] = {name.encode(): b"{}" for name in gone}
    writes[maps.DISMISSED_NODES] = rows | {name.encode(): None for name in beyond if name not in gone}
    return writes


def was_dismissed(view: View, node: NodeID) -> bool:
    """Tell whether the addition of ``node`` was taken back, as far as is remembered."""
    return view.get(maps.DISMISSED_NODES, node.encode()) is not None


def change_writes(change: MembershipChange | None) -> Writes:
    """Return the write that begins a change, or ends the one under way."""
    value = None if change is None else orjson.dumps(attrs.asdict(change))
    return {maps.MEMBERSHIP_CHANGE: {maps.SINGLETON_KEY: value}}


# ── readings ─────────────────────────────────────────────────────────────────────────────────────


def tells_members(writes: Mapping[str, object]) -> bool:
    """Tell whether an entry may change who takes part."""
    return maps.NODES_INFO in writes or maps.MEMBERSHIP_CHANGE in writes


def read_members(view: View) -> Members:
    """Return who takes part according to ``view``; raises IntegrityError for malformed tables."""
    nodes = read_nodes(view)
    change = read_change(view)
    return Members(
        voters=frozenset(node.node_id for node in nodes.values() if node.status == TRUSTED),
        learners=frozenset(change.add if change is not None else ()),
    )


def read_change(view: View) -> MembershipChange | None:
    """Return the change under way; raises IntegrityError for a malformed table."""
    value = view.get(maps.MEMBERSHIP_CHANGE, maps.SINGLETON_KEY)
    if value is None:
        return None
    try:
        match orjson.loads(value):
            case {"add": list(add), "remove": list(remove), "requested_by": str(requested_by), **rest}:
                return MembershipChange(_ids(add), _ids(remove), requested_by, _pairs(rest.get("replaces")))
    except (ValueError, TypeError, RecursionError) as error:
        raise IntegrityError(f"{maps.MEMBERSHIP_CHANGE}: {error}") from error
    raise IntegrityError(f"{maps.MEMBERSHIP_CHANGE}: malformed change")


def read_operators(view: View) -> dict[str, str]:
    """Return the certificate of every operator by its fingerprint."""
    return {key.decode(): pem.decode() for key, pem in view.items(maps.OPERATORS)}


def read_nodes(view: View) -> dict[NodeID, NodeRecord]:
    """Return the nodes ``view`` knows, trusted or not; raises IntegrityError for malformed tables."""
    records: dict[NodeID, NodeRecord] = {}
    for key, value in view.items(maps.NODES_INFO):
        certificate = view.get(maps.NODES_ENDORSED_CERTIFICATES, key)
        if certificate is None:
            continue
        try:
            record = _record(key, value, certificate)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(f"{maps.NODES_INFO}: malformed record of node {key!r}: {error}") from error
        records[record.node_id] = record
    return records


def signing_keys(nodes: Mapping[NodeID, NodeRecord]) -> dict[NodeID, PublicKey]:
    """Return the public keys of the nodes that may sign the ledger.

    A primary that is removed goes on until its removal is agreed, so until then its word counts.
    """
    keys: dict[NodeID, PublicKey] = {}
    for node in nodes.values():
        if node.status == PENDING or node.retired_committed:
            continue
        try:
            key = read_certificate(node.certificate).public_key
        except AttestationError as error:
            raise IntegrityError(f"certificate of node {node.node_id}: {error}") from error
        if key.node_id() != node.node_id:
            raise IntegrityError(f"certificate of node {node.node_id} is for node {key.node_id()}")
        keys[node.node_id] = key
    return keys


# ── encodings ────────────────────────────────────────────────────────────────────────────────────


def _service_info(certificate: str, status: str) -> bytes:
    info = {
        "cert": certificate,
        "status": status,
        "recovery_count": 0,
        "previous_service_identity_version": None,
        "service_data": None,
    }
    return json.dumps(info).encode()


def _node_info(node: NodeRecord) -> bytes:
    info = {
        "status": node.status,
        "quote_info": evidence_to_json(node.evidence),
        "code_digest": node.measurement,
        "encryption_pub_key": node.encryption_key,
        "rpc_interfaces": {},
        "node_to_node_interface": {"published_address": node.peer_address},
        "retired_committed": node.retired_committed,
    }
    return json.dumps(info).encode()


def _ids(values: Sequence[object]) -> tuple[NodeID, ...]:
    if not all(isinstance(value, str) for value in values):
        raise TypeError("node IDs are text")
    return tuple(NodeID(str(value)) for value in values)


def _pairs(values: Any) -> tuple[tuple[NodeID, NodeID], ...]:
    pairs = [_ids(pair) for pair in values or ()]
    return tuple((fresh, old) for fresh, old in pairs)


@lru_cache(maxsize=2 * limits.NODES_KNOWN_MAX)
def _record(node_id: bytes, value: bytes, certificate: bytes) -> NodeRecord:
    """Read a row; remembered, because everybody asks for all nodes, all the time."""
    info = orjson.loads(value)
    quote = info["quote_info"]
    interface = info["node_to_node_interface"]
    if not isinstance(quote, dict) or not isinstance(interface, dict):
        raise TypeError("quote_info and node_to_node_interface are objects")
    if info["status"] not in _STATUSES:
        raise ValueError(f"unknown status {str(info['status'])[:40]!r}")
    return NodeRecord(
        node_id=NodeID(node_id.decode()),
        certificate=certificate.decode(),
        peer_address=str(interface["published_address"]),
        encryption_key=str(info["encryption_pub_key"]),
        measurement=str(info["code_digest"]),
        evidence=evidence_from_json(quote),
        status=str(info["status"]),
        retired_committed=info.get("retired_committed") is True,
    )
