"""Running a Java program on the build's libraries: how tests and demonstrations make transactions."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from coco_core.errors import OperatorError

OPENS: Final = Path(__file__).resolve().parents[3] / "jvm" / "opens.args"
"""What of Java is opened to Corda, for Java's command line."""
_RUN_S: Final = 500


def run_java(java: Path, library: Path, program: Path | str, arguments: Sequence[str]) -> str:
    """Run a source file, or a class by its name, with every jar of a folder; return what it printed.

    Raises OperatorError with what it said when it fails or is not done in time.
    """
    command = [str(java), "-Xmx512m", f"@{OPENS}", "-cp", f"{library}{os.sep}*", str(program), *arguments]
    name = program.name if isinstance(program, Path) else program
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, text=True, timeout=_RUN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise OperatorError(f"{name} was not done in {_RUN_S} s") from None
    if done.returncode != 0:
        raise OperatorError(f"{name} failed: {done.stderr[:2000]}")
    return done.stdout
