"""Addresses in state: 35 bytes, written as 70 lower-case hex digits; and prefixes of them.

Knows notation only: who may read or write is ``contexts``' business, what families keep where their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

ADDRESS_SIZE_BYTES: Final = 35

SETTINGS_NAMESPACE: Final = "000000"
IDENTITY_NAMESPACE: Final = "00001d"
BLOCK_INFO_NAMESPACE: Final = "00b10c"

_ADDRESS: Final = re.compile(r"[0-9a-f]{70}")
_PREFIX: Final = re.compile(r"(?:[0-9a-f]{2}){0,35}")
_ID: Final = re.compile(r"[0-9a-f]{128}")

is_address: Final = _ADDRESS.fullmatch
"""Whether a string is a whole address (truthy)."""

is_id: Final = _ID.fullmatch
"""Whether a string is an identifier in its only accepted form: a signature in lower-case hex (truthy)."""


def bad_prefixes(prefixes: Iterable[str]) -> list[str]:
    """Return those that are no prefix of an address: not hex, an odd number of digits, or too long."""
    return [prefix for prefix in prefixes if not _PREFIX.fullmatch(prefix)]


def overlap(one: str, other: str) -> bool:
    """Return whether an address can begin with both prefixes."""
    return one.startswith(other) or other.startswith(one)
