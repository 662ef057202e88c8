"""Run the kit for an installed adapter: its distribution names the harness in its metadata.

The tests run under pytest with no configuration, plugin or ``conftest`` of whoever asks, so that a report is
the same wherever it is made.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest

from coco_core.adapter import HARNESS_GROUP
from coco_core.errors import OperatorError
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.marking import (
    Nonconformity,
    description,
    how_to_mend,
    reason_of,
    standard_tests,
)
from coco_core.testing.conformance.report import FAILED, OVERRIDDEN, PASSED, Finding, Report
from coco_core.testing.conformance.tests import LedgerAdapterTests

_CONFIGURATION: Final = """[pytest]
markers =
    processes: starts real node processes on loopback
trio_mode = true
"""
_FILE: Final = "test_adapter.py"
_MODULE: Final = """from coco_core.testing.conformance.checking import chosen

TestAdapter = chosen[-1]
"""

chosen: Final[list[type[LedgerAdapterTests]]] = []
"""The classes of tests under way, the newest last: what the file that pytest collects takes up."""

_PYTEST_VARIABLES: Final = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
_TRACE_CHARS: Final = 2_000

Tests = type[LedgerAdapterTests]


def tests_of(name: str) -> Tests:
    """Return the tests for the installed adapter ``name``; raises OperatorError when it has no harness."""
    points = {point.name: point for point in entry_points(group=HARNESS_GROUP)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise OperatorError(
            f"no distribution names a harness for {name!r} in entry points {HARNESS_GROUP} (there: {known})"
        )
    try:
        found: Any = points[name].load()
    except (ImportError, AttributeError) as error:
        raise OperatorError(f"the harness for {name!r} cannot be imported: {error}") from error
    if inspect.isclass(found) and issubclass(found, LedgerAdapterTests):
        tests: Tests = found
    elif inspect.isclass(found) and issubclass(found, LedgerHarness):
        tests = type("TestAdapter", (LedgerAdapterTests,), {"harness": found(), "__module__": __name__})
    else:
        raise OperatorError(
            f"entry point {name!r} of {HARNESS_GROUP} names no class of LedgerHarness or LedgerAdapterTests"
        )
    if tests.harness.name != name:
        raise OperatorError(f"the harness for {name!r} is one for {tests.harness.name!r}")
    return tests


def check(tests: Tests, *, processes: bool = True, told: Callable[[Finding], None] | None = None) -> Report:
    """Run ``tests`` and return what became of them; ``told`` is called after each.

    Without ``processes`` those that start node processes are left out, and are not in the report.
    """
    listener = _Listener(tests, told)
    chosen.append(tests)
    try:
        with tempfile.TemporaryDirectory(prefix="coco-check-") as folder:
            ini, module = Path(folder, "pytest.ini"), Path(folder, _FILE)
            ini.write_text(_CONFIGURATION)
            module.write_text(_MODULE)
            arguments = ["-c", str(ini), f"--rootdir={folder}", "--noconftest", "-p", "no:cacheprovider"]
            arguments += [
                "-p",
                "pytest_trio.plugin",
                "-p",
                "no:terminal",
                "--import-mode=importlib",
                str(module),
            ]
            arguments += [] if processes else ["-m", "not processes"]
            with _undisturbed():
                pytest.main(arguments, plugins=[listener])
    finally:
        chosen.pop()
    plugin = tests.harness.plugin()
    left_out = frozenset() if processes else _with_processes()
    return Report(adapter=plugin.name, version=plugin.version, findings=listener.findings(left_out))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Run pytest with the plugin for trio alone, whatever else is installed or set here."""
    before = {name: os.environ.pop(name, None) for name in _PYTEST_VARIABLES}
    os.environ[_PYTEST_VARIABLES[0]] = "1"
    try:
        yield
    finally:
        del os.environ[_PYTEST_VARIABLES[0]]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _with_processes() -> frozenset[str]:
    marked = standard_tests(LedgerAdapterTests).items()
    return frozenset(
        name for name, test in marked if any(m.name == "processes" for m in getattr(test, "pytestmark", []))
    )


class _Listener:
    """A pytest plugin that takes note of outcomes."""

    def __init__(self, tests: Tests, told: Callable[[Finding], None] | None) -> None:
        self._tests = tests
        self._told = told
        self._found: dict[str, Finding] = {}
        self._standard = standard_tests(LedgerAdapterTests)
        self._errors: dict[str, BaseException] = {}
        self._broken = ""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._broken = str(report.longrepr)[-500:]

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None:
            self._errors[item.nodeid] = call.excinfo.value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("::")[2]
        if report.when != "call" and report.passed:
            return
        finding = self._finding(name, report)
        before = self._found.get(name)
        if before is None or before.outcome != FAILED:
            self._found[name] = finding
            if self._told is not None:
                self._told(finding)

    def _finding(self, name: str, report: pytest.TestReport) -> Finding:
        reason = reason_of(getattr(self._tests, name, None))
        outcome, message = PASSED, ""
        if reason and not report.failed:
            outcome, message = OVERRIDDEN, reason
        elif report.failed:
            outcome, message = FAILED, _message(self._errors.get(report.nodeid))
        elif not report.passed or hasattr(report, "wasxfail"):
            outcome, message = FAILED, "it was skipped, or expected to fail, for no stated reason"
        proves, mend = self._words(name)
        return Finding(
            test=name, outcome=outcome, proves=proves, message=message, mend=mend, duration_s=report.duration
        )

    def _words(self, name: str) -> tuple[str, str]:
        test = self._standard.get(name)
        if test is None:
            return "", ""
        return " ".join(description(test).split("\n\n")[0].split()), how_to_mend(test)

    def findings(self, left_out: frozenset[str]) -> list[Finding]:
        """Return one for every standard test but those left out on purpose, also for what did not run."""
        found = [
            self._found.get(name) or self._missing(name) for name in self._standard if name not in left_out
        ]
        return found + [finding for name, finding in self._found.items() if name not in self._standard]

    def _missing(self, name: str) -> Finding:
        proves, mend = self._words(name)
        message = f"it did not run: {self._broken}" if self._broken else "it did not run"
        return Finding(test=name, outcome=FAILED, proves=proves, message=message, mend=mend)


def _message(error: BaseException | None) -> str:
    """Return what went wrong in a test, without the groups that tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, Nonconformity):
        return str(error)
    shown = traceback.format_exception(error) if error is not None else ["it failed before it began"]
    return "".join(shown)[-_TRACE_CHARS:]
