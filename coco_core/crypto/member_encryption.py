"""Handing a secret to a member: RSA-OAEP (RFC 8017 §7.1) with SHA-256, as CCF does.

A member's encryption key is an RSA key that it keeps beside its signing key, in an HSM if it likes; the
secret must be small enough for one block.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from coco_core.base.limits import (
    MEMBER_ENCRYPTION_KEY_BITS_MAX,
    MEMBER_ENCRYPTION_KEY_BITS_MIN,
    MEMBER_ENCRYPTION_KEY_SIZE_MAX_BYTES,
)
from coco_core.errors import AttestationError


def make_encryption_key() -> tuple[str, str]:
    """Return a fresh key of the smallest accepted size: private (PKCS #8, unencrypted) and public PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=MEMBER_ENCRYPTION_KEY_BITS_MIN)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def check_encryption_key(public_pem: str | bytes) -> None:
    """Check that members may bring this public key; raises AttestationError saying why not."""
    _public(public_pem)


def wrap_for_member(public_pem: str | bytes, secret: bytes) -> bytes:
    """Return ``secret`` encrypted to a member's public key.

    Raises AttestationError when that is not an RSA key in PEM of an accepted size, or the secret is too
    large for it (190 bytes for the smallest).
    """
    try:
        return _public(public_pem).encrypt(secret, _oaep())
    except ValueError as fault:
        raise AttestationError(f"{len(secret)} bytes do not fit the encryption key") from fault


def unwrap_by_member(private_pem: str | bytes, wrapped: bytes) -> bytes:
    """Return what was encrypted to the member's key, given as unencrypted PEM.

    Raises AttestationError when the key is not an RSA key of an accepted size, or is another's.
    """
    data = _bounded(private_pem)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise AttestationError(f"not a private encryption key in PEM: {fault}") from fault
    if not isinstance(key, rsa.RSAPrivateKey):
        raise AttestationError("a member's encryption key is an RSA key")
    _check_size(key.key_size)
    try:
        return key.decrypt(wrapped, _oaep())
    except ValueError as fault:
        raise AttestationError("the secret was not encrypted to this key, or was changed") from fault


def _public(pem: str | bytes) -> rsa.RSAPublicKey:
    data = _bounded(pem)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise AttestationError(f"not a public encryption key in PEM: {fault}") from fault
    if not isinstance(key, rsa.RSAPublicKey):
        raise AttestationError("a member's encryption key is an RSA key")
    _check_size(key.key_size)
    return key


def _bounded(pem: str | bytes) -> bytes:
    # Text from a request may hold what UTF-8 cannot say; it is no PEM either way.
    data = pem.encode(errors="replace") if isinstance(pem, str) else pem
    if len(data) > MEMBER_ENCRYPTION_KEY_SIZE_MAX_BYTES:
        raise AttestationError(
            f"encryption key of {len(data)} bytes exceeds {MEMBER_ENCRYPTION_KEY_SIZE_MAX_BYTES}"
        )
    return data


def _check_size(bits: int) -> None:
    if not MEMBER_ENCRYPTION_KEY_BITS_MIN <= bits <= MEMBER_ENCRYPTION_KEY_BITS_MAX:
        raise AttestationError(
            f"encryption key has {bits} bits, accepted are {MEMBER_ENCRYPTION_KEY_BITS_MIN} to "
            f"{MEMBER_ENCRYPTION_KEY_BITS_MAX}"
        )


def _oaep() -> padding.OAEP:
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=None)
