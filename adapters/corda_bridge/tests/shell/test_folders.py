"""Folders of workers go with whoever made them, also when that is killed; those of the living stay."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from coco_corda.shell.folders import PREFIX, Folder, remove_left

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of this kind")
MAKING = """
import sys
from coco_corda.shell.folders import Folder
made = Folder()
made.path.joinpath("jar").write_bytes(b"x")
print(made.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have all folders of a test in its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_killed_processs_folder_is_removed_and_a_living_ones_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", MAKING], stdin=-1, stdout=-1, text=True) as maker:
        assert maker.stdin is not None
        assert maker.stdout is not None
        theirs = Path(maker.stdout.readline().strip())
        with Folder() as own:
            remove_left()
            assert (theirs / "jar").exists()
            assert own.exists()
            maker.kill()
            maker.wait()
            remove_left()
            assert not theirs.exists()
            assert own.exists()
        assert not own.exists()


def test_what_is_no_folder_of_ours_is_left_alone(temporary: Path) -> None:
    others = temporary / "others"
    others.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(others)
    (temporary / f"{PREFIX}file").write_text("x")
    remove_left()
    assert sorted(each.name for each in temporary.iterdir()) == [f"{PREFIX}file", f"{PREFIX}link", "others"]


def test_one_that_another_removes_while_it_is_made_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp
    made: list[str] = []

    def make_and_lose_the_first(prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose_the_first)
    with Folder() as folder:
        assert str(folder) == made[1]


def test_a_process_without_descriptors_is_told_so(temporary: Path) -> None:
    """It made one folder after the other, for ever."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            Folder()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not list(temporary.iterdir())


def test_where_there_are_no_locks_a_folder_is_made_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", has_none)
    with Folder() as folder:
        remove_left()
        assert folder.exists()
    assert not folder.exists()
