"""One value, one encoding; everything else is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import IntegrityError, PeerError
from coco_core.wire import cbor

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=20)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.integers(0, 500), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_we_write_we_read(value: object) -> None:
    assert cbor.decode(cbor.encode(value), error=IntegrityError) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x18\x01",  # 1 in two bytes
        b"\x01\x00",  # data after the value
        b"\xa2\x02\x00\x01\x00",  # keys out of order
        b"\xa2\x01\x00\x01\x00",  # a key twice
        b"\x9f\x01\xff",  # indefinite length
        b"\x5f\x41\x00\xff",
        b"\x62\xff\xff",  # text that is not UTF-8
        b"\x81" * 5000 + b"\x00",  # deep nesting
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that contains itself
    ],
)
def test_other_encodings_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        cbor.decode(data, error=PeerError)


def _keys_in_keys(levels: int) -> bytes:
    data = b"\x00"
    for _ in range(levels):
        data = b"\xa1" + data + b"\x00"
    return data


def _arrays_in_keys(levels: int) -> bytes:
    data = b"\x00"
    for _ in range(levels):
        data = b"\xa1\x81" + data + b"\x00"
    return data


def _sets_in_sets(levels: int) -> bytes:
    return b"\xd9\x01\x02\x81" * levels + b"\x00"


def _used_twice(levels: int) -> bytes:
    items = [b"\xd8\x1c\x81\x01"]
    items += [b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + cbor.encode(level)) for level in range(levels)]
    return b"\x98" + bytes([len(items)]) + b"".join(items)


@pytest.mark.parametrize("make", [_keys_in_keys, _arrays_in_keys, _sets_in_sets, _used_twice])
def test_few_bytes_do_not_take_long(make: Callable[[int], bytes]) -> None:
    """Found by fuzzing: each level took twice as long as the one in it, so that this would not end."""
    with pytest.raises(PeerError):
        cbor.decode(make(64), error=PeerError)
