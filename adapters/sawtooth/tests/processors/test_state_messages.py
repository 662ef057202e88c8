"""State, events and receipt data over the socket: status numbers, order, contexts nobody knows, bad bytes."""

from __future__ import annotations

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from coco_sawtooth.messages import (
    Event,
    Message,
    MessageType,
    TpEventAddRequest,
    TpEventAddResponse,
    TpReceiptAddDataRequest,
    TpReceiptAddDataResponse,
    TpStateDeleteRequest,
    TpStateDeleteResponse,
    TpStateEntry,
    TpStateGetRequest,
    TpStateGetResponse,
    TpStateSetRequest,
    TpStateSetResponse,
)
from coco_sawtooth.processors import ClientMessage, Dispatcher, Policy, envelope

GET, SET = MessageType.TP_STATE_GET_REQUEST, MessageType.TP_STATE_SET_REQUEST
DELETE = MessageType.TP_STATE_DELETE_REQUEST
EVENT, DATA = MessageType.TP_EVENT_ADD_REQUEST, MessageType.TP_RECEIPT_ADD_DATA_REQUEST
A1, A2, A3, A9 = ("aa" + f"0{each}" * 34 for each in "1239")
B1 = "bb" * 35
ANSWERS = {
    GET: TpStateGetResponse,
    SET: TpStateSetResponse,
    DELETE: TpStateDeleteResponse,
    EVENT: TpEventAddResponse,
    DATA: TpReceiptAddDataResponse,
}


@pytest.fixture
def ask(stage):
    """Ask for state as a processor and return the answer."""

    def run(kind, request, identity=b"p"):
        correlation_id = stage.receive(identity, kind, request.SerializeToString())
        ((to, answer),) = stage.said()
        assert (to, answer.correlation_id) == (identity, correlation_id)
        assert answer.message_type == kind + 1
        return ANSWERS[kind].FromString(answer.content)

    return run


@pytest.fixture
def work(stage):
    """A job in the hands of ``p``, and its context's name."""
    stage.ready(b"p")
    (job,) = stage.submit()
    (given,) = stage.given()
    return job, given.request.context_id


def test_state_is_read_and_written_in_order(stage, ask, work):
    job, context_id = work
    entries = [TpStateEntry(address=A1, data=b"1"), TpStateEntry(address=A2, data=b"2")]
    answer = ask(SET, TpStateSetRequest(context_id=context_id, entries=entries))
    assert (answer.status, list(answer.addresses)) == (TpStateSetResponse.OK, [A1, A2])
    answer = ask(GET, TpStateGetRequest(context_id=context_id, addresses=[A2, A3, A1]))
    assert answer.status == TpStateGetResponse.OK
    assert [(entry.address, entry.data) for entry in answer.entries] == [
        (A2, b"2"),
        (A3, b""),
        (A1, b"1"),
    ]
    answer = ask(DELETE, TpStateDeleteRequest(context_id=context_id, addresses=[A1, A9]))
    assert (answer.status, list(answer.addresses)) == (TpStateDeleteResponse.OK, [A1, A9])
    assert job.context.writes == {bytes.fromhex(A1): None, bytes.fromhex(A2): b"2", bytes.fromhex(A9): None}


def test_one_address_that_is_not_allowed_fails_the_whole_call(stage, ask, work):
    job, context_id = work
    get = ask(GET, TpStateGetRequest(context_id=context_id, addresses=[A1, B1]))
    entries = [TpStateEntry(address=A1, data=b"1"), TpStateEntry(address=B1, data=b"2")]
    put = ask(SET, TpStateSetRequest(context_id=context_id, entries=entries))
    delete = ask(DELETE, TpStateDeleteRequest(context_id=context_id, addresses=[B1]))
    assert (get.status, put.status, delete.status) == (2, 2, 2)
    assert (len(get.entries), len(put.addresses), len(delete.addresses)) == (0, 0, 0)
    assert job.context.writes == {}


@pytest.mark.parametrize("address", ["aa", "aa" * 34 + "a", "AA" * 35, "aa" * 34 + "zz", "aa" * 36])
def test_what_is_no_address_is_not_allowed(ask, work, address):
    _, context_id = work
    assert ask(GET, TpStateGetRequest(context_id=context_id, addresses=[address])).status == 2
    assert ask(DELETE, TpStateDeleteRequest(context_id=context_id, addresses=[address])).status == 2


def test_events_and_receipt_data_are_kept_in_order(stage, ask, work):
    job, context_id = work
    for each in ("one", "two"):
        event = ask(EVENT, TpEventAddRequest(context_id=context_id, event=Event(event_type=each)))
        data = ask(DATA, TpReceiptAddDataRequest(context_id=context_id, data=each.encode()))
        assert (event.status, data.status) == (TpEventAddResponse.OK, TpReceiptAddDataResponse.OK)
    assert [event.event_type for event in job.context.events] == ["one", "two"]
    assert job.context.data == [b"one", b"two"]


@pytest.mark.parametrize("identity", [b"p", b"another", b"stranger"])
def test_a_context_nobody_has_reads_as_empty_and_takes_nothing(stage, ask, work, identity):
    job, context_id = work
    stage.register(b"another")
    if identity == b"p":
        context_id = "00" * 16
    get = ask(GET, TpStateGetRequest(context_id=context_id, addresses=[A1]), identity)
    entries = [TpStateEntry(address=A1, data=b"1")]
    put = ask(SET, TpStateSetRequest(context_id=context_id, entries=entries), identity)
    delete = ask(DELETE, TpStateDeleteRequest(context_id=context_id, addresses=[A1]), identity)
    event = ask(EVENT, TpEventAddRequest(context_id=context_id), identity)
    data = ask(DATA, TpReceiptAddDataRequest(context_id=context_id), identity)
    assert (get.status, list(get.entries)) == (TpStateGetResponse.OK, [])
    assert (put.status, list(put.addresses)) == (TpStateSetResponse.OK, [])
    assert (delete.status, list(delete.addresses)) == (TpStateDeleteResponse.OK, [A1])
    assert (event.status, data.status) == (TpEventAddResponse.ERROR, TpReceiptAddDataResponse.ERROR)
    assert job.context.writes == {}


def test_a_context_ends_with_its_transaction(stage, ask):
    stage.ready(b"p")
    (job,) = stage.submit()
    (given,) = stage.given()
    stage.answer(given)
    entries = [TpStateEntry(address=A1, data=b"1")]
    put = ask(SET, TpStateSetRequest(context_id=given.request.context_id, entries=entries))
    assert list(put.addresses) == []
    assert job.context.writes == {}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_request_that_cannot_be_read_is_refused(stage, kind):
    stage.receive(b"p", kind, b"\xff\xff\xff")
    ((_, answer),) = stage.said()
    assert answer.message_type == kind + 1
    assert ANSWERS[kind].FromString(answer.content).status == 2


def test_a_probe_is_echoed_and_a_question_answered(stage):
    assert stage.dispatcher.receive(b"p", b"", stage.now) is None
    assert stage.dispatcher.outbox == [(b"p", b"")]
    stage.dispatcher.outbox.clear()
    correlation_id = stage.receive(b"p", MessageType.PING_REQUEST)
    ((to, answer),) = stage.said()
    assert (to, answer.message_type, answer.correlation_id) == (
        b"p",
        MessageType.PING_RESPONSE,
        correlation_id,
    )


@pytest.mark.parametrize("kind", [0, 4_711, MessageType.CLIENT_BATCH_SUBMIT_REQUEST])
def test_what_is_no_processors_is_handed_on(stage, kind):
    message = stage.dispatcher.receive(b"c", envelope(kind, "x", b"body"), stage.now)
    assert message == ClientMessage(b"c", kind, "x", b"body")
    assert stage.said() == []


@examples(st.binary(max_size=200))
def test_any_bytes_are_counted_or_read(frame):
    dispatcher = Dispatcher(Policy(), bytes(8), 0)
    message = dispatcher.receive(b"x", frame, 0)
    if message is None and dispatcher.malformed == 0 and frame:
        Message.FromString(frame)


@examples(st.sampled_from([1, 3, 6, 7, 9, 11, 13, 15, 700, 701]), st.binary(max_size=100))
def test_any_content_is_answered_or_dropped(kind, content):
    dispatcher = Dispatcher(Policy(), bytes(8), 0)
    assert dispatcher.receive(b"x", envelope(kind, "c", content), 0) is None
    assert len(dispatcher.outbox) == (0 if kind in {6, 701} else 1)
