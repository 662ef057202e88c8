"""Signatures and keys as Sawtooth writes them: ECDSA over secp256k1 and SHA-256, compact, in hex.

Knows curves and hex only. All goes through libsecp256k1 (``coincurve``), which refuses a signature with a
high ``s``: its mirror image would be a second identifier of the same transaction. Signing is deterministic
(RFC 6979).
"""

from __future__ import annotations

import re
from typing import Final

import coincurve
from coincurve import ecdsa

from coco_core.errors import MalformedError

_CANONICAL: Final = re.compile(r"0[23][0-9a-f]{64}")
_KEY: Final = re.compile(r"[0-9a-fA-F]{66}|[0-9a-fA-F]{130}")


def verify(signature: str, message: bytes, public_key: str) -> None:
    """Check that ``public_key`` (hex) made ``signature`` (128 hex digits) of ``message``.

    Raises MalformedError when it did not, or when either of them is none.
    """
    key = _parsed(public_key)
    try:
        der = ecdsa.cdata_to_der(ecdsa.deserialize_compact(bytes.fromhex(signature)))
        good = key.verify(der, message)
    except ValueError:
        good = False
    if not good:
        raise MalformedError("the signature is not that of the signer")


def canonical_key(public_key: str) -> str:
    """Return the compressed form of a public key in lower-case hex: the name under which it is permitted.

    Sawtooth takes a key in any case and uncompressed too. Raises MalformedError when it is none; what has the
    canonical form already is not looked at any closer.
    """
    if _CANONICAL.fullmatch(public_key):
        return public_key
    return _parsed(public_key).format().hex()


def _parsed(public_key: str) -> coincurve.PublicKey:
    if not _KEY.fullmatch(public_key):
        raise MalformedError("a public key is not 33 or 65 bytes in hex")
    try:
        return coincurve.PublicKey(bytes.fromhex(public_key))
    except ValueError:
        raise MalformedError("a public key is not a point of secp256k1") from None


class Signer:
    """A private key that signs."""

    def __init__(self, private_key: bytes) -> None:
        """Take 32 bytes. Raises ValueError when they are no private key."""
        self._key = coincurve.PrivateKey(private_key)
        self.public_key: Final = self._key.public_key.format().hex()
        """In hex, compressed."""

    def sign(self, message: bytes) -> str:
        """Return the compact signature of ``message`` as 128 hex digits, with a low ``s``."""
        compact: bytes = ecdsa.serialize_compact(ecdsa.der_to_cdata(self._key.sign(message)))
        return compact.hex()
