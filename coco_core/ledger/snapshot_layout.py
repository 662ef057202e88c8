"""Where what stands in a snapshot (CCF entry format 1, entry type 1), and the streaming writer.

Layout, all integers little-endian::

    header   8   version u8 = 1 | flags u8 = 0 | size u48 of what follows
    gcm     28   tag[16] | iv[12] = seqno u64, view u32 with bit 31 set
    size     8   u64 size of the public part
    public   n   type u8 = 1 | seqno i64 | i64 = 0 | 32 as u64, leaf[32] | u64 size, views u64[] | maps
    private  m   AES-256-GCM ciphertext of maps; the public part is authenticated data

    map          u64 size, name | version u64 | u64 size of the records | records
    record       u64 size, key | u64 size, version i64, value; each padded with zeros to 8 bytes

Item ``v - 1`` of the views is the first seqno of the first view from ``v`` on that has entries. Every
version is the snapshot's seqno, maps and keys ascend: one state at one place has one encoding. Bit 31
keeps the nonce apart from that of the entry at the same place. Source: CCF
``kv/serialised_entry_format.h``, ``kv/untyped_map.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import BinaryIO, Final

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from coco_core.base import TxID, invariant
from coco_core.base.limits import (
    SNAPSHOT_BUFFER_SIZE_BYTES,
    SNAPSHOT_SIZE_MAX_BYTES,
    SNAPSHOT_VIEWS_MAX,
)
from coco_core.errors import OperatorError
from coco_core.kv.maps import is_public
from coco_core.kv.pinned import Pinned
from coco_core.ledger.secrets import LedgerSecrets

FORMAT_VERSION: Final = 1
ENTRY_TYPE: Final = 1
VIEW_FLAG: Final = 1 << 31
TAG_AT: Final = 8
HEAD: Final = struct.Struct("<BBIH16sQIQ")
PUBLIC_AT: Final = HEAD.size
PUBLIC_HEAD: Final = struct.Struct("<BqqQ32sQ")
U64: Final = struct.Struct("<Q")
MAP_HEAD: Final = struct.Struct("<QQ")
VALUE_HEAD: Final = struct.Struct("<QQ")
VERSION_SIZE_BYTES: Final = 8
PADDING: Final = tuple(bytes(-size & 7) for size in range(8))
"""What follows a field, by the lowest three bits of its size."""


_SIZE_LOW: Final = 1 << 32


@attrs.frozen(slots=True)
class SnapshotPlace:
    """Where in the ledger a snapshot stands: behind a signature entry."""

    txid: TxID
    leaf: bytes
    """That entry's leaf of the Merkle tree."""
    views: tuple[tuple[int, int], ...]
    """Each view with entries up to there, and the first seqno in it."""


def iv(txid: TxID) -> bytes:
    """Return the nonce of the snapshot at a place."""
    return struct.pack("<QI", txid.seqno, txid.view | VIEW_FLAG)


def write_snapshot(file: BinaryIO, place: SnapshotPlace, state: Pinned, secrets: LedgerSecrets) -> bytes:
    """Write the snapshot of ``state`` to an empty ``file`` and return the SHA-256 of what was written.

    Equal state gives equal bytes. Memory is bounded by a buffer; ``file`` is read back once, for the
    digest. Raises OperatorError when the state exceeds SNAPSHOT_SIZE_MAX_BYTES (or the views theirs),
    and CallerError when the pin is released meanwhile.
    """
    seqno = place.txid.seqno
    invariant(state.version == seqno, f"version {state.version} is pinned, the snapshot is at {seqno}")
    names = state.names()
    sizes = {name: _records_size(state, name) for name in names}
    public, private = ([name for name in names if is_public(name) is wanted] for wanted in (True, False))
    head = _public_head(place)
    public_size = len(head) + sum(_map_size(name, sizes[name]) for name in public)
    size = PUBLIC_AT + public_size + sum(_map_size(name, sizes[name]) for name in private)
    if size > SNAPSHOT_SIZE_MAX_BYTES:
        raise OperatorError(f"a snapshot of {size} bytes exceeds the largest of {SNAPSHOT_SIZE_MAX_BYTES}")

    encryptor = Cipher(AES(secrets.at(seqno).secret), GCM(iv(place.txid))).encryptor()
    high, low = divmod(size - TAG_AT, _SIZE_LOW)
    view = place.txid.view | VIEW_FLAG
    file.write(HEAD.pack(FORMAT_VERSION, 0, low, high, bytes(16), seqno, view, public_size))
    for piece in _pieces(head, _maps(state, public, sizes)):
        encryptor.authenticate_additional_data(piece)
        file.write(piece)
    for piece in _pieces(b"", _maps(state, private, sizes)):
        file.write(encryptor.update(piece))
    invariant(file.tell() == size, f"wrote {file.tell()} bytes of a snapshot of {size}")
    encryptor.finalize()
    file.seek(TAG_AT)
    file.write(encryptor.tag)
    file.seek(0)
    digest = sha256()
    while piece := file.read(SNAPSHOT_BUFFER_SIZE_BYTES):
        digest.update(piece)
    return digest.digest()


def _public_head(place: SnapshotPlace) -> bytes:
    txid, views = place.txid, place.views
    firsts: list[int] = []
    if txid.view > SNAPSHOT_VIEWS_MAX:
        raise OperatorError(f"view {txid.view}: a snapshot states at most {SNAPSHOT_VIEWS_MAX} views")
    for view, first in views:
        invariant(view > len(firsts) and (not firsts or first > firsts[-1]), "views and seqnos only grow")
        firsts += [first] * (view - len(firsts))
    fits = len(firsts) == txid.view and firsts[0] == 1 and firsts[-1] <= txid.seqno
    invariant(fits, f"views {views} do not lead to {txid}")
    head = PUBLIC_HEAD.pack(ENTRY_TYPE, txid.seqno, 0, len(place.leaf), place.leaf, 8 * len(firsts))
    return head + struct.pack(f"<{len(firsts)}Q", *firsts)


def _padded(size: int) -> int:
    return size + (-size & 7)


def _records_size(state: Pinned, name: str) -> int:
    fixed = 2 * U64.size + VERSION_SIZE_BYTES
    return sum(
        fixed + _padded(len(key)) + _padded(len(value)) for key, value in state.items(name, in_order=False)
    )


def _map_size(name: str, records_size: int) -> int:
    return U64.size + len(name.encode()) + MAP_HEAD.size + records_size


def _maps(state: Pinned, names: Iterable[str], sizes: dict[str, int]) -> Iterator[bytes]:
    seqno, length, head, padding = state.version, U64.pack, VALUE_HEAD.pack, PADDING
    for name in names:
        encoded = name.encode()
        yield length(len(encoded)) + encoded + MAP_HEAD.pack(seqno, sizes[name])
        for key, value in state.items(name):
            yield b"".join(
                (
                    length(len(key)),
                    key,
                    padding[len(key) & 7],
                    head(VERSION_SIZE_BYTES + len(value), seqno),
                    value,
                    padding[len(value) & 7],
                )
            )


def _pieces(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts to pieces of about the buffer's size."""
    parts, size = [first], len(first)
    for part in rest:
        parts.append(part)
        size += len(part)
        if size >= SNAPSHOT_BUFFER_SIZE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join(parts)
