"""The kit is not talked out of its tests: what is left out, skipped or never ends is a failure of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from coco_core.adapter import Batch, BatchResult, Committed, HTTPRequest, LedgerAdapter, ReadView
from coco_core.testing import Cluster, Tally, add
from coco_core.testing.conformance import LedgerAdapterTests, Nonconformity, get, overridden, standard_tests
from coco_core.testing.conformance.tally import TallyHarness
from coco_core.testing.tally import BLOCKS


class OfTally(LedgerAdapterTests):
    harness = TallyHarness()


class Gone(OfTally):
    test_claims_are_32_bytes = None  # type: ignore[assignment] # what is tried


class Quiet(OfTally):
    async def test_claims_are_32_bytes(self) -> None:
        """Say nothing."""


class Postponed(OfTally):
    @pytest.mark.skip(reason="some day")
    async def test_claims_are_32_bytes(self) -> None:
        """Say nothing."""


class Expected(OfTally):
    pytestmark = pytest.mark.xfail  # type: ignore[assignment] # what is tried


class Reasoned(OfTally):
    @overridden(reason="its claims are of another size, as its clients expect")
    async def test_claims_are_32_bytes(self) -> None:
        """Say nothing."""


class MoreThanNeeded(OfTally):
    async def test_something_of_its_own(self) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("tests", "told"),
    [
        (Gone, "test_claims_are_32_bytes is gone"),
        (Quiet, "test_claims_are_32_bytes is overridden without a reason"),
        (Postponed, "test_claims_are_32_bytes is overridden without a reason"),
        (Expected, "the class is marked xfail"),
    ],
)
def test_dropped_tests_are_told(tests: type[LedgerAdapterTests], told: str) -> None:
    with pytest.raises(Nonconformity, match=told):
        tests().test_no_standard_test_is_dropped()


@pytest.mark.parametrize("tests", [OfTally, Reasoned, MoreThanNeeded])
def test_kit_that_is_whole_or_has_reasons(tests: type[LedgerAdapterTests]) -> None:
    tests().test_no_standard_test_is_dropped()


def test_reason_is_a_reason() -> None:
    with pytest.raises(ValueError, match="say it"):
        overridden(reason=" ")


def test_every_standard_test_says_what_why_and_how() -> None:
    for name, test in standard_tests(LedgerAdapterTests).items():
        first, *others = (test.__doc__ or "").split("\n\n")
        assert first.strip(), name
        assert [text.strip().split(":")[0] for text in others[:2]] == ["Why", "Mend"], name


def test_skipping_inside_is_a_failure() -> None:
    class Skips(TallyHarness):
        def valid(self, number: int) -> bytes:
            pytest.skip("not today")

    class Judged(LedgerAdapterTests):
        harness = Skips()

    with pytest.raises(Nonconformity, match=r"skipped \(not today\): say why"):
        Judged().test_nothing_is_applied_twice()


def test_harness_that_says_nothing_says_why() -> None:
    class Silent(TallyHarness):
        def questions(self) -> Sequence[HTTPRequest]:
            return ()

        def submission(self, payload: bytes) -> Any:
            return None

        def bad_genesis(self) -> Any:
            return {}

        def configured(self) -> Any:
            return None

        def asks(self) -> Any:
            return None

    class Reasons(Silent):
        no_front_end = "it speaks another protocol"
        no_bad_genesis = "there is nothing to say"

    class Judged(LedgerAdapterTests):
        harness = Silent()

    class Excused(LedgerAdapterTests):
        harness = Reasons()

    for test in (
        "front_end_shows_what_is_committed",
        "front_end_shows_the_same_after_a_restart",
        "front_end_takes_transactions",
        "front_end_answers_anything",
        "bad_genesis_is_refused_by_name",
    ):
        with pytest.raises(Nonconformity, match="the harness gives no"):
            getattr(Judged(), f"test_{test}")()
        getattr(Excused(), f"test_{test}")()
    with pytest.raises(Nonconformity, match=r"the harness gives no configured\(\)"):
        Excused().test_configuration_is_obeyed()
    with pytest.raises(Nonconformity, match=r"the harness gives no asks\(\)"):
        Excused().test_systems_outside_may_fail()


def test_adapter_that_never_ends() -> None:
    class Waits(Tally):
        async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
            await trio.sleep_forever()
            raise AssertionError

    class Waiting(TallyHarness):
        def make(self) -> LedgerAdapter:
            return Waits()

    class Judged(LedgerAdapterTests):
        harness = Waiting()

    with pytest.raises(Nonconformity, match="did not come to an end"):
        Judged().test_rules_are_enforced(MockClock(autojump_threshold=0))


def test_faults_that_no_other_test_tells_of_are_not_passed_over() -> None:
    """Claims of the wrong size, only where the survey does not look: on a network of three."""
    told = "the adapter claims no digest: the claims digest is 5 bytes"

    class Rarely(Tally):
        async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
            result = await super().execute(batch, view)
            outcomes: list[Any] = list(result.outcomes)
            if batch.requests[0].payload.startswith(b"add valid-4 "):
                object.__setattr__(outcomes[0], "claims", b"short")
            return BatchResult(outcomes, result.closing)

    class Rare(TallyHarness):
        def make(self) -> LedgerAdapter:
            return Rarely()

        def configured(self) -> Any:
            return None

    class Judged(LedgerAdapterTests):
        harness = Rare()

        async def survey(self) -> Any:
            class Clean(LedgerAdapterTests):
                harness = TallyHarness()

            return await Clean().survey()

    with pytest.raises(Nonconformity, match=told):
        Judged().test_every_node_holds_the_same()


def test_a_question_that_nothing_changes_is_named_with_what_was_committed() -> None:
    class Idle(TallyHarness):
        def questions(self) -> Sequence[HTTPRequest]:
            return [get("/shared"), get("/begun")]

    class Judged(LedgerAdapterTests):
        harness = Idle()

    with pytest.raises(Nonconformity, match=r"valid\(0\) to valid\(5\) were committed, and /begun is still"):
        Judged().test_front_end_shows_what_is_committed()


def test_transactions_of_a_harness_may_be_of_several_kinds() -> None:
    class Mixed(TallyHarness):
        def valid(self, number: int) -> bytes:
            return add(f"valid-{number}", ["shared", "other", "third"][number % 3], number + 1)

        def questions(self) -> Sequence[HTTPRequest]:
            return [get("/shared"), get("/other"), get("/third")]

    class Judged(LedgerAdapterTests):
        harness = Mixed()

    Judged().test_front_end_shows_what_is_committed()


def test_an_author_lets_time_pass_for_a_rule_that_depends_on_it() -> None:
    cluster = Cluster.found(3, draw=min, config={"counters": {"x": 0}})
    cluster.run(1)
    before, primary = cluster.now_ms, cluster.primary
    cluster.skip(3_600_000)
    ticket = cluster.submit(cluster.primary, add("a", "x", 1))
    cluster.settle()
    (fate,) = cluster.primary.answers[ticket]
    assert isinstance(fate, Committed)
    assert cluster.primary is primary
    _, time_ms = cluster.primary.state()[BLOCKS][b"newest"].split()
    assert before + 3_600_000 <= int(time_ms) <= cluster.now_ms
