"""Fixtures for every test of the Sawtooth adapter."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "adapters" / "sawtooth" / "examples"
PYTHON_SDK = ROOT / ".venv-sawtooth"
JAVASCRIPT_SDK = ROOT / ".cache" / "sawtooth-javascript"
PUBLISHED = {language: ROOT / ".cache" / f"sawtooth-{language}" for language in ("go", "rust")}
"""Processors that Sawtooth itself published, by the language they are written in."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party data kept beside the checkout; without it the test is skipped and says so."""
    path = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared"))
    if not (path / "data" / "sawtooth").is_dir():
        pytest.skip("no shared third-party data beside the checkout (COCO_SHARED names another place)")
    return path


class Processors:
    """Processes that are ended with the test."""

    has_javascript = (JAVASCRIPT_SDK / ".ready").exists() and shutil.which("node") is not None

    def __init__(self, log: IO[bytes]) -> None:
        """Write what they print to ``log``."""
        self._log = log
        self._running: list[subprocess.Popen[bytes]] = []

    def _start(self, *command: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        process = subprocess.Popen(
            [str(each) for each in command],
            env={**ours, **environment},
            stdout=self._log,
            stderr=self._log,
        )
        self._running.append(process)
        return process

    def python(self, script: Path | str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a processor of the Python SDK: a path, or the name of an example."""
        if not (PYTHON_SDK / ".ready").exists():
            pytest.skip("no Sawtooth SDK for Python: make sawtooth-clients")
        path = script if isinstance(script, Path) else EXAMPLES / "python" / script
        return self._start(PYTHON_SDK / "bin" / "python", path, *arguments)

    def javascript(self, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start an example of the JavaScript SDK."""
        if not self.has_javascript:
            pytest.skip("no Sawtooth SDK for JavaScript: make sawtooth-clients")
        modules = str(JAVASCRIPT_SDK / "node_modules")
        return self._start("node", EXAMPLES / "javascript" / script, *arguments, NODE_PATH=modules)

    def published(self, family: str, language: str, endpoint: str) -> subprocess.Popen[bytes]:
        """Start a processor that Sawtooth itself published: ``intkey`` or ``xo``, in ``go`` or ``rust``."""
        folder = PUBLISHED[language]
        if not (folder / ".ready").exists():
            pytest.skip(f"no Sawtooth processors in {language.title()}: make sawtooth-{language}")
        return self._start(folder / "bin" / f"{family}-tp-{language}", "-C", endpoint)

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture
def processors(tmp_path: Path) -> Iterator[Processors]:
    """Start processors; a test that wants an SDK which is not installed is skipped."""
    with (tmp_path / "processors.log").open("wb") as log:
        started = Processors(log)
        yield started
        started.end()
