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


@pytest.fixture(scope="module")
def trees() -> dict[str, list[ast.Module]]:
    """Every file of tests, read, by its name: some rooms have one of the same."""
    found: dict[str, list[ast.Module]] = {}
    for folder in ("tests", "enclave/tests"):
        for path in (ROOT / folder).rglob("test_*.py"):
            found.setdefault(path.stem, []).append(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.number))
def test_each_attack_is_tried(row: Row, trees: dict[str, list[ast.Module]]) -> None:
    assert row.codes
    assert row.tests
    said: set[str] = set()
    for file, function, case in row.tests:
        (tree,) = (tree for tree in trees[file] if function in _functions(tree))
        words = _words(tree)
        assert not case or case in words, f"{file} tries no {case!r}"
        said |= words
    for code in row.codes:
        assert code in said, f"none of the tests of row {row.number} asks for {code!r}"


def _functions(tree: ast.Module) -> set[str]:
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def _words(tree: ast.Module) -> set[str]:
    """Return the texts and names in a file of tests."""
    nodes = list(ast.walk(tree))
    texts = {one.value for one in nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return texts | {one.id for one in nodes if isinstance(one, ast.Name)}
