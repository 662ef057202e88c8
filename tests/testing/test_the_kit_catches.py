"""The kit is tried on wrong adapters: each fails the tests that are there for its mistake, and no others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio

from coco_core.testing.conformance import LedgerAdapterTests, Nonconformity, standard_tests
from coco_core.testing.conformance.elsewhere import Digests, all_elsewhere
from coco_core.testing.conformance.wrong import CATALOGUE, WrongHarness

TESTS = {
    name: test
    for name, test in standard_tests(LedgerAdapterTests).items()
    if name != "test_three_processes_agree_and_survive_a_crash"
}


@pytest.fixture(scope="module")
def elsewhere() -> Mapping[str, Digests]:
    """What all wrong adapters write in one other process."""
    names = sorted(CATALOGUE)
    return dict(zip(names, trio.run(all_elsewhere, [WrongHarness(name) for name in names]), strict=True))


@pytest.mark.parametrize("name", CATALOGUE)
def test_wrong_adapter_fails_what_it_should(name: str, elsewhere: Mapping[str, Digests]) -> None:
    class Judged(LedgerAdapterTests):
        harness = WrongHarness(name)
        every_nth_point = 25
        committed_max_s = 0.015

        async def elsewhere(self) -> Digests:
            return elsewhere[name]

    failed = {}
    for test in TESTS:
        try:
            getattr(Judged(), test)()
        except Nonconformity as told:
            failed[test] = str(told)
    assert failed.keys() == CATALOGUE[name].fails, failed


def test_every_standard_test_catches_something() -> None:
    caught = frozenset().union(*(wrong.fails for wrong in CATALOGUE.values()))
    assert len(CATALOGUE) >= 20
    assert caught <= TESTS.keys()
    # That none is dropped is not up to an adapter: see `test_the_kit_itself`.
    assert TESTS.keys() - caught == {"test_no_standard_test_is_dropped"}
