"""Registration: answered first and as SDKs expect, replaced, refused, dropped."""

from __future__ import annotations

import pytest

from coco_sawtooth.execution import Unavailable, Valid
from coco_sawtooth.messages import (
    MessageType,
    TpProcessResponse,
    TpRegisterRequest,
    TpRegisterResponse,
    TpUnregisterResponse,
    TransactionHeader,
)

OK, ERROR = TpRegisterResponse.OK, TpRegisterResponse.ERROR


@pytest.mark.parametrize(("asked", "status", "told"), [(0, OK, 0), (1, OK, 1), (2, ERROR, 1)])
def test_the_protocol_version_asked_for_is_told_back_or_refused(stage, asked, status, told):
    answer = stage.register(b"p", protocol_version=asked)
    assert (answer.status, answer.protocol_version) == (status, told)
    assert stage.dispatcher.registered() == ({("intkey", "1.0"): 1} if status == OK else {})


def test_nothing_is_sent_before_the_registrations_are_all_answered(patient):
    stage = patient
    stage.submit(2)
    stage.register(b"p")
    stage.wait(150)
    stage.register(b"p", ("intkey", "2.0"))
    stage.dispatcher.ask_all(stage.now)
    stage.wait(180)
    assert stage.said() == []
    stage.wait(20)
    assert len(stage.given()) == 2


def test_ten_at_a_time_unless_it_says_otherwise(stage):
    stage.ready(b"p")
    stage.submit(12)
    given = stage.given()
    assert len(given) == 10
    stage.answer(given[0])
    assert len(stage.given()) == 1
    stage.register(b"p", ("intkey", "2.0"), max_occupancy=3)
    stage.wait(200)
    stage.submit(5, ("intkey", "2.0"))
    assert len(stage.given()) == 1 + 3 - 1  # counted per family and version


def test_the_header_is_a_message_or_as_signed(stage):
    stage.ready(b"p")
    stage.ready(b"q", family=("xo", "1.0"), protocol_version=1, request_header_style=TpRegisterRequest.RAW)
    (job,) = stage.submit()
    (expanded,) = stage.given()
    assert expanded.request.header == job.transaction.header
    assert expanded.request.header.nonce == "n"
    assert expanded.request.header_bytes == b""
    assert (expanded.request.signature, expanded.request.payload) == ("signature 0", b"0")
    stage.submit(1, ("xo", "1.0"))
    (raw,) = stage.given()
    assert not raw.request.HasField("header")
    assert TransactionHeader.FromString(raw.request.header_bytes).family_name == "xo"


def test_a_long_header_is_a_message_too(stage, make_job):
    stage.ready(b"p")
    stage.dispatcher.submit(make_job("s", b"", inputs=["ab" * 35] * 100), stage.now)
    (given,) = stage.given()
    assert len(given.request.header.inputs) == 100


def test_work_goes_only_to_the_version_that_is_registered(stage):
    stage.ready(b"old", family=("intkey", "1.0"))
    stage.ready(b"new", family=("intkey", "2.0"))
    stage.submit(1, ("intkey", "2.0"))
    stage.submit(1, ("intkey", "1.0"))
    assert [given.to for given in stage.given()] == [b"new", b"old"]


def test_registering_again_replaces_and_gives_again_what_was_lost(stage):
    stage.ready(b"p")
    stage.submit(2)
    first = stage.given()
    stage.register(b"p", max_occupancy=1)
    assert stage.dispatcher.registered() == {("intkey", "1.0"): 1}
    stage.wait(200)
    (again,) = stage.given()
    assert again.request.signature == "signature 0"
    assert again.request.context_id != first[0].request.context_id
    # An answer to what was asked before the connection broke means nothing any more.
    stage.answer(first[0])
    assert stage.results() == []
    stage.answer(again)
    stage.answer(stage.given()[0])
    assert stage.results() == [Valid(), Valid()]


@pytest.mark.parametrize(
    "fields",
    [{"family": "x" * 257}, {"version": "v" * 257}],
)
def test_names_are_bounded(stage, fields):
    request = TpRegisterRequest(**fields)
    stage.receive(b"p", MessageType.TP_REGISTER_REQUEST, request.SerializeToString())
    ((_, answer),) = stage.said()
    assert TpRegisterResponse.FromString(answer.content).status == ERROR


def test_registrations_are_bounded(stage):
    answers = [stage.register(b"p", ("f", str(each))).status for each in range(65)]
    assert answers == [OK] * 64 + [ERROR]
    assert stage.register(b"p", ("f", "0")).status == OK
    answers = [stage.register(b"%d" % each).status for each in range(1_024)]
    assert answers == [OK] * 1_023 + [ERROR]


def test_a_registration_that_cannot_be_read_is_refused(stage):
    correlation_id = stage.receive(b"p", MessageType.TP_REGISTER_REQUEST, b"\xff\xff")
    ((_, answer),) = stage.said()
    assert answer.correlation_id == correlation_id
    assert TpRegisterResponse.FromString(answer.content).status == ERROR


def test_unregistering_is_answered_and_drops_everything(stage):
    stage.ready(b"p")
    stage.register(b"p", ("intkey", "2.0"))
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.receive(b"stranger", MessageType.TP_UNREGISTER_REQUEST)
    said = stage.said()
    assert [to for to, _ in said] == [b"p", b"stranger"]
    for _, answer in said:
        assert answer.message_type == MessageType.TP_UNREGISTER_RESPONSE
        assert TpUnregisterResponse.FromString(answer.content).status == TpUnregisterResponse.OK
    assert stage.dispatcher.registered() == {}
    stage.submit()
    assert stage.given() == []


def test_what_one_that_leaves_has_it_may_answer_or_another_does(stage):
    stage.ready(b"p", b"q")
    stage.submit(4)
    given = {each.request.signature: each for each in stage.given()}
    mine = [each for each in given.values() if each.to == b"p"]
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.wait(500)
    stage.answer(mine[0])
    assert stage.results() == [Valid()]
    stage.wait(500)
    (moved,) = stage.given()
    assert (moved.to, moved.request.signature) == (b"q", mine[1].request.signature)
    stage.answer(mine[1])
    assert stage.results() == []
    stage.answer(moved)
    assert stage.results() == [Valid()]


def test_one_that_leaves_and_is_gone_is_not_waited_for(stage):
    stage.ready(b"p", b"q")
    stage.submit(2)
    stage.given()
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.said()
    stage.dispatcher.lost(b"p", stage.now)
    (moved,) = stage.given()
    assert moved.to == b"q"


def test_one_that_left_may_come_back(stage):
    stage.ready(b"p")
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.ready(b"p")
    stage.wait(5_000)
    stage.submit()
    assert len(stage.given()) == 1


ABSENT = Unavailable("No transaction processor for the family 'intkey', version '1.0'")


def test_a_family_without_a_processor_is_unavailable_at_once(stage):
    stage.submit(2)
    assert stage.results() == [ABSENT] * 2
    stage.ready(b"p")
    stage.submit(2)
    given = stage.given()
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.wait(1_000)
    assert len(given) == 2
    assert stage.results() == [ABSENT] * 2


def test_or_when_it_has_been_without_for_long(patient):
    stage = patient
    stage.submit()
    stage.wait(4_980)
    assert stage.results() == []
    stage.wait(20)
    assert stage.results() == [ABSENT]
    # And then at once: a client that sends what nobody processes makes nobody else wait.
    stage.submit(3)
    assert stage.results() == [ABSENT] * 3
    stage.ready(b"p")
    stage.receive(b"p", MessageType.TP_UNREGISTER_REQUEST)
    stage.submit()
    stage.wait(4_980)
    assert stage.results() == []
    stage.ready(b"q")
    (given,) = stage.given()
    assert given.to == b"q"


def test_families_do_not_wait_for_each_other(stage):
    stage.ready(b"p", max_occupancy=1)
    stage.ready(b"x", family=("xo", "1.0"))
    stage.submit(3)
    stage.submit(1, ("ghost", "1.0"))
    stage.submit(1, ("xo", "1.0"))
    given = stage.given()
    assert [each.to for each in given] == [b"p", b"x"]
    stage.answer(given[1])
    assert stage.results()[-1] == Valid()


def test_several_processors_share_the_work(stage):
    stage.ready(b"p", b"q", b"r")
    stage.submit(30)
    given = stage.given()
    assert {name: sum(each.to == name for each in given) for name in (b"p", b"q", b"r")} == {
        b"p": 10,
        b"q": 10,
        b"r": 10,
    }
    stage.submit(1)
    stage.answer(given[7], TpProcessResponse.OK)
    (next_one,) = stage.given()
    assert next_one.to == given[7].to
