"""X.509 chains of any length and kind of key: no store, no network, no clock.

Must not know which platform a chain is for. Whoever calls says what the leaf has to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave.errors import EvidenceError
from coco_enclave.limits import CHAIN_MAX

CERTIFICATE_SIZE_MAX_BYTES: Final = 16 * 1024
CRL_SIZE_MAX_BYTES: Final = 256 * 1024

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

# What the library raises for bytes that are no certificate, or hold what it does not know.
_MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def load_certificate(data: bytes, what: str) -> x509.Certificate:
    """Read a DER certificate; raises EvidenceError (``malformed``)."""
    if len(data) > CERTIFICATE_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"{what}: a certificate of {len(data)} bytes")
    try:
        certificate = x509.load_der_x509_certificate(data)
        # The library reads most of it late: what is wrong is to show here, and nowhere else.
        _ = (certificate.extensions, certificate.public_key(), certificate.signature_algorithm_parameters)
        _ = (certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string())
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    except _MALFORMED as error:
        raise EvidenceError("malformed", f"{what}: not a certificate: {error}") from error
    return certificate


def load_certificates(pem: bytes, what: str) -> list[x509.Certificate]:
    """Read PEM certificates, one at least; raises EvidenceError (``malformed``)."""
    if len(pem) > 2 * CHAIN_MAX * CERTIFICATE_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"{what}: {len(pem)} bytes of certificates")
    try:
        found = x509.load_pem_x509_certificates(pem)
        encoded = [certificate.public_bytes(Encoding.DER) for certificate in found]
    except _MALFORMED as error:
        raise EvidenceError("malformed", f"{what}: no certificates in PEM: {error}") from error
    if len(encoded) > CHAIN_MAX:
        raise EvidenceError("chain", f"{what}: {len(encoded)} certificates")
    return [load_certificate(data, what) for data in encoded]


def public_key(certificate: x509.Certificate, what: str) -> PublicKey:
    """Return a certificate's key if it is RSA or elliptic; raises EvidenceError (``unsupported``)."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise EvidenceError("unsupported", f"{what}: neither an RSA nor an elliptic key")
    return key


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 of a DER certificate in hex: how roots are pinned."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def check_validity(certificates: Iterable[x509.Certificate], now_s: int, what: str) -> tuple[int, int]:
    """Return when all certificates are valid, first and last second; raises EvidenceError (``expired``)."""
    first, last = 0, 2**62
    for certificate in certificates:
        begin = _seconds(certificate.not_valid_before_utc)
        end = _seconds(certificate.not_valid_after_utc)
        if not begin <= now_s <= end:
            name = certificate.subject.rfc4514_string()[:80]
            raise EvidenceError("expired", f"{what}: {name} is not valid at the time that counts")
        first, last = max(first, begin), min(last, end)
    return first, last


def _seconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())


def check_chain(chain: Sequence[x509.Certificate], what: str) -> None:
    """Check that each certificate is issued by the next, the last by itself; raises EvidenceError, ``chain``.

    Whether the last one is a root to trust is for the caller to ask before (``check_anchor``).
    """
    if not 2 <= len(chain) <= CHAIN_MAX:
        raise EvidenceError("chain", f"{what}: a chain of {len(chain)} certificates")
    for depth, (subject, issuer) in enumerate(zip(chain, [*chain[1:], chain[-1]], strict=True)):
        check_issued(subject, issuer, what)
        if depth:
            _check_authority(subject, depth, what)


def check_issued(subject: x509.Certificate, issuer: x509.Certificate, what: str) -> None:
    """Check name and signature of one link; raises EvidenceError (``chain``)."""
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_MALFORMED) as error:
        name = subject.subject.rfc4514_string()[:80]
        raise EvidenceError("chain", f"{what}: {name} is not issued by the next in its chain") from error


def _check_authority(certificate: x509.Certificate, depth: int, what: str) -> None:
    """Check that a certificate may issue others, ``depth`` links above the leaf."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise EvidenceError("chain", f"{what}: an issuer is no authority") from error
    if not basic.ca or (basic.path_length is not None and basic.path_length < depth - 1):
        raise EvidenceError("chain", f"{what}: an issuer is no authority, or not for so long a chain")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise EvidenceError("chain", f"{what}: an issuer's key is not for certificates")


def extension(certificate: x509.Certificate, oid: str) -> bytes | None:
    """Return the value of an extension the library does not know, None without it."""
    try:
        found = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    except x509.ExtensionNotFound:
        return None
    return found.value if isinstance(found, x509.UnrecognizedExtension) else None


def check_not_revoked(
    certificates: Iterable[x509.Certificate], crl: bytes, issuer: x509.Certificate, now_s: int, what: str
) -> tuple[int, int]:
    """Check certificates against a DER list of ``issuer``, and return when the list counts.

    Raises EvidenceError: ``crl`` where the list is of another, or not of this time; ``revoked``.
    """
    if len(crl) > CRL_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"{what}: a revocation list of {len(crl)} bytes")
    try:
        revoked = x509.load_der_x509_crl(crl)
        genuine = revoked.issuer == issuer.subject and revoked.is_signature_valid(public_key(issuer, what))
        begin, end = revoked.last_update_utc, revoked.next_update_utc
        serials = {
            certificate.serial_number for certificate in certificates if certificate.issuer == issuer.subject
        }
        listed = any(revoked.get_revoked_certificate_by_serial_number(serial) for serial in serials)
    except _MALFORMED as error:
        raise EvidenceError("crl", f"{what}: not a revocation list: {error}") from error
    if not genuine:
        raise EvidenceError("crl", f"{what}: the revocation list is of another issuer")
    if end is None or not _seconds(begin) <= now_s <= _seconds(end):
        raise EvidenceError("crl", f"{what}: the revocation list is not of the time that counts")
    if listed:
        raise EvidenceError("revoked", f"{what}: a certificate of the chain is revoked")
    return _seconds(begin), _seconds(end)
