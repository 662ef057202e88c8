"""Receipts: proof for one transaction that anybody can check offline against the service identity.

A receipt shows the components of the transaction's leaf, the path from the leaf to a signed root, and
a signature over that root which the ledger already holds, so issuing one signs nothing. Two forms:
JSON (node signature, node certificate) and COSE (service signature); both are CCF's. Making one needs
the commit evidence, which only holders of the ledger secret know: give it out after commit only.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from hashlib import sha256
from typing import NoReturn

import attrs
import orjson

from coco_core.base import NodeID, TxID
from coco_core.base.limits import RECEIPT_SIZE_MAX_BYTES
from coco_core.crypto import check_issued, read_certificate
from coco_core.errors import IntegrityError
from coco_core.ledger import cose
from coco_core.ledger.cose import InclusionProof
from coco_core.ledger.merkle import Path, root_from_path
from coco_core.ledger.signatures import LedgerSignature

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


def json_receipt(components: LeafComponents, path: Path, signature: LedgerSignature) -> bytes:
    """Return the JSON receipt for a leaf, its path and the signature entry that covers it."""
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
            "service_endorsements": [],
            "signature": base64.b64encode(signature.signature).decode(),
        }
    )


def cose_receipt(components: LeafComponents, path: Path, signature: LedgerSignature) -> bytes:
    """Return the COSE receipt for a leaf, its path and the signature entry that covers it."""
    proof = InclusionProof(
        components.write_set_digest, components.commit_evidence, components.claims, tuple(path)
    )
    return cose.with_proof(signature.cose, proof)


def verify_receipt(data: bytes, service_cert_pem: str | bytes) -> VerifiedReceipt:
    """Check a receipt of either form against the service's certificate and return what it proves.

    The form is known by the first byte. Raises IntegrityError when the receipt is malformed or does
    not prove what it says, AttestationError when it is not by a node of that service. Validity times
    are not looked at: a receipt outlives certificates.
    """
    if len(data) > RECEIPT_SIZE_MAX_BYTES:
        raise IntegrityError(f"receipt of {len(data)} bytes exceeds {RECEIPT_SIZE_MAX_BYTES}")
    if data[:1] == b"{":
        return _verify_json(data, service_cert_pem)
    if data and data[0] == cose.COSE_FIRST_BYTE:
        return _verify_cose(data, service_cert_pem)
    raise IntegrityError("receipt is neither JSON nor COSE")


def _verify_cose(data: bytes, service_cert_pem: str | bytes) -> VerifiedReceipt:
    message = cose.read(data)
    if len(message.proofs) != 1:
        raise IntegrityError(f"COSE receipt holds {len(message.proofs)} proofs, expected one")
    proof = message.proofs[0]
    components = LeafComponents(proof.write_set_digest, proof.commit_evidence, proof.claims)
    txid = _evidence_txid(components.commit_evidence)
    root = root_from_path(components.leaf(), proof.path)
    cose.check(message, root, read_certificate(service_cert_pem).public_key)
    if not (txid.seqno < message.txid.seqno and txid.view <= message.txid.view):
        raise IntegrityError(f"COSE receipt: signature at {message.txid} cannot cover {txid}")
    return VerifiedReceipt(
        txid, proof.claims, proof.write_set_digest, ReceiptKind.COSE, root, message.txid, None
    )


def _verify_json(data: bytes, service_cert_pem: str | bytes) -> VerifiedReceipt:
    cert, node_id, signature, components, path = _read_json(data)
    node = read_certificate(cert)
    if node.pem != cert:
        raise IntegrityError("receipt: certificate is not in canonical PEM")
    if node.public_key.node_id() != node_id:
        raise IntegrityError("receipt: node_id is not that of the certificate's key")
    check_issued(node, read_certificate(service_cert_pem))
    txid = _evidence_txid(components.commit_evidence)
    root = root_from_path(components.leaf(), path)
    node.public_key.verify_digest(signature, root)
    return VerifiedReceipt(
        txid, components.claims, components.write_set_digest, ReceiptKind.JSON, root, None, NodeID(node_id)
    )


def _read_json(data: bytes) -> tuple[str, str, bytes, LeafComponents, list[tuple[bool, bytes]]]:
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
            "service_endorsements": [],
            "signature": str(signature),
        } if not rest:
            components = LeafComponents(_hex32(write_set_digest), evidence, _hex32(claims))
            return cert, node_id, _base64(signature), components, [_json_step(step) for step in steps]
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
        digest = bytes.fromhex(text)
    except ValueError:
        _malformed_digest(text)
    if digest.hex() != text or len(digest) != 32:
        _malformed_digest(text)
    return digest


def _malformed_digest(text: str) -> NoReturn:
    raise IntegrityError(f"receipt: {text[:70]!r} is not a digest in lower-case hex")


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise IntegrityError("receipt: signature is not base64") from fault
    if base64.b64encode(data).decode() != text:
        raise IntegrityError("receipt: signature is not in canonical base64")
    return data


def _evidence_txid(evidence: str) -> TxID:
    match = _EVIDENCE.fullmatch(evidence)
    if match is None:
        raise IntegrityError("receipt: commit evidence is not ce:view.seqno:nonce")
    return TxID(int(match[1]), int(match[2]))
