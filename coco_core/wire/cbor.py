"""Deterministic CBOR (RFC 8949 §4.2): one value has one encoding, and no other is accepted.

Refusing what we would not write ourselves removes a whole class of forgeries: bytes that mean the
same but hash differently, trailing data, duplicate keys. The room must not know what values mean.
"""

from __future__ import annotations

import cbor2

from coco_core.errors import CocoError


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
        canonical = encode(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as fault:
        raise error(f"not CBOR: {fault}") from fault
    if canonical != data:
        raise error("CBOR is not in its canonical form, or data follows the value")
    return value
