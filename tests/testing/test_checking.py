"""``coco adapters check``: what an installed adapter's tests found, for people and for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coco_core.adapter import HARNESS_GROUP
from coco_core.testing.nemesis.injected import write_modules

MODULE = """
import pytest

from coco_core.testing.conformance import LedgerAdapterTests, overridden
from coco_core.testing.conformance.tally import TallyHarness
from coco_core.testing.conformance.wrong import WrongHarness


class Odd(LedgerAdapterTests):
    harness = WrongHarness("ClaimsInHex")
    every_nth_point = 50

    @overridden(reason="nobody restarts it")
    async def test_front_end_shows_the_same_after_a_restart(self):
        pytest.skip("never")

    @pytest.mark.skip(reason="later")
    @overridden(reason="there is no time for it")
    async def test_every_node_executes_alike(self):
        pass

    async def test_backups_forward(self):
        pytest.skip("for no reason")

    async def test_of_its_own(self):
        pass


class OfAnother(TallyHarness):
    name = "another"


nonsense = 5
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which Tally is installed, and harnesses under a few other names."""
    folder = tmp_path_factory.mktemp("modules")
    write_modules(folder)
    (folder / "odd_harness.py").write_text(MODULE)
    metadata = folder / "coco_odd-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: coco-odd\nVersion: 1\n")
    names = {"tally": "Odd", "stranger": "OfAnother", "nothing": "nonsense", "gone": "Absent"}
    rows = "\n".join(f"{name} = odd_harness:{value}" for name, value in names.items())
    (metadata / "entry_points.txt").write_text(f"[{HARNESS_GROUP}]\n{rows}\n")
    # One harness for each name: the one that comes with Tally goes.
    (folder / "coco_framework_tally-1.dist-info" / "entry_points.txt").write_text("")
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path}


def check(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coco_core", "adapters", "check", *words]
    return subprocess.run(command, capture_output=True, check=False, env=environment, text=True, timeout=120)


def test_report_for_people_and_programs(environment: dict[str, str], tmp_path: Path) -> None:
    done = check(environment, "tally", "--no-processes", "--json", str(tmp_path / "found.json"))
    assert done.returncode == 1, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert {name: found[name] for name in ("adapter", "version", "contract", "passed")} == {
        "adapter": "tally",
        "version": "1",
        "contract": 4,
        "passed": False,
    }
    tests = {one["test"]: one for one in found["tests"]}
    failed = {name: one["message"] for name, one in tests.items() if one["outcome"] == "failed"}
    assert failed.keys() == {
        "test_claims_are_32_bytes",
        "test_backups_forward",
        "test_no_standard_test_is_dropped",
    }
    assert "64 bytes" in failed["test_claims_are_32_bytes"]
    assert failed["test_backups_forward"] == "it was skipped, or expected to fail, for no stated reason"
    assert "test_backups_forward is overridden without a reason" in failed["test_no_standard_test_is_dropped"]
    reasons = {name: one["message"] for name, one in tests.items() if one["outcome"] == "overridden"}
    assert reasons == {
        "test_front_end_shows_the_same_after_a_restart": "nobody restarts it",
        "test_every_node_executes_alike": "there is no time for it",
    }
    assert tests["test_of_its_own"]["outcome"] == "passed"
    assert "test_three_processes_agree_and_survive_a_crash" not in tests
    assert "FAILED test_claims_are_32_bytes\n  ``Applied.claims`` is a digest of 32 bytes." in done.stdout
    assert "Found: the adapter claims no digest" in done.stdout
    assert "OVERRIDDEN test_every_node_executes_alike\n  Reason: there is no time for it" in done.stdout
    assert f"{len(tests)} tests: {len(tests) - 5} passed, 3 failed, 2 overridden" in done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent", "no distribution names a harness for 'absent' in entry points coco.adapter_harnesses"),
        ("stranger", "the harness for 'stranger' is one for 'another'"),
        ("nothing", "entry point 'nothing' of coco.adapter_harnesses names no class of LedgerHarness"),
        ("gone", "the harness for 'gone' cannot be imported"),
    ],
)
def test_without_a_harness_there_is_a_plain_error(name: str, told: str, environment: dict[str, str]) -> None:
    done = check(environment, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"coco: {told}")
    assert done.stderr.count("\n") == 1
