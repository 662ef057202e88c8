"""Receipts: proof for one transaction that anybody can check offline against the service identity.

A receipt shows the components of the transaction's leaf, the path from the leaf to a signed root, and
a signature over that root which the ledger already holds, so issuing one signs nothing. Two forms:
JSON (node signature, node certificate) and COSE (service signature); both are CCF's. Making one needs
the commit evidence, which only holders of the ledger secret know: give it out after commit only.

After a recovery the service has another identity. Receipts for what was signed before carry the endorsements
that lead to it (``service_endorsements`` in JSON, x5chain in COSE), so that they prove themselves under the
new certificate; one that was given out before proves itself under the old one, or under the new with the
endorsements beside it.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Sequence
from hashlib import sha256

import attrs
import orjson

from coco_core.base import NodeID, TxID
from coco_core.base.limits import RECEIPT_SIZE_MAX_BYTES
from coco_core.crypto import (
    Certificate,
    Predecessor,
    check_issued,
    check_issued_before,
    read_certificate,
    read_certificate_der,
    read_predecessors,
)
from coco_core.errors import AttestationError, IntegrityError
from coco_core.ledger import cose
from coco_core.ledger.cose import InclusionProof
from coco_core.ledger.merkle import Path, root_from_path
from coco_core.ledger.signatures import LedgerSignature
from coco_core.wire.values import from_canonical_base64, from_hex_digest

_EVIDENCE = re.compile(r"ce:([1-9][0-9]{0,9})\.([1-9][0-9]{0,18}):[0-9a-f]{64}", re.ASCII)
_FIELDS = frozenset(
    {
        "cert",
        "is_signature_transaction",
        "leaf_components",
        "node_id",
        "proof",
        "service_endorsements",
        "signature",
    }
)


class ReceiptKind(enum.Enum):
    """The form a receipt came in."""

    JSON = "json"
    COSE = "cose"


@attrs.frozen(slots=True)
class LeafComponents:
    """What a transaction's leaf is made of."""

    write_set_digest: bytes
    commit_evidence: str
    claims: bytes

    def leaf(self) -> bytes:
        """Return the leaf of the Merkle tree."""
        evidence_digest = sha256(self.commit_evidence.encode()).digest()
        return sha256(self.write_set_digest + evidence_digest + self.claims).digest()


@attrs.frozen(slots=True)
class VerifiedReceipt:
    """What a receipt proves: this transaction is committed in the ledger of that service."""

    txid: TxID
    claims: bytes
    write_set_digest: bytes
    kind: ReceiptKind
    root: bytes
    signed_txid: TxID | None
    """The signature entry that covers the transaction; only a COSE receipt states it."""
    node: NodeID | None
    """The node that signed; only a JSON receipt states it."""
    recoveries: int = 0
    """How often the service's identity was replaced since it was signed."""


def json_receipt(
    components: LeafComponents, path: Path, signature: LedgerSignature, endorsements: Sequence[str] = ()
) -> bytes:
    """Return the JSON receipt for a leaf, its path and the signature entry that covers it.

    ``endorsements`` (PEM) lead from the identity it was signed under to that of today.
    """
    return orjson.dumps(
        {
            "cert": signature.node_cert_pem,
            "is_signature_transaction": False,
            "leaf_components": {
                "claims_digest": components.claims.hex(),
                "commit_evidence": components.commit_evidence,
                "write_set_digest": components.write_set_digest.hex(),
            },
            "node_id": signature.node,
            "proof": [{"left" if left else "right": digest.hex()} for left, digest in path],
            "service_endorsements": list(endorsements),
            "signature": base64.b64encode(signature.signature).decode(),
        }
    )


def cose_receipt(
    components: LeafComponents, path: Path, signature: LedgerSignature, endorsements: Sequence[str] = ()
) -> bytes:
    """Return the COSE receipt for a leaf, its path and the signature entry that covers it.

    ``endorsements`` (PEM) lead from the identity it was signed under to that of today.
    """
    proof = InclusionProof(
        components.write_set_digest, components.commit_evidence, components.claims, tuple(path)
    )
    return cose.with_proof(signature.cose, proof, [read_certificate(pem).der for pem in endorsements])


def verify_receipt(
    data: bytes, service_cert_pem: str | bytes, endorsements: Sequence[str] = ()
) -> VerifiedReceipt:
    """Check a receipt of either form against the service's certificate and return what it proves.

    The form is known by the first byte. A receipt from before a recovery carries what leads from the
    identity it was signed under to the service's; to one that was given out before the recovery and carries
    nothing, ``endorsements`` (PEM, as the service gives them now) say it. Raises IntegrityError when the
    receipt is malformed or does not prove what it says, AttestationError when it is not by a node of that
    service. Validity times are not looked at: a receipt outlives certificates.
    """
    if len(data) > RECEIPT_SIZE_MAX_BYTES:
        raise IntegrityError(f"receipt of {len(data)} bytes exceeds {RECEIPT_SIZE_MAX_BYTES}")
    service = read_certificate(service_cert_pem)
    if data[:1] == b"{":
        return _verify_json(data, service, endorsements)
    if data and data[0] == cose.COSE_FIRST_BYTE:
        return _verify_cose(data, service, endorsements)
    raise IntegrityError("receipt is neither JSON nor COSE")


def _verify_cose(data: bytes, service: Certificate, endorsements: Sequence[str]) -> VerifiedReceipt:
    message = cose.read(data)
    if len(message.proofs) != 1:
        raise IntegrityError(f"COSE receipt holds {len(message.proofs)} proofs, expected one")
    proof = message.proofs[0]
    components = LeafComponents(proof.write_set_digest, proof.commit_evidence, proof.claims)
    txid = _evidence_txid(components.commit_evidence)
    root = root_from_path(components.leaf(), proof.path)
    carried = [read_certificate_der(der).pem for der in message.endorsements] or endorsements
    before = identities_since(carried, service, message.kid)
    key = before[0].public_key if before else service.public_key
    cose.check(message, root, key)
    if not (txid.seqno < message.txid.seqno and txid.view <= message.txid.view):
        raise IntegrityError(f"COSE receipt: signature at {message.txid} cannot cover {txid}")
    _check_until(message.txid, before)
    return VerifiedReceipt(
        txid, proof.claims, proof.write_set_digest, ReceiptKind.COSE, root, message.txid, None, len(before)
    )


def _verify_json(data: bytes, service: Certificate, endorsements: Sequence[str]) -> VerifiedReceipt:
    cert, node_id, signature, carried, components, path = _read_json(data)
    node = read_certificate(cert)
    if node.pem != cert:
        raise IntegrityError("receipt: certificate is not in canonical PEM")
    if node.public_key.node_id() != node_id:
        raise IntegrityError("receipt: node_id is not that of the certificate's key")
    txid = _evidence_txid(components.commit_evidence)
    before = read_predecessors(carried, service)
    if not before and endorsements:
        before = _issuer_and_after(node, service, endorsements)
    if before:
        check_issued_before(node, before[0])
    else:
        check_issued(node, service)
    root = root_from_path(components.leaf(), path)
    node.public_key.verify_digest(signature, root)
    _check_until(TxID(txid.view, txid.seqno + 1), before)
    return VerifiedReceipt(
        txid=txid,
        claims=components.claims,
        write_set_digest=components.write_set_digest,
        kind=ReceiptKind.JSON,
        root=root,
        signed_txid=None,
        node=NodeID(node_id),
        recoveries=len(before),
    )


def identities_since(endorsements: Sequence[str], service: Certificate, kid: str) -> list[Predecessor]:
    """Return the service's earlier identities from the one with key ``kid`` on; none if that is its own."""
    known = read_predecessors(endorsements, service)
    for place, one in enumerate(known):
        if one.public_key.node_id() == kid:
            return known[place:]
    return []


def _issuer_and_after(
    node: Certificate, service: Certificate, endorsements: Sequence[str]
) -> list[Predecessor]:
    """Return the service's earlier identities from the one that issued ``node`` on; none if none did."""
    known = read_predecessors(endorsements, service)
    for place, one in enumerate(known):
        try:
            check_issued_before(node, one)
        except AttestationError:
            continue
        return known[place:]
    return []


def _check_until(signed: TxID, before: Sequence[Predecessor]) -> None:
    """Check that what stands at ``signed`` or later is not behind what the identity signed for."""
    if before and (signed.seqno > before[0].until.seqno or signed.view > before[0].until.view):
        raise AttestationError(f"the identity it was signed under signed for nothing after {before[0].until}")


def _read_json(
    data: bytes,
) -> tuple[str, str, bytes, list[str], LeafComponents, list[tuple[bool, bytes]]]:
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise IntegrityError(f"receipt is not JSON: {fault}") from fault
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise IntegrityError(f"receipt does not hold exactly {sorted(_FIELDS)}")
    match value:
        case {
            "cert": str(cert),
            "is_signature_transaction": False,
            "leaf_components": {
                "claims_digest": str(claims),
                "commit_evidence": str(evidence),
                "write_set_digest": str(write_set_digest),
                **rest,
            },
            "node_id": str(node_id),
            "proof": [*steps],
            "service_endorsements": [*endorsements],
            "signature": str(signature),
        } if not rest and all(isinstance(one, str) for one in endorsements):
            components = LeafComponents(_hex32(write_set_digest), evidence, _hex32(claims))
            carried = [str(one) for one in endorsements]
            path = [_json_step(step) for step in steps]
            return cert, node_id, _base64(signature), carried, components, path
    raise IntegrityError("receipt: a field has the wrong type or is not supported")


def _json_step(step: object) -> tuple[bool, bytes]:
    match step:
        case {"left": str(digest), **rest} if not rest:
            return True, _hex32(digest)
        case {"right": str(digest), **rest} if not rest:
            return False, _hex32(digest)
    raise IntegrityError("receipt: a step of the proof is neither left nor right")


def _hex32(text: str) -> bytes:
    try:
        return from_hex_digest(text)
    except ValueError as fault:
        raise IntegrityError(f"receipt: {text[:70]!r} is not a digest in lower-case hex") from fault


def _base64(text: str) -> bytes:
    try:
        return from_canonical_base64(text)
    except ValueError as fault:
        raise IntegrityError(f"receipt: signature is {fault}") from fault


def _evidence_txid(evidence: str) -> TxID:
    match = _EVIDENCE.fullmatch(evidence)
    if match is None:
        raise IntegrityError("receipt: commit evidence is not ce:view.seqno:nonce")
    return TxID(int(match[1]), int(match[2]))
