"""What node processes are given: an adapter nobody installed, and a wall clock that can be set wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coco_core.testing.nemesis.injected import environment, move_clock, write_modules

PROGRAM = """
import json, sys, time
from coco_core.node import load
for line in sys.stdin:
    print(json.dumps([time.time_ns() // 10**6, time.time() * 1000, time.monotonic()]), flush=True)
print(json.dumps(load("tally").create("", {}).manifest.name))
"""
SLACK_MS = 30_000


def test_a_process_loads_tally_and_its_clock_follows_the_file(tmp_path: Path) -> None:
    modules, folder = tmp_path / "modules", tmp_path / "node"
    write_modules(modules)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment(modules, folder)},
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None

        def read() -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        for offset_ms in (0, 86_400_000, -3_600_000, 0):
            move_clock(folder, offset_ms)
            for wall_ms in read()[:2]:
                assert abs(wall_ms - offset_ms - time.time() * 1000) < SLACK_MS
        move_clock(folder, 86_400_000)
        assert abs(read()[2] - time.monotonic()) < SLACK_MS / 1000
        process.stdin.close()
        assert json.loads(process.stdout.readline()) == "tally"
    assert process.returncode == 0


def test_what_is_on_the_path_already_stays_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = environment(tmp_path / "modules", tmp_path / "node")["PYTHONPATH"]
    assert found == f"{tmp_path / 'modules'}{os.pathsep}elsewhere"
