"""Switch every check of the TEE verifiers off in turn, and see that a test notices.

Checks are found in the source (``checkpoints``): no list of them can go stale. The modules run with all of
them built in as switches, so that one process tries hundreds: each file of tests is run once to see which
test passes which check, then again for each check, with that one off, until a test fails. Published
evidence is not used. Exit status 1 when a check can be removed without anybody noticing and nothing says
why that is so.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
from checkpoints import ASK, LENIENT, Point, build

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "enclave" / "src" / "coco_enclave"
TESTS = ROOT / "enclave" / "tests"
PACKAGE = "coco_enclave"
JUDGES_NOTHING = frozenset({"__init__", "describe", "errors", "identity", "limits", "plugin", "verdict"})
"""Modules without a check: names, values, and what is told to a person."""
NOT_RUN = frozenset(
    f"test_{name}.py"
    for name in (
        *("attack_table", "attest_command", "demo", "kit", "measure", "mixed_network", "mutations"),
        *("providers", "providers_snp_azure_vbs", "samples", "dcap_samples"),
    )
)
"""Tests of whole runs, of what makes evidence, of random and of published evidence."""
ENDLESS = "test_envelope.py::test_few_bytes_do_not_take_long"
"""Without the check it is for this test does not end, in native code: it is not run."""
REDUNDANT = ROOT / "tools" / "tee_mutants_redundant.json"
"""Checks that no test can miss, each with the reason."""
LONG_S = 0.3
"""What a test may take to be among the quick ones."""
OVERRUN_S = 10.0


def modules() -> list[str]:
    """Return every module that can refuse something, those of a package behind its name and a dot."""
    found = (*SOURCE.glob("*.py"), *(SOURCE / "forms").glob("*.py"))
    names = (".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in found)
    return sorted(name for name in names if name.rpartition(".")[2] not in JUDGES_NOTHING)


def source_of(module: str) -> Path:
    """Return where a module of ``modules`` is."""
    return SOURCE / f"{module.replace('.', '/')}.py"


def find_points() -> list[Point]:
    """Return every check of every module, numbered."""
    return [point for _, points in _built() for point in points]


def _built() -> Iterator[tuple[Any, list[Point]]]:
    first = 0
    for module in modules():
        source = source_of(module).read_text(encoding="utf-8")
        tree, points = build(source, module, first)
        first += len(points)
        yield tree, points


# ── in the process that runs tests ──────────────────────────────────────────────────────────────────


class Overrun(BaseException):
    """A test runs without end because of what was switched off: it has noticed."""


@attrs.define
class Switchboard:
    """Which check is off, and which have been passed."""

    off: int = -1
    lenient: bool = False
    """Whether nothing is refused at all: within a check whose answer is used, but whose refusals are off."""
    passed: set[int] = attrs.field(factory=set)
    ends_s: float = float("inf")
    refusals: frozenset[int] = frozenset()

    def ask(self, number: int) -> bool:
        """Return whether a check is on."""
        if time.monotonic() > self.ends_s:
            raise Overrun
        self.passed.add(number)
        if self.lenient and number in self.refusals:
            return False
        return number != self.off

    def call(self, number: int, check: Callable[[], object]) -> object:
        """Return what a check does, without what it refuses while it is off."""
        if self.ask(number):
            return check()
        self.lenient = True
        try:
            return check()
        finally:
            self.lenient = False


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module with its checks made switchable."""

    def __init__(self, fullname: str, path: str, tree: Any) -> None:
        super().__init__(fullname, path)
        self._tree = tree

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the changed source: what is cached is of the other."""
        code: types.CodeType = compile(self._tree, self.path, "exec")
        return code


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the changed modules for their loader, and no others."""

    def __init__(self, trees: dict[str, Any]) -> None:
        self._trees = trees

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how a module is loaded, None for others."""
        if fullname not in self._trees:
            return None
        source = source_of(fullname.removeprefix(f"{PACKAGE}."))
        loader = _Loader(fullname, str(source), self._trees[fullname])
        return importlib.util.spec_from_file_location(fullname, source, loader=loader)


@attrs.frozen
class _Test:
    """One test: what it takes, and which checks it passes."""

    item: Any
    spent_s: float
    passed: frozenset[int]


class Hunt:
    """A pytest plugin: runs each file of tests once as it is, then with one check off after the other."""

    def __init__(self, board: Switchboard, wanted: set[int]) -> None:
        self.noticed: dict[int, str] = {}
        """Number of a check -> the test that noticed."""
        self._board = board
        self._wanted = wanted

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run everything; tells pytest that it is done."""
        by_file: dict[Path, list[Any]] = defaultdict(list)
        for item in session.items:
            by_file[item.path].append(item)
        tried = {path: self._try(session, items) for path, items in by_file.items()}
        # What is quick comes first: most checks are noticed before long tests are asked.
        for long in (False, True):
            for path in sorted(tried, key=lambda one: sum(test.spent_s for test in tried[one])):
                self._hunt(session, [test for test in tried[path] if (test.spent_s > LONG_S) is long])
                say(f"{path.name}: {len(self.noticed)} of {len(self._wanted)} noticed so far")
        session._setupstate.teardown_exact(None)  # noqa: SLF001 - between files, as pytest's own loop
        return True

    def _try(self, session: Any, items: list[Any]) -> list[_Test]:
        """Run the tests of a file as they are; return what each takes and which checks it passes."""
        session._setupstate.teardown_exact(None)  # noqa: SLF001
        tests = []
        for item in items:
            self._board.passed.clear()
            begin = time.process_time()
            if not self._passes(item):
                raise SystemExit(f"{item.nodeid} fails with every check in place")
            spent_s = time.process_time() - begin
            tests.append(_Test(item, spent_s, frozenset(self._board.passed & self._wanted)))
        return sorted(tests, key=lambda test: test.spent_s)

    def _hunt(self, session: Any, tests: list[_Test]) -> None:
        """Run tests of one file again, for each check that they pass, with that one off."""
        session._setupstate.teardown_exact(None)  # noqa: SLF001
        # What tests share is made with every check in place, or it could fail for all of them.
        made: set[str] = set()
        for test in tests:
            if set(test.item.fixturenames) - made:
                made |= set(test.item.fixturenames)
                self._passes(test.item)
        for number in sorted(frozenset().union(*(test.passed for test in tests)) - self.noticed.keys()):
            for test in tests:
                if number in test.passed and not self._passes_without(test, number):
                    self.noticed[number] = test.item.nodeid.partition("::")[2]
                    break

    def _passes_without(self, test: _Test, number: int) -> bool:
        self._board.off, self._board.lenient = number, False
        self._board.ends_s = time.monotonic() + OVERRUN_S + 20 * test.spent_s
        passes = self._passes(test.item)
        self._board.off, self._board.ends_s = -1, float("inf")
        return passes

    def _passes(self, item: Any) -> bool:
        from _pytest.runner import runtestprotocol

        # What a file's tests share stays: its keys are slow to make.
        reports = runtestprotocol(item, log=False, nextitem=item.parent)
        return not any(report.failed for report in reports)


def run_tests(part: int, parts: int, only: Sequence[str], answer: Path) -> int:
    """Try one part of the checks in this process, and write which test noticed which."""
    import pytest

    board = Switchboard()
    trees, points = {}, []
    for tree, found in _built():
        points += found
        if found:
            trees[f"{PACKAGE}.{found[0].module}"] = tree
    board.refusals = frozenset(point.number for point in points if point.what == "refusal")
    setattr(builtins, ASK, board.ask)
    setattr(builtins, LENIENT, board.call)
    sys.meta_path.insert(0, _Finder(trees))
    wanted = {point.number for point in points if not only or point.module in only}
    hunt = Hunt(board, {number for number in wanted if number % parts == part})
    files = sorted(str(path) for path in TESTS.glob("test_*.py") if path.name not in NOT_RUN)
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "--capture=sys"]
    options += ["-m", "not shared and not processes"]
    options += ["--deselect", f"enclave/tests/{ENDLESS}"]
    status = pytest.main([*options, "--rootdir", str(ROOT), *files], plugins=[hunt])
    answer.write_text(json.dumps(hunt.noticed), encoding="utf-8")
    # Without a test that was logged pytest says that none was collected.
    return 0 if status in (0, pytest.ExitCode.NO_TESTS_COLLECTED) else 2


# ── in the process that was asked ───────────────────────────────────────────────────────────────────


def _hunt_part(part: int, parts: int, only: Sequence[str], folder: Path) -> dict[int, str]:
    answer = folder / f"{part}.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, __file__, *only, "--part", f"{part}/{parts}", "--answer", str(answer)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - this file
    if done.returncode or not answer.exists():
        raise SystemExit(f"the tests could not be run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return {int(number): test for number, test in json.loads(answer.read_text(encoding="utf-8")).items()}


def say(line: str) -> None:
    """Print a line at once: the run is long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell(points: Sequence[Point], noticed: dict[int, str], redundant: dict[str, str]) -> int:
    """Print what became of every check; return how many nobody noticed and nobody explained."""
    survivors, by_module = 0, Counter[str]()
    unused = {key for key in redundant if key.partition(" ")[0] in {point.module for point in points}}
    for point in points:
        key = f"{point.module} {point.what}: {point.text}"
        if point.number in noticed:
            by_module[point.module] += 1
            say(f"noticed    {str(point)[:110]:110}  {noticed[point.number]}")
        elif key in redundant:
            unused.discard(key)
            say(f"redundant  {str(point)[:110]:110}  {redundant[key]}")
        else:
            survivors += 1
            say(f"SURVIVED   {point}")
    for key in sorted(unused):
        survivors += 1
        say(f"SURVIVED   {key}: called redundant, which it is not, or it is there no more")
    say("")
    for module, count in Counter(point.module for point in points).items():
        say(f"{module:18} {by_module[module]:4} of {count:4} noticed")
    return survivors


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of coco_enclave, all unless given")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        part, _, parts = asked.part.partition("/")
        return run_tests(int(part), int(parts), asked.modules, asked.answer)
    import tempfile

    begin = time.monotonic()
    points = [point for point in find_points() if not asked.modules or point.module in asked.modules]
    redundant: dict[str, str] = (
        json.loads(REDUNDANT.read_text(encoding="utf-8")) if REDUNDANT.exists() else {}
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        parts = pool.map(
            lambda part: _hunt_part(part, asked.jobs, asked.modules, Path(folder)), range(asked.jobs)
        )
        noticed = {number: test for one in parts for number, test in one.items()}
    survivors = tell(points, noticed, redundant)
    explained = len(points) - len(noticed) - survivors
    say(
        f"\n{len(noticed)} of {len(points)} removed checks are noticed by a test, {explained} are redundant "
        f"for a reason, {survivors} SURVIVED; {time.monotonic() - begin:.0f} s"
    )
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
