"""Figures of rounds add up, and the report tells all of them."""

from __future__ import annotations

import json
from collections import Counter

from coco_core.testing.nemesis import Outcome, describe
from coco_core.testing.nemesis.failover import Failover, describe_failover, percentile
from coco_core.testing.nemesis.standing import Share


def test_rounds_add_up() -> None:
    total = Outcome()
    for number in (1, 2):
        total.add(
            Outcome(
                faults=Counter(kill=number),
                operations=10 * number,
                availability={"": Share(number, 2, 0.1 * number)},
                violations=[f"wrong {number}"],
            )
        )
    assert total.faults == Counter(kill=3)
    assert total.operations == 30
    assert total.availability[""] == Share(3, 4, 0.2)
    assert total.violations == ["wrong 1", "wrong 2"]
    assert json.loads(json.dumps(total.as_json()))["availability"]["all"]["windows"] == 4


def test_the_report_tells_violations_or_that_there_are_none() -> None:
    assert describe(Outcome(), {"seed": 7})[0] == "seed: 7"
    assert describe(Outcome(), {})[-1] == "no violation"
    assert describe(Outcome(violations=["lost"]), {})[-1] == "VIOLATION: lost"


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(number) for number in range(30, 0, -1)]
    assert [percentile(values, share) for share in (50, 90, 99)] == [15.0, 27.0, 30.0]
    assert percentile([1.0], 99) == 1.0
    first, _ = describe_failover([Failover(elected_s=0.5, committed_s=1.0)])
    assert (
        first == "kill to the next commit a client sees: p50 1.000 s, p90 1.000 s, p99 1.000 s, max 1.000 s"
    )
    assert describe_failover([]) == []
