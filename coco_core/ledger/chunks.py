"""Ledger files as bytes: names, the positions table, and a strict parse (CCF chunk format).

A chunk begins with a u64 offset of its positions table (0 while it is being written), then come the
entries, then one u32 position per entry; all little-endian. Its name is ``ledger_<first>`` while in
progress, ``ledger_<first>-<last>`` once complete, with ``.committed`` behind it once every entry in it
is committed. This room never opens a file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from coco_core.base import invariant
from coco_core.base.limits import CHUNK_SIZE_MAX_BYTES
from coco_core.errors import IntegrityError
from coco_core.ledger.entry import ENTRY_HEADER_SIZE_BYTES, entry_size_bytes

CHUNK_HEADER_SIZE_BYTES: Final = 8
IN_PROGRESS_HEADER: Final = bytes(CHUNK_HEADER_SIZE_BYTES)
"""The first bytes of a chunk that is still being written."""

_OFFSET = struct.Struct("<Q")
_NAME = re.compile(r"ledger_([1-9][0-9]{0,18})(?:-([1-9][0-9]{0,18}))?(\.committed)?", re.ASCII)


@attrs.frozen(slots=True, order=True)
class ChunkName:
    """A parsed file name; ordered by first seqno."""

    first: int
    last: int | None = None
    committed: bool = False

    @classmethod
    def parse(cls, name: str) -> ChunkName:
        """Read a file name (no folder); raises IntegrityError for any other name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise IntegrityError(f"{name[:80]!r} is not a ledger file name")
        first, last, committed = match.groups()
        parsed = cls(int(first), int(last) if last else None, committed is not None)
        if parsed.last is not None and parsed.last < parsed.first:
            raise IntegrityError(f"{name}: ends before it begins")
        if parsed.last is None and parsed.committed:
            raise IntegrityError(f"{name}: a chunk in progress cannot be committed as a whole")
        return parsed

    def __str__(self) -> str:
        """Return the file name."""
        span = f"{self.first}" if self.last is None else f"{self.first}-{self.last}"
        return f"ledger_{span}{'.committed' if self.committed else ''}"


@attrs.frozen(slots=True)
class ParsedChunk:
    """A chunk cut into entries; contents of entries are not looked at beyond their header."""

    name: ChunkName
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    offsets: Sequence[int] = attrs.field(repr=lambda offsets: f"<{len(offsets)} entries>")
    end: int
    """File offset behind the last whole entry."""
    complete: bool
    """Whether the chunk has its positions table."""
    torn_tail_bytes: int
    """Bytes that were being written when the writer stopped; only in progress."""

    def __len__(self) -> int:
        """Number of whole entries."""
        return len(self.offsets)

    def entries(self) -> Iterator[tuple[int, memoryview]]:
        """Yield file offset and raw bytes of every entry, in order, without copying."""
        view = memoryview(self.data)
        ends = [*self.offsets, self.end][1:]
        for offset, end in zip(self.offsets, ends, strict=True):
            yield offset, view[offset:end]


def completed_header(table_offset: int) -> bytes:
    """Return the first eight bytes of a complete chunk whose table begins at ``table_offset``."""
    return _OFFSET.pack(table_offset)


def positions_table(offsets: Sequence[int]) -> bytes:
    """Return the table that is written behind the last entry, one u32 file offset per entry."""
    invariant(not offsets or offsets[-1] <= CHUNK_SIZE_MAX_BYTES, "positions are u32")
    return struct.pack(f"<{len(offsets)}I", *offsets)


def encode_chunk(entries: Iterable[bytes]) -> bytes:
    """Return a complete chunk of ``entries``."""
    body = bytearray(IN_PROGRESS_HEADER)
    offsets: list[int] = []
    for raw in entries:
        offsets.append(len(body))
        body += raw
    body[:CHUNK_HEADER_SIZE_BYTES] = completed_header(len(body))
    body += positions_table(offsets)
    return bytes(body)


def parse_chunk(name: str, data: bytes) -> ParsedChunk:
    """Cut a chunk into entries, strictly.

    A complete chunk must have a table that names exactly its entries, and as many as its name says.
    A chunk in progress may end inside an entry or its positions table, or in zero bytes: what a
    stopped writer leaves is reported in ``torn_tail_bytes``, not raised. Everything else raises
    IntegrityError with file and offset.
    """
    parsed = ChunkName.parse(name)
    if not CHUNK_HEADER_SIZE_BYTES <= len(data) <= CHUNK_SIZE_MAX_BYTES:
        if parsed.last is None and len(data) < CHUNK_HEADER_SIZE_BYTES:
            return ParsedChunk(parsed, data, (), 0, False, len(data))
        raise IntegrityError(f"{name}: {len(data)} bytes is not the size of a chunk")
    (table_offset,) = _OFFSET.unpack_from(data)
    if table_offset == 0:
        if parsed.last is not None:
            raise IntegrityError(f"{name}: named as complete, but has no positions table")
        offsets, end = _walk(name, data, len(data), may_be_torn=True)
        return ParsedChunk(parsed, data, offsets, end, False, len(data) - end)
    if not CHUNK_HEADER_SIZE_BYTES <= table_offset <= len(data):
        raise IntegrityError(f"{name} offset 0: positions table at {table_offset} is outside the file")
    offsets, end = _walk(name, data, table_offset, may_be_torn=False)
    if data[table_offset:] != positions_table(offsets):
        raise IntegrityError(f"{name} offset {table_offset}: positions table does not name the entries")
    if not offsets:
        raise IntegrityError(f"{name}: complete without an entry")
    if parsed.last is not None and len(offsets) != parsed.last - parsed.first + 1:
        raise IntegrityError(f"{name}: holds {len(offsets)} entries, not as many as its name says")
    return ParsedChunk(parsed, data, offsets, end, True, 0)


def _walk(name: str, data: bytes, limit: int, *, may_be_torn: bool) -> tuple[list[int], int]:
    """Return the offsets of whole entries and where the last one ends."""
    offsets: list[int] = []
    at = CHUNK_HEADER_SIZE_BYTES
    while at < limit:
        if may_be_torn and _is_torn_write(data, at, offsets):
            break
        header = data[at : min(at + ENTRY_HEADER_SIZE_BYTES, limit)]
        try:
            if len(header) < ENTRY_HEADER_SIZE_BYTES:
                raise IntegrityError("entry header is cut off")
            end = at + entry_size_bytes(header)
        except IntegrityError as fault:
            raise IntegrityError(f"{name} offset {at}: {fault}") from fault
        if end > limit:
            if may_be_torn:
                break
            raise IntegrityError(f"{name} offset {at}: entry ends at {end}, behind the last at {limit}")
        offsets.append(at)
        at = end
    return offsets, at


def _is_torn_write(data: bytes, at: int, offsets: Sequence[int]) -> bool:
    """Tell whether everything from ``at`` on is what a stopped writer leaves.

    That is: less than a header; zero bytes, as some file systems show after a power cut; or the
    positions table (or its beginning), which is written before the header that makes it valid.
    """
    if len(data) - at < ENTRY_HEADER_SIZE_BYTES:
        return True
    if data[at] == 0:
        return not any(memoryview(data)[at:])
    return data[at] == CHUNK_HEADER_SIZE_BYTES and positions_table(offsets).startswith(data[at:])
