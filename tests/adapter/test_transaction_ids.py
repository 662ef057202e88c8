"""The header that names where a request's transactions stand, for clients that take 8 KiB of a header."""

from __future__ import annotations

from coco_core.adapter import TRANSACTION_IDS_HEADER, TxID, transaction_ids
from coco_core.base.limits import HTTP_ANSWER_HEADER_MAX_BYTES


def test_places_are_named_in_order() -> None:
    assert transaction_ids([TxID(2, 15), None, TxID(3, 16)]) == {TRANSACTION_IDS_HEADER: "2.15,-,3.16"}


def test_what_no_client_takes_is_left_out() -> None:
    place = TxID(2, 123_456)
    most = (HTTP_ANSWER_HEADER_MAX_BYTES + 1) // len(f"{place},")
    (named,) = transaction_ids([place] * most).values()
    assert len(named) <= HTTP_ANSWER_HEADER_MAX_BYTES
    assert transaction_ids([place] * (most + 1)) == {}
