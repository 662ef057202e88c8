"""The import contracts hold, and each one notices when it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LINTER = Path(sys.executable).parent / "lint-imports"
MEMBERS = [
    Path("adapters") / "corda_bridge" / "src" / "coco_corda",
    *(Path("adapters") / name / "src" / f"coco_{name}" for name in ("ethereum", "sawtooth", "tally")),
    Path("enclave") / "src" / "coco_enclave",
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages of ``folder`` rather than on the installed ones."""
    sources = (folder / source.parent for source in MEMBERS)
    path = os.pathsep.join(map(str, [folder, *sources]))
    return subprocess.run(
        [str(LINTER), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "coco_core", tmp_path / "coco_core", ignore=ignore)
    for source in MEMBERS:
        shutil.copytree(root / source, tmp_path / source, ignore=ignore)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept(root: Path) -> None:
    done = lint(root)
    assert done.returncode == 0, done.stdout[-3000:]


PLANTED = {
    "a lower room imports a higher one": (
        "coco_core/kv/store.py",
        "\nimport coco_core.ledger\n",
        "Rooms of the core",
    ),
    "a pure room reads the clock inside a function": (
        "coco_core/wire/framing.py",
        "\n\ndef now() -> float:\n    import time\n    return time.time()\n",
        "Pure rooms never touch the world",
    ),
    "a room nobody has placed": ("coco_core/attic/__init__.py", '"""A room."""\n', "attic"),
    "an adapter looks behind a door": (
        "adapters/ethereum/src/coco_ethereum/engine.py",
        "\nfrom coco_core.kv import Store\n",
        "see the doors only",
    ),
    "an adapter touches the world outside its shell": (
        "adapters/ethereum/src/coco_ethereum/engine.py",
        "\nimport trio\n",
        "only shell/ touches the world",
    ),
    "a verifier looks behind a door": (
        "enclave/src/coco_enclave/checks.py",
        "\nfrom coco_core.wire import cbor\n",
        "see the doors only",
    ),
    "a verifier reads a file": (
        "enclave/src/coco_enclave/checks.py",
        "\nimport os\n",
        "only providers/ touches the world",
    ),
    "a platform knows a ledger": (
        "enclave/src/coco_enclave/checks.py",
        "\nimport coco_ethereum\n",
        "do not know each other",
    ),
    "an adapter opens a socket outside its shell": (
        "adapters/sawtooth/src/coco_sawtooth/identity.py",
        "\nimport zmq\n",
        "only shell/ touches the world",
    ),
    "an adapter makes a folder outside its shell": (
        "adapters/corda_bridge/src/coco_corda/workloads/samples.py",
        "\nimport tempfile\n",
        "only shell/ touches the world",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_violation_is_caught(what: str, copy: Path) -> None:
    name, code, contract = PLANTED[what]
    path = copy / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(code)
    done = lint(copy)
    assert done.returncode != 0
    assert contract in done.stdout
