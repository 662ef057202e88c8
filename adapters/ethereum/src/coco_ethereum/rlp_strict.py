"""Recursive Length Prefix as strangers send it: canonical, never deep (yellow paper, appendix B).

Why not the ``rlp`` library, which encodes for us elsewhere: its decoder recurses as deep as the input
nests, so 64 kB of nested lists cost it a second. Transactions nest at most four lists. Knows the
encoding; it must not know what is encoded.
"""

from __future__ import annotations

from typing import Final

Item = bytes | list["Item"]

DEPTH_MAX: Final = 4
"""Lists inside lists: transaction, access list, entry, slots."""

_STRING: Final = 0x80
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55


def decode(encoded: bytes, depth_max: int = DEPTH_MAX) -> Item:
    """Return the item an encoding holds; raises ValueError unless it is the item's only encoding."""
    if not encoded:
        raise ValueError("no item")
    item, end = _item(encoded, 0, len(encoded), depth_max)
    if end != len(encoded):
        raise ValueError(f"{len(encoded) - end} bytes left over")
    return item


def _item(encoded: bytes, at: int, limit: int, depth_left: int) -> tuple[Item, int]:
    """Return the item at an offset and the offset behind it; it may not reach past ``limit``."""
    first = encoded[at]
    if first < _STRING:
        return encoded[at : at + 1], at + 1
    start, end = _payload(encoded, at, limit)
    if first < _LIST:
        if end - start == 1 and encoded[start] < _STRING:
            raise ValueError("a byte below 128 with a prefix")
        return encoded[start:end], end
    if depth_left == 0:
        raise ValueError("lists nest too deep")
    items: list[Item] = []
    while start < end:
        item, start = _item(encoded, start, end, depth_left - 1)
        items.append(item)
    return items, end


def _payload(encoded: bytes, at: int, limit: int) -> tuple[int, int]:
    """Return where the payload of a prefixed item begins and ends."""
    first = encoded[at]
    size = first - (_STRING if first < _LIST else _LIST)
    start = at + 1
    if size > _SHORT_MAX:
        width = size - _SHORT_MAX
        digits = encoded[start : min(start + width, limit)]
        if len(digits) < width:
            raise ValueError("the length is cut off")
        size = int.from_bytes(digits, "big")
        if digits[0] == 0 or size <= _SHORT_MAX:
            raise ValueError("a length in more bytes than needed")
        start += width
    if start + size > limit:
        raise ValueError("an item reaches past its end")
    return start, start + size
