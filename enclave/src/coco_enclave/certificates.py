"""X.509 as DCAP uses it: chains of P-256 certificates, revocation lists, and signatures in 64 bytes.

Pure. Every fault a library may raise for bytes from outside comes out as EvidenceError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from coco_enclave import limits
from coco_enclave.errors import EvidenceError

T = TypeVar("T")

_FAULTS = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion)


def load_chain(pem: bytes, count: int, what: str, code: str = "malformed") -> list[x509.Certificate]:
    """Return exactly ``count`` certificates, leaf first; raises EvidenceError with ``code``."""
    if pem.count(b"-----BEGIN") > limits.CHAIN_MAX:
        raise EvidenceError(code, f"{what}: more than {limits.CHAIN_MAX} certificates")
    chain = _guard(lambda: x509.load_pem_x509_certificates(pem), what, code)
    if len(chain) != count:
        raise EvidenceError(code, f"{what}: {len(chain)} certificates, where {count} belong")
    return chain


def load_crl(data: bytes, what: str) -> x509.CertificateRevocationList:
    """Return a revocation list; raises EvidenceError (``crl``)."""
    return _guard(lambda: x509.load_der_x509_crl(data), what, "crl")


def common_name(certificate: x509.Certificate) -> str:
    """Return the one common name of a certificate's subject, empty when there is none or several."""
    names = _guard(
        lambda: certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME), "a subject", "malformed"
    )
    return str(names[0].value) if len(names) == 1 else ""


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's bytes."""
    return certificate.public_bytes(Encoding.DER)


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate's bytes in PEM."""
    return certificate.public_bytes(Encoding.PEM)


def check_chain(chain: Sequence[x509.Certificate], what: str, code: str) -> None:
    """Check that each certificate is signed by the next, the last by itself; raises EvidenceError."""
    for lower, upper in zip(chain, [*chain[1:], chain[-1]], strict=True):
        try:
            lower.verify_directly_issued_by(upper)
        except (InvalidSignature, *_FAULTS) as error:
            raise EvidenceError(code, f"{what}: a certificate is not signed by the one above it") from error


def key_of(certificate: x509.Certificate, what: str) -> ec.EllipticCurvePublicKey:
    """Return a certificate's P-256 key; raises EvidenceError (``malformed``) for another."""
    key = _guard(certificate.public_key, what, "malformed")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EvidenceError("malformed", f"{what}: not a P-256 key")
    return key


def check_signature(
    key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, what: str, code: str = "signature"
) -> None:
    """Check a signature of 64 bytes, r and s big-endian; raises EvidenceError with ``code``."""
    if len(signature) != 64:
        raise EvidenceError(code, f"the signature of {what} has {len(signature)} bytes")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise EvidenceError(code, f"the signature of {what} does not verify") from error


def key_from_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key whose x and y are ``point``, 64 bytes; raises EvidenceError (``signature``)."""
    return _guard(
        lambda: ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point),
        "the attestation key",
        "signature",
    )


def check_crl(crl: x509.CertificateRevocationList, issuer: x509.Certificate, what: str) -> None:
    """Check that ``issuer`` made a revocation list; raises EvidenceError (``crl``)."""
    signed = _guard(lambda: crl.is_signature_valid(key_of(issuer, what)), what, "crl")
    if not signed or crl.issuer != issuer.subject:
        raise EvidenceError("crl", f"{what} is not of {common_name(issuer)}")


def check_not_revoked(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> None:
    """Check that a list does not name a certificate; raises EvidenceError (``revoked``)."""
    entry = _guard(
        lambda: crl.get_revoked_certificate_by_serial_number(certificate.serial_number),
        "a revocation list",
        "crl",
    )
    if entry is not None:
        raise EvidenceError("revoked", f"{common_name(certificate)} has been revoked")


def _guard(read: Callable[[], T], what: str, code: str) -> T:
    try:
        return read()
    except _FAULTS as error:
        raise EvidenceError(code, f"{what} cannot be read: {error}") from error
