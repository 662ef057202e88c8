"""What an admitted node is handed, and how it judges in turn whom it joins.

The joiner dials over TLS that ends in the service's identity and asks to join (see ``coco_core.governance``).
Once it is admitted, the answer is a *welcome*: the joiner's endorsed certificate, the list of nodes, the
policy in force, and the service key and ledger secrets sealed to the joiner's encryption key (HPKE, RFC
9180), so that only the attested key opens them, whoever else sees the bytes. They are sealed for one request:
its transcript is part of how. A digest of everything in the clear is sealed with them, so that all of it is
from who has the service's key. The joiner judges in turn: the service is the one it was told to join, and the
policy accepts itself and every node.

Values and checks only; who listens where is the shell's.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs
import orjson

from coco_core.adapter import Manifest
from coco_core.attestation import Policy, Verifier
from coco_core.base import NodeID, TxID, limits
from coco_core.crypto import (
    PrivateKey,
    PublicKey,
    check_endorsed,
    check_issued,
    hpke_open,
    hpke_seal,
    read_certificate,
    read_predecessors,
    service_id,
    sha256,
)
from coco_core.errors import AttestationError
from coco_core.governance import (
    NodeRecord,
    Transcript,
    admit,
    encryption_key,
    manifest_from_json,
    manifest_to_json,
    node_from_json,
    node_to_json,
    policy_from_json,
    policy_to_json,
    standing_report_data,
)
from coco_core.governance.json_values import MALFORMED
from coco_core.ledger import LedgerSecrets
from coco_core.replica.identities import ServiceIdentity
from coco_core.replica.restoring import Agreed
from coco_core.wire.values import canonical_json, from_base64, text, to_base64

_SEAL_DOMAIN: Final = b"coco welcome v2"


@attrs.frozen(kw_only=True)
class Welcome:
    """What an admitted node needs to take part."""

    certificate: str
    service: ServiceIdentity
    secrets: LedgerSecrets = attrs.field(repr=False)
    nodes: Sequence[NodeRecord]
    """Everybody who takes part, the joiner included."""
    manifests: Sequence[Manifest]
    policy: Policy
    """The policy in force."""
    judged_at_ms: Mapping[NodeID, int] = attrs.field(factory=dict)
    """When each of the nodes was admitted: by then what its evidence is judged by was valid, and it may not
    be any more."""
    operators: Sequence[str] = ()
    """Certificates (PEM) of those who may change the members."""
    agreed: Agreed | None = None
    """What is agreed already, for a node that may have an old ledger; None while the service forms."""


def encode_welcome(welcome: Welcome, receiver: PublicKey, transcript: Transcript) -> bytes:
    """Return the welcome as JSON, its secrets sealed to ``receiver``, the encryption key of who asked so."""
    in_clear = {
        "certificate": welcome.certificate,
        "service_certificate": welcome.service.certificate,
        "service_endorsements": list(welcome.service.endorsements),
        "nodes": [node_to_json(node) for node in welcome.nodes],
        "manifests": [manifest_to_json(manifest) for manifest in welcome.manifests],
        "policy": policy_to_json(welcome.policy),
        "judged_at": dict(welcome.judged_at_ms),
        "operators": list(welcome.operators),
        "agreed": None if welcome.agreed is None else _agreed_to_json(welcome.agreed),
    }
    secrets = {
        "service_key": welcome.service.key.to_pem(),
        "ledger_secrets": to_base64(welcome.secrets.to_bytes()),
        "in_clear": _digest(in_clear),
    }
    sealed = hpke_seal(receiver, _seal_info(transcript), json.dumps(secrets).encode())
    return json.dumps({**in_clear, "sealed": to_base64(sealed)}).encode()


def read_welcome(data: bytes, key: PrivateKey, transcript: Transcript) -> Welcome:
    """Open, with the joiner's encryption key, the welcome that answers the request with this transcript.

    Raises AttestationError when it is for another node or request, or was changed.
    """
    try:
        outer = orjson.loads(data)
        secrets = orjson.loads(hpke_open(key, _seal_info(transcript), from_base64(outer.pop("sealed"))))
        if secrets["in_clear"] != _digest(outer):
            raise AttestationError("what is in the clear in the welcome is not from who sealed the rest")
        service = ServiceIdentity(
            key=PrivateKey.from_pem(secrets["service_key"]),
            certificate=text(outer["service_certificate"]),
            endorsements=tuple(text(pem) for pem in outer["service_endorsements"]),
        )
        if read_certificate(service.certificate).public_key != service.key.public:
            raise AttestationError("the service key is not that of the service certificate")
        return Welcome(
            certificate=text(outer["certificate"]),
            service=service,
            secrets=LedgerSecrets.from_bytes(from_base64(secrets["ledger_secrets"])),
            nodes=[node_from_json(node) for node in outer["nodes"]],
            manifests=[manifest_from_json(manifest) for manifest in outer["manifests"]],
            policy=policy_from_json(outer["policy"]),
            judged_at_ms={NodeID(text(name)): _natural(at) for name, at in dict(outer["judged_at"]).items()},
            operators=[text(pem) for pem in outer["operators"]],
            agreed=None if outer["agreed"] is None else _agreed_from_json(outer["agreed"]),
        )
    except (*MALFORMED, AttributeError) as error:
        raise AttestationError(f"malformed welcome: {error!r}", code="malformed") from error


def check_welcome(
    welcome: Welcome,
    key: PublicKey,
    service_certificate: str,
    verifiers: Mapping[str, Verifier],
    at: datetime.datetime,
    policy: Policy | None = None,
) -> None:
    """Check that a welcome leads into the expected service, whose policy accepts this node and every other.

    The joiner with ``key`` trusts nobody's word for whom it joins: the service must be the one whose
    certificate its operator gave, must have issued the joiner's certificate and every other node's,
    and every node's standing evidence, its own too, must pass the service's policy, and ``policy``, its
    operator's. When others were admitted is the word of the node that was asked, which proved itself before.
    Raises AttestationError; ``time_rollback`` where this machine's clock, by which that node was judged, is
    behind the ledger's: whoever sets it back chooses which collateral still counts.
    """
    service = read_certificate(welcome.service.certificate)
    if service_id(welcome.service.certificate) != service_id(service_certificate):
        raise AttestationError("the welcome is to another service than the operator named")
    read_predecessors(welcome.service.endorsements, service)
    _check_clock(welcome, at)
    if read_certificate(welcome.certificate).public_key != key:
        raise AttestationError("the certificate in the welcome is for another node's key")
    check_endorsed(welcome.certificate, welcome.service.certificate, at)
    known = {node.node_id: node.certificate for node in welcome.nodes}
    if len(known) != len(welcome.nodes) or known.get(key.node_id()) != welcome.certificate:
        raise AttestationError("the nodes of the welcome do not hold this one, or one of them twice")
    accepted_by = [welcome.policy] if policy in (None, welcome.policy) else [welcome.policy, policy]
    for node in welcome.nodes:
        certificate = read_certificate(node.certificate)
        if certificate.public_key.node_id() != node.node_id:
            raise AttestationError(f"the certificate of node {node.node_id} is for another node's key")
        check_issued(certificate, service)
        expected = standing_report_data(certificate.public_key, encryption_key(node.encryption_key))
        now_s = welcome.judged_at_ms.get(node.node_id, int(at.timestamp() * 1000)) // 1000
        for accepted in accepted_by:
            try:
                verdict = admit(node.evidence, expected, verifiers, accepted, now_s)
            except AttestationError as error:
                raise AttestationError(f"node {node.node_id}: {error}", code=error.code) from error
            if verdict.measurement != node.measurement:
                raise AttestationError(
                    f"node {node.node_id} was measured as something else than is recorded", code="measurement"
                )


def _check_clock(welcome: Welcome, at: datetime.datetime) -> None:
    ledger_s = max(welcome.judged_at_ms.values(), default=0) // 1000
    behind_s = ledger_s - int(at.timestamp())
    if behind_s > limits.CLOCK_BEHIND_MAX_S:
        raise AttestationError(
            f"this machine's clock is {behind_s} s behind the service's ledger: set it", code="time_rollback"
        )


def _seal_info(transcript: Transcript) -> bytes:
    return _SEAL_DOMAIN + transcript.report_data


def _digest(in_clear: Mapping[str, Any]) -> str:
    return sha256(canonical_json(in_clear)).hex()


def _agreed_to_json(agreed: Agreed) -> dict[str, Any]:
    return {"committed": str(agreed.committed), "views": agreed.views, "view": agreed.view}


def _agreed_from_json(value: Mapping[str, Any]) -> Agreed:
    runs = tuple((_natural(view), _natural(first)) for view, first in value["views"])
    committed = TxID.parse(text(value["committed"]))
    if any(later[0] <= run[0] or later[1] <= run[1] for run, later in pairwise(runs)):
        raise ValueError("views do not ascend")
    return Agreed(committed=committed, views=runs, view=_natural(value["view"]))


def _natural(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no positive number")
    return value
