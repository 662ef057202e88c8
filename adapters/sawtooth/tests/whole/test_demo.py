"""``make demo-sawtooth`` tells its story: unmodified processors and clients, faults, a bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SECONDS_MAX = 600
"""Ends a story that hangs; how long one takes is no claim of this test."""


@pytest.mark.processes
def test_story_comes_true() -> None:
    if not (ROOT / ".venv-sawtooth" / ".ready").exists():
        pytest.skip("no Sawtooth SDK for Python: make sawtooth-clients says what is missing")
    command = [sys.executable, str(ROOT / "adapters" / "sawtooth" / "examples" / "demo.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every step came true" in done.stdout
    assert done.stdout.count("✓") >= 15
