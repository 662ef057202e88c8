"""Signature entries: the node's and the service's word for the Merkle root.

A signature entry at seqno ``n`` holds two signatures over the root of leaves ``0..n-1``: a raw one by
the node that ordered the entries, and a COSE_Sign1 by the service identity. Either alone satisfies
independent tools; ours ask for both. Followers need only :func:`check_root`: same root, right node.

This room parses and checks; which node may sign, and which service is the right one, its callers say.
"""

from __future__ import annotations

import base64

import attrs
import orjson

from coco_core.base import NodeID, TxID
from coco_core.base.limits import SIGNATURE_SIZE_MAX_BYTES
from coco_core.crypto import PrivateKey, PublicKey, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import COSE_SIGNATURES, SIGNATURES, SINGLETON_KEY, TREE
from coco_core.kv.write_set import Writes
from coco_core.ledger import cose
from coco_core.ledger.cose import CoseRootSignature
from coco_core.wire.values import from_canonical_base64, from_hex_digest

SIGNATURE_MAPS = frozenset({COSE_SIGNATURES, SIGNATURES, TREE})
"""The maps a signature entry writes, and nothing else."""

_FIELDS = frozenset({"cert", "node", "root", "seqno", "sig", "view"})


@attrs.frozen(slots=True)
class LedgerSignature:
    """What a signature entry says."""

    txid: TxID
    node: NodeID
    root: bytes
    signature: bytes
    """DER, by the node key over the root as a SHA-256 digest."""
    node_cert_pem: str
    cose: bytes
    """COSE_Sign1 by the service key, payload (the root) detached."""
    tree: bytes
    """The tree the root is of, in flushed form."""


class LedgerSigner:
    """Makes the write set of signature entries for one node."""

    __slots__ = ("_issuer", "_node_cert_pem", "_node_id", "_node_key", "_service_key", "_subject")

    def __init__(
        self,
        node_key: PrivateKey,
        node_id: NodeID,
        node_cert_pem: str,
        service_key: PrivateKey,
        *,
        issuer: str = "coco.service",
        subject: str = "ledger.signature",
    ) -> None:
        """Raises AttestationError unless ID, certificate and key belong together."""
        if node_key.public.node_id() != node_id:
            raise AttestationError("the node ID is not that of the node key")
        if read_certificate(node_cert_pem).public_key != node_key.public:
            raise AttestationError("the node certificate is not for the node key")
        self._node_key = node_key
        self._node_id = node_id
        self._node_cert_pem = node_cert_pem
        self._service_key = service_key
        self._issuer = issuer
        self._subject = subject

    def writes(self, tree_root: bytes, txid: TxID, serialised_tree: bytes, now_s: int) -> Writes:
        """Return what the signature entry at ``txid`` writes.

        ``tree_root`` is the root over leaves ``0..txid.seqno - 1``, ``serialised_tree`` that tree as
        ``MerkleTree.serialise`` gives it, ``now_s`` the Unix time that the COSE header states.
        """
        statement = cose.sign_root(
            self._service_key,
            tree_root,
            txid,
            issuer=self._issuer,
            subject=self._subject,
            issued_at_s=now_s,
        )
        signed = {
            "cert": self._node_cert_pem,
            "node": self._node_id,
            "root": tree_root.hex(),
            "seqno": txid.seqno,
            "sig": base64.b64encode(self._node_key.sign_digest(tree_root)).decode(),
            "view": txid.view,
        }
        return {
            COSE_SIGNATURES: {SINGLETON_KEY: orjson.dumps(base64.b64encode(statement).decode())},
            SIGNATURES: {SINGLETON_KEY: orjson.dumps(signed)},
            TREE: {SINGLETON_KEY: serialised_tree},
        }


def is_signature(writes: Writes) -> bool:
    """Tell whether a write set is that of a signature entry (good or bad)."""
    return SIGNATURES in writes or COSE_SIGNATURES in writes


def read_signature(writes: Writes) -> LedgerSignature | None:
    """Return the signature in a write set, or None if it writes no signature table.

    Raises IntegrityError when it does but not in the one form we write: both signatures and the
    tree, nothing else, canonical JSON and base64.
    """
    if not is_signature(writes):
        return None
    if writes.keys() != SIGNATURE_MAPS:
        raise IntegrityError(f"signature entry writes {sorted(writes)}, expected {sorted(SIGNATURE_MAPS)}")
    fields = _object(_singleton(writes, SIGNATURES))
    encoded_cose = _json(_singleton(writes, COSE_SIGNATURES))
    if not isinstance(encoded_cose, str):
        raise IntegrityError("COSE signature table does not hold a string")
    match fields:
        case {
            "cert": str(cert),
            "node": str(node),
            "root": str(root),
            "seqno": int(seqno),
            "sig": str(signature),
            "view": int(view),
        }:
            return LedgerSignature(
                txid=TxID(view, seqno),
                node=NodeID(node),
                root=_digest(root),
                signature=_base64(signature),
                node_cert_pem=cert,
                cose=_base64(encoded_cose),
                tree=_singleton(writes, TREE),
            )
    raise IntegrityError("signature table: a field has the wrong type")


def signed_at_s(writes: Writes) -> int:
    """Return the Unix time in seconds at which a signature entry says it was made.

    Raises IntegrityError when ``writes`` are not those of a signature entry in our form.
    """
    signature = read_signature(writes)
    if signature is None:
        raise IntegrityError("no signature entry")
    return cose.read(signature.cose).issued_at_s


def check_root(signature: LedgerSignature, root: bytes, txid: TxID, node: PublicKey) -> None:
    """Check what a follower must: our own root, this place, and the node's signature.

    Raises IntegrityError. The service's signature over the same root is left to auditors: it says
    nothing to a node that holds the service key itself.
    """
    if signature.root != root:
        raise IntegrityError(
            f"signed root at {txid} is {signature.root.hex()[:16]}…, ours {root.hex()[:16]}…"
        )
    if signature.txid != txid:
        raise IntegrityError(f"signature for {signature.txid} stands at {txid}")
    if signature.node != node.node_id():
        raise IntegrityError(f"signature at {txid} is by {signature.node[:16]}…, not {node.node_id()[:16]}…")
    node.verify_digest(signature.signature, root)


def check_signature(
    signature: LedgerSignature, root: bytes, txid: TxID, node: PublicKey, service: PublicKey
) -> CoseRootSignature:
    """Check both signatures over ``root`` at ``txid`` and return the service's statement.

    Raises IntegrityError (SignatureError where a signature itself fails).
    """
    check_root(signature, root, txid, node)
    statement = cose.read(signature.cose)
    if statement.proofs:
        raise IntegrityError(f"COSE signature at {txid} has a proof attached")
    if statement.txid != txid:
        raise IntegrityError(f"COSE signature for {statement.txid} stands at {txid}")
    cose.check(statement, root, service)
    return statement


def _singleton(writes: Writes, name: str) -> bytes:
    value = writes[name].get(SINGLETON_KEY)
    if value is None or len(writes[name]) != 1:
        raise IntegrityError(f"{name} does not hold exactly one value")
    return value


def _json(data: bytes) -> object:
    if len(data) > SIGNATURE_SIZE_MAX_BYTES:
        raise IntegrityError(f"signature of {len(data)} bytes exceeds {SIGNATURE_SIZE_MAX_BYTES}")
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as fault:
        raise IntegrityError(f"signature table is not JSON: {fault}") from fault
    if orjson.dumps(value) != data:
        raise IntegrityError("signature table is not in our canonical JSON")
    return value


def _object(data: bytes) -> dict[str, object]:
    value = _json(data)
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise IntegrityError(f"signature table does not hold exactly {sorted(_FIELDS)}")
    return value


def _digest(text: str) -> bytes:
    try:
        return from_hex_digest(text)
    except ValueError as fault:
        raise IntegrityError("root is not 64 lower-case hex digits") from fault


def _base64(text: str) -> bytes:
    try:
        return from_canonical_base64(text)
    except ValueError as fault:
        raise IntegrityError(f"signature is {fault}") from fault
