"""Whatever a library makes of the recursion limit, nested input is refused and ends nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from coco_core.base import bound_recursion, limits


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


def test_what_a_library_raised_is_taken_back() -> None:
    sys.setrecursionlimit(100_000)
    bound_recursion()
    assert sys.getrecursionlimit() == limits.RECURSION_MAX
    with pytest.raises(RecursionError):
        json.loads("[" * 200_000)


def test_what_is_within_the_bound_stays() -> None:
    sys.setrecursionlimit(3_000)
    bound_recursion()
    assert sys.getrecursionlimit() == 3_000
