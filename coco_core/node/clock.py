"""The only reader of the wall clock; everything else gets time as a value."""

from __future__ import annotations

import datetime
import time


def unix_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def utc_now() -> datetime.datetime:
    """Return the time of day, with zone."""
    return datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
