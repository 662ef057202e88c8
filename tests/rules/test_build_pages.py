"""The pages for adapter authors: their code meets the contract, and is what stands in the tree.

Whoever follows the tutorial to the letter has ``adapters/tally`` at its end; so does a test here.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from coco_core.adapter import Batch, Committed, CommittedBatch, Rejected, ScopedView
from coco_core.cli.scaffold import write_distribution
from coco_core.errors import IntegrityError
from coco_core.testing import Cluster
from coco_core.testing.at_once import run_at_once

BLOCK = re.compile(r'^```python(?: title="(\S+)")?( excerpt)?\n(.*?)^```', re.MULTILINE | re.DOTALL)
MEETS = """
from coco_core.adapter import HTTPHandler

adapter: LedgerAdapter = TallyAdapter()
plugin: AdapterPlugin = TallyPlugin()
handlers: list[type[HTTPHandler]] = [TallyHandler, Counting]
"""


@attrs.frozen
class Block:
    path: str
    excerpt: bool
    code: str


def blocks(page: Path) -> list[Block]:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(path, bool(excerpt), code) for path, excerpt, code in found]


@pytest.fixture(scope="module")
def example(root: Path) -> str:
    """All code of the page that explains the contract, as one module."""
    return "\n\n".join(block.code for block in blocks(root / "docs" / "build" / "index.md"))


@pytest.fixture(scope="module")
def tutorial(root: Path) -> list[Block]:
    return blocks(root / "docs" / "build" / "tutorial.md")


def test_the_example_is_typed_as_the_contract_wants(example: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example + MEETS, encoding="utf-8")
    done = subprocess.run(
        [Path(sys.executable).parent / "mypy", "--strict", "--config-file=", "example.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_example_runs(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "example_of_the_page.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("example_of_the_page")
    adapter = module.TallyPlugin().create("", {})
    cluster = Cluster.found(3, draw=min, make=module.TallyAdapter, config={"counters": ["x"]})
    cluster.run(1)
    ticket = cluster.submit(cluster.backups[0], b"x", b"y", b"x")
    backup = cluster.backups[0]
    cluster.run(3)
    first, refused, second = backup.answers[ticket]
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert (first.receipt, second.receipt) == (b"1", b"2")
    assert refused == Rejected("unknown-counter", "there is no such counter")
    cluster.check_equal()
    view = backup.replica.chain.store.view()
    entry = {module.COUNTERS: {b"x": b"3"}}
    assert run_at_once(adapter.replay([entry], view)) == [entry]
    with pytest.raises(IntegrityError):
        run_at_once(adapter.replay([{}], view))
    batch = Batch(requests=(), view=2, first_seqno=9, time_ms=0, randomness=bytes(32))
    assert run_at_once(adapter.execute(batch, view)).outcomes == []


def pieces(tutorial: list[Block]) -> dict[str, list[str]]:
    """Return what the tutorial says of each file it gives whole, piece by piece."""
    found: dict[str, list[str]] = {}
    for block in tutorial:
        if not block.excerpt:
            found.setdefault(block.path, []).append(block.code.strip("\n"))
    return found


def replaced(source: str, code: str) -> str:
    """Return ``source`` with the method that ``code`` defines in the place of the one of that name."""
    (method,) = ast.parse(f"class _:\n{code}").body[0].body  # type: ignore[attr-defined] # it is a class
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == method.name:
            lines = source.splitlines()
            return "\n".join([*lines[: node.lineno - 1], *code.splitlines(), *lines[node.end_lineno :], ""])
    raise LookupError(method.name)


def test_the_example_keeps_an_index(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index_of_the_page.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("index_of_the_page")
    totals, told = module.Totals(), []
    cluster = Cluster.found(1, draw=min, make=module.TallyAdapter, config={"counters": ["x"]})
    totals.watching.add(told.append)
    cluster.run(1)
    ticket = cluster.submit(cluster.primary, b"x", b"x")
    cluster.run(1)
    signed = cluster.primary.batches[-1]
    totals.committed(CommittedBatch(signed.txid, signed.writes))
    assert totals.totals == {b"x": 2}
    assert told == [f"{signed.txid} x 2"]
    # What the page says in bold: neither transaction's own place shows what it wrote, the signature's does.
    _, second = cluster.primary.answers[ticket]
    store = cluster.primary.replica.chain.store
    assert store.view(second.txid.seqno).get(module.COUNTERS, b"x") == b"0"
    assert store.view(signed.txid.seqno).get(module.COUNTERS, b"x") == b"2"
    totals.restored(ScopedView(store.view(), frozenset({module.COUNTERS})))
    assert totals.totals == {b"x": 2}


def test_an_authors_own_test_passes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [
        block.code
        for block in blocks(root / "docs" / "build" / "conformance.md")
        if "def test_a_day_later" in block.code
    ]
    (tmp_path / "test_of_the_page.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("test_of_the_page").test_a_day_later()


def test_following_the_tutorial_gives_the_tally(tutorial: list[Block], root: Path, tmp_path: Path) -> None:
    assert all(block.path for block in tutorial), "every block names its file"
    write_distribution("tally", tmp_path)
    for block in tutorial:
        if block.excerpt:
            file = tmp_path / block.path
            file.write_text(replaced(file.read_text(encoding="utf-8"), block.code), encoding="utf-8")
    for path, parts in pieces(tutorial).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(joined(parts), encoding="utf-8")

    def written(folder: Path) -> dict[str, str]:
        files = [path for name in ("src", "tests", "examples") for path in (folder / name).rglob("*.py*")]
        kept = [path for path in files if path.suffix in (".py", ".typed")]
        return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in kept}

    mine, theirs = written(root / "adapters" / "tally"), written(tmp_path)
    assert sorted(mine) == sorted(theirs)
    for path, text in mine.items():
        assert theirs[path] == text, path


def joined(parts: list[str]) -> str:
    """Return a file from its pieces: between those of a class one line is free, between others two."""
    text = parts[0]
    for part in parts[1:]:
        text += ("\n\n" if part.startswith("    ") else "\n\n\n") + part
    return text + "\n"


def test_settings_of_the_tally_are_those_a_new_adapter_gets(root: Path, tmp_path: Path) -> None:
    write_distribution("tally", tmp_path)
    new, ours = (
        (folder / "pyproject.toml").read_text() for folder in (tmp_path, root / "adapters" / "tally")
    )
    start = "[tool.hatch.build"
    assert ours[ours.index(start) :].startswith(new[new.index(start) :])
