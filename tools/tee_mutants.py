"""Remove every check of the TEE verifiers in turn, and see that a test notices.

A check is a ``raise EvidenceError`` that is reached by a condition, or a call of a ``check_…`` function whose
answer nobody needs. One by one they are taken out of the running code (no file changes), and the tests of
that platform must fail. Exit status 1 when a check can be removed without anybody noticing.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "enclave" / "src" / "coco_enclave"
TESTS = ROOT / "enclave" / "tests"
DCAP = tuple(f"test_dcap_{one}.py" for one in ("quote", "collateral", "attacks", "samples"))
SNP = ("test_snp.py", "test_azure.py")
WINDOWS = ("test_tpm.py", "test_vbs.py")
AZURE = ("test_azure.py", "test_tpm.py")
PLATFORMS = (*DCAP, *SNP, *WINDOWS)
TESTED_BY: dict[str, Sequence[str]] = {
    "anchors": PLATFORMS,
    "attestation_key": (*WINDOWS, "test_azure.py"),
    "azure": AZURE,
    "azure_tdx": ("test_azure.py", "test_samples.py"),
    "boot_log": WINDOWS,
    "certificates": DCAP,
    "checks": PLATFORMS,
    "dcap": DCAP,
    "dcap_collateral": DCAP,
    "dcap_quote": DCAP,
    "event_log": WINDOWS,
    "hcl": AZURE,
    "ratls": ("test_ratls.py",),
    "pki": (*SNP, *WINDOWS),
    "snp": SNP,
    "snp_report": SNP,
    "snp_rules": SNP,
    "tpm": (*WINDOWS, "test_azure.py"),
    "uvm": AZURE,
    "vbs": WINDOWS,
    "vbs_report": WINDOWS,
    "verify": ("test_envelope.py", *PLATFORMS),
    "verifiers": ("test_verifiers.py",),
}
"""Module of ``coco_enclave`` -> tests that have to notice."""


@attrs.frozen
class Check:
    """One check in the source."""

    module: str
    line: int
    text: str


def find_checks(module: str) -> list[Check]:
    """Return the checks of a module in the order they stand there."""
    source = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    return [Check(module, node.lineno, lines[node.lineno - 1].strip()) for node in _checks(ast.parse(source))]


def _checks(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements that are checks; a fault that is only translated is none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ExceptHandler):
            continue
        if (isinstance(node, ast.Raise) and _called(node.exc) == "EvidenceError") or (
            isinstance(node, ast.Expr) and _called(node.value).removeprefix("_").startswith("check_")
        ):
            yield node
        else:
            yield from _checks(node)


def _called(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Call):
        return ""
    called = node.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


class _Without(ast.NodeTransformer):
    """Takes the statement of one line out."""

    def __init__(self, line: int) -> None:
        self._line = line

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Raise | ast.Expr) and node.lineno == self._line:
            return ast.copy_location(ast.Pass(), node)
        return super().generic_visit(node)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads one module without one of its checks."""

    def __init__(self, fullname: str, path: str, line: int) -> None:
        super().__init__(fullname, path)
        self._line = line

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the changed source: what is cached is of the whole one."""
        tree = _Without(self._line).visit(ast.parse(self.get_data(self.path)))
        code: types.CodeType = compile(ast.fix_missing_locations(tree), self.path, "exec")
        return code


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module for its loader, and no other."""

    def __init__(self, check: Check) -> None:
        self._name = f"coco_enclave.{check.module}"
        self._loader = _Loader(self._name, str(SOURCE / f"{check.module}.py"), check.line)

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how the module is loaded, None for others."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._loader.path, loader=self._loader)


def run_tests(module: str, line: int) -> int:
    """Run the tests of a module without one of its checks, in this process; return pytest's exit status."""
    import pytest

    (check,) = [one for one in find_checks(module) if one.line == line]
    sys.meta_path.insert(0, _Finder(check))
    files = [str(TESTS / name) for name in TESTED_BY[module]]
    return int(
        pytest.main(["-q", "-x", "--no-header", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *files])
    )


def noticed(check: Check) -> bool:
    """Return whether a test fails without a check."""
    done = subprocess.run(  # noqa: S603 - this file, in a process of its own
        [sys.executable, __file__, "--without", f"{check.module}:{check.line}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"tests of {check.module} could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.returncode == 1


def say(line: str) -> None:
    """Print a line at once: the run is long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="modules of coco_enclave, all unless given")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.without:
        module, _, line = asked.without.partition(":")
        return run_tests(module, int(line))
    checks = [check for module in asked.modules or TESTED_BY for check in find_checks(module)]
    survivors = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for check, caught in zip(checks, pool.map(noticed, checks), strict=True):
            survivors += not caught
            told = "noticed " if caught else "SURVIVED"
            say(f"{told} {check.module}:{check.line} {check.text[:90]}")
    say(f"\n{len(checks) - survivors} of {len(checks)} removed checks are noticed by a test")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
