"""Ethereum's state tests over revm: a sample always, all of them with ``COCO_STATE_TESTS=all``.

Full result of 2026-11: Cancun 20,739 of 20,749 executed cases, 391 blob cases refused; Prague and Osaka
1,416 of 1,416, 42 blob cases refused. The ten are listed in ``UNREACHABLE``.
"""

from __future__ import annotations

import json
import lzma
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from coco_ethereum.engine import FORKS
from coco_ethereum.engines.revm import RevmEngine
from coco_ethereum.testing.state_tests import Verdict, cases, judge

pytestmark = pytest.mark.shared

FULL = os.environ.get("COCO_STATE_TESTS") == "all"
# A prime, so that the sample does not keep step with families of tests.
STEP = {"cancun": 1 if FULL else 37, "prague-osaka": 1 if FULL else 7}

# EIP-7610: an account with storage but neither nonce nor code, where a contract is created. No transaction
# can make one, revm does not look for it, and a genesis must not contain it.
UNREACHABLE = {
    "InitCollisionParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "create2collisionStorageParis",
    "dynamicAccountOverwriteEmpty_Paris",
}
# Minutes each: 4 G rounds of a hash, 6 G gas of loops. Run with the rest when all are asked for.
SLOW = {"CALLBlake2f_MaxRounds", "static_Call50000_sha256", "loopMul", "static_Call1MB1024Calldepth"}


def sampled(path: Path, step: int) -> Iterator[str]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number % step == 0:
                yield line


@pytest.mark.parametrize("suite", ["cancun", "prague-osaka"])
def test_state_tests_pass(shared: Path, suite: str) -> None:
    path = shared / "data" / "conformance" / f"state-tests-{suite}.jsonl.xz"
    engine = RevmEngine()
    verdicts: Counter[Verdict] = Counter()
    missed = []
    for line in sampled(path, STEP[suite]):
        test = json.loads(line)
        if test["name"] in UNREACHABLE or (test["name"] in SLOW and not FULL):
            continue
        for fork in FORKS:
            for case in cases(test, fork):
                verdict = judge(engine, case)
                verdicts[verdict] += 1
                if verdict not in (Verdict.PASSED, Verdict.BLOB):
                    missed.append((case.name, verdict))
    assert missed == []
    assert verdicts[Verdict.PASSED] >= (1_400 if FULL else 190)
