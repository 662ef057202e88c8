"""``coco bench corda`` and the tool that measures the JVM beside it: real nodes, real JVMs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coco_corda.shell import find_launch
from coco_core.client import verify_receipt

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[4]
SECONDS_MAX = 500
"""Ends a run that hangs; how fast one is is no claim of this test."""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


@pytest.fixture
def has_worker() -> None:
    if isinstance(missing := find_launch({}), str):
        pytest.skip(missing)


@pytest.mark.usefixtures("samples", "has_worker")
def test_it_measures_and_verifies(tmp_path: Path) -> None:
    report_file, folder = tmp_path / "report.json", tmp_path / "network"
    size = ("--transactions", 40, "--warm-up", 10, "--per-request", 10, "--workload", "cash")
    options = ("--json", report_file, "--dir", folder)
    done = run("-m", "coco_core", "bench", "corda", *size, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert (report["warm_up"], report["transactions"], report["committed"]) == (10, 40, 40)
    assert all(report["latency_ms"][name]["p99"] > 0 for name in ("answer", "majority", "all_nodes"))
    certificate = (folder / "service_cert.pem").read_text()
    receipts = sorted((folder / "receipts").iterdir())
    assert [path.name for path in receipts] == ["issue.cose", "issue.json", "move.cose", "move.json"]
    for path in receipts:
        verify_receipt(path.read_bytes(), certificate)


@pytest.mark.usefixtures("samples", "has_worker")
def test_the_tool_tells_both_sides() -> None:
    tool = ROOT / "tools" / "bench_corda_network.py"
    done = run(tool, "--moves", 20, "--batch", 10, "--rounds", 1, "--warm-up", 20)
    assert done.returncode == 0, done.stdout + done.stderr
    titles = [line.strip().partition("  ")[0] for line in done.stdout.splitlines()]
    assert titles[-4:] == ["best, median", "alone", "of alone", "one at a time"]


@pytest.mark.usefixtures("samples", "has_worker")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--moves", 0), "coco: 1 rounds of 0, 10 a request: nothing to measure"),
        (("--moves", 10, "--warm-up", -1), "coco: a workload of 110 transactions after -1"),
        # A node takes no such request, which is known only when the network runs.
        (("--moves", 600, "--batch", 600), "coco: refused: no answer of this interface: b'body exceeds the"),
    ],
)
def test_what_the_tool_cannot_measure_is_one_line(options: tuple[object, ...], said: str) -> None:
    tool = ROOT / "tools" / "bench_corda_network.py"
    done = run(tool, "--rounds", 1, "--warm-up", 1, "--batch", 10, *options)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [each for each in done.stderr.splitlines() if "confined to" not in each]
    assert line.startswith(said)
