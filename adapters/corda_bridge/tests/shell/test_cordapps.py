"""CorDapps' own contract tests, with each of their transactions judged by the worker and by Corda itself.

One CorDapp is ours. Others are looked for in the folder that ``COCO_CORDAPPS`` names: each folder with
``src/test`` is one, with ``contracts.jar`` in it where its contracts are not in ``src/main``, and ``beside``
holds the JARs that its transactions need beside its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

JVM: Final = Path(__file__).resolve().parents[2] / "jvm"
EXAMPLE: Final = JVM / "cordapp-tests" / "example"
FOREIGN: Final = "COCO_CORDAPPS"
PASSED: Final = 0
OTHERWISE: Final = 3

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not (JVM / "cordapp-tests" / "target" / "agent.jar").exists(),
        reason="nothing here that runs CorDapps' tests: make cordapp-tests",
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="it is run by a script for a POSIX shell"),
]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what an author runs."""
    contracts = folder / "contracts.jar"
    arguments = ["--jar", str(contracts)] if contracts.exists() else []
    for jar in sorted((folder / "beside").glob("*.jar")):
        arguments += ["--beside", str(jar)]
    return subprocess.run(
        [str(JVM / "cordapp-tests.sh"), *arguments, str(folder)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def foreign() -> list[Path]:
    """Return the CorDapps that somebody put where the environment says."""
    named = os.environ.get(FOREIGN)
    return sorted(each.parents[1] for each in Path(named).glob("**/src/test")) if named else []


def test_the_example_passes_by_the_worker() -> None:
    done = run(EXAMPLE)
    assert done.returncode == PASSED, done.stdout + done.stderr
    assert "WarehouseTests: 5 tests, 0 failed" in done.stdout
    assert "13 transactions: 3 valid, 10 refused, each as Corda itself; 0 otherwise" in done.stdout


def test_a_verdict_that_is_not_cordas_is_told(tmp_path: Path) -> None:
    """A contract that refuses in the JVM of the tests only: there alone is an environment."""
    shutil.copytree(EXAMPLE, tmp_path / "example")
    (contract,) = (tmp_path / "example").glob("**/WarehouseContract.java")
    text = contract.read_text(encoding="utf-8")
    crates = "goods.get(0).getCrates() > 0"
    changed = text.replace(crates, f"{crates} && System.getenv().isEmpty()")
    assert changed != text
    contract.write_text(changed, encoding="utf-8")
    done = run(tmp_path / "example")
    assert done.returncode == OTHERWISE, done.stdout + done.stderr
    assert re.search(r"Corda's own verdict: refused\n.*There are crates\.", done.stdout)
    assert "The worker's: refused" in done.stdout
    assert "0 otherwise" not in done.stdout


def test_tests_run_in_the_cordapps_folder_and_leave_nothing_there(tmp_path: Path) -> None:
    """As by Gradle and Maven: a CorDapp's tests open their files by paths from there."""
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    (tests,) = folder.glob("**/WarehouseTests.kt")
    opening = 'init { check(java.io.File("src/main/java").isDirectory) { "not in its folder" } }'
    text = tests.read_text(encoding="utf-8")
    tests.write_text(re.sub(r"(class WarehouseTests \{)", rf"\1\n    {opening}\n", text), encoding="utf-8")
    assert opening in tests.read_text(encoding="utf-8")
    done = run(folder)
    assert done.returncode == PASSED, done.stdout + done.stderr
    assert [each.name for each in folder.iterdir()] == ["src"]


@pytest.mark.skipif(not foreign(), reason=f"no CorDapps of others: {FOREIGN} may name a folder of them")
@pytest.mark.parametrize("folder", foreign(), ids=lambda folder: folder.name)
def test_contract_tests_of_others_get_cordas_verdicts(folder: Path) -> None:
    """Whether their tests pass is theirs: some are for another version of their own contracts."""
    done = run(folder)
    assert done.returncode != OTHERWISE, done.stdout + done.stderr
    assert "; 0 otherwise" in done.stdout, done.stdout + done.stderr
