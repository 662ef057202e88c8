"""A broken invariant stops the node: no handler of ordinary errors may swallow it."""

import pytest

from coco_core.base import invariant, unreachable
from coco_core.base.invariants import BrokenInvariantError


@pytest.mark.parametrize("condition", [True, 1, "x", [0]])
def test_what_holds_passes(condition: object) -> None:
    invariant(condition, "never seen")


@pytest.mark.parametrize("condition", [False, 0, "", None, []])
def test_what_does_not_hold_raises_its_message(condition: object) -> None:
    with pytest.raises(BrokenInvariantError, match="the reason"):
        invariant(condition, "the reason")


def test_unreachable_raises() -> None:
    with pytest.raises(BrokenInvariantError, match="a place"):
        unreachable("a place")


def test_handlers_of_exceptions_do_not_catch_it() -> None:
    assert not issubclass(BrokenInvariantError, Exception)
