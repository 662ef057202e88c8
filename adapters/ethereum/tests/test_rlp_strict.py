"""The strict decoder against Ethereum's vectors and the library that encodes for us."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from coco_ethereum import rlp_strict

items = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def expected(value: Any) -> Any:
    """Return a vector's value as bytes and lists: numbers big-endian, ``#`` before large ones."""
    if isinstance(value, list):
        return [expected(item) for item in value]
    if isinstance(value, str) and not value.startswith("#"):
        return value.encode("latin-1")
    number = int(value[1:]) if isinstance(value, str) else value
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["rlptest.json", "invalidRLPTest.json", "RandomRLPTests/example.json"])
def test_ethereums_vectors(shared: Path, name: str) -> None:
    with tarfile.open(shared / "data/conformance/ethereum-tests-basic.tar.xz") as archive:
        [member] = [one for one in archive.getmembers() if one.name.endswith(f"RLPTests/{name}")]
        file = archive.extractfile(member)
        assert file is not None
        vectors = json.load(file)
    for vector in vectors.values():
        encoded = bytes.fromhex(vector["out"].removeprefix("0x"))
        if vector["in"] == "INVALID":
            with pytest.raises(ValueError, match=r"\w"):
                rlp_strict.decode(encoded, depth_max=100)
        elif vector["in"] == "VALID":
            assert rlp.encode(rlp_strict.decode(encoded, depth_max=100)) == encoded
        else:
            assert rlp_strict.decode(encoded, depth_max=100) == expected(vector["in"])


@given(items)
def test_what_the_library_encodes_decodes(item: Any) -> None:
    assert rlp_strict.decode(rlp.encode(item), depth_max=100) == item


@given(st.binary(max_size=40))
def test_only_the_canonical_encoding_decodes(encoded: bytes) -> None:
    try:
        item = rlp_strict.decode(encoded, depth_max=40)
    except ValueError:
        with pytest.raises(rlp.DecodingError):
            rlp.decode(encoded, strict=True)
    else:
        assert rlp.encode(item) == encoded


def test_depth_is_bounded() -> None:
    assert rlp_strict.decode(b"\xc2\xc1\xc0", depth_max=3) == [[[]]]
    with pytest.raises(ValueError, match="too deep"):
        rlp_strict.decode(b"\xc2\xc1\xc0", depth_max=2)
