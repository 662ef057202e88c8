"""``make demo-corda`` tells its story: money goes round, hostile code gets not far, two ledgers trade."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"
SECONDS_MAX = 600
"""Ends a story that hangs; how long one takes is no claim of this test."""


@pytest.mark.processes
def test_story_comes_true() -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)], capture_output=True, text=True, check=False, timeout=SECONDS_MAX
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step came true" in done.stdout
    assert done.stdout.count("✓") >= 24
