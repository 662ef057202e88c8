"""Which key may sign a TPM's quotes: certified up to a pinned root, or pinned itself.

A key without a certificate is one that an operator has proved to lie in a TPM by other means (credential
activation).
"""

from __future__ import annotations

import hashlib
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from coco_enclave.anchors import check_anchor
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_given
from coco_enclave.pki import PublicKey, check_chain, check_validity, load_certificates, public_key
from coco_enclave.policy import PlatformPolicy

AK_PURPOSE: Final = x509.ObjectIdentifier("2.23.133.8.3")
"""tcg-kp-AIKCertificate."""
_KEY_SIZE_MAX_BYTES: Final = 4096
_ALWAYS_S: Final = (0, 2**62)


@attrs.frozen(kw_only=True)
class AttestationKey:
    """A key that may sign quotes, and why."""

    key: PublicKey
    anchor: str
    window_s: tuple[int, int]


def read_key(collateral: bytes) -> tuple[PublicKey, list[x509.Certificate]]:
    """Return key and certificates of collateral: PEM certificates, the key's own first, or a PEM public key.

    Raises EvidenceError.
    """
    check_given(collateral)
    if b"PUBLIC KEY" not in collateral[:64]:
        chain = load_certificates(collateral, "TPM attestation key")
        return public_key(chain[0], "TPM attestation key"), chain
    if len(collateral) > _KEY_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"TPM attestation key: it has {len(collateral)} bytes")
    try:
        key = load_pem_public_key(collateral)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceError("malformed", f"TPM attestation key: no public key: {error}") from error
    return _checked(key), []


def _checked(key: object) -> PublicKey:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise EvidenceError("unsupported", "TPM attestation key: neither RSA nor elliptic")
    return key


def check_key(
    key: PublicKey,
    chain: list[x509.Certificate],
    policy: PlatformPolicy,
    now_s: int,
) -> AttestationKey:
    """Check that a key may sign quotes; raises EvidenceError.

    Codes in the order of the rules: ``root``, ``chain``, ``ak`` (the certificate is not for an attestation
    key), ``expired``.
    """
    if not chain:
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return AttestationKey(key=key, anchor=check_anchor(spki, policy, None), window_s=_ALWAYS_S)
    anchor = check_anchor(chain[-1].public_bytes(Encoding.DER), policy, None)
    check_chain(chain, "TPM attestation key")
    _check_purpose(chain[0])
    return AttestationKey(
        key=key, anchor=anchor, window_s=check_validity(chain, now_s, "TPM attestation key")
    )


def _check_purpose(leaf: x509.Certificate) -> None:
    """Check what a certificate is for, as far as it says: no authority, and no other of the TPM's keys."""
    for found in leaf.extensions:
        if isinstance(found.value, x509.BasicConstraints) and found.value.ca:
            raise EvidenceError("ak", "TPM attestation key: the certificate is an authority's")
        if isinstance(found.value, x509.ExtendedKeyUsage) and AK_PURPOSE not in found.value:
            raise EvidenceError("ak", "TPM attestation key: the certificate is for another use")


def fingerprint(key: PublicKey) -> str:
    """Return SHA-256 of a key's DER SubjectPublicKeyInfo in hex: how a key without certificates is pinned."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
