"""Every scenario plays as its file says; ``COCO_REWRITE=1`` writes what really happened, for review."""

import os
from pathlib import Path

import pytest

from coco_core.testing.scenarios import run_transcript

SCENARIOS = sorted(Path(__file__).parent.joinpath("scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_plays_as_written(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    played = run_transcript(written)
    if os.environ.get("COCO_REWRITE"):
        path.write_text(played, encoding="utf-8")
    else:
        assert played == written, f"{path.name}: review, then rewrite with COCO_REWRITE=1"


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 40
