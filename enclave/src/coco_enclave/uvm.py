"""The endorsement of a utility VM: Microsoft signs which launch measurement its container platform has.

Sources: RFC 9052 and 9053 (COSE_Sign1), RFC 9597 (claims in its header), did:x509 method specification (an
issuer named by an authority's certificate and what the leaf is for). Until 2025 header fields of their own
name the issuer, and JSON states the measurement; since then claims do, and the payload is the measurement
itself. Must not know the report that the endorsement is compared with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import cbor2
import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import cbor
from coco_enclave.errors import EvidenceError
from coco_enclave.limits import CHAIN_MAX
from coco_enclave.pki import check_chain, check_validity, load_certificate

UVM_SIZE_MAX_BYTES: Final = 64 * 1024
_SIGN1: Final = 18
_ALGORITHM, _CRITICAL, _CLAIMS, _CHAIN, _PREIMAGE_TYPE = 1, 2, 15, 33, 259
_ISSUED_AT: Final = 6
_RSA: Final[Mapping[int, hashes.HashAlgorithm]] = {
    -37: hashes.SHA256(),
    -38: hashes.SHA384(),
    -39: hashes.SHA512(),
}
"""PS256 and so on: RSA-PSS, its salt as long as the digest."""
_ECDSA: Final[Mapping[int, tuple[hashes.HashAlgorithm, type[ec.EllipticCurve], int]]] = {
    -7: (hashes.SHA256(), ec.SECP256R1, 64),
    -35: (hashes.SHA384(), ec.SECP384R1, 96),
    -36: (hashes.SHA512(), ec.SECP521R1, 132),
}
"""ES256 and so on: hash, curve, and size of a signature in bytes."""
_RAW: Final = "application/octet-stream"
_MEASUREMENT_SIZE_BYTES: Final = 48
_DID: Final = re.compile(r"did:x509:0:sha256:([A-Za-z0-9_-]{43})::eku:([0-9.]{3,64})")
_MEASUREMENT: Final = re.compile("[0-9a-f]{96}")
_SVN: Final = re.compile("[0-9]{1,9}")
_FOR_EVER_S: Final = 2**62


@attrs.frozen(kw_only=True)
class UvmEndorsement:
    """What was endorsed, and by whom; genuine only after check_endorsement."""

    did: str
    feed: str
    measurement: str
    guest_svn: int
    signed_at_s: int | None
    algorithm: int
    """How it is signed: COSE's number."""
    chain: tuple[x509.Certificate, ...] = attrs.field(repr=False)
    to_verify: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)


def parse_endorsement(data: bytes) -> UvmEndorsement:
    """Read a COSE_Sign1 of a utility VM's measurement; raises EvidenceError (``endorsement``)."""
    if len(data) > UVM_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"UVM endorsement: it has {len(data)} bytes")
    message = cbor.load(data, "UVM endorsement", "endorsement")
    if not isinstance(message, cbor2.CBORTag) or message.tag != _SIGN1:
        raise EvidenceError("endorsement", "UVM endorsement: no COSE_Sign1")
    match message.value:
        case [bytes(protected), _, bytes(payload), bytes(signature)]:
            header = cbor.load(protected, "UVM endorsement: its header", "endorsement")
        case _:
            raise EvidenceError("endorsement", "UVM endorsement: no COSE_Sign1")
    if not isinstance(header, Mapping) or _CRITICAL in header:
        raise EvidenceError(
            "endorsement", "UVM endorsement: its header is none, or asks for more than is known"
        )
    algorithm, chain = header.get(_ALGORITHM), header.get(_CHAIN)
    if algorithm not in (*_RSA, *_ECDSA):
        raise EvidenceError("endorsement", "UVM endorsement: signed by an algorithm that is not accepted")
    if (
        not isinstance(chain, Sequence)
        or len(chain) > CHAIN_MAX
        or not all(isinstance(one, bytes) for one in chain)
    ):
        raise EvidenceError("endorsement", "UVM endorsement: it has no chain of certificates")
    did, feed, svn, measurement, at_s = (
        _claims(header, payload) if _CLAIMS in header else _fields(header, payload)
    )
    return UvmEndorsement(
        did=did,
        feed=feed,
        measurement=measurement,
        guest_svn=svn,
        signed_at_s=at_s,
        algorithm=algorithm,
        chain=tuple(load_certificate(one, "UVM endorsement") for one in chain),
        to_verify=cbor2.dumps(["Signature1", protected, b"", payload]),
        signature=signature,
    )


_Statement = tuple[str, str, int, str, int | None]


def _claims(header: Mapping[object, Any], payload: bytes) -> _Statement:
    """Return issuer, feed, security version, measurement and time where claims in the header state them."""
    match header[_CLAIMS]:
        case {1: str(did), 2: str(feed), "svn": int(svn), **more} if _SVN.fullmatch(str(svn)):
            if header.get(_PREIMAGE_TYPE) == _RAW and len(payload) == _MEASUREMENT_SIZE_BYTES:
                at_s = more.get(_ISSUED_AT)
                return did, feed, svn, payload.hex(), at_s if type(at_s) is int else None
    raise EvidenceError(
        "endorsement", "UVM endorsement: its claims state no measurement and security version"
    )


def _fields(header: Mapping[object, Any], payload: bytes) -> _Statement:
    """Return the same where header fields of their own and JSON state them."""
    did, feed, at = header.get("iss"), header.get("feed"), header.get("signingtime")
    if not isinstance(did, str) or not isinstance(feed, str):
        raise EvidenceError("endorsement", "UVM endorsement: it does not name issuer and feed")
    at_s = int(at.timestamp()) if isinstance(at, datetime) and at.tzinfo is not None else None
    measurement, svn = _statement(payload)
    return did, feed, svn, measurement, at_s


def _statement(payload: bytes) -> tuple[str, int]:
    try:
        value = orjson.loads(payload)
    except ValueError as error:
        raise EvidenceError("endorsement", f"UVM endorsement: its payload is not JSON: {error}") from error
    match value:
        case {"x-ms-sevsnpvm-launchmeasurement": str(measurement), "x-ms-sevsnpvm-guestsvn": svn}:
            # The version is text in endorsements until 2025, and a number since.
            if _MEASUREMENT.fullmatch(measurement) and _SVN.fullmatch(str(svn)):
                return measurement, int(svn)
    raise EvidenceError("endorsement", "UVM endorsement: it states no measurement and security version")


def check_endorsement(
    endorsement: UvmEndorsement,
    *,
    dids: frozenset[str],
    feed: str,
    minimum_svn: int,
    now_s: int,
    at_signing: bool,
) -> tuple[int, int]:
    """Check who endorsed what, and when; return how long it counts. Raises EvidenceError (``endorsement``).

    ``at_signing`` judges the certificates at the time the endorsement says it was signed: they live for a
    year, images are used for longer.
    """
    if endorsement.did not in dids or endorsement.feed != feed:
        raise EvidenceError("endorsement", "UVM endorsement: of an issuer or feed that is not accepted")
    if endorsement.guest_svn < minimum_svn:
        raise EvidenceError("endorsement", f"UVM endorsement: of security version {endorsement.guest_svn}")
    at_s = now_s
    if at_signing:
        if endorsement.signed_at_s is None or endorsement.signed_at_s > now_s:
            raise EvidenceError(
                "endorsement", "UVM endorsement: it does not say when it was signed, or says later"
            )
        at_s = endorsement.signed_at_s
    try:
        check_chain(endorsement.chain, "UVM endorsement")
        window_s = check_validity(endorsement.chain, at_s, "UVM endorsement")
    except EvidenceError as error:
        raise EvidenceError("endorsement", str(error)) from error
    _check_issuer(endorsement.did, endorsement.chain)
    try:
        _check_signature(endorsement, endorsement.chain[0].public_key())
    except InvalidSignature as error:
        raise EvidenceError("endorsement", "UVM endorsement: not signed by its certificate") from error
    return (at_s, _FOR_EVER_S) if at_signing else window_s


def _check_signature(endorsement: UvmEndorsement, key: object) -> None:
    """Check that a key of the kind the algorithm takes signed; raises InvalidSignature and EvidenceError."""
    algorithm, signature = endorsement.algorithm, endorsement.signature
    if isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA:
        digest = _RSA[algorithm]
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        key.verify(signature, endorsement.to_verify, pss, digest)
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
        digest, curve, size = _ECDSA[algorithm]
        if isinstance(key.curve, curve) and len(signature) == size:
            r, s = (
                int.from_bytes(signature[: size // 2], "big"),
                int.from_bytes(signature[size // 2 :], "big"),
            )
            key.verify(encode_dss_signature(r, s), endorsement.to_verify, ec.ECDSA(digest))
            return
    raise EvidenceError("endorsement", "UVM endorsement: its certificate is for another kind of key")


def _check_issuer(did: str, chain: tuple[x509.Certificate, ...]) -> None:
    """Check that a chain is the one its did:x509 names: an authority's certificate, and a use of the leaf."""
    named = _DID.fullmatch(did)
    if named is None:
        raise EvidenceError("endorsement", "UVM endorsement: its issuer is no did:x509 that is understood")
    authority, use = base64.urlsafe_b64decode(named[1] + "="), x509.ObjectIdentifier(named[2])
    digests = {hashlib.sha256(one.public_bytes(Encoding.DER)).digest() for one in chain[1:]}
    uses = [one.value for one in chain[0].extensions if isinstance(one.value, x509.ExtendedKeyUsage)]
    if authority not in digests or not any(use in one for one in uses):
        raise EvidenceError("endorsement", "UVM endorsement: its certificates are not those of its issuer")
