"""Copies of ledger secrets that follow from what is in them: one seed gives one ledger, byte for byte.

HPKE (RFC 9180, base mode, P-256 with HKDF-SHA256 and AES-256-GCM) as ``crypto.hpke_seal`` does it, but for
the ephemeral key, which is derived instead of drawn. It is written out here because the library lets no
caller choose that key; the production code opens what this seals.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_core.crypto import PublicKey
from coco_core.governance import epochs
from coco_core.testing.consortium import derived_key
from coco_core.testing.simulation.mutant import replaced

_KEM: Final = b"KEM\x00\x10"
_SUITE: Final = b"HPKE\x00\x10\x00\x01\x00\x02"


def derived_seals() -> AbstractContextManager[None]:
    """Let copies of ledger secrets be sealed so, for as long as the context lasts."""
    return replaced([(epochs, "hpke_seal", seal_derived)])


def seal_derived(public: PublicKey, info: bytes, plaintext: bytes) -> bytes:
    """Return what ``hpke_seal`` might have returned: always the same for the same arguments."""
    receiver = _point(public)
    number = int.from_bytes(sha256(receiver + info + plaintext).digest()[:31], "big") + 1
    ephemeral = derived_key(number)
    encapsulated = _point(ephemeral.public)
    shared = ephemeral.key.exchange(ec.ECDH(), public.key)
    prk = _extract(b"", _KEM, b"eae_prk", shared)
    secret = _expand(prk, _KEM, b"shared_secret", encapsulated + receiver, 32)
    context = b"\0" + _extract(b"", _SUITE, b"psk_id_hash", b"") + _extract(b"", _SUITE, b"info_hash", info)
    prk = _extract(secret, _SUITE, b"secret", b"")
    key, nonce = _expand(prk, _SUITE, b"key", context, 32), _expand(prk, _SUITE, b"base_nonce", context, 12)
    return encapsulated + AESGCM(key).encrypt(nonce, plaintext, b"")


def _point(public: PublicKey) -> bytes:
    return public.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
    mac = hmac.HMAC(salt or bytes(32), hashes.SHA256())
    mac.update(b"HPKE-v1" + suite + label + ikm)
    return mac.finalize()


def _expand(prk: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labelled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(algorithm=hashes.SHA256(), length=size, info=labelled).derive(prk)
