"""One ledger entry: what a transaction wrote, part in the clear, part sealed (CCF entry format 1).

Layout, all integers little-endian::

    header   8   version u8 = 1 | flags u8 | size u48 of what follows
    gcm     28   tag[16] | iv[12] = seqno u64, view u32
    size     8   u64 size of the public part
    public   n   type u8 = 4 | seqno i64 | claims[32] | commit evidence digest[32] | i64 = 0 | maps
    private  m   AES-256-GCM ciphertext of maps; the public part is authenticated data

Leaf of the Merkle tree = SHA-256(SHA-256(entry) || SHA-256(commit evidence) || claims). The nonce is
the transaction's place, used once: a sealer refuses to go back. Source: CCF
``kv/serialised_entry_format.h``; this room knows bytes and maps, not files or signatures.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final

import attrs
from cryptography.exceptions import InvalidTag

from coco_core.base import TxID, invariant
from coco_core.base.limits import ENTRY_SIZE_MAX_BYTES
from coco_core.errors import IntegrityError
from coco_core.kv.maps import is_public
from coco_core.kv.write_set import Writes, decode_domain, encode_domain
from coco_core.ledger.secrets import LedgerSecrets, evidence_in

NO_CLAIMS: Final = bytes(32)
"""The claims digest of a transaction whose application claims nothing."""

CHUNK_AFTER: Final = 1
"""Flag: the writer closes the chunk after this entry."""
CHUNK_BEFORE: Final = 2
"""Flag: the writer begins a new chunk with this entry."""

ENTRY_HEADER_SIZE_BYTES: Final = 8
_FORMAT_VERSION = 1
_ENTRY_TYPE = 4
_FLAGS_KNOWN = CHUNK_AFTER | CHUNK_BEFORE
_VIEW_MAX = 2**31 - 1
_SEQNO_MAX = 2**63 - 1

_HEAD = struct.Struct("<BBIH16sQIQ")
_IV = struct.Struct("<QI")
_PUBLIC_HEAD = struct.Struct("<Bq32s32sq")
_SIZE_LIMIT = 2**32
_PUBLIC_AT = _HEAD.size
_MAPS_AT = _HEAD.size + _PUBLIC_HEAD.size
_BODY_FIXED = _HEAD.size - ENTRY_HEADER_SIZE_BYTES


@attrs.frozen(slots=True)
class SealedEntry:
    """A finished entry and the parts of its leaf that a receipt shows."""

    raw: bytes = attrs.field(repr=lambda raw: f"<{len(raw)} bytes>")
    leaf: bytes
    commit_evidence: str = attrs.field(repr=False)
    write_set_digest: bytes


@attrs.frozen(slots=True)
class EntryHeader:
    """What stands in an entry before its maps."""

    txid: TxID
    flags: int
    claims: bytes
    commit_evidence_digest: bytes
    private_size_bytes: int


@attrs.frozen(slots=True)
class PublicEntry:
    """What anybody can read of an entry."""

    txid: TxID
    flags: int
    claims: bytes
    commit_evidence_digest: bytes
    public: Writes
    private: bytes = attrs.field(repr=lambda raw: f"<{len(raw)} bytes>")
    """Ciphertext of the private maps, without its tag."""
    write_set_digest: bytes
    leaf: bytes


@attrs.frozen(slots=True)
class OpenedEntry:
    """What a holder of the secrets reads: public and private maps together, authenticated."""

    txid: TxID
    writes: Writes
    claims: bytes
    leaf: bytes
    flags: int
    commit_evidence: str = attrs.field(repr=False)
    write_set_digest: bytes


class EntrySealer:
    """Turns write sets into entries, one place after the other."""

    __slots__ = ("_last_seqno", "_last_view", "_secrets")

    def __init__(self, secrets: LedgerSecrets) -> None:
        self._secrets = secrets
        self._last_view = 0
        self._last_seqno = 0

    def seal(self, txid: TxID, writes: Writes, *, claims: bytes = NO_CLAIMS, flags: int = 0) -> SealedEntry:
        """Return the entry for ``writes`` at ``txid``.

        Maps named ``public:…`` go into the clear part, all others are sealed under the secret of the
        epoch. Places must go forward (a later view may reuse a seqno that was rolled back): the place
        is the cipher's nonce, and using one twice would reveal both entries.
        """
        view, seqno = txid.view, txid.seqno
        self._advance(view, seqno)
        invariant(len(claims) == 32, "a claims digest has 32 bytes")
        invariant(not flags & ~_FLAGS_KNOWN, "unknown entry flags")
        private = {name: changes for name, changes in writes.items() if not is_public(name)}
        if private:
            sealed_maps = encode_domain(private)
            public = {name: changes for name, changes in writes.items() if name not in private}
        else:
            sealed_maps, public = b"", writes
        epoch = self._secrets.at(seqno)
        evidence = evidence_in(epoch, f"{view}.{seqno}")
        evidence_digest = sha256(evidence.encode()).digest()
        clear = _PUBLIC_HEAD.pack(_ENTRY_TYPE, seqno, claims, evidence_digest, 0) + encode_domain(public)
        box = epoch.aead.encrypt(_IV.pack(seqno, view), sealed_maps, clear)
        size = _BODY_FIXED + len(clear) + len(sealed_maps)
        invariant(size <= ENTRY_SIZE_MAX_BYTES, f"entry of {size} bytes exceeds {ENTRY_SIZE_MAX_BYTES}")
        head = _HEAD.pack(_FORMAT_VERSION, flags, size, 0, box[-16:], seqno, view, len(clear))
        raw = b"".join((head, clear, box[:-16]))
        write_set_digest = sha256(raw).digest()
        leaf = sha256(write_set_digest + evidence_digest + claims).digest()
        return SealedEntry(raw, leaf, evidence, write_set_digest)

    def _advance(self, view: int, seqno: int) -> None:
        invariant(0 < view <= _VIEW_MAX and 0 < seqno <= _SEQNO_MAX, "a place is out of range")
        forward = view > self._last_view or (view == self._last_view and seqno > self._last_seqno)
        invariant(forward, f"nonce {view}.{seqno} is not after {self._last_view}.{self._last_seqno}")
        self._last_view, self._last_seqno = view, seqno


class EntryOpener:
    """Reads entries with the ledger's secrets and checks everything an entry says of itself."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: LedgerSecrets) -> None:
        self._secrets = secrets

    def open(self, raw: bytes) -> OpenedEntry:
        """Return the entry's writes, public and private merged.

        Raises IntegrityError when the entry is malformed, was not sealed under the epoch's secret,
        was changed in any bit, or carries commit evidence that is not the ledger's own.
        """
        flags, tag, view, seqno, public_end, claims, evidence_digest = _parse(raw)
        epoch = self._secrets.at(seqno)
        evidence = evidence_in(epoch, f"{view}.{seqno}")
        if sha256(evidence.encode()).digest() != evidence_digest:
            raise IntegrityError(f"entry {view}.{seqno}: commit evidence is not this ledger's")
        try:
            sealed_maps = epoch.aead.decrypt(
                _IV.pack(seqno, view), raw[public_end:] + tag, raw[_PUBLIC_AT:public_end]
            )
        except InvalidTag as fault:
            raise IntegrityError(f"entry {view}.{seqno}: changed, or sealed under another secret") from fault
        writes = _public_maps(raw[_MAPS_AT:public_end])
        if sealed_maps:
            private = decode_domain(sealed_maps)
            if any(map(is_public, private)):
                raise IntegrityError(f"entry {view}.{seqno}: a public map is in the sealed part")
            writes |= private
        write_set_digest = sha256(raw).digest()
        leaf = sha256(write_set_digest + evidence_digest + claims).digest()
        return OpenedEntry(TxID(view, seqno), writes, claims, leaf, flags, evidence, write_set_digest)


def read_header(raw: bytes) -> EntryHeader:
    """Read an entry's place, flags and digests without its maps; raises IntegrityError."""
    flags, _, view, seqno, public_end, claims, evidence_digest = _parse(raw)
    return EntryHeader(TxID(view, seqno), flags, claims, evidence_digest, len(raw) - public_end)


def read_public(raw: bytes) -> PublicEntry:
    """Read what needs no secret, strictly; raises IntegrityError on anything malformed.

    Nothing is authenticated by this alone: the Merkle root that a signature covers does that.
    """
    flags, _, view, seqno, public_end, claims, evidence_digest = _parse(raw)
    maps = _public_maps(raw[_MAPS_AT:public_end])
    write_set_digest = sha256(raw).digest()
    leaf = sha256(write_set_digest + evidence_digest + claims).digest()
    return PublicEntry(
        TxID(view, seqno),
        flags,
        claims,
        evidence_digest,
        maps,
        raw[public_end:],
        write_set_digest,
        leaf,
    )


def entry_size_bytes(header: bytes | memoryview) -> int:
    """Return the size of a whole entry from its first eight bytes, header included.

    Raises IntegrityError unless version, flags and size are ones we write.
    """
    version, flags = header[0], header[1]
    if version != _FORMAT_VERSION:
        raise IntegrityError(f"entry format version {version}; only {_FORMAT_VERSION} is known")
    if flags & ~_FLAGS_KNOWN:
        raise IntegrityError(f"unknown entry flags {flags:#04x}")
    size = int.from_bytes(header[2:8], "little")
    if not _MAPS_AT - ENTRY_HEADER_SIZE_BYTES <= size <= ENTRY_SIZE_MAX_BYTES:
        raise IntegrityError(f"entry size {size} is out of range")
    return ENTRY_HEADER_SIZE_BYTES + size


def _parse(raw: bytes) -> tuple[int, bytes, int, int, int, bytes, bytes]:
    """Split the fixed parts: flags, tag, view, seqno, end of the public part, claims, evidence digest."""
    total = len(raw)
    if total < _MAPS_AT:
        raise IntegrityError(f"entry of {total} bytes is too short; the smallest has {_MAPS_AT}")
    version, flags, size_low, size_high, tag, seqno, view, public_size = _HEAD.unpack_from(raw)
    if version != _FORMAT_VERSION or flags & ~_FLAGS_KNOWN:
        entry_size_bytes(raw)
    if size_high * _SIZE_LIMIT + size_low != total - ENTRY_HEADER_SIZE_BYTES:
        raise IntegrityError(f"entry size field does not match its {total} bytes")
    public_end = _PUBLIC_AT + public_size
    if public_end > total or public_end < _MAPS_AT:
        raise IntegrityError(f"public part of {public_size} bytes does not fit an entry of {total}")
    kind, version_seqno, claims, evidence_digest, unused = _PUBLIC_HEAD.unpack_from(raw, _PUBLIC_AT)
    if kind != _ENTRY_TYPE:
        raise IntegrityError(f"entry type {kind}; only {_ENTRY_TYPE} is written")
    if version_seqno != seqno:
        raise IntegrityError(f"nonce is for seqno {seqno}, the entry for {version_seqno}")
    if unused:
        raise IntegrityError(f"entry {seqno}: the unused field holds {unused}")
    if not 0 < view <= _VIEW_MAX or seqno == 0:
        raise IntegrityError(f"place {view}.{seqno} is out of range")
    return flags, tag, view, seqno, public_end, claims, evidence_digest


def _public_maps(data: bytes) -> Writes:
    maps = decode_domain(data)
    for name in maps:
        if not is_public(name):
            raise IntegrityError(f"private map {name!r} stands in the clear")
    return maps
