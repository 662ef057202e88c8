"""What a transaction of the tally is: one line of ASCII, ``add ID COUNTER NUMBER``.

An ID is used once, as nonces are in other ledgers, so that sending a transaction again is safe. Clients use
this module, too. Knows bytes only.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ADD: Final = re.compile(rb"add ([a-z0-9-]{1,40}) ([a-z]{1,20}) ([+-]?[0-9]{1,9})")


class Addition(NamedTuple):
    """One number to add to one counter, under an ID."""

    name: bytes
    counter: bytes
    number: int


def add(name: str, counter: str, number: int) -> bytes:
    """Return the transaction that adds ``number`` to ``counter`` under the ID ``name``."""
    return f"add {name} {counter} {number:+d}".encode()


def read(payload: bytes) -> Addition | None:
    """Return what a transaction says; None when it is none."""
    match = _ADD.fullmatch(payload)
    if match is None:
        return None
    name, counter, number = match.groups()
    return Addition(name, counter, int(number))
