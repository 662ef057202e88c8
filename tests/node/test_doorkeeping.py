"""Who passes the door of a node, and by which rule everybody else is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import attrs
import pytest
import trio

from coco_core.adapter import HTTPResponse
from coco_core.base import limits
from coco_core.errors import OperatorError
from coco_core.governance import (
    JOINER,
    MEMBER,
    Voucher,
    admit,
    encode_challenge_request,
    policy_of,
    read_challenge,
)
from coco_core.node.doorkeeping import Judged
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.consortium import ADMISSION, POLICY
from coco_core.testing.doors import Door, settled

STRANGERS = Consortium.of(3, first_key=5000)
OTHER = "ab" * 32


@pytest.fixture
def door(consortium: Consortium) -> Door:
    return Door(consortium)


def refused(door: Door, body: bytes, code: str) -> None:
    answer = door.keeper.judge(body)
    assert isinstance(answer, HTTPResponse)
    assert answer.status == 403
    told = json.loads(answer.body)
    assert told.keys() == {"error", "code"}
    assert told["code"] == code, told
    assert door.refusals.to_json()[-1]["code"] == code


async def test_who_answers_a_challenge_passes(door: Door) -> None:
    judged = door.keeper.judge(await door.knock(1))
    assert isinstance(judged, Judged)
    name = door.consortium.identities[1].node_id
    assert judged.request.node_id == name
    transcript = judged.record.proof.transcript
    assert (transcript.joiner, transcript.verifier, transcript.role) == (name, door.name, JOINER)
    assert judged.record.measurement == MEASUREMENT
    assert door.refusals.to_json() == []


async def test_a_device_that_makes_no_evidence_is_asked_again(door: Door) -> None:
    class Busy:
        format = "Insecure_Virtual"

        def attest(self, report_data: bytes) -> NoReturn:
            raise OperatorError("/dev/sev-guest is busy")

    door.keeper._platform = Busy()
    answer = await settled(door.keeper.challenge(encode_challenge_request(door.question(1))))
    assert answer.status == 503
    assert b"sev-guest" not in answer.body, "what ails the machine is for its operator alone"


async def test_the_door_shows_who_it_is(door: Door) -> None:
    question = door.question(1)
    answer = await settled(door.keeper.challenge(encode_challenge_request(question)))
    challenge = read_challenge(answer.body)
    assert challenge.certificate == door.consortium.identities[0].certificate
    assert challenge.policy == POLICY
    theirs = attrs.evolve(door.transcript(1, question.nonce), role=MEMBER)
    admit(challenge.evidence, theirs.report_data, ADMISSION.verifiers, POLICY, 0)


# ── freshness ────────────────────────────────────────────────────────────────────────────────────


async def test_same_request_again(door: Door) -> None:
    body = await door.knock(1)
    assert isinstance(door.keeper.judge(body), Judged)
    refused(door, body, "nonce_used")


async def test_nonce_that_is_too_old(door: Door) -> None:
    body = await door.knock(1)
    door.now_ms += limits.NONCE_TTL_MS
    refused(door, body, "nonce_expired")


async def test_nonce_nobody_gave(door: Door) -> None:
    refused(door, door.request(1, bytes(limits.NONCE_SIZE_BYTES)), "nonce_unknown")


async def test_nonce_of_another_node_of_the_service(door: Door) -> None:
    refused(door, await Door(door.consortium, number=2).knock(1), "nonce_unknown")


async def test_nonce_of_another_joiner(door: Door) -> None:
    nonce = await door.nonce(2)
    refused(door, door.request(1, nonce), "nonce_owner")
    assert isinstance(door.keeper.judge(door.request(2, nonce)), Judged)


async def test_two_requests_race_for_one_nonce(door: Door) -> None:
    body = await door.knock(1)
    passed: list[bool] = []

    async def judge() -> None:
        await trio.lowlevel.checkpoint()
        passed.append(isinstance(door.keeper.judge(body), Judged))

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(judge)
    assert sorted(passed) == [False, True]


async def test_refused_evidence_uses_the_nonce_up(door: Door) -> None:
    nonce = await door.nonce(1)
    refused(door, door.request(1, nonce, measurement=OTHER), "measurement")
    refused(door, door.request(1, nonce), "nonce_used")


async def test_nobody_else_uses_a_nonce_up(door: Door) -> None:
    nonce = await door.nonce(1)
    forged = json.loads(door.request(1, nonce))
    forged["signature"] = json.loads(door.request(2, nonce))["signature"]
    refused(door, json.dumps(forged).encode(), "malformed")
    assert isinstance(door.keeper.judge(door.request(1, nonce)), Judged)


# ── what evidence is bound to ────────────────────────────────────────────────────────────────────


BOUND: dict[str, dict[str, Any]] = {
    "another service": {"service_id": OTHER},
    "the other side": {"role": MEMBER},
    "another signing key": {"joiner": OTHER},
    "another encryption key": {"encryption_key": OTHER},
    "another nonce": {"nonce": bytes(32)},
    "another node that is asked": {"verifier": OTHER},
    "another channel binding": {"channel_binding": "exporter"},
}


@pytest.mark.parametrize("what", BOUND)
async def test_evidence_bound_to_something_else(door: Door, what: str) -> None:
    nonce = await door.nonce(1)
    bound_to = attrs.evolve(door.transcript(1, nonce), **BOUND[what])
    refused(door, door.request(1, nonce, bound_to=bound_to), "report_data")


async def test_signing_key_that_is_not_the_attested_one(door: Door) -> None:
    nonce = await door.nonce(2)
    attested = door.transcript(1, nonce)
    refused(door, door.request(2, nonce, bound_to=attested), "report_data")


async def test_encryption_key_that_is_not_the_attested_one(door: Door) -> None:
    thief = door.consortium.identities[2].encryption_key.public
    refused(door, await door.knock(1, encryption_key=thief), "report_data")


async def test_standing_evidence_does_not_join(door: Door) -> None:
    standing = door.consortium.nodes[door.consortium.identities[1].node_id].evidence
    refused(door, await door.knock(1, evidence=standing), "report_data")


async def test_evidence_for_joining_does_not_stand(door: Door) -> None:
    nonce = await door.nonce(1)
    once = json.loads(door.request(1, nonce))["body"]["evidence"]["quote"]
    assert once
    made = door.consortium.proof(1).evidence
    refused(door, door.request(1, nonce, standing=made), "report_data")


async def test_evidence_a_relay_got_for_another_door(door: Door) -> None:
    # Who is in the middle shows the joiner another node's certificate, and hands this door's nonce on.
    nonce = await door.nonce(1)
    middle = Door(door.consortium, number=2)
    refused(door, door.request(1, nonce, bound_to=middle.transcript(1, nonce)), "report_data")


async def test_joiner_of_another_service(door: Door) -> None:
    nonce = await door.nonce(1)
    theirs = Door(STRANGERS).transcript(1, nonce).service_id
    bound_to = attrs.evolve(door.transcript(1, nonce), service_id=theirs)
    refused(door, door.request(1, nonce, bound_to=bound_to), "report_data")


# ── form and policy ──────────────────────────────────────────────────────────────────────────────


async def test_code_that_is_not_listed(door: Door) -> None:
    refused(door, await door.knock(1, measurement=OTHER), "measurement")


async def test_code_is_judged_by_the_policy_in_force(door: Door) -> None:
    door.policy = policy_of([("Insecure_Virtual", OTHER)])
    refused(door, await door.knock(1), "measurement")
    assert isinstance(door.keeper.judge(await door.knock(1, measurement=OTHER)), Judged)
    door.policy = policy_of([("SGX", MEASUREMENT)])
    refused(door, await door.knock(1), "platform")


async def test_standing_evidence_of_other_code(door: Door) -> None:
    door.policy = policy_of([("Insecure_Virtual", OTHER), ("Insecure_Virtual", MEASUREMENT)])
    refused(door, await door.knock(1, standing=door.standing(1, OTHER)), "measurement")


async def test_form_before_everything_else(door: Door) -> None:
    nonce = await door.nonce(1)
    made = door.consortium.proof(1).evidence
    refused(door, b"{", "malformed")
    word = Voucher(replaces=door.name, signature=bytes(limits.VOUCHER_SIGNATURE_MAX_BYTES + 1))
    refused(door, door.request(1, nonce, voucher=word), "malformed")
    large = attrs.evolve(made, quote=bytes(limits.QUOTE_SIZE_MAX_BYTES + 1))
    refused(door, door.request(1, nonce, evidence=large), "size")
    refused(door, door.request(1, nonce, standing=large), "size")
    unknown = attrs.evolve(made, format="Mystery")
    refused(door, door.request(1, nonce, evidence=unknown), "format")
    refused(door, door.request(1, nonce, standing=unknown), "format")
    assert isinstance(door.keeper.judge(door.request(1, nonce)), Judged), "the nonce is still good"


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "AAAA"}, {"nonce": 1}, {"public_key": "x"}, {"encryption_key": "x"}, {"encryption_key": None}],
)
async def test_malformed_question(door: Door, changes: dict[str, Any]) -> None:
    body = json.loads(encode_challenge_request(door.question(1))) | changes
    for data in (json.dumps(body).encode(), b"[]", b"{"):
        answer = await settled(door.keeper.challenge(data))
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "malformed")


async def test_refusals_are_kept_the_newest_ones(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    body = await door.knock(1, measurement=OTHER)
    refused(door, body, "measurement")
    (kept,) = door.refusals.to_json()
    assert kept == {
        "at_ms": door.now_ms,
        "node_id": door.consortium.identities[1].node_id,
        "peer_address": "127.0.0.1:7001",
        "code": "measurement",
        "message": f"code measurement {OTHER} is not in the code manifest",
    }
    for _ in range(limits.REFUSALS_KEPT_MAX):
        refused(door, body, "nonce_used")
    assert [one["code"] for one in door.refusals.to_json()] == ["nonce_used"] * limits.REFUSALS_KEPT_MAX
