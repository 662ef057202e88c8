"""Whole networks under faults, world after world: no checker may find anything, ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coco_core.testing.simulation import run_seed

KEPT = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "seeds.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", KEPT)
def test_seeds_that_once_failed(seed: int) -> None:
    outcome = run_seed(seed)
    assert not outcome.violation, outcome.violation


@pytest.mark.parametrize("block", range(5))
def test_the_first_worlds(block: int) -> None:
    wrong = [outcome.violation for seed in range(20)[block::5] if (outcome := run_seed(seed)).violation]
    assert not wrong


def test_a_seed_is_a_world_byte_for_byte() -> None:
    first, again, other = run_seed(5), run_seed(5), run_seed(6)
    assert first == again
    assert first.digest != other.digest


def test_a_seed_is_the_same_world_in_every_process() -> None:
    command = [sys.executable, "-m", "coco_core.testing.simulation", "--seed", "5"]
    told = subprocess.run(
        command,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert run_seed(5).digest in told
