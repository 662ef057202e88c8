"""What a package exports is what it says it exports, and the pages know of it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TREES = {
    "coco_core": ROOT,
    "coco_corda": ROOT / "adapters" / "corda_bridge" / "src",
    "coco_ethereum": ROOT / "adapters" / "ethereum" / "src",
    "coco_sawtooth": ROOT / "adapters" / "sawtooth" / "src",
    "coco_tally": ROOT / "adapters" / "tally" / "src",
    "coco_enclave": ROOT / "enclave" / "src",
}
TEMPLATE = ROOT / "coco_core" / "cli" / "template"
"""What ``coco adapters new`` copies: a distribution of its own, tried in tests/cli/test_new_adapter.py."""
DOORS = ("adapter", "attestation", "client", "testing", "testing.conformance", "errors")


def packages() -> list[tuple[str, Path]]:
    return [
        (".".join(init.parent.relative_to(base).parts), init)
        for name, base in TREES.items()
        for init in sorted((base / name).rglob("__init__.py"))
        if TEMPLATE not in init.parents
    ]


@pytest.mark.parametrize(("name", "init"), packages(), ids=[name for name, _ in packages()])
def test_all_is_sorted_and_complete(name: str, init: Path) -> None:
    tree = ast.parse(init.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if getattr(node, "module", None) != "__future__"
    }
    public = {item for item in imported if not item.startswith("_")}
    module = importlib.import_module(name)
    exported = list(getattr(module, "__all__", ()))
    assert exported == sorted(set(exported)), "__all__ is sorted and has no name twice"
    assert public == set(exported) - {"__version__"}, "__all__ is exactly what the door imports"
    assert all(hasattr(module, item) for item in exported)


def test_every_package_has_a_door() -> None:
    folders = {
        path.parent
        for name, base in TREES.items()
        for path in (base / name).rglob("*.py")
        if "vectors" not in path.parts and TEMPLATE not in path.parents
    }
    missing = sorted(
        str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()
    )
    assert not missing, f"without __init__.py a folder is a namespace anyone can add to: {missing}"


def test_doors_and_rooms_are_in_the_docs() -> None:
    tour = (ROOT / "docs" / "architecture" / "index.md").read_text(encoding="utf-8")
    rooms = sorted(
        path.stem
        for path in (ROOT / "coco_core").iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.stem.startswith("__"))
    )
    missing = [room for room in rooms if f"`{room}`" not in tour]
    assert not missing, f"the tour in docs/architecture/index.md has a paragraph per room: {missing}"
    api = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    for door in DOORS:
        if importlib.util.find_spec(f"coco_core.{door}").origin is not None:  # type: ignore[union-attr] # door exists
            assert f"## coco_core.{door}" in api
