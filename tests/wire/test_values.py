"""What a stranger's values are read as, and that each has one spelling where one is demanded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coco_core.wire.values import (
    canonical_json,
    from_base64,
    from_canonical_base64,
    from_hex_digest,
    text,
    to_base64,
    typed,
)

DIGEST = bytes(range(32))


def test_a_value_is_of_exactly_one_type() -> None:
    assert typed(1, int) == 1
    assert typed([], list) == []
    assert text("a") == "a"
    for value, kind in ((True, int), (1, bool), (b"a", str), (None, dict), (1, float)):
        with pytest.raises(TypeError, match=f"{type(value).__name__} where {kind.__name__} belongs"):
            typed(value, kind)


@pytest.mark.parametrize("read", [from_base64, from_canonical_base64])
def test_base64(read: Callable[[Any], bytes]) -> None:
    for data in (b"", b"a", b"ab", b"abc", DIGEST):
        assert read(to_base64(data)) == data
    for other in ("YQ", "YQ==\n", "Y Q==", "Y-_=", "é"):
        with pytest.raises(ValueError, match=r"base64|ASCII"):
            read(other)
    with pytest.raises(TypeError):
        read(7)


def test_base64_in_its_one_spelling() -> None:
    assert from_base64("YR==") == b"a"
    with pytest.raises(ValueError, match="canonical"):
        from_canonical_base64("YR==")


def test_a_digest_in_hex() -> None:
    assert from_hex_digest(DIGEST.hex()) == DIGEST
    for other in (
        "",
        DIGEST.hex()[2:],
        DIGEST.hex() + "00",
        DIGEST.hex().upper(),
        f" {DIGEST.hex()}",
        "x" * 64,
    ):
        with pytest.raises(ValueError, match=r"hex"):
            from_hex_digest(other)


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, "é"], "a": {"d": None, "c": True}}) == (
        b'{"a":{"c":true,"d":null},"b":[1,"\\u00e9"]}'
    )
