"""Asking to join: the wrong service is told at once, a node that is not there yet is waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from coco_core.adapter import HTTPRequest, HTTPResponse, PendingResponse
from coco_core.attestation import Policy, VirtualPlatform
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import Transcript, encode_challenge_request, policy_of, policy_to_json
from coco_core.node import Address, Joining
from coco_core.node.admission import CHALLENGE_TARGET, JOIN_TARGET
from coco_core.node.asking import Applicant, Welcomed, ask_to_join
from coco_core.node.doorkeeping import Judged
from coco_core.node.http import HTTPServer
from coco_core.node.tls import frontend_context
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.consortium import ADMISSION, POLICY
from coco_core.testing.doors import Door, settled
from coco_core.wire.values import to_base64

Change = Callable[[dict[str, Any]], object]


class Asked:
    """A node that is asked: challenges as it should but for ``lie``, then answers with each status once."""

    def __init__(self, consortium: Consortium, *statuses: int, lie: Change = lambda _: None) -> None:
        self.door = Door(consortium)
        self.statuses = list(statuses)
        self.lie = lie
        self.asked: list[str] = []
        self.transcripts: list[Transcript] = []

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        self.asked.append(request.target)
        if request.target == CHALLENGE_TARGET:
            return lambda: self.challenge(request.body)
        judged = self.door.keeper.judge(request.body)
        if not isinstance(judged, Judged):
            return judged
        self.transcripts.append(judged.record.proof.transcript)
        status = self.statuses.pop(0)
        return HTTPResponse(status=status, body=b"the welcome", content_type="text/plain")

    async def challenge(self, body: bytes) -> HTTPResponse:
        answer = await settled(self.door.keeper.challenge(body))
        told = json.loads(answer.body)
        self.lie(told)
        return attrs.evolve(answer, body=json.dumps(told).encode())


def applicant(consortium: Consortium, measurement: str = MEASUREMENT) -> Applicant:
    identity = consortium.identities[1]
    return Applicant(
        key=identity.key,
        encryption_key=identity.encryption_key,
        platform=VirtualPlatform(measurement),
        standing=Door(consortium).standing(1, measurement),
        verifiers=ADMISSION.verifiers,
        peer_address="127.0.0.1:7001",
    )


async def ask(
    consortium: Consortium,
    asked: Asked,
    certificate: str,
    *,
    number: int = 0,
    measurement: str = MEASUREMENT,
    waiting: Callable[[], None] = lambda: None,
    policy: Policy | None = None,
) -> Welcomed:
    """Ask a node that ends TLS with the key of node ``number``."""
    identity = consortium.identities[number]
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    target = Address("127.0.0.1", listeners[0].socket.getsockname()[1])
    server = HTTPServer(handler=asked, tls=frontend_context(identity.certificate, identity.key))
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.serve, listeners)
                try:
                    joining = Joining(targets=(target,), service_certificate=certificate, policy=policy)
                    return await ask_to_join(joining, applicant(consortium, measurement), waiting)
                finally:
                    nursery.cancel_scope.cancel()
    except* (AttestationError, OperatorError) as group:
        raise group.exceptions[0] from None
    raise AssertionError


async def test_the_service_itself(consortium: Consortium) -> None:
    asked = Asked(consortium, 200)
    welcomed = await ask(consortium, asked, consortium.service.certificate)
    assert welcomed.welcome == b"the welcome"
    assert [welcomed.transcript] == asked.transcripts
    assert asked.asked == [CHALLENGE_TARGET, JOIN_TARGET]


async def test_each_time_with_another_nonce(consortium: Consortium) -> None:
    asked, told = Asked(consortium, 202, 503, 200), []
    welcomed = await ask(
        consortium, asked, consortium.service.certificate, waiting=lambda: told.append("waiting")
    )
    assert told == ["waiting"]
    assert len({one.nonce for one in asked.transcripts}) == 3
    assert welcomed.transcript == asked.transcripts[-1]


async def test_a_node_that_refuses(consortium: Consortium) -> None:
    asked = Asked(consortium, 403)
    with pytest.raises(AttestationError, match="answered 403: the welcome") as caught:
        await ask(consortium, asked, consortium.service.certificate)
    assert caught.value.code == "refused"
    assert asked.asked == [CHALLENGE_TARGET, JOIN_TARGET]


async def test_a_refusal_is_told_with_its_code(consortium: Consortium) -> None:
    asked = Asked(consortium)
    with pytest.raises(AttestationError, match="is not in the code manifest") as caught:
        await ask(consortium, asked, consortium.service.certificate, measurement="ab" * 32)
    assert caught.value.code == "measurement"
    (refusal,) = asked.door.refusals.to_json()
    assert (refusal["node_id"], refusal["code"]) == (consortium.identities[1].node_id, "measurement")


async def test_a_nonce_that_was_forgotten_is_asked_for_again(consortium: Consortium) -> None:
    asked = Asked(consortium, 200)

    def forget(_: dict[str, Any]) -> None:
        if len(asked.asked) == 1:
            asked.door = Door(consortium)

    asked.lie = forget
    await ask(consortium, asked, consortium.service.certificate)
    assert asked.asked == [CHALLENGE_TARGET, JOIN_TARGET] * 2


# ── whom it asks ─────────────────────────────────────────────────────────────────────────────────


async def test_another_service_is_told_at_once(consortium: Consortium) -> None:
    asked, other = Asked(consortium, 200), Consortium.of(1, first_key=5000)
    with pytest.raises(AttestationError, match="is not the service to join") as caught:
        await ask(consortium, asked, other.service.certificate)
    assert caught.value.code == "peer_service"
    assert asked.asked == []


async def test_a_certificate_that_is_none(consortium: Consortium) -> None:
    with pytest.raises(OperatorError, match="service certificate cannot be used"):
        await ask(consortium, Asked(consortium, 200), "certificate")


async def fooled(
    consortium: Consortium, code: str, lie: Change, number: int = 0, policy: Policy | None = None
) -> None:
    """Check that a joiner sees through ``lie`` before it shows or believes anything."""
    asked = Asked(consortium, 200, lie=lie)
    with pytest.raises(AttestationError) as caught:
        await ask(consortium, asked, consortium.service.certificate, number=number, policy=policy)
    assert caught.value.code == code
    assert asked.asked == [CHALLENGE_TARGET]


async def test_a_service_without_evidence(consortium: Consortium) -> None:
    await fooled(consortium, "peer_evidence", lambda told: told.pop("evidence"))
    await fooled(consortium, "peer_evidence", lambda told: told.update(evidence=None))


async def test_evidence_of_a_service_that_is_none(consortium: Consortium) -> None:
    await fooled(consortium, "malformed", lambda told: told.update(evidence={}))
    await fooled(consortium, "malformed", lambda told: told.update(nonce="AAAA"))
    await fooled(consortium, "malformed", lambda told: told["evidence"].update(quote="AAAA"))
    await fooled(consortium, "format", lambda told: told["evidence"].update(format="Mystery"))


async def test_evidence_of_code_that_its_own_policy_does_not_list(consortium: Consortium) -> None:
    await fooled(consortium, "measurement", lambda told: told["policy"].update(measurements=[]))
    await fooled(consortium, "platform", lambda told: told["policy"].update(platforms=["SGX"]))


async def test_a_joiner_judges_by_its_own_policy(consortium: Consortium) -> None:
    """What the node that is asked would be accepted by is not for it to say."""
    nobody = policy_of([])

    def forget(told: dict[str, Any]) -> None:
        told["policy"] = policy_to_json(nobody)

    welcomed = await ask(
        consortium, Asked(consortium, 200, lie=forget), consortium.service.certificate, policy=POLICY
    )
    assert welcomed.welcome == b"the welcome"
    own = {
        "platform": nobody,
        "measurement": policy_of([("Insecure_Virtual", "ab" * 32)]),
        "insecure": attrs.evolve(POLICY, production=True),
    }
    for code, policy in own.items():
        await fooled(consortium, code, dict.copy, policy=policy)


async def test_evidence_that_does_not_answer_this_question(consortium: Consortium) -> None:
    old = json.loads((await Asked(consortium).challenge(_question(consortium, bytes(range(32))))).body)[
        "evidence"
    ]
    await fooled(consortium, "report_data", lambda told: told.update(evidence=old))
    standing = Door(consortium).standing(0, MEASUREMENT)
    quote = to_base64(standing.quote)
    await fooled(consortium, "report_data", lambda told: told["evidence"].update(quote=quote))


async def test_a_service_before_its_recovery(consortium: Consortium) -> None:
    other = Consortium.of(1, first_key=5000).service.certificate
    await fooled(consortium, "peer_service", lambda told: told.update(service_certificate=other))


async def test_a_node_in_the_middle(consortium: Consortium) -> None:
    # It has the key of one node and hands on the challenge of another.
    await fooled(consortium, "peer_certificate", dict.copy, number=2)
    own = consortium.identities[2].certificate
    await fooled(consortium, "report_data", lambda told: told.update(certificate=own), number=2)


def _question(consortium: Consortium, nonce: bytes) -> bytes:
    return encode_challenge_request(attrs.evolve(Door(consortium).question(1), nonce=nonce))
