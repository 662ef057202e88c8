"""Bytes that are written as text: hex, base64 of both alphabets, lists of numbers. Pure."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Mapping
from typing import Any, Final

_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})+)")
_PARTED_HEX: Final = re.compile(r"(?:(?:0x)?[0-9a-fA-F]{2}[:,])+(?:0x)?[0-9a-fA-F]{2}[:,]?")
"""Bytes apart from each other, as fingerprints and source text have them."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SHORTEST_BYTES: Final = 64
"""No evidence is shorter: a short word is not taken for bytes."""
_PEM_BEGINS: Final = "-----BEGIN"
_MARKS: Final[Mapping[bytes, str]] = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def bytes_of(value: Any) -> bytes | None:
    """Return the bytes a JSON value stands for, None where it stands for none."""
    if isinstance(value, list):
        try:
            return bytes(value)
        except (TypeError, ValueError):
            return None
    return bytes_of_text(value) if isinstance(value, str) else None


def bytes_of_text(text: str) -> bytes | None:
    """Return the bytes that hex or base64 stands for, None for any other text."""
    bare = "".join(text.split())
    if _PARTED_HEX.fullmatch(bare):
        bare = re.sub("0x|[:,]", "", bare)
    # PEM's frame is of letters that base64 for URLs has, too.
    if len(bare) < _SHORTEST_BYTES or bare.startswith(_PEM_BEGINS):
        return None
    if (hexadecimal := _HEX.fullmatch(bare)) is not None:
        return bytes.fromhex(hexadecimal[1])
    if not _BASE64.fullmatch(bare):
        return None
    try:
        # Both alphabets: what differs between them is brought to the standard one.
        standard = bare.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        return None


def unmarked(data: bytes) -> bytes:
    """Return text without the mark of byte order Windows puts before it, in UTF-8; other data as it is."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeError:
                return data
    return data


def text_of(data: bytes) -> str | None:
    """Return data as text if it is ASCII, None otherwise."""
    return data.decode("ascii") if data.isascii() else None
