"""Processors that err, crash, hang or lie: every job has a result in time, and nobody else waits for it."""

from __future__ import annotations

import pytest

from coco_sawtooth.execution import Invalid, Unavailable, Valid
from coco_sawtooth.limits import BATCH_WRITES_SIZE_MAX_BYTES
from coco_sawtooth.messages import (
    MessageType,
    TpProcessResponse,
    TpStateSetRequest,
    TpStateSetResponse,
)

TIMED_OUT = Invalid("The transaction processor did not answer within 10 s")
CRASHED = Invalid("The transaction processor ended while it processed it")
HERE = "aa" * 35
ABSENT = Unavailable("No transaction processor for the family 'intkey', version '1.0'")


@pytest.mark.parametrize("status", [TpProcessResponse.INVALID_TRANSACTION, TpProcessResponse.STATUS_UNSET, 9])
def test_invalid_comes_with_the_processors_words(stage, status):
    stage.ready(b"p")
    stage.submit()
    stage.answer(stage.given()[0], status, "no such game")
    assert stage.results() == [Invalid("no such game", b"no such game")]


def test_an_internal_error_is_tried_again_and_not_for_ever(stage):
    stage.ready(b"p")
    (job,) = stage.submit()
    for pause in (100, 200):
        (given,) = stage.given()
        job.context.set([(HERE, b"half")])
        stage.answer(given, TpProcessResponse.INTERNAL_ERROR, "Work queue is full")
        stage.wait(pause - 20)
        assert stage.given() == []
        stage.wait(20)
    assert job.context.writes == {}
    stage.answer(stage.given()[0], TpProcessResponse.INTERNAL_ERROR, "Work queue is full")
    (result,) = stage.results()
    assert result.message == "Internal error of the transaction processor, 3 times: Work queue is full"
    assert result.extended_data == b"Work queue is full"


def test_an_answer_that_cannot_be_read_is_an_internal_error(stage):
    stage.ready(b"p")
    stage.submit()
    for _ in range(3):
        (given,) = stage.given()
        stage.receive(b"p", MessageType.TP_PROCESS_RESPONSE, b"\xff", given.correlation_id)
        stage.wait(400)
    (result,) = stage.results()
    assert "an answer that cannot be read" in result.message


def test_while_one_is_tried_again_others_go_on(stage):
    stage.ready(b"p", max_occupancy=1)
    stage.submit(2)
    stage.answer(stage.given()[0], TpProcessResponse.INTERNAL_ERROR)
    (other,) = stage.given()
    assert other.request.signature == "signature 1"


def test_what_a_lost_processor_had_goes_to_another_one_by_one(patient):
    stage = patient
    stage.ready(b"p")
    stage.submit(3)
    stage.given()
    stage.dispatcher.lost(b"p", stage.now)
    stage.ready(b"q")
    for each in range(3):
        (given,) = stage.given()
        assert (given.to, given.request.signature) == (b"q", f"signature {each}")
        stage.answer(given)
    assert stage.results() == [Valid()] * 3


def test_what_ends_two_processors_is_refused_and_the_rest_is_not(stage):
    stage.ready(b"p", b"q", b"r", max_occupancy=3)
    jobs = stage.submit(9)
    poison = jobs[4].transaction.id
    results = {}
    given = stage.given()
    ended = []
    while given:
        each = given.pop(0)
        if each.to in ended:
            continue
        if each.request.signature == poison:
            ended.append(each.to)
            stage.dispatcher.lost(each.to, stage.now)
        else:
            stage.answer(each)
        results.update({job.transaction.id: result for job, result in stage.dispatcher.results})
        given += stage.given()
    assert results.pop(poison) == CRASHED
    assert set(results.values()) == {Valid()}
    assert len(results) == 8
    assert len(ended) == 2


def test_one_that_is_killed_twice_by_chance_is_moved(patient):
    stage = patient
    stage.ready(b"p")
    stage.submit()
    stage.given()
    stage.dispatcher.lost(b"p", stage.now)
    stage.ready(b"p")
    stage.submit(2)
    # The suspect is alone; those that came later wait for it.
    (suspect,) = stage.given()
    stage.answer(suspect)
    assert len(stage.given()) == 2


def test_a_crash_without_another_processor_ends_in_a_refusal(patient):
    stage = patient
    stage.ready(b"p")
    stage.submit(2)
    stage.given()
    stage.dispatcher.lost(b"p", stage.now)
    stage.wait(4_980)
    assert stage.results() == []
    stage.wait(20)
    assert stage.results() == [ABSENT, ABSENT]


def test_a_zombie_loses_its_work_and_is_given_nothing_more(stage):
    stage.ready(b"zombie", max_occupancy=3)
    stage.submit(5)
    zombie = stage.given()
    stage.ready(b"alive", max_occupancy=3)
    alive = stage.given()
    assert (len(zombie), len(alive)) == (3, 2)
    for each in alive:
        stage.answer(each)
    assert stage.results() == [Valid()] * 2
    stage.wait(4_800)
    assert stage.asked() == [b"zombie"]
    stage.wait(5_000)
    # The first one made it what it is; the others had not begun.
    assert stage.results() == [TIMED_OUT]
    moved = stage.given()
    assert [(each.to, each.request.signature) for each in moved] == [
        (b"alive", zombie[1].request.signature),
        (b"alive", zombie[2].request.signature),
    ]
    for each in moved:
        stage.answer(each)
    stage.submit(5)
    assert {each.to for each in stage.given()} == {b"alive"}


def test_the_only_processor_a_zombie_is_as_good_as_none(patient):
    stage = patient
    stage.ready(b"zombie")
    stage.submit(2)
    stage.wait(10_000)
    assert stage.results() == [TIMED_OUT]
    stage.wait(5_000)
    assert stage.results() == [ABSENT]
    stage.submit()
    assert stage.results() == [ABSENT]


def test_one_that_wakes_up_is_given_work_again(patient):
    stage = patient
    stage.ready(b"slow")
    stage.submit(3)
    given = stage.given()
    stage.wait(15_000)
    assert stage.results() == [TIMED_OUT, ABSENT, ABSENT]
    stage.answer(given[0])
    assert stage.results() == []
    assert stage.dispatcher.notes == [
        "a transaction processor registered: intkey 1.0",
        "a transaction processor does not answer and is given nothing more: intkey 1.0",
        "a transaction processor answers again: intkey 1.0",
    ]
    stage.submit(9)
    # Two it has still to do, for nobody.
    assert len(stage.given()) == 8
    stage.answer(given[1])
    assert len(stage.given()) == 1


def test_asking_for_state_is_no_sign_that_it_will_ever_end(patient):
    stage = patient
    stage.ready(b"p", max_occupancy=1)
    stage.submit(2)
    (given,) = stage.given()
    for _ in range(100):
        stage.wait(100)
        request = TpStateSetRequest(context_id=given.request.context_id)
        stage.receive(b"p", MessageType.TP_STATE_SET_REQUEST, request.SerializeToString())
    assert stage.results() == [TIMED_OUT]
    stage.receive(b"p", MessageType.TP_STATE_SET_REQUEST, request.SerializeToString())
    stage.wait(5_000)
    assert stage.results() == [ABSENT]


def test_one_that_answers_while_it_works_loses_only_what_takes_too_long(stage):
    stage.ready(b"p", max_occupancy=2)
    stage.submit(3)
    hung, done = stage.given()
    stage.answer(done)
    (later,) = stage.given()
    stage.wait(5_000)
    assert stage.asked() == [b"p"]
    stage.receive(b"p", MessageType.PING_RESPONSE)
    stage.wait(5_000)
    assert stage.results() == [Valid(), TIMED_OUT, TIMED_OUT]
    stage.answer(hung)
    stage.answer(later)
    assert stage.results() == []
    stage.submit(2)
    assert len(stage.given()) == 2


def test_one_that_hangs_beside_many_that_do_not_ends_too(stage):
    stage.ready(b"p", max_occupancy=2)
    stage.submit(2)
    hung, other = stage.given()
    for _ in range(60):
        stage.answer(other)
        stage.submit(1)
        (other,) = [each for each in stage.given() if each.correlation_id != hung.correlation_id]
        stage.wait(500)
    assert TIMED_OUT in stage.results()


def test_slow_ones_in_a_row_each_have_their_time(stage):
    stage.ready(b"p")
    stage.submit(5)
    for each in stage.given():
        stage.wait(9_900)
        stage.answer(each)
    assert stage.results() == [Valid()] * 5


def test_a_silent_one_is_asked_and_then_left_alone(stage):
    stage.ready(b"p", b"q")
    stage.wait(9_800)
    assert sorted(stage.asked()) == [b"p", b"q"]
    stage.receive(b"q", MessageType.PING_RESPONSE)
    stage.wait(10_000)
    stage.submit(4)
    assert {each.to for each in stage.given()} == {b"q"}
    stage.receive(b"p", MessageType.PING_RESPONSE)
    stage.submit(4)
    assert b"p" in {each.to for each in stage.given()}


def test_what_everybody_drops_is_not_tried_for_ever(patient):
    stage = patient
    stage.submit()
    for _ in range(8):
        stage.ready(b"p")
        stage.given()
        stage.register(b"p")
    assert stage.results() == [Invalid("8 transaction processors began and did not finish it")]


def test_a_withdrawn_job_has_no_result_and_its_context_is_left_alone(stage):
    stage.ready(b"p", max_occupancy=1)
    first, second = stage.submit(2)
    (given,) = stage.given()
    stage.dispatcher.withdraw(first)
    stage.dispatcher.withdraw(second)
    stage.receive(
        b"p",
        MessageType.TP_STATE_SET_REQUEST,
        TpStateSetRequest(context_id=given.request.context_id).SerializeToString(),
    )
    stage.answer(given)
    assert stage.results() == []
    assert stage.given() == []
    assert first.context.writes == {}
    assert not stage.dispatcher.is_busy


def test_what_ends_the_only_processor_again_and_again_is_refused(stage, make_job):
    for expected in (Unavailable, Invalid, Unavailable):
        stage.ready(b"p")
        stage.dispatcher.submit(make_job("poison", b""), stage.now)
        stage.given()
        stage.dispatcher.lost(b"p", stage.now)
        (result,) = stage.results()
        assert isinstance(result, expected)


def test_what_a_transaction_writes_is_bounded(stage):
    stage.ready(b"p")
    (job,) = stage.submit()
    (given,) = stage.given()
    request = TpStateSetRequest(context_id=given.request.context_id)
    for each in range(BATCH_WRITES_SIZE_MAX_BYTES // 1_000_000):
        request.entries.add(address=f"aa{each:068x}", data=bytes(1_000_000))
    for status in (TpStateSetResponse.OK, TpStateSetResponse.AUTHORIZATION_ERROR):
        stage.receive(b"p", MessageType.TP_STATE_SET_REQUEST, request.SerializeToString())
        ((_, answer),) = stage.said()
        assert TpStateSetResponse.FromString(answer.content).status == status
    # Whatever the processor makes of it.
    stage.answer(given)
    assert stage.results() == [Invalid(f"more than {BATCH_WRITES_SIZE_MAX_BYTES} bytes written")]
    assert job.done


def test_notes_and_what_they_name_are_bounded(stage):
    for each in range(150):
        stage.register(b"p", ("f", str(each % 60)))
    assert len(stage.dispatcher.notes) == 100
    stage.dispatcher.notes.clear()
    stage.dispatcher.lost(b"p", stage.now)
    assert stage.dispatcher.notes == ["a transaction processor ended: f 0, f 1, f 2, f 3, f 4"]


def test_answers_to_what_was_not_asked_do_nothing(stage):
    stage.ready(b"p", b"q")
    stage.submit()
    (given,) = stage.given()
    other = b"q" if given.to == b"p" else b"p"
    for identity in (other, b"stranger"):
        stage.receive(identity, MessageType.TP_PROCESS_RESPONSE, b"\x08\x01", given.correlation_id)
    assert stage.results() == []
    stage.answer(given)
    stage.answer(given)
    assert stage.results() == [Valid()]
