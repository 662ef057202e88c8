"""Ethereum's state tests: a sample on the reference engine, all of them with COCO_FULL=1.

The full run takes most of an hour. Left out are only the cases over ``SECONDS_MAX`` (py-evm's
performance tests and pairings in plain Python); what else does not pass is named below.
"""

from __future__ import annotations

import json
import lzma
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coco_ethereum.engines import load
from coco_ethereum.testing.state_tests import Case, Verdict, cases, judge

pytestmark = pytest.mark.shared

SUITES = {
    "cancun": "state-tests-cancun.jsonl.xz",
    "prague": "state-tests-prague-osaka.jsonl.xz",
    "shanghai": "state-tests-cancun.jsonl.xz",
}

SAMPLE_EVERY = {"cancun": 211, "prague": 17, "shanghai": 5}
"""By fork: a sample is every so many cases."""

PAIRINGS = "eip2537"
"""Part of the names of cases that compute pairings, which py-evm does in plain Python."""

SECONDS_MAX = 10

STORAGE_WITHOUT_CODE = (
    "InitCollisionParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "create2collisionStorageParis",
    "dynamicAccountOverwriteEmpty_Paris",
)
"""Tests of EIP-7610: creations where storage lies without code or nonce.

No chain can come to such state since EIP-161; ten cases give another root.
"""


class TooSlowError(Exception):
    """A case took longer than SECONDS_MAX."""


@contextmanager
def bounded() -> Iterator[None]:
    """End the body with TooSlowError after SECONDS_MAX, where the platform has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS_MAX)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def selected(shared: Path, fork: str, full: bool) -> Iterator[Case]:
    """Yield all cases of a fork, or a sample of those py-evm does in no time."""
    every, number = 1 if full else SAMPLE_EVERY[fork], 0
    with lzma.open(shared / "data/conformance" / SUITES[fork], "rt") as lines:
        for line in lines:
            test = json.loads(line)
            for case in cases(test, fork):
                if number % every == 0 and (full or PAIRINGS not in case.name):
                    yield case
                number += 1


@pytest.mark.parametrize("fork", SUITES)
def test_state_tests(shared: Path, full: bool, fork: str) -> None:
    engine = load("py-evm")
    count: Counter[str] = Counter()
    otherwise: dict[str, Verdict] = {}
    for case in selected(shared, fork, full):
        try:
            with bounded():
                verdict = judge(engine, case)
        except TooSlowError:
            count["too slow"] += 1
            continue
        count[verdict.name + " refusal" * case.expect_refusal] += 1
        if verdict not in (Verdict.PASSED, Verdict.BLOB):
            otherwise[case.name] = verdict
    print(fork, dict(count))  # noqa: T201  # the tally is what the full run is for
    unknown = {name for name in otherwise if not any(known in name for known in STORAGE_WITHOUT_CODE)}
    assert not unknown
    assert set(otherwise.values()) <= {Verdict.OTHER_ROOT}
    assert count["PASSED"] > 20
