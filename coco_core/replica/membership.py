"""The network's nodes as its tables tell, and the entries a new service begins with.

Membership is read from the same tables governance changes, so that whoever may sign the ledger is
always decided by the ledger.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping

import attrs
import orjson

from coco_core.adapter import Manifest
from coco_core.attestation import Evidence
from coco_core.base import NodeID
from coco_core.crypto import PublicKey, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv import View, Writes, maps


@attrs.frozen(kw_only=True)
class NodeRecord:
    """One node as ``public:ccf.gov.nodes.info`` and its endorsed certificate describe it."""

    node_id: NodeID
    certificate: str
    """PEM, issued by the service identity."""
    peer_address: str
    """``host:port`` of its node-to-node interface."""
    measurement: str
    evidence: Evidence
    status: str = "Trusted"


def founding_writes(nodes: Iterable[NodeRecord], service_certificate: str) -> Writes:
    """Return the first entry of a service: its identity, still opening, and its nodes."""
    nodes = list(nodes)
    return {
        maps.SERVICE_INFO: {maps.SINGLETON_KEY: _service_info(service_certificate, "Opening")},
        maps.NODES_INFO: {node.node_id.encode(): _node_info(node) for node in nodes},
        maps.NODES_ENDORSED_CERTIFICATES: {
            node.node_id.encode(): node.certificate.encode() for node in nodes
        },
    }


def opening_writes(service_certificate: str, adapters: Iterable[Manifest]) -> Writes:
    """Return the entry that opens the service with the ledgers it runs."""
    return {
        maps.SERVICE_INFO: {maps.SINGLETON_KEY: _service_info(service_certificate, "Open")},
        maps.ADAPTERS: {manifest.name.encode(): _adapter_info(manifest) for manifest in adapters},
    }


def read_nodes(view: View) -> dict[NodeID, NodeRecord]:
    """Return the nodes ``view`` knows, trusted or not; raises IntegrityError for malformed tables."""
    records: dict[NodeID, NodeRecord] = {}
    for key, value in view.items(maps.NODES_INFO):
        certificate = view.get(maps.NODES_ENDORSED_CERTIFICATES, key)
        if certificate is None:
            continue
        try:
            record = _record(NodeID(key.decode()), orjson.loads(value), certificate.decode())
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(f"{maps.NODES_INFO}: malformed record of node {key!r}: {error}") from error
        records[record.node_id] = record
    return records


def signing_keys(nodes: Mapping[NodeID, NodeRecord]) -> dict[NodeID, PublicKey]:
    """Return the public keys of the nodes that may sign the ledger."""
    keys: dict[NodeID, PublicKey] = {}
    for node in nodes.values():
        if node.status != "Trusted":
            continue
        try:
            key = read_certificate(node.certificate).public_key
        except AttestationError as error:
            raise IntegrityError(f"certificate of node {node.node_id}: {error}") from error
        if key.node_id() != node.node_id:
            raise IntegrityError(f"certificate of node {node.node_id} is for node {key.node_id()}")
        keys[node.node_id] = key
    return keys


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
        "quote_info": {
            "format": node.evidence.format,
            "quote": base64.b64encode(node.evidence.quote).decode(),
            "endorsements": base64.b64encode(node.evidence.endorsements).decode(),
        },
        "code_digest": node.measurement,
        "encryption_pub_key": "",
        "rpc_interfaces": {},
        "node_to_node_interface": {"published_address": node.peer_address},
        "retired_committed": False,
    }
    return json.dumps(info).encode()


def _adapter_info(manifest: Manifest) -> bytes:
    info = {
        "version": manifest.version,
        "api": manifest.api,
        "engine": manifest.engine,
        "maps": list(manifest.maps),
        "deterministic": manifest.deterministic,
    }
    return json.dumps(info).encode()


def _record(node_id: NodeID, info: dict[str, object], certificate: str) -> NodeRecord:
    quote = info["quote_info"]
    interface = info["node_to_node_interface"]
    if not isinstance(quote, dict) or not isinstance(interface, dict):
        raise TypeError("quote_info and node_to_node_interface are objects")
    evidence = Evidence(
        format=str(quote["format"]),
        quote=base64.b64decode(quote["quote"], validate=True),
        endorsements=base64.b64decode(quote["endorsements"], validate=True),
    )
    return NodeRecord(
        node_id=node_id,
        certificate=certificate,
        peer_address=str(interface["published_address"]),
        measurement=str(info["code_digest"]),
        evidence=evidence,
        status=str(info["status"]),
    )
