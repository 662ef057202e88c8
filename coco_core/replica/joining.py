"""How a node becomes one of the founding nodes: it attests, is admitted, and is handed the secrets.

The joiner dials the founder over TLS that ends in the founder's service identity, and sends its
public key, evidence bound to that key, and a signature over both that shows it holds the key. Once
all founding nodes are admitted, the founder answers with a *welcome*: the joiner's endorsed
certificate, the list of nodes, and the service key and ledger secrets sealed to the joiner's key
(HPKE, RFC 9180), so that only the attested key opens them, whoever else sees the bytes. The joiner
judges in turn: the service is the one it was told to join, and every node of it passes its policy.

Values and checks only; who listens where is the shell's.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs
import orjson

from coco_core.adapter import Manifest
from coco_core.attestation import Evidence, Policy, Verdict, Verifier
from coco_core.base import NodeID, TxID, check_host, limits, split_address
from coco_core.crypto import (
    PrivateKey,
    PublicKey,
    SignatureError,
    check_endorsed,
    check_issued,
    hpke_open,
    hpke_seal,
    read_certificate,
)
from coco_core.errors import AttestationError, MalformedError
from coco_core.governance import NodeRecord
from coco_core.ledger import LedgerSecrets
from coco_core.replica.identities import ServiceIdentity
from coco_core.replica.restoring import Agreed

_SEAL_INFO: Final = b"coco welcome v1"
_REPORT_DOMAIN: Final = b"coco node key v1"
_SIGNATURE_DOMAIN: Final = b"coco join v1"

_MALFORMED: Final = (ValueError, KeyError, TypeError, OverflowError, RecursionError, MalformedError)
"""What reading JSON from a stranger as something it is not may raise."""


def report_data(key: PublicKey) -> bytes:
    """Return the 32 bytes a node's evidence must be bound to: a digest of its public key."""
    return hashlib.sha256(_REPORT_DOMAIN + key.der).digest()


@attrs.frozen(kw_only=True)
class JoinRequest:
    """What a joiner says of itself."""

    public_key: PublicKey
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
        "peer_address": request.peer_address,
        "hosts": list(request.hosts),
        "evidence": _evidence_to_json(request.evidence),
    }
    signature = key.sign(_SIGNATURE_DOMAIN + _canonical(body))
    return json.dumps({"body": body, "signature": _to_base64(signature)}).encode()


def read_join_request(data: bytes) -> JoinRequest:
    """Return a request whose sender holds the key it names; raises AttestationError otherwise."""
    try:
        outer = orjson.loads(data)
        body = outer["body"]
        key = PublicKey.from_pem(body["public_key"])
        key.verify(_from_base64(outer["signature"]), _SIGNATURE_DOMAIN + _canonical(body))
        return JoinRequest(
            public_key=key,
            evidence=_evidence_from_json(body["evidence"]),
            peer_address=_address(body["peer_address"]),
            hosts=_hosts(body["hosts"]),
        )
    except (*_MALFORMED, SignatureError) as error:
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


@attrs.frozen(kw_only=True)
class Welcome:
    """What an admitted node needs to take part."""

    certificate: str
    service: ServiceIdentity
    secrets: LedgerSecrets = attrs.field(repr=False)
    nodes: Sequence[NodeRecord]
    """Everybody who takes part, the joiner included."""
    manifests: Sequence[Manifest]
    operators: Sequence[str] = ()
    """Certificates (PEM) of those who may change the members."""
    agreed: Agreed | None = None
    """What is agreed already, for a node that may have an old ledger; None while the service forms."""


def encode_welcome(welcome: Welcome, receiver: PublicKey) -> bytes:
    """Return the welcome as JSON, its secrets sealed to ``receiver``."""
    secrets = {
        "service_key": welcome.service.key.to_pem(),
        "ledger_secrets": _to_base64(welcome.secrets.to_bytes()),
    }
    return json.dumps(
        {
            "certificate": welcome.certificate,
            "service_certificate": welcome.service.certificate,
            "nodes": [node_to_json(node) for node in welcome.nodes],
            "manifests": [attrs.asdict(manifest) for manifest in welcome.manifests],
            "operators": list(welcome.operators),
            "agreed": None if welcome.agreed is None else _agreed_to_json(welcome.agreed),
            "sealed": _to_base64(hpke_seal(receiver, _SEAL_INFO, json.dumps(secrets).encode())),
        }
    ).encode()


def read_welcome(data: bytes, key: PrivateKey) -> Welcome:
    """Open a welcome with the joiner's key; raises AttestationError when it is not for it."""
    try:
        outer = orjson.loads(data)
        secrets = orjson.loads(hpke_open(key, _SEAL_INFO, _from_base64(outer["sealed"])))
        service = ServiceIdentity(
            key=PrivateKey.from_pem(secrets["service_key"]),
            certificate=_text(outer["service_certificate"]),
        )
        if read_certificate(service.certificate).public_key != service.key.public:
            raise AttestationError("the service key is not that of the service certificate")
        return Welcome(
            certificate=_text(outer["certificate"]),
            service=service,
            secrets=LedgerSecrets.from_bytes(_from_base64(secrets["ledger_secrets"])),
            nodes=[node_from_json(node) for node in outer["nodes"]],
            manifests=[_manifest_from_json(manifest) for manifest in outer["manifests"]],
            operators=[_text(pem) for pem in outer["operators"]],
            agreed=None if outer["agreed"] is None else _agreed_from_json(outer["agreed"]),
        )
    except _MALFORMED as error:
        raise AttestationError(f"malformed welcome: {error!r}") from error


def check_welcome(
    welcome: Welcome,
    key: PublicKey,
    service_certificate: str,
    verifiers: Mapping[str, Verifier],
    policy: Policy,
    at: datetime.datetime,
) -> None:
    """Check that a welcome leads into the expected service, among nodes that ``policy`` accepts.

    The joiner with ``key`` trusts nobody's word for whom it joins: the service must be the one whose
    certificate its operator gave, must have issued the joiner's certificate and every other node's,
    and every node's evidence must pass as a joiner's would. Raises AttestationError.
    """
    service = read_certificate(welcome.service.certificate)
    if service.fingerprint != read_certificate(service_certificate).fingerprint:
        raise AttestationError("the welcome is to another service than the operator named")
    if read_certificate(welcome.certificate).public_key != key:
        raise AttestationError("the certificate in the welcome is for another node's key")
    check_endorsed(welcome.certificate, welcome.service.certificate, at)
    known = {node.node_id: node.certificate for node in welcome.nodes}
    if len(known) != len(welcome.nodes) or known.get(key.node_id()) != welcome.certificate:
        raise AttestationError("the nodes of the welcome do not hold this one, or one of them twice")
    for node in welcome.nodes:
        certificate = read_certificate(node.certificate)
        if certificate.public_key.node_id() != node.node_id:
            raise AttestationError(f"the certificate of node {node.node_id} is for another node's key")
        check_issued(certificate, service)
        claimed = JoinRequest(
            public_key=certificate.public_key, evidence=node.evidence, peer_address=node.peer_address
        )
        verdict = admit(claimed, verifiers, policy, int(at.timestamp()))
        if verdict.measurement != node.measurement:
            raise AttestationError(f"node {node.node_id} was measured as something else than is recorded")


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def _address(value: Any) -> str:
    """Return ``host:port``: it is published, dialled, and named in a certificate."""
    text = _text(value)
    try:
        split_address(text)
    except ValueError as error:
        raise ValueError(f"not a peer address: {text[:40]!r}") from error
    return text


def _hosts(value: Any) -> tuple[str, ...]:
    """Return the hosts a certificate is asked for."""
    if not isinstance(value, list) or len(value) > limits.CERTIFICATE_HOSTS_MAX:
        raise ValueError(f"not at most {limits.CERTIFICATE_HOSTS_MAX} hosts")
    for host in value:
        check_host(_text(host))
    return tuple(value)


def _evidence_to_json(evidence: Evidence) -> dict[str, str]:
    return {
        "format": evidence.format,
        "quote": _to_base64(evidence.quote),
        "endorsements": _to_base64(evidence.endorsements),
    }


def _evidence_from_json(value: Mapping[str, Any]) -> Evidence:
    return Evidence(
        format=_text(value["format"]),
        quote=_from_base64(value["quote"]),
        endorsements=_from_base64(value["endorsements"]),
    )


def node_to_json(node: NodeRecord) -> dict[str, Any]:
    """Return a record as JSON values."""
    return {
        "node_id": node.node_id,
        "certificate": node.certificate,
        "peer_address": node.peer_address,
        "measurement": node.measurement,
        "evidence": _evidence_to_json(node.evidence),
        "status": node.status,
        "retired_committed": node.retired_committed,
    }


def node_from_json(value: Mapping[str, Any]) -> NodeRecord:
    """Read what node_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    return NodeRecord(
        node_id=NodeID(_text(value["node_id"])),
        certificate=_text(value["certificate"]),
        peer_address=_address(value["peer_address"]),
        measurement=_text(value["measurement"]),
        evidence=_evidence_from_json(value["evidence"]),
        status=_text(value["status"]),
        retired_committed=bool(value["retired_committed"]),
    )


def _agreed_to_json(agreed: Agreed) -> dict[str, Any]:
    return {"committed": str(agreed.committed), "views": agreed.views, "view": agreed.view}


def _agreed_from_json(value: Mapping[str, Any]) -> Agreed:
    runs = tuple((_natural(view), _natural(first)) for view, first in value["views"])
    committed = TxID.parse(_text(value["committed"]))
    if any(later[0] <= run[0] or later[1] <= run[1] for run, later in pairwise(runs)):
        raise ValueError("views do not ascend")
    return Agreed(committed=committed, views=runs, view=_natural(value["view"]))


def _natural(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no positive number")
    return value


def _manifest_from_json(value: Mapping[str, Any]) -> Manifest:
    return Manifest(
        name=_text(value["name"]),
        version=_text(value["version"]),
        engine=_text(value["engine"]),
        maps=tuple(_text(name) for name in value["maps"]),
        deterministic=bool(value["deterministic"]),
        api=int(value["api"]),
    )
