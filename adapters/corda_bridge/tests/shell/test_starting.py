"""A worker that cannot start: what is said about it, and that nothing is said about transactions."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import attrs
import pytest

from coco_corda.shell import Workers, find_launch
from coco_corda.shell.launching import JAR
from coco_corda.verification import Unavailable

MANIFEST = "META-INF/MANIFEST.MF"


def shut(service: Path, folder: Path) -> Path:
    """Return a copy of the worker whose manifest opens nothing of Java to Corda."""
    shutil.copytree(service / "lib", folder / "lib")
    with zipfile.ZipFile(service / JAR) as given, zipfile.ZipFile(folder / JAR, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            made.writestr(
                name, content.replace(b"Add-Opens:", b"Was-Opens:") if name == MANIFEST else content
            )
    return folder


async def test_a_java_that_corda_does_not_run_on_says_nothing_about_transactions(tmp_path: Path) -> None:
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)
    pool = Workers(attrs.evolve(launch, service=shut(launch.service, tmp_path), level="none"))
    try:
        (answer,) = await pool.describe([b"whatever it is"])
    finally:
        pool.close()
    assert isinstance(answer, Unavailable), answer
    assert "ended with status 4: Corda does not run on this Java" in answer.message
