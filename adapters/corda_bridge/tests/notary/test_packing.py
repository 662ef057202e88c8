"""Packed rows are read back, are small where content repeats itself, and nothing else is taken for one."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from coco_corda.limits import ROW_CONTENT_MAX_BYTES
from coco_corda.packing import pack, unpack
from coco_corda.records import Kept, State
from coco_core.errors import AdapterError, IntegrityError


@given(st.binary(max_size=5_000), st.integers(1, 50))
def test_what_is_packed_is_read_back(data: bytes, times: int) -> None:
    assert unpack(pack(times * data)) == times * data


def test_what_is_described_twice_is_packed_once() -> None:
    description = bytes(range(256)) * 8
    assert len(pack(description + description)) < len(pack(description)) + 100


def test_a_row_of_the_largest_output_is_read_back_and_a_larger_one_is_not() -> None:
    largest = bytes(ROW_CONTENT_MAX_BYTES)
    assert unpack(pack(largest)) == largest
    with pytest.raises(AdapterError, match="is the most"):
        pack(largest + b"x")
    with pytest.raises(IntegrityError, match="is the most"):
        unpack(zstandard.compress(largest + b"x"))


def unsized(data: bytes) -> bytes:
    """Return a frame that does not say how much is in it."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"no frame at all",
        pack(b"content" * 9)[:-1],
        pack(b"content") + b"x",
        pack(b"") + b"x",
        unsized(b"content" * 9),
    ],
    ids=["empty", "other", "cut off", "longer", "nothing and more", "unsized"],
)
def test_what_is_no_packed_row_is_refused(row: bytes) -> None:
    with pytest.raises(IntegrityError, match="packed row"):
        unpack(row)
    head = bytes(34)
    with pytest.raises(IntegrityError, match="packed row"):
        State.unpack(head + row)
    with pytest.raises(IntegrityError, match="packed row"):
        Kept.unpack(bytes(2) + row)


def test_who_participates_is_read_without_the_output() -> None:
    state = State(params_hash=bytes(32), participants=(b"a" * 32, b"b" * 32), output=b"output")
    row = state.pack()
    assert State.participants_of(row[:-1]) == state.participants
