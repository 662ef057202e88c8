"""Peer messages: what is written is read back; anything else raises PeerError."""

from itertools import accumulate

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import limits
from coco_core.consensus import Entry
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    Reject,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    decode,
    encode,
)
from coco_core.errors import PeerError

numbers = st.integers(0, 2**63 - 1)


@st.composite
def appends(draw: st.DrawFn) -> Append:
    previous_index = draw(st.integers(0, 2**60))
    previous_term = draw(st.integers(1, 2**60)) if previous_index else 0
    steps = draw(st.lists(st.sampled_from((0, 0, 0, 1, 7)), max_size=12))
    terms = [max(1, term) for term in accumulate(steps, initial=previous_term)][1:]
    entries = tuple(
        Entry(term, index, draw(st.binary(max_size=20)), draw(st.booleans()))
        for index, term in enumerate(terms, start=previous_index + 1)
    )
    term = max([previous_term, *terms]) + draw(st.integers(0, 3))
    return Append(term, previous_index, previous_term, draw(numbers), entries)


small = st.one_of(
    st.builds(CommitNotice, numbers, numbers),
    st.builds(Acknowledge, numbers, numbers),
    st.builds(Reject, numbers, numbers, numbers, numbers),
    st.builds(StaleTerm, numbers),
    st.builds(VoteRequest, numbers, numbers, numbers, st.booleans(), st.booleans()),
    st.builds(VoteReply, numbers, st.booleans(), st.booleans()),
    st.builds(TimeoutNow, numbers),
)
messages = st.one_of(small, appends())


def framed(head: object, body: bytes = b"") -> bytes:
    encoded = head if isinstance(head, bytes) else cbor2.dumps(head)
    return len(encoded).to_bytes(4, "big") + encoded + body


@given(messages)
def test_what_is_written_is_read_back(message: Message) -> None:
    assert decode(encode(message)) == message


@given(messages, st.data())
def test_a_changed_message_is_refused_or_is_another_message(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode(message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(encoded))
    except PeerError:
        return
    assert encode(changed) == bytes(encoded), "one message has one encoding"


@given(messages, st.data())
def test_a_cut_or_extended_message_is_refused(message: Message, data: st.DataObject) -> None:
    encoded = encode(message)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with pytest.raises(PeerError):
        decode(cut)
    with pytest.raises(PeerError):
        decode(encoded + data.draw(st.binary(min_size=1, max_size=4)))


@given(st.binary(max_size=64))
def test_garbage_is_refused(garbage: bytes) -> None:
    for data in (garbage, framed(garbage)):
        try:
            message = decode(data)
        except PeerError:
            continue
        assert encode(message) == data


def test_an_entry_of_the_largest_size_fits() -> None:
    entry = Entry(2, 1, bytes(limits.ENTRY_SIZE_MAX_BYTES), True)
    message = Append(2, 0, 0, 0, (entry,))
    assert decode(encode(message)) == message


def test_a_full_append_fits() -> None:
    entries = tuple(Entry(2**40 + i, i, b"", True) for i in range(1, limits.APPEND_ENTRIES_MAX + 1))
    message = Append(2**41, 0, 0, 2**62, entries)
    assert decode(encode(message)) == message


# kind, term, previous index, previous term, agreed, runs, committable marks, sizes
GOOD = [0, 5, 4, 3, 4, [0, 3, 1, 4], [1], [1, 1]]


def changed(position: int, value: object) -> list[object]:
    return [*GOOD[:position], value, *GOOD[position + 1 :]]


def test_the_append_that_the_next_test_spoils_is_good() -> None:
    entries = (Entry(3, 5, b"x", False), Entry(4, 6, b"y", True))
    assert decode(framed(GOOD, b"xy")) == Append(5, 4, 3, 4, entries)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param([], id="empty"),
        pytest.param({}, id="no array"),
        pytest.param(["x"], id="no kind"),
        pytest.param([True, 1], id="boolean kind"),
        pytest.param([99, 1], id="unknown kind"),
        pytest.param([2, 1], id="too few fields"),
        pytest.param([4, 1, 2], id="too many fields"),
        pytest.param([4, -1], id="negative term"),
        pytest.param([4, 2**63], id="term beyond 63 bits"),
        pytest.param([4, True], id="boolean for an integer"),
        pytest.param([6, 1, 1, 0], id="integer for a boolean"),
        pytest.param(b"\x9f\x04\x01\xff", id="indefinite length"),
        pytest.param(b"\x82\x04\x18\x01", id="integer not in its shortest form"),
        pytest.param(b"\x82\x04", id="cut short inside"),
        pytest.param(b"\x81" * 2000, id="too deep"),
        pytest.param(b"\x82\x04\xc2\x41\x01", id="bignum for an integer"),
        pytest.param(GOOD[:-1], id="append of too few fields"),
        pytest.param(changed(1, -5), id="append of negative term"),
        pytest.param(changed(1, 3), id="entry of a later term than the leader's"),
        pytest.param(changed(2, 0), id="a term for index 0"),
        pytest.param(changed(3, 0), id="no term for an index"),
        pytest.param(changed(3, 4), id="entry of an earlier term than the previous one's"),
        pytest.param(changed(2, 2**63 - 2), id="index beyond 63 bits"),
        pytest.param(changed(5, 7), id="runs are no array"),
        pytest.param(changed(5, ["x", 3]), id="runs are no integers"),
        pytest.param(changed(5, []), id="no runs"),
        pytest.param(changed(5, [0]), id="run without a term"),
        pytest.param(changed(5, [1, 3]), id="first entry without a term"),
        pytest.param(changed(5, [0, 3, 2, 4]), id="run beyond the end"),
        pytest.param(changed(5, [0, 3, 0, 4]), id="run of no entries"),
        pytest.param(changed(5, [0, 3, 1, 3]), id="run that changes nothing"),
        pytest.param(changed(6, [2]), id="mark beyond the end"),
        pytest.param(changed(6, [1, 1]), id="mark twice"),
        pytest.param(changed(7, [1, 2]), id="body too short"),
        pytest.param(changed(7, [1]), id="body too long"),
        pytest.param([0, 5, 4, 3, 4, [0, 3], [], [0] * (limits.APPEND_ENTRIES_MAX + 1)], id="too many"),
    ],
)
def test_a_spoilt_message_is_refused(head: object) -> None:
    with pytest.raises(PeerError):
        decode(framed(head, b"xy" if isinstance(head, list) and head[:1] == [0] else b""))


def test_term_zero_has_no_entries() -> None:
    with pytest.raises(PeerError):
        decode(framed([0, 5, 0, 0, 0, [0, 0], [], [1]], b"x"))


def test_a_heartbeat_speaks_of_no_later_term_than_its_own() -> None:
    with pytest.raises(PeerError):
        decode(framed([0, 5, 9, 6, 0, [], [], []]))


def test_what_exceeds_its_bound_is_refused_unread() -> None:
    with pytest.raises(PeerError, match="exceeds"):
        decode(bytes(limits.MESSAGE_SIZE_MAX_BYTES + 1))
    with pytest.raises(PeerError, match="too long"):
        decode(framed([4, *([0] * limits.CONSENSUS_HEAD_MAX_BYTES)]))
