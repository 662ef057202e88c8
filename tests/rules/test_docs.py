"""The documentation is kept by test: generated pages match the code, links resolve, code compiles."""

from __future__ import annotations

import importlib.util
import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from coco_core import adapter, errors
from coco_core.governance import GovernanceRule
from coco_core.kv import maps
from coco_core.ledger import Rule
from coco_core.testing.conformance import LedgerAdapterTests, standard_tests

PAGES = [
    "adapters.md",
    "api.md",
    "audit_rules.md",
    "cli.md",
    "conformance.md",
    "errors.md",
    "limits.md",
    "maps.md",
]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reference(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_reference", root / "tools" / "generate_reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_match_the_code(page: str, root: Path, reference: ModuleType) -> None:
    text = (root / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert text == reference.pages()[page], "run `make docs`"


def test_every_error_has_a_heading(root: Path) -> None:
    text = (root / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    names = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    assert len(names) >= 10
    assert [name for name in names if f"\n## {name}\n" not in text] == []


def test_every_limit_has_a_row(root: Path, reference: ModuleType) -> None:
    text = (root / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
    names = reference.defined_limits()
    assert len(names) >= 20
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_every_built_in_map_and_rule_is_documented(root: Path) -> None:
    pages = root / "docs" / "reference"
    built_in = [value for name, value in vars(maps).items() if name.isupper() and isinstance(value, str)]
    text = (pages / "maps.md").read_text(encoding="utf-8")
    assert [name for name in built_in if not name.endswith((":", ".")) and f"\n## {name}\n" not in text] == []
    text = (pages / "audit_rules.md").read_text(encoding="utf-8")
    rules = [*Rule, *GovernanceRule]
    assert [rule.value for rule in rules if f"| `{rule.value}` | " not in text] == []


def test_every_hook_and_type_of_the_adapters_door_is_explained(root: Path) -> None:
    text = (root / "docs" / "reference" / "adapters.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^###+ (\S+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    hooks = [
        f"{name}.{member}"
        for name in adapter.__all__
        for value in [getattr(adapter, name)]
        if inspect.isclass(value)
        for member, what in vars(value).items()
        if not member.startswith("_") and (inspect.isfunction(what) or isinstance(what, property))
    ]
    assert len(hooks) >= 40
    assert [name for name in [*adapter.__all__, *hooks] if len(sections.get(name, "").split()) < 3] == []
    # What each hook owes is said in full sentences, behind how it is written.
    owed = [name for name in hooks if not re.search(r"`\n\n[A-Z][^`]{15,}", sections[name])]
    assert owed == []


def test_every_standard_test_has_a_heading(root: Path) -> None:
    text = (root / "docs" / "reference" / "conformance.md").read_text(encoding="utf-8")
    names = standard_tests(LedgerAdapterTests)
    assert len(names) >= 40
    assert [name for name in names if f"\n### {name}\n" not in text] == []


def slug(heading: str) -> str:
    """Return the anchor a Markdown heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose(path: Path) -> str:
    """Return a page without its code, where a bracket followed by parentheses is no link."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))


def test_relative_links_resolve(written: list[Path], root: Path) -> None:
    broken: list[str] = []
    for page in written:
        for target in LINK.findall(prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            headings = HEADING.findall(there.read_text(encoding="utf-8")) if there.is_file() else []
            if not there.exists() or (anchor and anchor not in map(slug, headings)):
                broken.append(f"{page.relative_to(root)}: {target}")
    assert not broken, broken


def test_python_blocks_compile(written: list[Path], root: Path) -> None:
    for page in written:
        for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "python":
                # A piece of a file may be a method; it stands as deep as it does there.
                compile(textwrap.dedent(code), str(page.relative_to(root)), "exec")


def test_every_page_can_be_reached(written: list[Path], root: Path) -> None:
    seen: set[Path] = set()
    waiting = [root / "README.md", root / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        targets = [target.partition("#")[0] for target in LINK.findall(prose(page))]
        waiting += [(page.parent / target).resolve() for target in targets]
    docs = [page for page in written if root / "docs" in page.parents]
    lost = [str(page.relative_to(root)) for page in docs if page not in seen]
    assert not lost, f"no page links to: {lost}"
