"""What a request of this ledger holds: one byte for its kind, then its fields, each behind its length.

A transaction that nobody signed a request for may be there as Corda wrote it: then a file of it is a payload.

Knows bytes only.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs

from coco_corda.limits import (
    ATTACHMENT_MAX_BYTES,
    PART_MAX_BYTES,
    PARTS_MAX,
    REQUEST_KEY_MAX_BYTES,
    REQUEST_SIGNATURE_MAX_BYTES,
    REQUEST_TEXT_MAX_BYTES,
)
from coco_corda.refs import HASH_SIZE, sha256
from coco_core.errors import MalformedError

_LENGTH: Final = struct.Struct(">I")
_TRANSACTION: Final = 1
_ATTACHMENT: Final = 2
_PARAMETERS: Final = 3
_PART: Final = 4
_CORDA: Final = b"corda"
"""What all that Corda serialises begins with (``CordaSerializationMagic``); no kind is its first byte."""


@attrs.frozen(kw_only=True)
class Proof:
    """Who asked: a key, the lines it signed, the signature; see ``requests``."""

    key: bytes
    text: bytes
    signature: bytes

    def pack(self) -> bytes:
        """Return the stored form."""
        return _fields(self.key, self.text, self.signature)

    @classmethod
    def unpack(cls, data: bytes) -> Proof:
        """Read the stored form; raises MalformedError."""
        key, text, signature = _split(data, 3)
        return cls(key=key, text=text, signature=signature)


@attrs.frozen(kw_only=True)
class Submission:
    """A ``SignedTransaction`` to be notarised, or recorded."""

    stx: bytes = attrs.field(repr=False)
    proof: Proof | None = None


@attrs.frozen
class Attachment:
    """A jar."""

    content: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Part:
    """A piece of a jar that is larger than a payload may be."""

    digest: bytes
    """SHA-256 of the whole jar."""
    index: int
    """Which piece it is, from 0 on, of ``count``."""
    count: int
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class Parameters:
    """Network parameters."""

    content: bytes = attrs.field(repr=False)


Payload = Submission | Attachment | Part | Parameters


def parts_of(jar: bytes) -> list[Attachment | Part]:
    """Return what brings a jar: itself, or pieces. Raises MalformedError for one that is too large."""
    if len(jar) <= PART_MAX_BYTES:
        return [Attachment(jar)]
    if len(jar) > ATTACHMENT_MAX_BYTES:
        raise MalformedError(f"a jar has {ATTACHMENT_MAX_BYTES} bytes at most, not {len(jar)}")
    digest = sha256(jar)
    pieces = [jar[at : at + PART_MAX_BYTES] for at in range(0, len(jar), PART_MAX_BYTES)]
    return [
        Part(digest=digest, index=index, count=len(pieces), content=piece)
        for index, piece in enumerate(pieces)
    ]


def encode(payload: Payload) -> bytes:
    """Return a payload as bytes."""
    if isinstance(payload, Attachment):
        return bytes([_ATTACHMENT]) + _fields(payload.content)
    if isinstance(payload, Part):
        place = bytes([payload.index, payload.count])
        return bytes([_PART]) + _fields(payload.digest, place, payload.content)
    if isinstance(payload, Parameters):
        return bytes([_PARAMETERS]) + _fields(payload.content)
    proof = payload.proof
    who = (b"", b"", b"") if proof is None else (proof.key, proof.text, proof.signature)
    return bytes([_TRANSACTION]) + _fields(payload.stx, *who)


def decode(data: bytes) -> Payload:
    """Read what ``encode`` returned, or a serialised transaction; raises MalformedError for anything else."""
    if data.startswith(_CORDA):
        return Submission(stx=data)
    kind = data[0] if data else 0
    if kind == _TRANSACTION:
        stx, key, text, signature = _split(data[1:], 4)
        if not stx:
            raise MalformedError("there is no transaction in it")
        if not key and not text and not signature:
            return Submission(stx=stx)
        proof = Proof(key=key, text=text, signature=signature)
        check_sizes(proof)
        return Submission(stx=stx, proof=proof)
    if kind in (_ATTACHMENT, _PARAMETERS):
        (content,) = _split(data[1:], 1)
        if not content:
            raise MalformedError("it is empty")
        return Attachment(content) if kind == _ATTACHMENT else Parameters(content)
    if kind == _PART:
        digest, place, content = _split(data[1:], 3)
        if len(digest) != HASH_SIZE or len(place) != 2 or not content:
            raise MalformedError("it is no part of an attachment")
        index, count = place
        if not index < count <= PARTS_MAX:
            raise MalformedError(f"an attachment has {PARTS_MAX} parts at most, counted from 0")
        return Part(digest=digest, index=index, count=count, content=content)
    raise MalformedError("it is neither a transaction nor an attachment nor network parameters")


def check_sizes(proof: Proof) -> None:
    """Raise MalformedError for a proof beyond its bounds."""
    for size, most, what in (
        (len(proof.key), REQUEST_KEY_MAX_BYTES, "key"),
        (len(proof.text), REQUEST_TEXT_MAX_BYTES, "signed text"),
        (len(proof.signature), REQUEST_SIGNATURE_MAX_BYTES, "signature"),
    ):
        if not 0 < size <= most:
            raise MalformedError(f"the {what} of a signed request has 1 to {most} bytes")


def _fields(*fields: bytes) -> bytes:
    return b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))


def _split(data: bytes, count: int) -> list[bytes]:
    fields: list[bytes] = []
    at = 0
    for _ in range(count):
        if len(data) < at + _LENGTH.size:
            raise MalformedError("it is cut off")
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if len(data) - at < size:
            raise MalformedError("it is cut off")
        fields.append(data[at : at + size])
        at += size
    if at != len(data):
        raise MalformedError("there is something behind its end")
    return fields
