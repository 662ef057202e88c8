"""What a node that wants to join and a node of the service say to each other, before and when it asks.

::

    joiner                                    a node of the service
      POST /node/join/challenge
      its keys, its nonce             →
                                      ←       a nonce, evidence bound to the joiner's, certificates, policy
      POST /node/join
      the nonce back, evidence bound
      to it, standing evidence        →
                                      ←       the welcome, sealed to the joiner's encryption key

Values and checks only; who listens where is the shell's, and who lets it in is decided by
``administration`` and the consortium.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from coco_core.attestation import Evidence, Policy, Verifier
from coco_core.base import NodeID
from coco_core.crypto import Curve, PrivateKey, PublicKey, SignatureError, read_certificate, service_id
from coco_core.errors import AttestationError
from coco_core.governance.admission import JoinProof, admit, check_size
from coco_core.governance.json_values import MALFORMED, address, evidence_from_json, evidence_to_json, hosts
from coco_core.governance.membership import NodeRecord
from coco_core.governance.policy import policy_from_json, policy_to_json
from coco_core.governance.transcripts import JOINER, MEMBER, Transcript, read_nonce
from coco_core.governance.vouchers import Voucher, voucher_from_json, voucher_to_json
from coco_core.wire.values import canonical_json, from_base64, text, to_base64

_SIGNATURE_DOMAIN: Final = b"coco join v3"


# ── the challenge ────────────────────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class ChallengeRequest:
    """A joiner asks for a nonce, and for proof of whom it asks."""

    public_key: PublicKey
    encryption_key: PublicKey
    nonce: bytes = attrs.field(repr=False)
    """What the answering node's evidence must be bound to."""

    def transcript(self, service_id: str, verifier: NodeID) -> Transcript:
        """Return what the evidence of the node that is asked is bound to."""
        return Transcript(
            service_id=service_id,
            role=MEMBER,
            nonce=self.nonce,
            joiner=self.public_key.node_id(),
            encryption_key=self.encryption_key.fingerprint,
            verifier=verifier,
        )


@attrs.frozen(kw_only=True)
class Challenge:
    """What a node of the service answers: a nonce, and who it is itself."""

    nonce: bytes = attrs.field(repr=False)
    evidence: Evidence
    certificate: str
    service_certificate: str
    policy: Policy
    """The policy in force, for the joiner to see what it would be judged by. It judges by its own."""


def encode_challenge_request(request: ChallengeRequest) -> bytes:
    """Return the request as JSON."""
    return json.dumps(
        {
            "public_key": request.public_key.pem,
            "encryption_key": request.encryption_key.pem,
            "nonce": to_base64(request.nonce),
        }
    ).encode()


def read_challenge_request(data: bytes) -> ChallengeRequest:
    """Read what encode_challenge_request returned; raises AttestationError for anything else."""
    try:
        value = orjson.loads(data)
        return ChallengeRequest(
            public_key=PublicKey.from_pem(text(value["public_key"])),
            encryption_key=encryption_key(value["encryption_key"]),
            nonce=read_nonce(value["nonce"]),
        )
    except (*MALFORMED, AttestationError) as error:
        raise AttestationError(f"malformed request for a challenge: {error!r}", code="malformed") from error


def encode_challenge(challenge: Challenge) -> bytes:
    """Return the challenge as JSON."""
    return json.dumps(
        {
            "nonce": to_base64(challenge.nonce),
            "evidence": evidence_to_json(challenge.evidence),
            "certificate": challenge.certificate,
            "service_certificate": challenge.service_certificate,
            "policy": policy_to_json(challenge.policy),
        }
    ).encode()


def read_challenge(data: bytes) -> Challenge:
    """Read what encode_challenge returned; raises AttestationError for anything else."""
    try:
        value = orjson.loads(data)
        if value.get("evidence") is None:
            raise AttestationError("the node that was asked shows no evidence", code="peer_evidence")
        return Challenge(
            nonce=read_nonce(value["nonce"]),
            evidence=evidence_from_json(value["evidence"]),
            certificate=text(value["certificate"]),
            service_certificate=text(value["service_certificate"]),
            policy=policy_from_json(value["policy"]),
        )
    except (*MALFORMED, AttributeError) as error:
        raise AttestationError(f"malformed challenge: {error!r}", code="malformed") from error


def check_challenge(
    challenge: Challenge,
    request: ChallengeRequest,
    peer: PublicKey,
    service_certificate: str,
    verifiers: Mapping[str, Verifier],
    policy: Policy,
    now_s: int,
) -> Transcript:
    """Judge, as the joiner, whom it asks; return what its own evidence is to be bound to.

    ``peer`` is the key in the certificate seen on the channel; ``service_certificate`` and ``policy`` are
    what the joiner's operator gave: who is judged has no say in it. Raises AttestationError; ``peer_service``
    for another service, ``peer_certificate`` for another node than answers on this channel, otherwise as
    ``admit`` does.
    """
    service = service_id(service_certificate)
    if service_id(challenge.service_certificate) != service:
        raise AttestationError("the node that was asked is of another service", code="peer_service")
    if read_certificate(challenge.certificate).public_key != peer:
        raise AttestationError(
            "the node that was asked names another certificate than this channel's", code="peer_certificate"
        )
    theirs = request.transcript(service, peer.node_id())
    try:
        admit(challenge.evidence, theirs.report_data, verifiers, policy, now_s)
    except AttestationError as error:
        raise AttestationError(f"the node that was asked: {error}", code=error.code) from error
    return attrs.evolve(theirs, role=JOINER, nonce=challenge.nonce)


# ── asking to join ───────────────────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class JoinRequest:
    """What a joiner says of itself."""

    public_key: PublicKey
    encryption_key: PublicKey
    """What the welcome is sealed to; P-256."""
    nonce: bytes = attrs.field(repr=False)
    """Of the node that is asked."""
    evidence: Evidence
    """Bound to the transcript of this request."""
    standing: Evidence
    """Bound to both keys only: for the tables, and for whoever dials this node later."""
    peer_address: str
    hosts: tuple[str, ...] = ()
    """Every host its clients and peers may know it by: its certificate is to hold them."""
    voucher: Voucher | None = None
    """Of the node whose place it is to take."""

    @property
    def node_id(self) -> NodeID:
        """The joiner's name, derived from its key."""
        return self.public_key.node_id()

    def proof(self, service_id: str, verifier: NodeID) -> JoinProof:
        """Return the evidence with what it must be bound to when ``verifier`` is asked."""
        transcript = Transcript(
            service_id=service_id,
            role=JOINER,
            nonce=self.nonce,
            joiner=self.node_id,
            encryption_key=self.encryption_key.fingerprint,
            verifier=verifier,
        )
        return JoinProof(evidence=self.evidence, transcript=transcript)


def encode_join_request(request: JoinRequest, key: PrivateKey) -> bytes:
    """Return the request as JSON with a signature by ``key`` over its content."""
    body = {
        "public_key": request.public_key.pem,
        "encryption_key": request.encryption_key.pem,
        "nonce": to_base64(request.nonce),
        "peer_address": request.peer_address,
        "hosts": list(request.hosts),
        "evidence": evidence_to_json(request.evidence),
        "standing": evidence_to_json(request.standing),
        "voucher": voucher_to_json(request.voucher) if request.voucher is not None else None,
    }
    signature = key.sign(_SIGNATURE_DOMAIN + canonical_json(body))
    return json.dumps({"body": body, "signature": to_base64(signature)}).encode()


def read_join_request(data: bytes) -> JoinRequest:
    """Return a request whose sender holds the key it names; raises AttestationError otherwise.

    Its evidence is within bounds, because the ledger keeps it in one entry with that of all founding nodes.
    Possession of the key comes first: nobody else can use up a joiner's nonce.
    """
    try:
        outer = orjson.loads(data)
        body = outer["body"]
        key = PublicKey.from_pem(body["public_key"])
        key.verify(from_base64(outer["signature"]), _SIGNATURE_DOMAIN + canonical_json(body))
        request = JoinRequest(
            public_key=key,
            encryption_key=encryption_key(body["encryption_key"]),
            nonce=read_nonce(body["nonce"]),
            evidence=evidence_from_json(body["evidence"]),
            standing=evidence_from_json(body["standing"]),
            peer_address=address(body["peer_address"]),
            hosts=hosts(body["hosts"]),
            voucher=voucher_from_json(body["voucher"]) if body["voucher"] is not None else None,
        )
    except (*MALFORMED, AttestationError, SignatureError) as error:
        raise AttestationError(f"malformed join request: {error!r}", code="malformed") from error
    for evidence in (request.evidence, request.standing):
        check_size(evidence)
    return request


def encryption_key(value: Any) -> PublicKey:
    """Read a node's encryption key (PEM); raises ValueError or TypeError."""
    try:
        key = PublicKey.from_pem(text(value))
    except AttestationError as error:
        raise ValueError(f"no encryption key: {error}") from error
    if key.curve is not Curve.P256:
        raise ValueError(f"a node's encryption key is on P-256, not {key.curve.value}")
    return key


# ── records ──────────────────────────────────────────────────────────────────────────────────────


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
