"""Rows as small as their content: Zstandard around what Corda serialised.

Corda's AMQP brings the description of every class along with each component, three quarters of a transaction
and more. Every byte of a row is sealed, sent, stored and put into snapshots on every node, so packing it once
costs less than not to. Each row is packed by itself: its size says nothing of what others hold.

Knows bytes only. Format: RFC 8878, one frame with its content's size.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import zstandard

from coco_corda.limits import ROW_CONTENT_MAX_BYTES
from coco_core.errors import AdapterError, IntegrityError

_LEVEL: Final = -1
"""The fastest of Zstandard's that still finds what is described twice: level 1 takes up to twice the time
for a twelfth less."""

_packers: deque[zstandard.ZstdCompressor] = deque()
"""Those that nobody uses now. Their buffers cost more than packing a row does, and two threads cannot share
one. So with ``_unpackers``."""
_unpackers: deque[zstandard.ZstdDecompressor] = deque()


def pack(data: bytes) -> bytes:
    """Return the packed form; raises AdapterError for what could not be unpacked."""
    if len(data) > ROW_CONTENT_MAX_BYTES:
        raise AdapterError(f"{len(data)} bytes for one row; {ROW_CONTENT_MAX_BYTES} is the most")
    try:
        packer = _packers.pop()
    except IndexError:
        packer = zstandard.ZstdCompressor(level=_LEVEL)
    packed = packer.compress(data)
    _packers.append(packer)
    return packed


def unpack(packed: bytes) -> bytes:
    """Return what was packed; raises IntegrityError for other bytes, and for more than a row has."""
    try:
        unpacker = _unpackers.pop()
    except IndexError:
        unpacker = zstandard.ZstdDecompressor()
    try:
        size_bytes = zstandard.frame_content_size(packed)
        if not 0 <= size_bytes <= ROW_CONTENT_MAX_BYTES:
            raise IntegrityError(f"a packed row of {size_bytes} bytes; {ROW_CONTENT_MAX_BYTES} is the most")
        if not size_bytes:
            # The library looks no further then.
            if packed != pack(b""):
                raise IntegrityError("a packed row of nothing has more bytes")
            return b""
        return unpacker.decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"a packed row cannot be read: {error}") from None
    finally:
        _unpackers.append(unpacker)
