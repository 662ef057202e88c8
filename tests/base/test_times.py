"""Unix time in milliseconds as a moment in UTC, to the millisecond."""

from __future__ import annotations

import datetime

import pytest

from coco_core.base import utc


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_700_000_000_123, 4_102_444_800_001, 253_402_300_799_999])
def test_no_millisecond_is_lost(time_ms: int) -> None:
    at = utc(time_ms)
    assert at.tzinfo is datetime.UTC
    assert (at - utc(0)) / datetime.timedelta(milliseconds=1) == time_ms


def test_beyond_the_calendar() -> None:
    with pytest.raises(OverflowError):
        utc(253_402_300_800_000)
