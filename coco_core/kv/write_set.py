"""The replicated value: what one transaction writes, and its canonical encoding.

The encoding is the map encoding of a CCF ledger entry's domain: for each map ``namelen u64, name,
read_version u64, read_count u64 (always 0), write_count u64, {klen, key, vlen, value}*,
remove_count u64, {klen, key}*``, all little-endian. Maps and keys are written in ascending order, so
one write set has exactly one encoding; the decoder refuses any other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from coco_core.errors import IntegrityError

Writes = dict[str, dict[bytes, bytes | None]]
"""Map name to key to new value; ``None`` removes the key."""

_U64 = struct.Struct("<Q")
_U64X3 = struct.Struct("<QQQ")
_pack = _U64.pack


def encode_domain(writes: Mapping[str, Mapping[bytes, bytes | None]]) -> bytes:
    """Encode the maps given; maps without any change are left out. Raises nothing of its own."""
    parts: list[bytes] = []
    for name in sorted(writes):
        changes = writes[name]
        if not changes:
            continue
        encoded_name = name.encode()
        removed: list[bytes] = []
        body: list[bytes] = []
        for key in sorted(changes):
            value = changes[key]
            if value is None:
                removed.append(_pack(len(key)))
                removed.append(key)
            else:
                body += (_pack(len(key)), key, _pack(len(value)), value)
        parts.append(_pack(len(encoded_name)))
        parts.append(encoded_name)
        parts.append(_U64X3.pack(0, 0, len(body) >> 2))
        parts += body
        parts.append(_pack(len(removed) >> 1))
        parts += removed
    return b"".join(parts)


def decode_domain(data: bytes) -> Writes:
    """Decode what encode_domain wrote; raises IntegrityError for anything else, naming the offset."""
    writes: Writes = {}
    offset, previous_name = 0, ""
    try:
        while offset < len(data):
            name_bytes, offset = _read(data, offset)
            name = name_bytes.decode()
            if name <= previous_name:
                raise IntegrityError(f"write set: map {name!r} out of order at offset {offset}")
            previous_name = name
            version, reads, count = _U64X3.unpack_from(data, offset)
            offset += 24
            if version or reads:
                raise IntegrityError(f"write set: map {name!r} has a read set at offset {offset - 24}")
            writes[name], offset = _decode_map(data, offset, count)
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        # OverflowError: an announced size so large that its end has no address.
        raise IntegrityError(f"write set: malformed at offset {offset} of {len(data)}: {error}") from error
    return writes


def _read(data: bytes, offset: int) -> tuple[bytes, int]:
    (size,) = _U64.unpack_from(data, offset)
    offset += 8
    end = offset + size
    if end > len(data):
        raise IntegrityError(f"write set: {size} bytes announced at offset {offset - 8}, input ends before")
    return data[offset:end], end


def _decode_map(data: bytes, offset: int, count: int) -> tuple[dict[bytes, bytes | None], int]:
    """Read ``count`` writes and then the removals; sizes are checked before anything is allocated."""
    changes: dict[bytes, bytes | None] = {}
    unpack = _U64.unpack_from
    end_of_data = len(data)
    previous: bytes | None = None
    for _ in range(count):
        (key_size,) = unpack(data, offset)
        value_at = offset + 8 + key_size
        (value_size,) = unpack(data, value_at)
        end = value_at + 8 + value_size
        if end > end_of_data:
            raise IntegrityError(f"write set: value at offset {value_at} runs past the end")
        key = data[offset + 8 : value_at]
        if previous is not None and key <= previous:
            raise IntegrityError(f"write set: key out of order at offset {offset}")
        changes[key] = data[value_at + 8 : end]
        previous, offset = key, end
    (removals,) = unpack(data, offset)
    offset += 8
    previous = None
    for _ in range(removals):
        key, end = _read(data, offset)
        if (previous is not None and key <= previous) or key in changes:
            raise IntegrityError(f"write set: removal out of order at offset {offset}")
        changes[key] = None
        previous, offset = key, end
    if not changes:
        raise IntegrityError(f"write set: a map without changes ends at offset {offset}")
    return changes, offset


def merge(into: Writes, writes: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
    """Lay ``writes`` over ``into``, later values winning."""
    for name, changes in writes.items():
        existing = into.get(name)
        if existing is None:
            into[name] = dict(changes)
        else:
            existing.update(changes)


def merged(write_sets: Iterable[Mapping[str, Mapping[bytes, bytes | None]]]) -> Writes:
    """Return one write set equal to applying all of them in order."""
    result: Writes = {}
    for writes in write_sets:
        merge(result, writes)
    return result


def size_bytes(writes: Mapping[str, Mapping[bytes, bytes | None]]) -> int:
    """Return the bytes of keys and values, for bounds."""
    return sum(
        len(key) + (len(value) if value is not None else 0)
        for changes in writes.values()
        for key, value in changes.items()
    )
