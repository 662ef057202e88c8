"""A transaction ID has one text form and a total order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import TxID
from coco_core.errors import MalformedError

NUMBERS = st.integers(1, 2**64 - 1)


@given(NUMBERS, NUMBERS)
def test_text_form_comes_back(view: int, seqno: int) -> None:
    assert TxID.parse(str(TxID(view, seqno))) == TxID(view, seqno)


@given(st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS))
def test_order_is_view_then_seqno(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (TxID(*one) < TxID(*other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "0.0",
        "0.1",
        "2.0",
        "02.15",
        "2.015",
        "",
        ".",
        "2",
        "2.",
        ".15",
        "-2.15",
        "2.-15",
        "2.15.1",
        " 2.15",
        "2.15\n",
        "2,15",
        "a.b",
        "٢.15",
        "2.²",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="not a transaction ID"):
        TxID.parse(text)


@pytest.mark.parametrize("text", ["1" * 21 + ".1", "1." + "1" * 21])
def test_long_numbers_are_refused_before_they_are_computed(text: str) -> None:
    with pytest.raises(MalformedError, match="out of range"):
        TxID.parse(text)


def test_message_quotes_a_bounded_part_of_what_was_sent() -> None:
    with pytest.raises(MalformedError) as caught:
        TxID.parse("x" * 10_000)
    assert len(str(caught.value)) < 150


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        TxID(2, 15).view = 3  # type: ignore[misc] # the point of the test
