"""Ethereum's JSON notation: quantities and data, both ways (execution-apis, "base types").

``quantity`` is the shortest ``0x`` number, ``data`` two digits for each byte. Reading raises ValueError
with geth's wording; who calls it knows which argument it was.
"""

from __future__ import annotations

import re
from typing import Final

from coco_ethereum.limits import RPC_ERROR_ECHO_MAX_CHARS

_QUANTITY: Final = re.compile(r"0[xX](?:0|[1-9a-fA-F][0-9a-fA-F]*)")
_DIGITS: Final = re.compile(r"[0-9a-fA-F]*")


def quantity(value: int) -> str:
    """Return a number as clients read it."""
    return hex(value)


def data(value: bytes) -> str:
    """Return bytes as clients read them."""
    return "0x" + value.hex()


def optional_data(value: bytes | None) -> str | None:
    """Return bytes as clients read them, or null."""
    return None if value is None else "0x" + value.hex()


def word(value: int) -> str:
    """Return a number as 32 bytes of data."""
    return f"0x{value:064x}"


def read_quantity(value: object, bits: int = 64) -> int:
    """Read a number of at most ``bits`` bits."""
    if not isinstance(value, str):
        raise ValueError("json: cannot unmarshal non-string into a hex quantity")
    if _QUANTITY.fullmatch(value) is None:
        if value[:2] not in ("0x", "0X"):
            raise ValueError("hex string without 0x prefix" if value else "empty hex string")
        if len(value) == 2:
            raise ValueError('hex string "0x"')
        if _DIGITS.fullmatch(value[2:]) is None:
            raise ValueError("invalid hex string")
        raise ValueError("hex number with leading zero digits")
    if len(value) - 2 > bits // 4 or (number := int(value, 16)) >> bits:
        raise ValueError(f"hex number > {bits} bits")
    return number


def read_number(value: object, bits: int = 64) -> int:
    """Read a quantity that some clients send as a plain JSON number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits:
        return value
    return read_quantity(value, bits)


def read_data(value: object) -> bytes:
    """Read bytes of any length."""
    if not isinstance(value, str):
        raise ValueError("json: cannot unmarshal non-string into hex data")
    digits = value[2:]
    if value[:2] not in ("0x", "0X"):
        raise ValueError("hex string without 0x prefix" if value else "empty hex string")
    if len(digits) % 2:
        raise ValueError("hex string of odd length")
    if _DIGITS.fullmatch(digits) is None:
        raise ValueError("invalid hex string")
    return bytes.fromhex(digits)


def read_fixed(value: object, size: int) -> bytes:
    """Read exactly ``size`` bytes."""
    found = read_data(value)
    if len(found) != size:
        raise ValueError(f"hex string has length {2 * len(found)}, want {2 * size}")
    return found


def read_address(value: object) -> bytes:
    """Read an address; its checksum capitals (EIP-55) are not checked, as in geth."""
    return read_fixed(value, 20)


def read_hash(value: object) -> bytes:
    """Read a 32-byte hash."""
    return read_fixed(value, 32)


def read_slot(value: object) -> bytes:
    """Read a storage slot: up to 32 bytes, short ones filled up, as geth accepts them."""
    if not isinstance(value, str):
        raise ValueError("json: cannot unmarshal non-string into a storage key")
    digits = value[2:] if value[:2] in ("0x", "0X") else value
    if _DIGITS.fullmatch(digits) is None:
        raise ValueError(f'invalid hex in storage key: "{shown(value)}"')
    if len(digits) > 64:
        raise ValueError(f'storage key too long (want at most 32 bytes): "{shown(value)}"')
    return bytes.fromhex(digits.rjust(64, "0"))


def read_bool(value: object) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise ValueError("json: cannot unmarshal non-boolean into a bool")
    return value


def shown(text: str) -> str:
    """Return what of a caller's text may be repeated in an error."""
    return text[:RPC_ERROR_ECHO_MAX_CHARS]
