"""The tests that every verifier of a platform passes, given evidence that it accepts.

Subclass ``VerifierTests`` in a test module under a name that begins with ``Test``, and say how to make
genuine evidence. Knows the contract of ``coco_core.attestation``, and no platform.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NoReturn

import attrs

from coco_core.attestation import REPORT_DATA_SIZE_BYTES, Evidence, Policy, Verdict, Verifier
from coco_core.errors import AttestationError

MUTATIONS: Final = 2048
_LARGE_BYTES: Final = 10_000_000
_HEX: Final = re.compile("(?:[0-9a-f]{2})+")


@attrs.frozen(kw_only=True)
class Genuine:
    """Evidence as the platform makes it, and everything it is accepted by."""

    evidence: Evidence
    report_data: bytes
    """The 64 bytes it is bound to."""
    policy: Policy
    """Accepts this platform, and this code on it by its measurement."""
    now_s: int


class VerifierTests(ABC):
    """What a network relies on, whatever the platform: a subclass gives the verifier and genuine evidence."""

    mutations: int = MUTATIONS
    """How many mutations of the evidence are tried."""
    binding_code: str = "report_data"
    """What refuses evidence that was made for something else: platforms whose nonce is not the 64 bytes
    themselves may say which it is."""

    @abstractmethod
    def verifier(self) -> Verifier:
        """Return the verifier to be judged."""

    @abstractmethod
    def genuine(self) -> Genuine:
        """Return genuine evidence; may be asked more than once, and may return the same."""

    # ── what is accepted ────────────────────────────────────────────────────────────────────────

    def test_genuine_evidence_is_accepted(self) -> None:
        """The verdict names the platform, and what was measured as the policy writes it."""
        given = self.genuine()
        verdict = self._verify(given)
        assert verdict.format == given.evidence.format == self.verifier().format
        assert _HEX.fullmatch(verdict.measurement), "a measurement is lower-case hex"
        assert (verdict.format, verdict.measurement) in given.policy.measurements

    def test_same_arguments_same_verdict(self) -> None:
        """Whoever audits an admission later comes to the verdict that was recorded."""
        given = self.genuine()
        assert self._verify(given) == self._verify(given)

    # ── what it is bound to ─────────────────────────────────────────────────────────────────────

    def test_other_report_data_is_refused(self) -> None:
        """Evidence made for another key, or equal in a part only, is nobody's: all 64 bytes are compared."""
        given = self.genuine()
        own = given.report_data
        assert len(own) == REPORT_DATA_SIZE_BYTES
        flipped = [own[:at] + bytes([own[at] ^ 1]) + own[at + 1 :] for at in range(len(own))]
        for other in (*flipped, own[:32], own[:32] + bytes([own[32] ^ 1]) * 32, own + b"\0", b""):
            self._refused(attrs.evolve(given, report_data=other), self.binding_code)

    # ── what the policy says ────────────────────────────────────────────────────────────────────

    def test_platform_must_be_accepted(self) -> None:
        """A platform that the network does not accept is refused, however genuine."""
        given = self.genuine()
        self._refused(_under(given, formats=frozenset()), "platform")

    def test_code_must_be_accepted(self) -> None:
        """Genuine evidence of other code than the manifest names is refused."""
        given = self.genuine()
        self._refused(_under(given, measurements=frozenset()), "measurement")

    def test_code_counts_for_its_platform_alone(self) -> None:
        """What another platform may have measured is not accepted here."""
        given = self.genuine()
        elsewhere = frozenset((f"not-{platform}", code) for platform, code in given.policy.measurements)
        self._refused(_under(given, measurements=elsewhere), "measurement")

    def test_policy_is_checked_before_anybody_is_judged(self) -> None:
        """A policy that can be judged by passes; for production only if it takes nothing insecure."""
        given = self.genuine()
        self.verifier().check_policy(given.policy)
        production = attrs.evolve(given.policy, production=True)
        refusal = self._policy_refusal(production)
        assert refusal in ("", "policy"), f"a policy is refused by 'policy', not by {refusal!r}"
        secure = self._verify(given).secure
        assert secure == (not refusal), "for production is what protects something, and nothing else"

    # ── what is no evidence ─────────────────────────────────────────────────────────────────────

    def test_other_format_is_refused(self) -> None:
        """A verifier judges what is labelled as its own, and nothing else."""
        given = self.genuine()
        evidence = attrs.evolve(given.evidence, format=f"not-{given.evidence.format}")
        self._refused(attrs.evolve(given, evidence=evidence), "format")

    def test_anything_else_is_refused(self) -> None:
        """Nothing, rubbish, ten million bytes and every truncation are refused, by AttestationError alone."""
        given = self.genuine()
        quote = given.evidence.quote
        step = max(1, len(quote) // 200)
        rubbish = [b"", b"\0", b"\xff" * 4096, bytes(_LARGE_BYTES), quote[1:]]
        for data in (*rubbish, *(quote[:size] for size in range(0, len(quote) - len(quote) // 8, step))):
            self._refused(attrs.evolve(given, evidence=attrs.evolve(given.evidence, quote=data)))

    def test_other_endorsements_say_no_more(self) -> None:
        """Rubbish in the place of endorsements is refused, or changes nothing where they are not needed."""
        given = self.genuine()
        for data in (b"", b"\0", b"{}", b"\xff" * 4096, bytes(_LARGE_BYTES)):
            self._same_or_refused(given, attrs.evolve(given.evidence, endorsements=data))

    def test_mutations_say_no_more(self) -> None:
        """Mutated evidence is refused by AttestationError, or says exactly the same."""
        given = self.genuine()
        random = Random(given.evidence.format)  # noqa: S311 - the same mutations every time
        for data in _mutated(given.evidence.quote, random, self.mutations):
            self._same_or_refused(given, attrs.evolve(given.evidence, quote=data))
        for data in _mutated(given.evidence.endorsements, random, self.mutations // 8):
            self._same_or_refused(given, attrs.evolve(given.evidence, endorsements=data))

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def _verify(self, given: Genuine) -> Verdict:
        return self.verifier().verify(given.evidence, given.policy, given.report_data, given.now_s)

    def _refused(self, given: Genuine, code: str = "") -> None:
        refusal = self._refusal(given)
        if refusal is None:
            _fail(f"accepted, where {code or 'a rule'!r} should refuse it")
        assert refusal.code not in ("", "refused"), f"a refusal has a code of its own: {refusal}"
        assert code in ("", refusal.code), f"refused by {refusal.code!r}, which is not {code!r}: {refusal}"

    def _refusal(self, given: Genuine) -> AttestationError | None:
        try:
            self._verify(given)
        except AttestationError as error:
            return error
        return None

    def _policy_refusal(self, policy: Policy) -> str:
        """Return the code by which a policy is refused, empty when it is not."""
        try:
            self.verifier().check_policy(policy)
        except AttestationError as error:
            return error.code
        return ""

    def _same_or_refused(self, given: Genuine, evidence: Evidence) -> None:
        try:
            verdict = self._verify(attrs.evolve(given, evidence=evidence))
        except AttestationError:
            return
        expected = self._verify(given)
        found = (verdict.measurement, verdict.secure, verdict.claims)
        assert found == (expected.measurement, expected.secure, expected.claims), "mutated evidence says more"


def _fail(message: str) -> NoReturn:
    raise AssertionError(message)


def _under(given: Genuine, **changes: Any) -> Genuine:
    return attrs.evolve(given, policy=attrs.evolve(given.policy, **changes))


def _mutated(data: bytes, random: Random, count: int) -> Iterator[bytes]:
    """Yield bytes with one place flipped, replaced, cut out, doubled, filled or cut off."""
    if not data:
        return
    for _ in range(count):
        at, size = random.randrange(len(data)), random.choice((1, 1, 2, 4, 16, 64))
        match random.randrange(6):
            case 0:
                yield data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
            case 1:
                yield data[:at] + random.randbytes(size) + data[at + size :]
            case 2:
                yield data[:at] + data[at + size :]
            case 3:
                yield data[:at] + data[at : at + size] + data[at:]
            case 4:
                yield data[:at] + random.choice((b"\0", b"\xff", b"\x80")) * size + data[at:]
            case _:
                yield data[:at]
