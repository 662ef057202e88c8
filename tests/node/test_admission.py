"""The founder's door: who gets a place in the founding set, and who loses it again."""

from __future__ import annotations

import json

import attrs
import pytest
import trio

from coco_core.adapter import HTTPResponse
from coco_core.attestation import VirtualPlatform
from coco_core.governance import standing_report_data
from coco_core.node.admission import FoundingAdmissions
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.doors import Door

CONSORTIUM = Consortium.of(5)


@pytest.fixture
def door() -> Door:
    return Door(CONSORTIUM)


def admissions(door: Door, wanted: int) -> FoundingAdmissions:
    return FoundingAdmissions(wanted, door.keeper)


async def request(door: Door, joiner: int, port: int) -> bytes:
    return await door.knock(joiner, peer_address=f"127.0.0.1:{port}")


async def test_a_joiner_that_restarts_takes_its_old_place(door: Door) -> None:
    founding = admissions(door, 2)
    before = founding.accept(await request(door, 1, 7001))
    after = founding.accept(await request(door, 2, 7001))
    other = founding.accept(await request(door, 3, 7002))
    with trio.fail_after(1):
        joined = await founding.complete()
    names = [CONSORTIUM.identities[number].node_id for number in (2, 3)]
    assert [one.request.node_id for one in joined] == names
    founding.welcome(lambda judged: judged.request.node_id.encode())
    answers = []
    for pending in (before, after, other):
        assert callable(pending)
        answers.append(await pending())
    assert [answer.status for answer in answers] == [409, 200, 200]
    assert answers[1].body == names[0].encode()


@pytest.mark.parametrize("port", [7001, 7003])
async def test_a_complete_set_changes_no_more(door: Door, port: int) -> None:
    founding = admissions(door, 1)
    assert callable(founding.accept(await request(door, 1, 7001)))
    refused = founding.accept(await request(door, 2, port))
    assert isinstance(refused, HTTPResponse)
    assert refused.status == 503
    assert [one.request.node_id for one in await founding.complete()] == [CONSORTIUM.identities[1].node_id]


async def test_asking_again_with_the_same_key_takes_no_second_place(door: Door) -> None:
    founding = admissions(door, 2)
    for _ in range(2):
        assert callable(founding.accept(await request(door, 1, 7001)))
    assert callable(founding.accept(await request(door, 2, 7002)))
    assert len(await founding.complete()) == 2


async def test_each_welcome_is_for_the_request_it_answers(door: Door) -> None:
    founding = admissions(door, 1)
    pending = [founding.accept(await request(door, 1, 7001)) for _ in range(2)]
    founding.welcome(lambda judged: judged.record.proof.transcript.nonce)
    bodies = set()
    for answer in pending:
        assert callable(answer)
        bodies.add((await answer()).body)
    assert len(bodies) == 2


async def test_who_is_refused_takes_no_place(door: Door) -> None:
    founding = admissions(door, 1)
    answer = founding.accept(await door.knock(1, measurement="ab" * 32))
    assert isinstance(answer, HTTPResponse)
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "measurement")
    assert callable(founding.accept(await request(door, 2, 7002)))


async def test_encryption_key_of_another_founding_node(door: Door) -> None:
    founding = admissions(door, 2)
    assert callable(founding.accept(await request(door, 1, 7001)))
    thief, shared = CONSORTIUM.identities[2].key.public, CONSORTIUM.identities[1].encryption_key.public
    nonce = await door.nonce(2)
    transcript = door.transcript(2, nonce)
    digest = door.transcript(1, nonce).encryption_key
    body = door.request(
        2,
        nonce,
        bound_to=attrs.evolve(transcript, encryption_key=digest),
        encryption_key=shared,
        standing=VirtualPlatform(MEASUREMENT).attest(standing_report_data(thief, shared)),
    )
    answer = founding.accept(body)
    assert isinstance(answer, HTTPResponse)
    assert json.loads(answer.body)["code"] == "duplicate"
