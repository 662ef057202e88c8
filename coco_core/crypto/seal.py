"""Handing a secret to one receiver: HPKE (RFC 9180), base mode.

A node that was admitted proves possession of a key in its evidence; whoever holds ledger secrets
seals them to that key. ``info`` binds a sealed secret to its purpose: it cannot be opened as another.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from coco_core.crypto.keys import Curve, PrivateKey, PublicKey
from coco_core.errors import AttestationError

_X25519 = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SUITES = {
    Curve.P256: Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    Curve.P384: Suite(KEM.P384, KDF.HKDF_SHA384, AEAD.AES_256_GCM),
    Curve.P521: Suite(KEM.P521, KDF.HKDF_SHA512, AEAD.AES_256_GCM),
}


def hpke_seal(public: PublicKey | X25519PublicKey, info: bytes, plaintext: bytes) -> bytes:
    """Return ``plaintext`` sealed to ``public`` for the purpose ``info``."""
    if isinstance(public, PublicKey):
        return _SUITES[public.curve].encrypt(plaintext, public.key, info)
    return _X25519.encrypt(plaintext, public, info)


def hpke_open(private: PrivateKey | X25519PrivateKey, info: bytes, ciphertext: bytes) -> bytes:
    """Return what was sealed to ``private`` for the purpose ``info``.

    Raises AttestationError when it was sealed to another key, for another purpose, or was changed.
    """
    try:
        if isinstance(private, PrivateKey):
            return _SUITES[private.public.curve].decrypt(ciphertext, private.key, info)
        return _X25519.decrypt(ciphertext, private, info)
    except (InvalidTag, ValueError) as fault:
        raise AttestationError("sealed secret is not for this key and purpose, or was changed") from fault
