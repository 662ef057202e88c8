"""The table of attacks (docs/contributing/attacks.md): none is missing, and tests that exist try each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "contributing" / "attacks.md"
ROWS = 63
TEST = re.compile(r"`(test_\w+)::(test_\w+)(?:\[([^`]+)\])?`")
CODE = re.compile(r"`([\w-]+)`")


@attrs.frozen
class Row:
    """One attack: its number, what refuses it, and who tries it."""

    number: int
    codes: list[str]
    tests: list[tuple[str, str, str]]


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].isdecimal():
            found.append(Row(int(cells[1]), CODE.findall(cells[3]), TEST.findall(cells[4])))
    return found


def test_no_row_is_missing() -> None:
    assert [row.number for row in rows()] == list(range(1, ROWS + 1))


@attrs.frozen
class File:
    """What is kept of a file of tests: its tree is thousands of times as large."""

    functions: frozenset[str]
    words: frozenset[str]
    """The texts and names in it."""


@pytest.fixture(scope="module")
def files() -> dict[str, list[File]]:
    """Every file of tests that a row names, by its name: some rooms have one of the same."""
    named = {file for row in rows() for file, _, _ in row.tests}
    found: dict[str, list[File]] = {}
    for folder in ("tests", "enclave/tests"):
        for path in (ROOT / folder).rglob("test_*.py"):
            if path.stem in named:
                tree = ast.parse(path.read_text(encoding="utf-8"))
                found.setdefault(path.stem, []).append(File(_functions(tree), _words(tree)))
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.number))
def test_each_attack_is_tried(row: Row, files: dict[str, list[File]]) -> None:
    assert row.codes
    assert row.tests
    said: set[str] = set()
    for name, function, case in row.tests:
        (file,) = (file for file in files[name] if function in file.functions)
        assert not case or case in file.words, f"{name} tries no {case!r}"
        said |= file.words
    for code in row.codes:
        assert code in said, f"none of the tests of row {row.number} asks for {code!r}"


def _functions(tree: ast.Module) -> frozenset[str]:
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def _words(tree: ast.Module) -> frozenset[str]:
    nodes = list(ast.walk(tree))
    texts = {one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return frozenset(texts | {one.id for one in nodes if isinstance(one, ast.Name)})
