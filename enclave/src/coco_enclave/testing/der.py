"""The few forms of DER (X.690) that simulated certificates need. Only writes, from our own values."""

from __future__ import annotations


def tagged(tag: int, content: bytes) -> bytes:
    """Return content under a tag, with its length in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*items: bytes) -> bytes:
    """Return a SEQUENCE of encoded items."""
    return tagged(0x30, b"".join(items))


def integer(value: int) -> bytes:
    """Return an INTEGER from 0."""
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def enumerated(value: int) -> bytes:
    """Return an ENUMERATED below 128."""
    return tagged(0x0A, bytes([value]))


def octets(value: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tagged(0x04, value)


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray([40 * first + second])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | 0x80)
        encoded += bytes(reversed(digits))
    return tagged(0x06, bytes(encoded))
