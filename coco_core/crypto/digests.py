"""SHA-256, the one hash of the framework (FIPS 180-4)."""

from __future__ import annotations

import hashlib

DIGEST_SIZE_BYTES = 32


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the 32-byte SHA-256 digest of ``data``."""
    return hashlib.sha256(data).digest()
