"""A client of the adapter's HTTP interface that signs its requests, for tests and demonstrations.

Knows bytes only; whoever uses it brings the connection.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import attrs
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from coco_corda.requests import signed_text


@attrs.frozen
class Signer:
    """A participant's Ed25519 key."""

    private: Ed25519PrivateKey = attrs.field(repr=False)
    notary_key: bytes = attrs.field(repr=False)
    """Of the network that requests are for."""

    @classmethod
    def read(cls, private: bytes, notary_key: bytes) -> Signer:
        """Read a key as Corda writes it: the seed is the last 32 bytes of its PKCS #8 form."""
        try:
            key = load_der_private_key(private, None)
        except ValueError:
            key = Ed25519PrivateKey.from_private_bytes(private[-32:])
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("not an Ed25519 key")
        return cls(key, notary_key)

    @property
    def key(self) -> bytes:
        """Its public key, X.509 in DER."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def headers(
        self, method: str, target: str, time_ms: int, nonce: str, body: bytes = b""
    ) -> dict[str, str]:
        """Return the headers of a signed request."""
        text = signed_text(method, target, self.notary_key, time_ms, nonce, body)
        return {
            "coco-corda-key": base64.b64encode(self.key).decode(),
            "coco-corda-time": str(time_ms),
            "coco-corda-nonce": nonce,
            "coco-corda-signature": base64.b64encode(self.private.sign(text)).decode(),
        }


def nonce_of(number: int, target: str) -> str:
    """Return a nonce that another request of the same test does not have."""
    return hashlib.sha256(f"{number} {target}".encode()).hexdigest()


def parsed(body: bytes) -> Any:
    """Return an answer's JSON."""
    return orjson.loads(body)
