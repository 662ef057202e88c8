"""Running a Java program of one source file: how tests and demonstrations make transactions."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coco_corda.shell.launching import OPENED
from coco_core.errors import OperatorError

_RUN_S: Final = 500


def run_source(java: Path, library: Path, source: Path, arguments: Sequence[str]) -> None:
    """Run ``source`` with every jar of a folder; raises OperatorError with what it said when it fails."""
    command = [str(java), "-Xmx512m", *OPENED, "-cp", f"{library}{os.sep}*", str(source), *arguments]
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, timeout=_RUN_S, check=False
    )
    if done.returncode != 0:
        raise OperatorError(f"{source.name} failed: {done.stderr[:2000]}")
