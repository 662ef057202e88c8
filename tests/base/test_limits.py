"""Every bound is a positive whole number, and its name ends in a unit or a count."""

import pytest

from coco_core.base import limits

NAMES = [name for name in vars(limits) if name.isupper()]
UNITS = ("_BYTES", "_ENTRIES", "_MS", "_MAX", "_MIN", "_TICKS", "_S")


def test_there_are_limits() -> None:
    assert len(NAMES) > 20


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("KIB", "MIB")])
def test_limit_is_positive_and_says_its_unit(name: str) -> None:
    value = getattr(limits, name)
    assert isinstance(value, int)
    assert value > 0
    assert name.endswith(UNITS)
