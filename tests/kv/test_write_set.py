"""One write set has one encoding, CCF's; every other input is refused with IntegrityError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import IntegrityError
from coco_core.kv import Writes, decode_domain, encode_domain, merge, merged, size_bytes

KEYS = st.binary(max_size=6)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=12), min_size=1, max_size=6)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
WRITES = st.dictionaries(NAMES, CHANGES, max_size=4)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def field(data: bytes) -> bytes:
    return u64(len(data)) + data


def map_of(
    name: bytes, writes: list[tuple[bytes, bytes]], removed: list[bytes], version: int = 0, reads: int = 0
) -> bytes:
    """Write a map's section from its format description, without the encoder's rules of order."""
    body = b"".join(field(key) + field(value) for key, value in writes)
    removals = b"".join(map(field, removed))
    head = field(name) + u64(version) + u64(reads)
    return head + u64(len(writes)) + body + u64(len(removed)) + removals


@given(WRITES)
def test_what_is_encoded_decodes(writes: Writes) -> None:
    assert decode_domain(encode_domain(writes)) == writes


@given(WRITES, st.randoms(use_true_random=False))
def test_order_of_writing_does_not_show(writes: Writes, order: object) -> None:
    names = list(writes)
    order.shuffle(names)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    shuffled = {name: dict(reversed(writes[name].items())) for name in names}
    assert encode_domain(shuffled) == encode_domain(writes)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_decode_to_what_encodes_to_them_or_are_refused(data: bytes) -> None:
    try:
        writes = decode_domain(data)
    except IntegrityError:
        return
    assert encode_domain(writes) == data


@given(WRITES, st.data())
def test_a_changed_byte_never_passes_as_the_same_writes(writes: Writes, data: st.DataObject) -> None:
    encoded = bytearray(encode_domain(writes))
    if not encoded:
        return
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode_domain(bytes(encoded))
    except IntegrityError:
        return
    assert decoded != writes
    assert encode_domain(decoded) == encoded


@given(WRITES, st.data())
def test_a_cut_off_write_set_is_refused(writes: Writes, data: st.DataObject) -> None:
    encoded = encode_domain(writes)
    boundaries = {
        len(encode_domain(dict(sorted(writes.items())[:count]))) for count in range(len(writes) + 1)
    }
    cut = data.draw(st.integers(0, len(encoded)))
    if cut in boundaries:
        return
    with pytest.raises(IntegrityError):
        decode_domain(encoded[:cut])


def test_layout_of_a_map() -> None:
    writes: Writes = {"m": {b"b": b"2", b"a": b"", b"gone": None}}
    assert encode_domain(writes) == map_of(b"m", [(b"a", b""), (b"b", b"2")], [b"gone"])


def test_maps_without_changes_leave_nothing() -> None:
    assert encode_domain({}) == b""
    assert encode_domain({"empty": {}}) == b""
    assert decode_domain(b"") == {}


REFUSED = {
    "maps out of order": map_of(b"b", [(b"k", b"")], []) + map_of(b"a", [(b"k", b"")], []),
    "a map twice": map_of(b"a", [(b"k", b"")], []) * 2,
    "a map without a name": map_of(b"", [(b"k", b"")], []),
    "a name that is not UTF-8": map_of(b"\xff", [(b"k", b"")], []),
    "a read version": map_of(b"a", [(b"k", b"")], [], version=1),
    "a read set": map_of(b"a", [(b"k", b"")], [], reads=1),
    "keys out of order": map_of(b"a", [(b"b", b""), (b"a", b"")], []),
    "a key twice": map_of(b"a", [(b"a", b""), (b"a", b"")], []),
    "removals out of order": map_of(b"a", [], [b"b", b"a"]),
    "a removal twice": map_of(b"a", [], [b"a", b"a"]),
    "a key written and removed": map_of(b"a", [(b"k", b"")], [b"k"]),
    "no change": map_of(b"a", [], []),
    "a value past the end": map_of(b"a", [(b"k", b"value")], [])[:-10],
    "a name past the end": u64(2**40) + b"a",
    "a name longer than any address": u64(2**64 - 1) + b"a",
    "a key longer than any address": field(b"a") + u64(0) + u64(0) + u64(1) + u64(2**64 - 1) + bytes(40),
    "a value longer than any address": (
        field(b"a") + u64(0) + u64(0) + u64(1) + field(b"k") + u64(2**64 - 1) + bytes(40)
    ),
    "a removal longer than any address": (
        field(b"a") + u64(0) + u64(0) + u64(0) + u64(1) + u64(2**64 - 1) + bytes(40)
    ),
    "more writes than there are bytes": field(b"a") + u64(0) + u64(0) + u64(2**63) + field(b"k") * 2,
    "more removals than there are bytes": field(b"a") + u64(0) * 3 + u64(2**63) + field(b"k"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_encodings_are_refused(what: str) -> None:
    with pytest.raises(IntegrityError, match="write set"):
        decode_domain(REFUSED[what])


@given(st.lists(WRITES, max_size=4))
def test_merged_equals_applying_in_order(write_sets: list[Writes]) -> None:
    state: dict[tuple[str, bytes], bytes | None] = {}
    for writes in write_sets:
        state.update(
            ((name, key), value) for name, changes in writes.items() for key, value in changes.items()
        )
    result = merged(write_sets)
    assert {(name, key): value for name, changes in result.items() for key, value in changes.items()} == state


@given(WRITES, WRITES)
def test_merging_leaves_what_is_merged_alone(into: Writes, writes: Writes) -> None:
    before = {name: dict(changes) for name, changes in writes.items()}
    merge(into, writes)
    merge(into, {"later": {b"k": b"v"}, **{name: {b"later": b"v"} for name in writes}})
    assert writes == before


def test_size_counts_keys_and_values() -> None:
    assert size_bytes({}) == 0
    assert size_bytes({"name is not counted": {b"key": b"value", b"gone": None}}) == 3 + 5 + 4
