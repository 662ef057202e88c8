"""``coco demo-governance`` tells its story on real nodes; a step that does not come true is its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from coco_core.adapter import WorkloadOptions
from coco_core.cli.consortium import GovernedNetwork, Organisation
from coco_core.cli.demo_governance import Story
from coco_core.cli.network import NetworkSpec
from coco_core.errors import IntegrityError
from coco_core.node import load

SECONDS_MAX = 600
"""Ends a story that hangs; how long one takes is no claim of this test."""


@pytest.mark.processes
def test_story_comes_true() -> None:
    command = [sys.executable, "-m", "coco_core", "demo-governance"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "every step came true" in done.stdout
    assert done.stdout.count("✓") > 20


async def test_step_that_does_not_come_true_ends_the_story(tmp_path: Path) -> None:
    member = Organisation.make("A", tmp_path)
    workload = load("ethereum").workload(WorkloadOptions(transactions=10))
    spec = NetworkSpec(folder=tmp_path, nodes=1, ledger="ethereum", engine="", config=workload.config)
    network = GovernedNetwork(spec, [member], "majority", 1)
    story = Story(
        console=Console(quiet=True),
        network=network,
        organisations=[member],
        workload=workload,
        operator=(tmp_path, tmp_path),
    )

    async def nobody_minds() -> None:
        pass

    with pytest.raises(IntegrityError, match="did not come true: 1 is 2"):
        story.true("1 is 2", False)
    with pytest.raises(IntegrityError, match=r"refused \(signature\)"):
        await story.refused("a forged ballot", "signature", nobody_minds)
