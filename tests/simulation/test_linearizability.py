"""The checker of client histories, on histories small enough to judge by eye."""

from __future__ import annotations

import pytest

from coco_core.testing.simulation import Operation, ViolationError, check_linearizable


def test_one_after_the_other() -> None:
    check_linearizable([Operation(2, 0, 1, 2), Operation(3, 2, 3, 5), Operation(0, 4, 5, 5)], 0, "x")


def test_side_by_side_in_either_order() -> None:
    check_linearizable([Operation(2, 0, 9, 5), Operation(3, 0, 9, 3)], 0, "x")
    check_linearizable([Operation(2, 0, 9, 2), Operation(3, 0, 9, 5)], 0, "x")


def test_a_read_of_the_past_is_refused() -> None:
    with pytest.raises(ViolationError, match="linearizability: no order of 2 operations"):
        check_linearizable([Operation(2, 0, 1, 2), Operation(0, 2, 3, 0)], 0, "x")


def test_the_same_total_for_two_additions_is_refused() -> None:
    with pytest.raises(ViolationError, match="no order"):
        check_linearizable([Operation(2, 0, 9, 2), Operation(2, 0, 9, 2)], 0, "x")


def test_an_operation_without_an_end_may_have_happened_or_not() -> None:
    unknown = Operation(5, 0, None, None)
    check_linearizable([unknown, Operation(0, 3, 4, 5)], 0, "x")
    check_linearizable([unknown, Operation(0, 3, 4, 0)], 0, "x")
    with pytest.raises(ViolationError):
        check_linearizable([unknown, Operation(0, 3, 4, 5), Operation(0, 5, 6, 0)], 0, "x")


def test_an_end_without_a_total_counts_all_the_same() -> None:
    with pytest.raises(ViolationError):
        check_linearizable([Operation(5, 0, 1, None), Operation(0, 3, 4, 0)], 0, "x")


def test_what_cannot_be_decided_is_said() -> None:
    many = [Operation(1 << at, 0, 9, None) for at in range(30)]
    with pytest.raises(ViolationError, match="undecided"):
        check_linearizable([*many, Operation(0, 10, 11, -1)], 0, "x")
