"""Values as JSON or CBOR from a stranger should hold them: of one type, in one spelling."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def typed(value: Any, kind: type[_Value]) -> _Value:
    """Return a value of exactly this type, so no bool for an int; raises TypeError."""
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value


def text(value: Any) -> str:
    """Return text that is text; raises TypeError."""
    return typed(value, str)


def to_base64(data: bytes) -> str:
    """Return bytes as base64 text (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def from_base64(value: Any) -> bytes:
    """Return bytes from base64 text; raises ValueError, and TypeError for what is no text."""
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def from_canonical_base64(value: Any) -> bytes:
    """Return bytes from the one base64 text that to_base64 gives for them; raises as from_base64 does."""
    data = from_base64(value)
    if to_base64(data) != value:
        raise ValueError("not in canonical base64")
    return data


def from_hex_digest(value: str) -> bytes:
    """Return the 32 bytes of a digest in lower-case hex; raises ValueError for any other text."""
    digest = bytes.fromhex(value)
    if len(digest) != 32 or digest.hex() != value:
        raise ValueError("not a digest of 32 bytes in lower-case hex")
    return digest


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return the JSON that is signed or hashed: names ascending, nothing between, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
