"""``coco adapters new``: what it writes passes its own tests, linter and types from the first minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from coco_core.adapter import API
from coco_core.cli.main import cli
from coco_core.cli.scaffold import TEMPLATE, check_name, write_distribution
from coco_core.errors import OperatorError

LONGEST = "x23456789_123456789_123456789_12"
BIN = Path(sys.executable).parent


def run(folder: Path, *command: str, path: Path | None = None) -> str:
    """Return what ``command`` says in ``folder``, with the packages of this tree and those in ``path``."""
    root = TEMPLATE.parent.parent.parent
    places = [str(root), *([str(path)] if path else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "MYPYPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["a", "tally", "land_register", LONGEST])
def test_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Tally",
        "tally-x",
        "1st",
        "_x",
        "x_",
        "a__b",
        "a.b",
        "../x",
        "ä",
        "x" * 33,
        "core",
        "public",
        "untitled",
    ],
)
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"name|characters"):
        write_distribution(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for place in (tmp_path, tmp_path / "mine"):
        with pytest.raises(OperatorError, match="is there already: name a new or an empty folder"):
            write_distribution("tally", place)
    with pytest.raises(OperatorError, match="cannot be written: Not a directory"):
        write_distribution("tally", tmp_path / "mine" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    files = write_distribution("land_register", tmp_path)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == set(files)
    assert Path("src/coco_land_register/adapter.py") in files
    assert os.access(tmp_path / ".ci" / "run", os.X_OK)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert project["name"] == "coco-land-register"
    assert project["entry-points"]["coco.adapters"] == {"land_register": "coco_land_register.plugin"}
    left = [path for path in files if "untitled" in (tmp_path / path).read_text().lower()]
    assert left == []
    assert "class LandRegisterAdapter:" in (tmp_path / "src/coco_land_register/adapter.py").read_text()


def test_the_command_says_what_it_wrote_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["adapters", "new", "land_register"], catch_exceptions=False)
    lines = done.output.splitlines()
    assert f"  {Path('coco-land-register', 'pyproject.toml')}" in lines
    assert lines[-1] == "next: cd coco-land-register && make setup check test"
    assert "note:" not in done.output
    done = CliRunner().invoke(cli, ["adapters", "new", "ethereum", "--dir", "x"], catch_exceptions=False)
    assert (tmp_path / "x" / "src" / "coco_ethereum" / "py.typed").is_file()
    assert "note: another adapter 'ethereum' is installed here; only one of them can be" in done.output


@pytest.mark.parametrize("name", ["a", LONGEST])
def test_whatever_its_name_it_is_formatted(name: str, tmp_path: Path) -> None:
    write_distribution(name, tmp_path)
    run(tmp_path, str(BIN / "ruff"), "check", ".")
    run(tmp_path, str(BIN / "ruff"), "format", "--check", ".")


@pytest.mark.processes
def test_it_passes_its_own_tests_and_the_kit_once_installed(tmp_path: Path) -> None:
    source, installed = tmp_path / "source", tmp_path / "installed"
    write_distribution("land_register", source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    run(tmp_path, *pip, "--target", str(installed), str(source))
    run(source, str(BIN / "mypy"))
    assert "passed" in run(
        source, sys.executable, "-m", "pytest", "-q", "-m", "not processes", path=installed
    )
    coco = [sys.executable, "-m", "coco_core", "adapters"]
    assert f"land_register 0.1.0 (contract {API})" in run(source, *coco, "list", path=installed)
    run(source, *coco, "check", "land_register", "--json", "found.json", path=installed)
    found = json.loads((source / "found.json").read_bytes())
    assert (found["adapter"], found["passed"]) == ("land_register", True)
    assert {one["outcome"] for one in found["tests"]} == {"passed"}
