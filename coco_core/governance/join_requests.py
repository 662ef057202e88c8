"""What a node says of itself when it asks to join, and how its evidence is judged.

Values and checks only; who listens where is the shell's, and who lets it in is decided by
``administration`` and the consortium.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.attestation import Evidence, Policy, Verdict, Verifier
from coco_core.base import NodeID, limits
from coco_core.crypto import Curve, PrivateKey, PublicKey, SignatureError
from coco_core.errors import AttestationError
from coco_core.governance.json_values import (
    MALFORMED,
    address,
    evidence_from_json,
    evidence_to_json,
    from_base64,
    hosts,
    text,
    to_base64,
)
from coco_core.governance.membership import NodeRecord

_REPORT_DOMAIN: Final = b"coco node key v1"
_SIGNATURE_DOMAIN: Final = b"coco join v1"


@attrs.frozen(kw_only=True)
class Admission:
    """How nodes that ask to join are judged."""

    verifiers: Mapping[str, Verifier]
    policy: Policy


def report_data(key: PublicKey) -> bytes:
    """Return the 32 bytes a node's evidence must be bound to: a digest of its public key."""
    return hashlib.sha256(_REPORT_DOMAIN + key.der).digest()


@attrs.frozen(kw_only=True)
class JoinRequest:
    """What a joiner says of itself."""

    public_key: PublicKey
    encryption_key: PublicKey
    """What the welcome is sealed to; P-256."""
    evidence: Evidence
    peer_address: str
    hosts: tuple[str, ...] = ()
    """Every host its clients and peers may know it by: its certificate is to hold them."""

    @property
    def node_id(self) -> NodeID:
        """The joiner's name, derived from its key."""
        return self.public_key.node_id()


def encode_join_request(request: JoinRequest, key: PrivateKey) -> bytes:
    """Return the request as JSON with a signature by ``key`` over its content."""
    body = {
        "public_key": request.public_key.pem,
        "encryption_key": request.encryption_key.pem,
        "peer_address": request.peer_address,
        "hosts": list(request.hosts),
        "evidence": evidence_to_json(request.evidence),
    }
    signature = key.sign(_SIGNATURE_DOMAIN + _canonical(body))
    return json.dumps({"body": body, "signature": to_base64(signature)}).encode()


def read_join_request(data: bytes) -> JoinRequest:
    """Return a request whose sender holds the key it names; raises AttestationError otherwise."""
    try:
        outer = orjson.loads(data)
        body = outer["body"]
        key = PublicKey.from_pem(body["public_key"])
        key.verify(from_base64(outer["signature"]), _SIGNATURE_DOMAIN + _canonical(body))
        return JoinRequest(
            public_key=key,
            encryption_key=encryption_key(body["encryption_key"]),
            evidence=evidence_from_json(body["evidence"]),
            peer_address=address(body["peer_address"]),
            hosts=hosts(body["hosts"]),
        )
    except (*MALFORMED, SignatureError) as error:
        raise AttestationError(f"malformed join request: {error!r}") from error


def admit(request: JoinRequest, verifiers: Mapping[str, Verifier], policy: Policy, now_s: int) -> Verdict:
    """Judge a node's evidence; raises AttestationError naming the rule that failed.

    Its size is bounded, because the ledger keeps it in one entry with that of all founding nodes.
    """
    evidence = request.evidence
    if len(evidence.quote) > limits.QUOTE_SIZE_MAX_BYTES:
        raise AttestationError(
            f"quote of {len(evidence.quote)} bytes exceeds the bound of {limits.QUOTE_SIZE_MAX_BYTES}"
        )
    if len(evidence.endorsements) > limits.ENDORSEMENTS_SIZE_MAX_BYTES:
        raise AttestationError(
            f"endorsements of {len(evidence.endorsements)} bytes exceed the bound of "
            f"{limits.ENDORSEMENTS_SIZE_MAX_BYTES}"
        )
    verifier = verifiers.get(evidence.format)
    if verifier is None:
        raise AttestationError(f"no verifier for evidence of format {evidence.format!r}")
    return verifier.verify(evidence, policy, report_data(request.public_key), now_s)


def node_to_json(node: NodeRecord) -> dict[str, Any]:
    """Return a record as JSON values."""
    return {
        "node_id": node.node_id,
        "certificate": node.certificate,
        "peer_address": node.peer_address,
        "encryption_key": node.encryption_key,
        "measurement": node.measurement,
        "evidence": evidence_to_json(node.evidence),
        "status": node.status,
        "retired_committed": node.retired_committed,
    }


def node_from_json(value: Mapping[str, Any]) -> NodeRecord:
    """Read what node_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    return NodeRecord(
        node_id=NodeID(text(value["node_id"])),
        certificate=text(value["certificate"]),
        peer_address=address(value["peer_address"]),
        encryption_key=encryption_key(value["encryption_key"]).pem,
        measurement=text(value["measurement"]),
        evidence=evidence_from_json(value["evidence"]),
        status=text(value["status"]),
        retired_committed=bool(value["retired_committed"]),
    )


def encryption_key(value: Any) -> PublicKey:
    """Read a node's encryption key (PEM); raises AttestationError or TypeError."""
    key = PublicKey.from_pem(text(value))
    if key.curve is not Curve.P256:
        raise AttestationError(f"a node's encryption key is on P-256, not {key.curve.value}")
    return key


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
