"""By whose policy, and as of when, a joiner judges the nodes of the welcome it gets."""

from __future__ import annotations

import datetime

import attrs
import pytest

from coco_core.attestation import Evidence, Policy, Verdict, VirtualVerifier
from coco_core.base import limits
from coco_core.errors import AttestationError
from coco_core.governance import policy_of
from coco_core.replica import Welcome, check_welcome, encode_welcome, read_welcome
from coco_core.testing import Consortium, Tally
from coco_core.testing.consortium import POLICY

CONSORTIUM = Consortium.of(2)
OTHER, IDENTITY = CONSORTIUM.identities
VERIFIERS = {VirtualVerifier.format: VirtualVerifier()}
NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
WELCOME = Welcome(
    certificate=IDENTITY.certificate,
    service=CONSORTIUM.service,
    secrets=CONSORTIUM.secrets,
    nodes=list(CONSORTIUM.nodes.values()),
    manifests=[Tally().manifest],
    policy=POLICY,
)


def test_welcome_is_judged_by_the_operators_policy_too() -> None:
    check_welcome(WELCOME, IDENTITY.key.public, CONSORTIUM.service.certificate, VERIFIERS, NOW, POLICY)
    own = {
        "measurement": policy_of([("Insecure_Virtual", "ab" * 32)]),
        "insecure": attrs.evolve(POLICY, production=True),
    }
    for code, policy in own.items():
        with pytest.raises(AttestationError) as caught:
            check_welcome(
                WELCOME, IDENTITY.key.public, CONSORTIUM.service.certificate, VERIFIERS, NOW, policy
            )
        assert caught.value.code == code


class Ageing(VirtualVerifier):
    """What evidence is judged by is good for a year."""

    UNTIL_S = int(NOW.timestamp()) - 86_400

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        if now_s > self.UNTIL_S:
            raise AttestationError("it is not valid any more", code="collateral_time")
        return super().verify(evidence, policy, expected_report_data, now_s)


def test_others_are_judged_as_of_when_they_were_admitted() -> None:
    verifiers = {VirtualVerifier.format: Ageing()}
    given = IDENTITY.key.public, CONSORTIUM.service.certificate, verifiers, NOW
    with pytest.raises(AttestationError, match=f"node {OTHER.node_id}: it is not valid") as caught:
        check_welcome(WELCOME, *given)
    assert caught.value.code == "collateral_time"
    then = dict.fromkeys((node.node_id for node in WELCOME.nodes), Ageing.UNTIL_S * 1000)
    old = attrs.evolve(WELCOME, judged_at_ms=then)
    transcript = CONSORTIUM.proof(1).transcript
    sealed = encode_welcome(old, IDENTITY.encryption_key.public, transcript)
    check_welcome(read_welcome(sealed, IDENTITY.encryption_key, transcript), *given)


def test_clock_behind_the_ledgers() -> None:
    given = IDENTITY.key.public, CONSORTIUM.service.certificate, VERIFIERS
    admitted_ms = int(NOW.timestamp()) * 1000
    welcome = attrs.evolve(WELCOME, judged_at_ms={IDENTITY.node_id: admitted_ms})
    behind = datetime.timedelta(seconds=limits.CLOCK_BEHIND_MAX_S)
    check_welcome(welcome, *given, NOW - behind)
    with pytest.raises(AttestationError, match="this machine's clock is 601 s behind") as caught:
        check_welcome(welcome, *given, NOW - behind - datetime.timedelta(seconds=1))
    assert caught.value.code == "time_rollback"
