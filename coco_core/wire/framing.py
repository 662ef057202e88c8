"""Length-prefixed frames over a byte stream, sans-IO.

A frame is a little-endian u32 length followed by that many bytes. This room knows nothing of what a
frame holds or which socket it came from; the bound on its size is the reader's only policy.
"""

from __future__ import annotations

import struct

from coco_core.base import invariant
from coco_core.base.limits import MESSAGE_SIZE_MAX_BYTES
from coco_core.errors import PeerError

_LENGTH = struct.Struct("<I")


def frame(data: bytes) -> bytes:
    """Return ``data`` with its length in front, ready to be written to the stream.

    Data above ``MESSAGE_SIZE_MAX_BYTES`` is a bug of ours: the receiver would drop the channel.
    """
    invariant(len(data) <= MESSAGE_SIZE_MAX_BYTES, f"frame of {len(data)} bytes exceeds the peer's bound")
    return _LENGTH.pack(len(data)) + data


class FrameReader:
    """Cuts a byte stream into frames, however the stream was split on its way."""

    __slots__ = ("_buffer", "_size_max_bytes")

    def __init__(self, size_max_bytes: int = MESSAGE_SIZE_MAX_BYTES) -> None:
        self._buffer = bytearray()
        self._size_max_bytes = size_max_bytes

    @property
    def pending_bytes(self) -> int:
        """Bytes of an unfinished frame; not zero at the end of a stream means it was cut off."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes of the stream and return the frames they complete, in order.

        Raises PeerError as soon as a length above the bound is seen, before any of that frame is
        buffered; the stream has no further meaning then and the channel must be closed.
        """
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start, available = 0, len(buffer)
        while available - start >= 4:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > self._size_max_bytes:
                raise PeerError(f"frame of {length} bytes exceeds the bound of {self._size_max_bytes}")
            end = start + 4 + length
            if end > available:
                break
            frames.append(bytes(memoryview(buffer)[start + 4 : end]))
            start = end
        del buffer[:start]
        return frames
