"""The notary's key and how it signs: Ed25519 over bytes of which only the transaction's identifier changes.

What Corda signs is the serialised ``SignableData(txId, SignatureMetadata(platformVersion, scheme))``. The JVM
makes that once for the zero identifier and says where the identifier stands; the key never goes there.
"""

from __future__ import annotations

import hashlib
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_corda.refs import HASH_SIZE
from coco_core.errors import AdapterError

SCHEME: Final = 4
"""Corda's number of EDDSA_ED25519_SHA512."""
SEED_SIZE: Final = 32
_DOMAIN: Final = b"coco.corda.notary.v1"


@attrs.frozen
class Template:
    """What is signed, and where in it the 32 bytes of the identifier stand."""

    platform_version: int
    data: bytes = attrs.field(repr=False)
    offset: int

    def __attrs_post_init__(self) -> None:
        """Raise AdapterError where there is no room for an identifier."""
        if not 0 <= self.offset <= len(self.data) - HASH_SIZE:
            raise AdapterError("the JVM's template has no place for an identifier")

    def filled(self, tx_id: bytes) -> bytes:
        """Return what is signed for a transaction."""
        return self.data[: self.offset] + tx_id + self.data[self.offset + HASH_SIZE :]


def seed_of(randomness: bytes) -> bytes:
    """Return the seed of a notary's key made of a network's first randomness."""
    return hashlib.sha256(_DOMAIN + randomness).digest()


class NotaryKey:
    """The network's notary key."""

    def __init__(self, seed: bytes) -> None:
        """Take the 32 bytes that Ed25519 makes its key of; raises ValueError for another size."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key: Final = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        """X.509 SubjectPublicKeyInfo, DER."""

    def sign(self, template: Template, tx_id: bytes) -> bytes:
        """Return the 64 bytes of the notary's signature on a transaction."""
        return self._key.sign(template.filled(tx_id))
