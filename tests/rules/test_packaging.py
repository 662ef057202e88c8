"""What is shipped: one import name a wheel, typed, with the same version everywhere."""

from __future__ import annotations

import ast
import email
import email.message
import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import attrs
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from coco_core.adapter import ENTRY_POINT_GROUP, HARNESS_GROUP
from coco_core.testing.conformance import LedgerHarness

ROOT = Path(__file__).resolve().parent.parent.parent


@attrs.frozen
class Distribution:
    folder: str
    name: str
    package: str
    entry_points: str = ""


CORE = Distribution(".", "coco-framework", "coco_core", "coco = coco_core.cli:main")
ETHEREUM = Distribution(
    "adapters/ethereum", "coco-framework-ethereum", "coco_ethereum", "ethereum = coco_ethereum.plugin"
)
CORDA = Distribution(
    "adapters/corda_bridge", "coco-framework-corda", "coco_corda", "corda = coco_corda.plugin"
)
SAWTOOTH = Distribution(
    "adapters/sawtooth", "coco-framework-sawtooth", "coco_sawtooth", "sawtooth = coco_sawtooth.plugin"
)
TALLY = Distribution("adapters/tally", "coco-framework-tally", "coco_tally", "tally = coco_tally.plugin")
ENCLAVE = Distribution("enclave", "coco-framework-enclave", "coco_enclave", "enclave = coco_enclave.plugin")
REVM = Distribution("adapters/ethereum/revm", "coco-framework-ethereum-revm", "coco_ethereum_revm")
TEMPLATE = "coco_core/cli/template/"


def settings(distribution: Distribution) -> dict[str, Any]:
    return tomllib.loads((ROOT / distribution.folder / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]


def build(distribution: Distribution, into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # Build back ends find their own programs through PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*command, "--wheel-dir", str(into), str(ROOT / distribution.folder)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = into.glob("*.whl")
    return wheel


def metadata(archive: zipfile.ZipFile) -> email.message.Message:
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_string(archive.read(name).decode())


@pytest.mark.parametrize(
    "distribution", [CORE, CORDA, ETHEREUM, SAWTOOTH, TALLY, ENCLAVE, REVM], ids=lambda item: item.name
)
def test_wheel_holds_one_typed_package(distribution: Distribution, tmp_path: Path) -> None:
    if distribution is REVM:
        if not (ROOT / REVM.folder / "Cargo.toml").exists():
            pytest.skip("the native engine is not in this tree")
        if shutil.which("cargo") is None:
            pytest.skip("no cargo here: the native engine cannot be built")
    wheel = build(distribution, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        said = metadata(archive)
        entry_points = "".join(
            archive.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt")
        )
    top_level = {name.split("/")[0] for name in names}
    assert {name for name in top_level if not name.endswith(".dist-info")} == {distribution.package}
    assert f"{distribution.package}/py.typed" in names
    if distribution is CORE:
        assert "coco_core/governance/constitutions/majority.star" in names
        template = {name for name in names if name.startswith(TEMPLATE)}
        files = subprocess.run(
            ["git", "ls-files", TEMPLATE], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert template == set(files.stdout.splitlines()), "what `coco adapters new` copies is all there"
        names = [name for name in names if name not in template]
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]
    assert said["Name"] == distribution.name
    assert said["Version"] == settings(CORE)["version"]
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert said.get_payload(), "the README is the long description"
    assert distribution.entry_points in entry_points


def imported(folder: Path, *, testing: bool) -> set[str]:
    """Return the top-level names that the code of a package imports, its testing rooms apart."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        if ("testing" in path.relative_to(folder).parts) != testing or TEMPLATE in path.as_posix():
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    return names - set(sys.stdlib_module_names)


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


@pytest.mark.parametrize(
    ("distribution", "source"),
    [(CORE, "."), (CORDA, "src"), (ETHEREUM, "src"), (SAWTOOTH, "src"), (TALLY, "src"), (ENCLAVE, "src")],
)
def test_what_is_imported_is_declared(distribution: Distribution, source: str) -> None:
    # An editable installation does not say which packages it holds.
    ours = {item.package: [item.name] for item in (CORE, CORDA, ETHEREUM, SAWTOOTH, TALLY, ENCLAVE, REVM)}
    owners = {**importlib.metadata.packages_distributions(), **ours}
    project = settings(distribution)
    core_extras = settings(CORE)["optional-dependencies"]
    folder = ROOT / distribution.folder / source / distribution.package
    needed = declared(project["dependencies"])
    extras = declared([line for lines in project["optional-dependencies"].values() for line in lines])
    for testing in (False, True):
        known = needed | extras | (declared(core_extras["testing"]) if testing else set())
        for name in sorted(imported(folder, testing=testing) - {distribution.package}):
            providers = {canonicalize_name(owner) for owner in owners.get(name, [name])}
            assert providers & known, f"{name} is imported but not a dependency of {distribution.name}"


@pytest.mark.parametrize("distribution", [CORDA, ETHEREUM, SAWTOOTH], ids=lambda each: each.package)
def test_adapters_name_their_harness(distribution: Distribution) -> None:
    """Read from the source, for what is installed here may be of another day."""
    project = tomllib.loads((ROOT / distribution.folder / "pyproject.toml").read_text())["project"]
    adapters, harnesses = (project["entry-points"][group] for group in (ENTRY_POINT_GROUP, HARNESS_GROUP))
    assert adapters.keys() == harnesses.keys()
    for name, value in harnesses.items():
        module, _, attribute = value.partition(":")
        harness = getattr(importlib.import_module(module), attribute)
        assert issubclass(harness, LedgerHarness)
        assert harness.name == name


def test_one_version_for_all() -> None:
    version = settings(CORE)["version"]
    namespace = (ROOT / "coco_core" / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{version}"' in namespace
    extras = settings(CORE)["optional-dependencies"]
    for extra, member in {
        "corda": CORDA,
        "ethereum": ETHEREUM,
        "sawtooth": SAWTOOTH,
        "tally": TALLY,
        "enclave": ENCLAVE,
    }.items():
        project = settings(member)
        assert project["version"] == version
        assert f"coco-framework=={version}" in project["dependencies"]
        assert extras[extra] == [f"{member.name}=={version}"]


def test_core_wheel_works_where_nothing_of_the_checkout_is(tmp_path: Path) -> None:
    wheel = build(CORE, tmp_path)
    program = "import sys; sys.path.insert(0, sys.argv[1]); import coco_core; print(coco_core.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(wheel)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))


def test_lock_names_no_host_and_hashes_everything() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(requirements) > 30
    assert [line for line in requirements if line.startswith("-") or "==" not in line] == []
    assert [line for line in lines if "://" in line] == []
    assert len([line for line in lines if "--hash=sha256:" in line]) >= len(requirements)
