"""COSE_Sign1 with a detached Merkle root (RFC 9052, and the CCF profile of COSE receipts).

Written on deterministic CBOR rather than on a COSE library: see ADR 0006. This file knows the shape
of the message and its headers; whether root, place and key are the right ones, the caller decides
from what :func:`read` returns.

Protected header: ``{1: alg, 4: kid, 15: {1: iss, 2: sub, 6: iat}, 395: 2, "ccf.v1": {"txid": …}}``;
``kid`` is the ASCII hex of SHA-256 over the service key's DER form (64 bytes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import cbor2

from coco_core.base import TxID
from coco_core.base.limits import RECEIPT_SIZE_MAX_BYTES, RECOVERIES_MAX
from coco_core.crypto import Curve, PrivateKey, PublicKey
from coco_core.errors import IntegrityError, MalformedError
from coco_core.wire import cbor

COSE_FIRST_BYTE: Final = 0xD2
"""Tag 18 in one byte: what every COSE_Sign1 of ours begins with."""

_TAG_SIGN1 = 18
_ALG, _KID, _CWT, _X5CHAIN, _VDS, _VDP, _CCF = 1, 4, 15, 33, 395, 396, "ccf.v1"
_ISS, _SUB, _IAT = 1, 2, 6
_CCF_LEDGER_SHA256 = 2
_INCLUSION_PROOFS = -1
_LEAF, _PATH = 1, 2
_ALGORITHMS: dict[Curve, int] = {Curve.P256: -7, Curve.P384: -35, Curve.P521: -36}


@attrs.frozen(slots=True)
class InclusionProof:
    """A leaf's components and its path, as a receipt carries them."""

    write_set_digest: bytes
    commit_evidence: str
    claims: bytes
    path: tuple[tuple[bool, bytes], ...]


@attrs.frozen(slots=True)
class CoseRootSignature:
    """A parsed COSE_Sign1 over a root that is not inside it."""

    protected: bytes
    signature: bytes
    algorithm: int
    kid: str
    issuer: str
    subject: str
    issued_at_s: int
    txid: TxID
    proofs: tuple[InclusionProof, ...]
    endorsements: tuple[bytes, ...] = ()
    """Certificates (DER) from the signing key's on (x5chain, RFC 9360), as a receipt may carry them."""


def sign_root(
    key: PrivateKey, root: bytes, txid: TxID, *, issuer: str, subject: str, issued_at_s: int
) -> bytes:
    """Return the tagged message that signs ``root`` for the signature entry at ``txid``."""
    header = {
        _ALG: _ALGORITHMS[key.public.curve],
        _KID: key.public.node_id().encode(),
        _CWT: {_ISS: issuer, _SUB: subject, _IAT: issued_at_s},
        _VDS: _CCF_LEDGER_SHA256,
        _CCF: {"txid": str(txid)},
    }
    protected = cbor.encode(header)
    signature = key.sign_raw(_to_be_signed(protected, root))
    return cbor.encode(cbor2.CBORTag(_TAG_SIGN1, [protected, {}, None, signature]))


def with_proof(message: bytes, proof: InclusionProof, endorsements: Sequence[bytes] = ()) -> bytes:
    """Return ``message`` with ``proof`` in its unprotected header: a receipt, without signing anew.

    ``endorsements`` are certificates (DER) that lead from the key that signed to the service's of today.
    """
    parsed = read(message)
    body = cbor.encode(
        {
            _LEAF: [proof.write_set_digest, proof.commit_evidence, proof.claims],
            _PATH: [[left, digest] for left, digest in proof.path],
        }
    )
    unprotected: dict[int, object] = {_VDP: {_INCLUSION_PROOFS: [body]}}
    if endorsements:
        # RFC 9360 §2: one certificate is a byte string, several are an array.
        unprotected[_X5CHAIN] = endorsements[0] if len(endorsements) == 1 else list(endorsements)
    return cbor.encode(cbor2.CBORTag(_TAG_SIGN1, [parsed.protected, unprotected, None, parsed.signature]))


def check(message: CoseRootSignature, root: bytes, service: PublicKey) -> None:
    """Check key, algorithm and signature over ``root``; raises IntegrityError (SignatureError)."""
    if message.kid != service.node_id():
        raise IntegrityError(f"COSE kid names key {message.kid[:16]}…, not the service's")
    if message.algorithm != _ALGORITHMS[service.curve]:
        raise IntegrityError(f"COSE algorithm {message.algorithm} does not fit the service key")
    service.verify_raw(message.signature, _to_be_signed(message.protected, root))


def read(data: bytes) -> CoseRootSignature:
    """Parse a message, strictly: exactly our headers, canonical CBOR; raises IntegrityError."""
    if len(data) > RECEIPT_SIZE_MAX_BYTES:
        raise IntegrityError(f"COSE message of {len(data)} bytes exceeds {RECEIPT_SIZE_MAX_BYTES}")
    tagged = cbor.decode(data, error=IntegrityError)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != _TAG_SIGN1:
        raise IntegrityError("not a COSE_Sign1 message")
    match _plain(tagged.value):
        case [bytes(protected), dict(unprotected), None, bytes(signature)]:
            return _read_parts(protected, unprotected, signature)
    raise IntegrityError("COSE_Sign1 does not have four parts with a detached payload")


def _read_parts(protected: bytes, unprotected: dict[object, object], signature: bytes) -> CoseRootSignature:
    header = _plain(cbor.decode(protected, error=IntegrityError))
    match header:
        case {
            1: int(algorithm),
            4: bytes(kid),
            15: {1: str(issuer), 2: str(subject), 6: int(issued_at_s), **rest_cwt},
            395: 2,
            "ccf.v1": {"txid": str(txid), **rest_ccf},
            **rest,
        } if not (rest or rest_cwt or rest_ccf):
            proofs, endorsements = _read_unprotected(unprotected)
            return CoseRootSignature(
                protected,
                signature,
                algorithm,
                kid.decode("ascii", "replace"),
                issuer,
                subject,
                issued_at_s,
                _read_txid(txid),
                proofs,
                endorsements,
            )
    raise IntegrityError("COSE protected header is not that of a ledger signature")


def _read_unprotected(
    unprotected: dict[object, object],
) -> tuple[tuple[InclusionProof, ...], tuple[bytes, ...]]:
    match unprotected:
        case {396: {-1: [*bodies], **inner}, **rest} if bodies and not (inner or rest.keys() - {_X5CHAIN}):
            return tuple(_read_proof(body) for body in bodies), _read_endorsements(rest.get(_X5CHAIN))
        case _ if not unprotected:
            return (), ()
    raise IntegrityError("COSE unprotected header holds more than inclusion proofs and certificates")


def _read_endorsements(value: object) -> tuple[bytes, ...]:
    match value:
        case None:
            return ()
        case bytes(one):
            return (one,)
        case [_, _, *_] as several if len(several) <= RECOVERIES_MAX:
            return tuple(_certificate(one) for one in several)
    raise IntegrityError("COSE x5chain holds no certificates, or too many")


def _certificate(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise IntegrityError("COSE x5chain holds what is no certificate")
    return value


def _read_proof(body: object) -> InclusionProof:
    if not isinstance(body, bytes):
        raise IntegrityError("COSE inclusion proof is not a byte string")
    match _plain(cbor.decode(body, error=IntegrityError)):
        case {1: [bytes(digest), str(evidence), bytes(claims)], 2: [*steps], **rest} if not rest:
            if len(digest) != 32 or len(claims) != 32:
                raise IntegrityError("COSE inclusion proof holds digests of the wrong size")
            return InclusionProof(digest, evidence, claims, tuple(_read_step(step) for step in steps))
    raise IntegrityError("COSE inclusion proof is malformed")


def _read_step(step: object) -> tuple[bool, bytes]:
    match step:
        case [bool(left), bytes(sibling)] if len(sibling) == 32:
            return left, sibling
    raise IntegrityError("COSE inclusion proof has a malformed step")


def _read_txid(text: str) -> TxID:
    try:
        return TxID.parse(text)
    except MalformedError as fault:
        raise IntegrityError(f"COSE txid: {fault}") from fault


def _plain(value: object) -> object:
    """Return lists and dicts whichever sequence and mapping types the CBOR library decodes tags to."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _to_be_signed(protected: bytes, root: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, b"", root])
