"""Names of transactions and states: identifiers, StateRefs, and the hash under which one is not given away.

Corda names a transaction by the root of its Merkle tree, a SHA-256, and a state by the transaction that made
it and its place among that one's outputs. Only SHA-256 is known here: a transaction under another algorithm
is refused when it is described. Knows no maps and no rules.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable
from typing import Final

import attrs

from coco_core.errors import MalformedError

HASH_SIZE: Final = 32
KEY_SIZE: Final = HASH_SIZE + 4
INDEX_MAX: Final = 2**31 - 1
"""Corda counts outputs in a Java ``int``."""

_KEY: Final = struct.Struct(">32sI")
_TEXT: Final = re.compile(r"([0-9A-Fa-f]{64})\(([0-9]{1,10})\)")
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")


@attrs.frozen(order=True)
class StateRef:
    """A state: output ``index`` of transaction ``tx_id`` (32 bytes)."""

    tx_id: bytes
    index: int

    def __attrs_post_init__(self) -> None:
        """Raise MalformedError for what names no state."""
        if len(self.tx_id) != HASH_SIZE or not 0 <= self.index <= INDEX_MAX:
            raise MalformedError("a state is named by 32 bytes and a number from 0 on")

    @property
    def key(self) -> bytes:
        """The key in maps: identifier, then the index in 4 bytes, so that states sort by transaction."""
        return _KEY.pack(self.tx_id, self.index)

    @classmethod
    def of_key(cls, key: bytes) -> StateRef:
        """Read ``key``; raises MalformedError."""
        if len(key) != KEY_SIZE:
            raise MalformedError(f"a state's key has {KEY_SIZE} bytes, not {len(key)}")
        return cls(*_KEY.unpack(key))

    @classmethod
    def parse(cls, text: str) -> StateRef:
        """Read the form that Corda prints, ``HASH(index)``; raises MalformedError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise MalformedError("a state is written as 64 hex digits and its index in brackets")
        return cls(bytes.fromhex(match[1]), int(match[2]))

    def __str__(self) -> str:
        """Return the form that Corda prints."""
        return f"{hash_text(self.tx_id)}({self.index})"


def hash_text(digest: bytes) -> str:
    """Return a hash as Corda prints it: hex in capitals."""
    return digest.hex().upper()


def parse_hash(text: str) -> bytes:
    """Read 64 hex digits; raises MalformedError."""
    if not _HASH.fullmatch(text):
        raise MalformedError("a hash is written as 64 hex digits")
    return bytes.fromhex(text)


def parse_hashes(text: str) -> frozenset[bytes]:
    """Read hashes with spaces between them; raises MalformedError."""
    return frozenset(map(parse_hash, text.split()))


def hashes_text(hashes: Iterable[bytes]) -> str:
    """Return hashes as ``parse_hashes`` reads them, sorted."""
    return " ".join(hash_text(each) for each in sorted(hashes))


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of ``data``."""
    return hashlib.sha256(data).digest()


def rehash(tx_id: bytes) -> bytes:
    """Return what a conflict tells of the transaction that used a state up: the hash of its identifier.

    Whoever has that transaction recognises it, nobody else learns which one it is (Corda's
    ``SecureHash.reHash``; its issue CORDA-1171).
    """
    return sha256(tx_id)
