"""What the rules look at: the files that are, or would be, committed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every file git tracks or would add, so that a rule bites before the commit."""
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the project's files")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True).stdout
    return sorted(root / name for name in set(listing.split("\0")) if name and (root / name).is_file())


@pytest.fixture(scope="session")
def sources(tracked: list[Path]) -> list[Path]:
    """Every Python file of the project."""
    return [path for path in tracked if path.suffix == ".py"]
