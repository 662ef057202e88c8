"""The transaction by which a node asks to join: judged anew when it is executed, by tables and ledger time.

What the node that was asked found is not believed: whoever executes has the policy in force, and judges over
the same transcript. What only that node could know, that its nonce was used once, is its word.

Who joins waits for a vote, or comes with the voucher of a node whose place it takes (see ``renewals``).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

import attrs

from coco_core.attestation import Verifier
from coco_core.base import NodeID, limits, utc
from coco_core.crypto import check_endorsed, read_certificate, service_id
from coco_core.errors import AttestationError
from coco_core.governance.admission import (
    AdmissionRecord,
    JoinProof,
    admission_writes,
    judge_joiner,
    proof_from_json,
    proof_to_json,
)
from coco_core.governance.consortium import read_config, read_service_info
from coco_core.governance.departures import refuse_departed
from coco_core.governance.join_requests import encryption_key, node_from_json, node_to_json
from coco_core.governance.membership import (
    PENDING,
    NodeRecord,
    forgetting_writes,
    node_writes,
    read_change,
    read_nodes,
    was_dismissed,
)
from coco_core.governance.policy import read_policy
from coco_core.governance.refusal import RefusedError
from coco_core.governance.renewals import renewal_writes
from coco_core.governance.vouchers import Voucher, voucher_from_json, voucher_to_json
from coco_core.kv import View, Writes, merge


def join_payload(node: NodeRecord, proof: JoinProof, voucher: Voucher | None = None) -> bytes:
    """Return the transaction by which ``node`` asks to join; its certificate is endorsed already."""
    body: dict[str, Any] = {"node": node_to_json(node), **proof_to_json(proof)}
    if voucher is not None:
        body["voucher"] = voucher_to_json(voucher)
    return json.dumps({"join": body}).encode()


def join_writes(
    body: Mapping[str, Any],
    view: View,
    time_ms: int,
    verifiers: Mapping[str, Verifier],
) -> Writes:
    """Return the writes that make a node pending, with the record of its admission.

    With a voucher it begins to take another node's place, too. Raises RefusedError, and ValueError, KeyError
    or TypeError for a malformed ``body``.
    """
    node, proof = node_from_json(body["node"]), proof_from_json(body)
    voucher = voucher_from_json(body["voucher"]) if "voucher" in body else None
    nodes = read_nodes(view)
    known = nodes.get(node.node_id)
    if known is not None:
        refuse_departed(view, known, time_ms)
        raise RefusedError("duplicate", f"node {node.node_id} asked before")
    if was_dismissed(view, node.node_id):
        raise RefusedError("retired", "its addition was taken back: start it anew to ask with other keys")
    if any(one.encryption_key == node.encryption_key for one in nodes.values()):
        raise RefusedError("duplicate", "another node has the same encryption key")
    if node.status != PENDING or node.retired_committed:
        raise RefusedError("malformed", "a node that asks to join is pending")
    try:
        record = _judge(node, proof, view, time_ms, verifiers)
    except AttestationError as error:
        raise RefusedError(error.code, str(error)) from error
    gone = _replaced(node, nodes, view, bounded=voucher is None)
    writes = node_writes([node])
    merge(writes, admission_writes({node.node_id: attrs.evolve(record, voucher=voucher)}))
    if voucher is not None:
        merge(writes, renewal_writes(view, node.node_id, voucher, time_ms))
    if gone:
        merge(writes, forgetting_writes(gone))
    return writes


def check_joiners_certificate(pem: str, node_id: NodeID, view: View, time_ms: int) -> None:
    """Raise AttestationError unless the service issued the certificate, for that node.

    It is valid at that Unix time, and lasts no longer than members allow.
    """
    at = utc(time_ms)
    check_endorsed(pem, str(read_service_info(view)["cert"]), at)
    certificate = read_certificate(pem)
    if certificate.public_key.node_id() != node_id:
        raise AttestationError(f"the certificate of node {node_id[:64]} is for another node's key")
    most = read_config(view).maximum_node_certificate_validity_days
    lasts = certificate.not_after - certificate.not_before
    if lasts > datetime.timedelta(days=most):
        raise AttestationError(
            f"the certificate lasts {lasts}, and members allow {most} days", code="certificate_validity"
        )


def waiting_nodes(nodes: Mapping[NodeID, NodeRecord], view: View) -> list[NodeRecord]:
    """Return who of ``nodes`` asked to join and is not being added."""
    change = read_change(view)
    learning = set(change.add) if change is not None else set()
    return [one for one in nodes.values() if one.status == PENDING and one.node_id not in learning]


def _judge(
    node: NodeRecord,
    proof: JoinProof,
    view: View,
    time_ms: int,
    verifiers: Mapping[str, Verifier],
) -> AdmissionRecord:
    check_joiners_certificate(node.certificate, node.node_id, view, time_ms)
    service_certificate = str(read_service_info(view)["cert"])
    key = read_certificate(node.certificate).public_key
    if proof.transcript.service_id != service_id(service_certificate):
        raise AttestationError("the transcript is for another service", code="report_data")
    asked = read_nodes(view).get(proof.transcript.verifier)
    if asked is None or asked.status == PENDING:
        raise AttestationError("the node that was asked is not of this service", code="verifier")
    record = judge_joiner(
        key, encryption_key(node.encryption_key), proof, node.evidence, verifiers, read_policy(view), time_ms
    )
    if record.measurement != node.measurement:
        raise AttestationError("the node was measured as something else than it says", code="measurement")
    return record


def _replaced(
    node: NodeRecord, nodes: Mapping[NodeID, NodeRecord], view: View, *, bounded: bool
) -> list[NodeID]:
    """Return who gives up its place to ``node``; raises RefusedError when there is none among who waits.

    A joiner that restarts has a new key; its place must not stay with the one that is gone.
    """
    waiting = waiting_nodes(nodes, view)
    gone = [one.node_id for one in waiting if one.peer_address == node.peer_address]
    if bounded and len(waiting) - len(gone) >= limits.PENDING_NODES_MAX:
        raise RefusedError("too-many-pending", f"{len(waiting)} nodes wait for an operator already")
    return gone
