"""The only source of randomness for the pure rooms."""

from __future__ import annotations

import secrets


def random_bytes(size: int = 32) -> bytes:
    """Return ``size`` bytes from the operating system."""
    return secrets.token_bytes(size)


def draw(low: int, high: int) -> int:
    """Return a uniform integer in ``[low, high]``."""
    return low + secrets.randbelow(high - low + 1)
