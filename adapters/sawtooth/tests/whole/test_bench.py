"""``coco bench sawtooth`` and the tool that measures beside it: real nodes, unmodified processors."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import trio

from coco_core.client import verify_receipt
from coco_core.errors import OperatorError

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[4]
SECONDS_MAX = 300
"""Ends a run that hangs; how fast one is is no claim of this test."""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


@pytest.fixture
def has_sdk() -> None:
    if not (ROOT / ".venv-sawtooth" / ".ready").exists():
        pytest.skip("no Sawtooth SDK for Python: make sawtooth-clients says what is missing")


@pytest.mark.usefixtures("has_sdk")
def test_it_measures_and_verifies(tmp_path: Path) -> None:
    report_file, folder = tmp_path / "report.json", tmp_path / "network"
    size = ("--transactions", 90, "--warm-up", 20, "--rounds", 2, "--per-request", 15)
    done = run("-m", "coco_core", "bench", "sawtooth", *size, "--json", report_file, "--dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert (report["warm_up"], report["transactions"], report["committed"]) == (20, 90, 90)
    assert len(report["rounds_tps"]) == 2
    assert all(report["latency_ms"][name]["p99"] > 0 for name in ("answer", "majority", "all_nodes"))
    certificate = (folder / "service_cert.pem").read_text()
    receipts = sorted((folder / "receipts").iterdir())
    assert [path.name for path in receipts] == ["set.cose", "set.json"]
    for path in receipts:
        verify_receipt(path.read_bytes(), certificate)


def test_a_processor_that_ends_is_missed(tmp_path: Path) -> None:
    processor = f"{sys.executable} -c \"raise SystemExit('no such socket: {{endpoint}}')\""
    done = run("-m", "coco_core", "bench", "sawtooth", "--arg", f"processor={processor}")
    assert done.returncode == 2
    assert "ended: no such socket: tcp://127.0.0.1:" in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("has_sdk")
def test_the_tool_tells_both_sides() -> None:
    tool = ROOT / "tools" / "bench_sawtooth_network.py"
    done = run(tool, "--transactions", 40, "--batch", 20, "--rounds", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    titles = [line.strip().partition("  ")[0] for line in done.stdout.splitlines()]
    assert titles[-4:] == ["best, median", "alone", "of alone", "one at a time"]


def stand_in(folder: Path, script: str) -> Path:
    """Return a folder that takes the place of the Python SDK's, with processors that run ``script``."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    (folder / ".ready").touch()
    return folder


@pytest.fixture
def tool(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("bench_sawtooth_processors")


ONE = argparse.Namespace(sdk="python", processors=1, transactions=1)


def test_the_tool_misses_a_processor_that_ends(tmp_path: Path, monkeypatch, tool: ModuleType) -> None:
    ends = stand_in(tmp_path / "sdk", 'echo "no such socket: $2" >&2; exit 1')
    monkeypatch.setattr("coco_sawtooth.shell.processes._PYTHON_SDK", ends)
    endpoint = f"ipc://{tmp_path}/alone"
    with pytest.raises(OperatorError, match=f"a processor ended: no such socket: {endpoint}"):
        tool.measure_alone(ONE, 1, endpoint, 0, tool.Measured())
    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(tool.measure_host, ONE, 1, endpoint, 0, tool.Measured())
    assert caught.group_contains(OperatorError, match="a processor ended: no such socket")


def test_the_tool_is_interrupted_while_nothing_comes(tmp_path: Path, monkeypatch, tool: ModuleType) -> None:
    silent = stand_in(tmp_path / "sdk", "sleep 1000; true")
    monkeypatch.setattr("coco_sawtooth.shell.processes._PYTHON_SDK", silent)

    async def interrupted() -> None:
        waits = trio.Event()

        def look() -> None:
            trio.from_thread.run_sync(waits.set)
            trio.from_thread.check_cancelled()

        work = partial(tool.measure_alone, ONE, 1, f"ipc://{tmp_path}/alone", 0, tool.Measured(), look)
        with trio.fail_after(SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, work)
                await waits.wait()
                nursery.cancel_scope.cancel()

    trio.run(interrupted)
