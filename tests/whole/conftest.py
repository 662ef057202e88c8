"""A network of real processes for tests that only talk to it, and what offline checks of ledgers need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from coco_core.cli.ledger import audit_folder, chunks
from coco_core.ledger import AuditReport, parse_chunk, read_public

ROOT = Path(__file__).resolve().parents[2]
READER = ROOT / "tests" / "ledger" / "independent_reader.py"
STOP_TIMEOUT_S = 30


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """``coco up`` as a person would run it: what it printed, until the tests are over.

    Ctrl-C must then end it with success, its nodes gone.
    """
    folder = tmp_path_factory.mktemp("up") / "network"
    process = subprocess.Popen(
        [sys.executable, "-m", "coco_core", "up", "--json", "--rpc-port", "0", "--dir", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, f"coco up ended with {process.wait()}"
            printed = json.loads(line)
            yield printed
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert code == 0
    for node in printed["nodes"]:
        with pytest.raises(ProcessLookupError):
            os.kill(node["pid"], 0)


@pytest.fixture(scope="session")
def read_independently() -> Callable[[Path], dict[str, Any]]:
    """Read a ledger folder with the ``ccf`` package, which we did not write, at its highest level."""
    named = os.environ.get("COCO_CCF_PYTHON")
    python = Path(named) if named else ROOT / ".venv-ccf" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no interpreter with the ccf package at {python}; set COCO_CCF_PYTHON")

    def read(folder: Path) -> dict[str, Any]:
        done = subprocess.run(
            [python, READER, folder, "FULL"],
            capture_output=True,
            check=False,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return read


class OfflineLedger:
    """A node's ledger folder, audited against a pinned service identity, and the entries in it."""

    def __init__(self, folder: Path, service_certificate: str) -> None:
        self.report: AuditReport = audit_folder(folder, service_certificate)
        self.entries = [
            bytes(raw) for name, data in chunks(folder) for _, raw in parse_chunk(name, data).entries()
        ]
        self.txids = {str(read_public(raw).txid) for raw in self.entries}


@pytest.fixture(scope="session")
def offline_ledger() -> Callable[[Path, str], OfflineLedger]:
    """Audit and read a ledger folder; raises IntegrityError when it does not hold."""
    return OfflineLedger
