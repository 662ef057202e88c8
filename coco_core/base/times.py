"""Time as a transaction states it: milliseconds since 1970, and the calendar. Must not read a clock."""

from __future__ import annotations

import datetime
from typing import Final

_EPOCH: Final = datetime.datetime.fromtimestamp(0, datetime.UTC)


def utc(time_ms: int) -> datetime.datetime:
    """Return a Unix time in milliseconds as a moment in UTC; raises OverflowError beyond the year 9999."""
    return _EPOCH + datetime.timedelta(milliseconds=time_ms)
