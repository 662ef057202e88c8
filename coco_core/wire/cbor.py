"""Deterministic CBOR (RFC 8949 §4.2): one value has one encoding, and no other is accepted.

Refusing what we would not write ourselves removes a whole class of forgeries: bytes that mean the
same but hash differently, trailing data, duplicate keys. The room must not know what values mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

import cbor2

from coco_core.errors import CocoError

_KEYS: Final = (int, str, bytes, float, type(None))
_CONTAINERS: Final = (cbor2.CBORTag, Mapping, list, tuple, Set)


def encode(value: object) -> bytes:
    """Return the one canonical encoding of ``value``."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, error: type[CocoError]) -> object:
    """Return the value whose canonical encoding ``data`` is.

    Whose fault a malformed value is only the caller knows, hence ``error``: the class that is raised
    when ``data`` is not CBOR, is not canonical, or has bytes after the value.
    """
    try:
        value: object = cbor2.loads(data)
        check_tree(value)
        canonical = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as fault:
        raise error(f"not CBOR: {fault}") from fault
    if canonical != data:
        raise error("CBOR is not in its canonical form, or data follows the value")
    return value


def check_tree(value: object) -> None:
    """Check that a decoded value is encoded again in the time its bytes took; raises ValueError.

    Bytes from outside may say that a value is used again (tags 28 and 29), and may nest maps and sets in
    keys. Encoding that anew takes twice as long for each level: a minute, or all memory, for 60 bytes.
    """
    seen: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, cbor2.CBORTag):
            inner = [one.value]
        elif isinstance(one, Mapping):
            if not all(isinstance(key, _KEYS) for key in one):
                raise ValueError("a map has a key that is no number, text or bytes")
            inner = list(one.values())
        elif isinstance(one, list | tuple):
            inner = list(one)
        elif isinstance(one, Set):
            raise ValueError("a set")
        else:
            continue
        if id(one) in seen:
            raise ValueError("a value is used twice")
        seen.add(id(one))
        left.extend(item for item in inner if isinstance(item, _CONTAINERS))
