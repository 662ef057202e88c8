"""Reading an operator's JSON: quantities and data in Ethereum's notation, each fault by field name.

Knows notation only. Numbers may be JSON integers, decimal or ``0x`` strings, as geth accepts them.
Every function raises OperatorError of the form ``where.field: what is wrong``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from coco_core.errors import OperatorError

_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")


def only(values: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse names outside ``known``: a misspelt setting must not be a silent default."""
    for name in values:
        if name not in known:
            raise OperatorError(f"{where}.{name}: not known; expected one of {', '.join(sorted(known))}")


def table(
    values: Mapping[str, Any], name: str, where: str, *, default: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Return the table ``values[name]``, or ``default`` when absent and a default is given."""
    value = values.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, Mapping):
        raise OperatorError(f"{where}.{name}: {'missing' if value is None else 'expected a table'}")
    return value


def quantity(
    values: Mapping[str, Any], name: str, where: str, *, bits: int, least: int = 0, default: int | None = None
) -> int:
    """Return the number ``values[name]`` of at most ``bits`` bits and at least ``least``."""
    value = values.get(name)
    where = f"{where}.{name}"
    if value is None:
        if default is None:
            raise OperatorError(f"{where}: missing")
        return default
    if isinstance(value, str) and len(value) <= 80 and _NUMBER.fullmatch(value):
        value = int(value, 16 if value[:2].lower() == "0x" else 10)
    if not isinstance(value, int) or isinstance(value, bool):
        raise OperatorError(f"{where}: expected a number or a 0x string, found {str(value)[:40]!r}")
    if not least <= value < 1 << bits:
        raise OperatorError(f"{where}: {value} is outside {least} … 2**{bits} - 1")
    return value


def data(
    values: Mapping[str, Any], name: str, where: str, *, size: int | None = None, default: bytes | None = None
) -> bytes:
    """Return the bytes of the 0x string ``values[name]``, exactly ``size`` of them if given."""
    value = values.get(name)
    if value is None:
        if default is None:
            raise OperatorError(f"{where}.{name}: missing")
        return default
    return parse_data(value, f"{where}.{name}", size=size)


def parse_data(
    text: object, where: str, *, size: int | None = None, pad: bool = False, prefix: bool = True
) -> bytes:
    """Return the bytes ``text`` writes in hex; ``pad`` fills up to ``size`` with zeros on the left.

    ``prefix`` False allows leaving ``0x`` out, as geth does for addresses in ``alloc``.
    """
    if not isinstance(text, str):
        raise OperatorError(f"{where}: expected a 0x string, found {str(text)[:40]!r}")
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if digits is text and prefix:
        raise OperatorError(f"{where}: expected a 0x string, found {text[:40]!r}")
    if pad and size is not None:
        digits = digits.rjust(2 * size, "0")
    if not _HEX.fullmatch(digits):
        raise OperatorError(f"{where}: not an even number of hex digits: {text[:40]!r}")
    value = bytes.fromhex(digits)
    if size is not None and len(value) != size:
        raise OperatorError(f"{where}: {len(value)} bytes, expected {size}")
    return value
