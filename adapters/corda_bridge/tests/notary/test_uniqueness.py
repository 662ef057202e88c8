"""The commit rule on the cases that Corda's own notaries are held to, as data; see ``data/SOURCES.md``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from coco_corda import records
from coco_corda.commit import (
    Claim,
    CommittedBefore,
    Conflict,
    Granted,
    OutOfTime,
    TimeWindow,
    decide,
)
from coco_corda.refs import StateRef
from coco_core.adapter import Writes, merge
from coco_core.kv import Store

CASES = json.loads((Path(__file__).parent / "data" / "uniqueness.json").read_text())
MINUTE_NS = 60 * 10**9
START_NS = 1_700_000_000 * 10**9


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def state(name: str) -> StateRef:
    return StateRef(digest(f"maker of {name}"), int(name[1:]))


def at(minutes: int | None) -> int | None:
    return None if minutes is None else START_NS + minutes * MINUTE_NS


def claim(step: dict[str, Any]) -> Claim:
    window = step.get("window")
    return Claim(
        tx_id=digest(step["tx"]),
        inputs=[state(each) for each in step.get("inputs", ())],
        references=[state(each) for each in step.get("references", ())],
        time_window=None if window is None else TimeWindow(at(window[0]), at(window[1])),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['group']}: {case['name']}")
def test_case(case: dict[str, Any]) -> None:
    written: Writes = {}
    view = Store().head().over(written)
    for step in case["steps"]:
        asked = claim(step)
        verdict = decide(asked, view, START_NS + step["at_minutes"] * MINUTE_NS)
        match step["expect"]:
            case "success":
                assert isinstance(verdict, Granted | CommittedBefore), step
                if isinstance(verdict, Granted):
                    merge(written, verdict.writes)
                    merge(written, {records.COMMITTED: {asked.tx_id: b"receipt of " + asked.tx_id}})
                else:
                    assert verdict.receipt == b"receipt of " + asked.tx_id
            case "time-window-invalid":
                assert isinstance(verdict, OutOfTime), step
                assert verdict.time_window == asked.time_window
            case "conflict":
                assert isinstance(verdict, Conflict), step
                assert verdict.tx_id == asked.tx_id
                assert {
                    ref: (each.tx_id_hash, each.consumed_as.value) for ref, each in verdict.consumed.items()
                } == {
                    state(name): (hashlib.sha256(digest(by)).digest(), consumed_as)
                    for name, (by, consumed_as) in step["conflicts"].items()
                }
            case other:
                raise AssertionError(other)


def test_all_seven_kinds_of_transactions_are_tried() -> None:
    """Group G, everything at once, is covered by the cases of F with a window, as in Corda."""
    assert {case["group"] for case in CASES} == set("ABCDEF")
    assert len(CASES) == 27
    assert [case["name"] for case in CASES if "corda_expects" in case] == [
        "a transaction is notarised again after its reference state was used up"
    ]
