"""The founder's door: who gets a place in the founding set, and who loses it again."""

from __future__ import annotations

import pytest
import trio

from coco_core.adapter import HTTPResponse
from coco_core.attestation import VirtualPlatform
from coco_core.governance import JoinRequest, encode_join_request, report_data
from coco_core.node.admission import FoundingAdmissions
from coco_core.testing import MEASUREMENT, derived_key
from coco_core.testing.consortium import ADMISSION


def admissions(wanted: int) -> FoundingAdmissions:
    return FoundingAdmissions(wanted, ADMISSION)


def request(number: int, port: int) -> bytes:
    key = derived_key(number)
    evidence = VirtualPlatform(MEASUREMENT).attest(report_data(key.public))
    one = JoinRequest(
        public_key=key.public,
        encryption_key=derived_key(1000 + number).public,
        evidence=evidence,
        peer_address=f"127.0.0.1:{port}",
    )
    return encode_join_request(one, key)


async def test_a_joiner_that_restarts_takes_its_old_place() -> None:
    door = admissions(2)
    before = door.accept(request(11, 7001))
    after = door.accept(request(12, 7001))
    other = door.accept(request(13, 7002))
    with trio.fail_after(1):
        joined = await door.complete()
    names = [derived_key(number).public.node_id() for number in (12, 13)]
    assert [one.node_id for one, _ in joined] == names
    door.welcome({name: name.encode() for name in names})
    answers = []
    for pending in (before, after, other):
        assert callable(pending)
        answers.append(await pending())
    assert [answer.status for answer in answers] == [409, 200, 200]
    assert answers[1].body == names[0].encode()


@pytest.mark.parametrize("port", [7001, 7003])
async def test_a_complete_set_changes_no_more(port: int) -> None:
    door = admissions(1)
    assert callable(door.accept(request(11, 7001)))
    refused = door.accept(request(12, port))
    assert isinstance(refused, HTTPResponse)
    assert refused.status == 503
    assert [one.node_id for one, _ in await door.complete()] == [derived_key(11).public.node_id()]


async def test_asking_again_with_the_same_key_takes_no_second_place() -> None:
    door = admissions(2)
    for _ in range(2):
        assert callable(door.accept(request(11, 7001)))
    assert callable(door.accept(request(12, 7002)))
    assert len(await door.complete()) == 2
