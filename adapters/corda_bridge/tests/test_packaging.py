"""The JVM worker travels in the wheel: installed anywhere, a node starts it without this checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from coco_corda.shell import find_launch
from coco_corda.shell.launching import JAR, Launch

BRIDGE = Path(__file__).resolve().parent.parent
BUILT = BRIDGE / "jvm" / "service" / "target" / "service"
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import io, trio, zipfile
from coco_corda.shell import Workers, find_launch
launch = find_launch({})
print(launch.service)
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as made:
    made.writestr("name", "content")
async def main():
    pool = Workers(launch)
    try:
        print((await pool.inspect(archive.getvalue())).class_count)
    finally:
        pool.close()
trio.run(main)
"""


def build(source: Path, into: Path) -> Path:
    """Return the wheel of a source tree."""
    # The build's back end finds its own programs through PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    environment = {**os.environ, "PATH": path}
    subprocess.run([*command, "--wheel-dir", str(into), str(source)], env=environment, check=True)
    (built,) = into.glob("*.whl")
    return built


@pytest.fixture
def launch() -> Launch:
    found = find_launch({})
    if isinstance(found, str) or not (BUILT / JAR).is_file():
        pytest.skip("no JVM worker in this checkout: make jvm (needs a JDK 17 and Maven)")
    return found


def test_the_wheel_holds_the_worker_and_starts_it(launch: Launch, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    with zipfile.ZipFile(build(BRIDGE, tmp_path)) as archive:
        archive.extractall(installed)
    service = installed / "coco_corda" / "service"
    shipped = {str(each.relative_to(service)) for each in service.rglob("*") if each.is_file()}
    assert shipped == {JAR, *(f"lib/{each.name}" for each in (BUILT / "lib").iterdir())}
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(installed)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(service), "0"], done.stderr


def test_a_wheel_is_built_without_a_worker(tmp_path: Path) -> None:
    """On a machine without a JDK: only verification is missing."""
    copy = tmp_path / "copy"
    shutil.copytree(BRIDGE, copy, ignore=shutil.ignore_patterns("target", "vectors", "__pycache__"))
    with zipfile.ZipFile(build(copy, tmp_path)) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".jar")]
