"""The nemesis itself, on real processes: a short run must find nothing, and leave nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.processes
if not sys.platform.startswith("linux"):
    pytest.skip("the nemesis needs Linux", allow_module_level=True)

SECONDS = 30
END_TIMEOUT_S = 60
COMMAND = [sys.executable, "-m", "coco_core.testing.nemesis"]


def test_kills_pauses_and_partitions_lose_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    kinds = ["depose", "isolate", "kill", "pause"]
    options = ["--minutes", str(SECONDS / 60), "--nodes", "5", "--seed", "4", "--faults", ",".join(kinds)]
    done = subprocess.run(
        [*COMMAND, *options, "--json", str(figures)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert found["violations"] == []
    assert sorted(found["faults"]) == kinds
    assert found["replaced"] == found["ended"] > 0
    assert (found["lost"], found["duplicated"]) == (0, 0)
    assert found["acknowledged"] == found["operations"] > 300
    assert found["receipts"] > 200
    assert found["counters"] > 5
    assert found["availability"]["all"]["with_commit"] > 0


@contextmanager
def begun(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose nodes are open, killed in the end if it still goes on."""
    options = ["--minutes", "5", "--nodes", "3", "--faults", "pause", "--tally-only", "--dir", str(folder)]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "nodes are open" in line:
                    break
            yield process
        finally:
            process.kill()


def nodes_in(folder: Path) -> list[psutil.Process]:
    """Node processes that keep their files in ``folder``."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "node" in line and any(str(folder) in word for word in line):
            found.append(process)
    return found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_however_it_ends_no_node_stays(number: signal.Signals, code: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with begun(folder) as process:
        nodes = nodes_in(folder)
        assert len(nodes) == 3
        process.send_signal(number)
        assert process.wait(END_TIMEOUT_S) == code
        _, alive = psutil.wait_procs(nodes, END_TIMEOUT_S)
        assert alive == []
