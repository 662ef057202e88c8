"""Contexts: what was declared may be read and written, nothing else; an empty value is no value."""

from __future__ import annotations

import pytest

from coco_sawtooth import limits
from coco_sawtooth.contexts import Context, TooMuchError, UnauthorizedError
from coco_sawtooth.messages import Event

A, B, C = ("1cf126" + digit * 64 for digit in "abc")
KEY_A, KEY_B, KEY_C = map(bytes.fromhex, (A, B, C))


def context(inputs=("1cf126",), outputs=("1cf126",), below=()) -> Context:
    return Context(inputs, outputs, below)


def test_reads_see_own_writes_then_earlier_ones_then_state():
    below = ({KEY_A: None, KEY_B: b"earlier"}, {KEY_A: b"state", KEY_B: b"state", KEY_C: b"state"})
    found = context(below=below)
    assert found.get([C, A, B]) == [b"state", b"", b"earlier"]
    found.set([(A, b"own")])
    found.delete([B])
    assert found.get([A, B, C, A]) == [b"own", b"", b"state", b"own"]
    assert found.writes == {KEY_A: b"own", KEY_B: None}


def test_an_empty_value_reads_as_none():
    found = context()
    found.set([(A, b"")])
    assert found.get([A, B]) == [b"", b""]


def test_inputs_are_for_reading_outputs_for_writing():
    found = context(inputs=(A,), outputs=(B,))
    assert found.get([A]) == [b""]
    found.set([(B, b"x")])
    found.delete([B])
    for forbidden in (lambda: found.get([B]), lambda: found.set([(A, b"")]), lambda: found.delete([A])):
        with pytest.raises(UnauthorizedError):
            forbidden()


def test_one_bad_address_fails_the_whole_call():
    found = context(outputs=(A, B))
    with pytest.raises(UnauthorizedError):
        found.set([(A, b"x"), (C, b"x")])
    with pytest.raises(UnauthorizedError):
        found.delete([A, C])
    assert found.writes == {}


@pytest.mark.parametrize("address", ["", "1cf126", A[:-1], A + "00", A.upper(), "zz" * 35, A[:-1] + "\n"])
def test_what_is_no_address_is_refused_even_where_all_is_allowed(address):
    found = context(inputs=("",), outputs=("",))
    with pytest.raises(UnauthorizedError):
        found.get([address])
    with pytest.raises(UnauthorizedError):
        found.set([(address, b"x")])


def test_nothing_declared_is_nothing_allowed():
    found = context(inputs=(), outputs=())
    with pytest.raises(UnauthorizedError):
        found.get([A])


def test_events_and_data_are_kept_in_order():
    found = context()
    found.add_event(Event(event_type="first"))
    found.add_event(Event(event_type="second"))
    found.add_receipt_data(b"1")
    found.add_receipt_data(b"2")
    assert [event.event_type for event in found.events] == ["first", "second"]
    assert found.data == [b"1", b"2"]
    found.set([(A, b"x")])
    found.reset()
    assert (found.events, found.data, found.writes, found.size) == ([], [], {}, 0)


def test_what_one_transaction_writes_is_bounded():
    found = context()
    with pytest.raises(TooMuchError):
        found.set([(A, bytes(limits.STATE_VALUE_SIZE_MAX_BYTES + 1))])
    value = bytes(limits.STATE_VALUE_SIZE_MAX_BYTES)
    for _ in range(limits.BATCH_WRITES_SIZE_MAX_BYTES // limits.STATE_VALUE_SIZE_MAX_BYTES - 1):
        found.set([(A, value)])
    with pytest.raises(TooMuchError):
        found.set([(A, value), (B, value)])
    found.reset()
    for _ in range(limits.TRANSACTION_EVENTS_MAX):
        found.add_event(Event())
    with pytest.raises(TooMuchError):
        found.add_event(Event())
    for _ in range(limits.TRANSACTION_RECEIPT_DATA_MAX):
        found.add_receipt_data(b"")
    with pytest.raises(TooMuchError):
        found.add_receipt_data(b"")
