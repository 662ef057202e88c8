"""The kit for verifiers: the virtual platform passes it, and wrong verifiers do not."""

from __future__ import annotations

from typing import Any

import pytest

from coco_core.attestation import Evidence, Policy, Verdict, Verifier, VirtualPlatform, VirtualVerifier
from coco_core.errors import AttestationError
from coco_core.testing import Genuine, VerifierTests

CODE = "ab" * 32
DATA = bytes(range(64))


class TestVirtual(VerifierTests):
    """The virtual platform, by the kit."""

    def verifier(self) -> Verifier:
        return VirtualVerifier()

    def genuine(self) -> Genuine:
        policy = Policy(
            formats=frozenset({VirtualVerifier.format}),
            measurements=frozenset({(VirtualVerifier.format, CODE)}),
        )
        evidence = VirtualPlatform(CODE).attest(DATA)
        return Genuine(evidence=evidence, report_data=DATA, policy=policy, now_s=0)


class Wrong:
    """A verifier that forgets something."""

    format = VirtualVerifier.format

    def __init__(self, forgets: str) -> None:
        self._forgets = forgets
        self._asked = 0

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        self._asked += 1
        if self._forgets == "determinism" and self._asked > 1:
            return Verdict(format=self.format, measurement="cd" * 32)
        if self._forgets == "exceptions" and evidence.quote[:1] != b"{":
            raise ValueError("not JSON")
        try:
            return VirtualVerifier().verify(evidence, policy, expected_report_data, now_s)
        except AttestationError as error:
            if error.code == self._forgets:
                return Verdict(format=self.format, measurement=CODE)
            if self._forgets == "codes":
                raise AttestationError(str(error)) from error
            raise

    def check_policy(self, policy: Policy) -> None:
        if self._forgets != "policy":
            VirtualVerifier().check_policy(policy)


@pytest.mark.parametrize(
    ("forgets", "test"),
    [
        ("report_data", "test_other_report_data_is_refused"),
        ("platform", "test_platform_must_be_accepted"),
        ("measurement", "test_code_must_be_accepted"),
        ("measurement", "test_code_counts_for_its_platform_alone"),
        ("policy", "test_policy_is_checked_before_anybody_is_judged"),
        ("format", "test_other_format_is_refused"),
        ("malformed", "test_anything_else_is_refused"),
        ("exceptions", "test_anything_else_is_refused"),
        ("exceptions", "test_mutations_say_no_more"),
        ("codes", "test_code_must_be_accepted"),
        ("determinism", "test_same_arguments_same_verdict"),
    ],
)
def test_wrong_verifier_is_found(forgets: str, test: str) -> None:
    kit = TestVirtual()
    wrong = Wrong(forgets)
    vars(kit)["verifier"] = lambda: wrong
    with pytest.raises((AssertionError, ValueError)):
        getattr(kit, test)()


def test_kit_asks_for_what_it_needs() -> None:
    kit: Any = VerifierTests
    with pytest.raises(TypeError, match=r"genuine.*verifier"):
        kit()
