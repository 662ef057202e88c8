"""Which adapter a name stands for, and what an operator reads when it stands for none."""

from __future__ import annotations

from pathlib import Path

import pytest

from coco_core.adapter import API
from coco_core.errors import OperatorError
from coco_core.node import installed, load


class Shelf:
    """Distributions as an installation leaves them, before all others on the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch

    def install(self, distribution: str, adapter: str, code: str) -> None:
        place = self._folder / distribution
        metadata = place / f"{distribution}-1.dist-info"
        metadata.mkdir(parents=True)
        name = distribution.replace("_", "-")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(f"[coco.adapters]\n{adapter} = module_of_{distribution}\n")
        (place / f"module_of_{distribution}.py").write_text(code)
        self._monkeypatch.syspath_prepend(str(place))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path, monkeypatch)


def plugin(name: str, api: int = API) -> str:
    return f"""
from types import SimpleNamespace
from coco_core.adapter import hookimpl

@hookimpl
def coco_register_adapters(register):
    register(SimpleNamespace(name={name!r}, version="1", api={api}))
"""


def test_a_plugin_is_found_by_its_name(shelf: Shelf) -> None:
    shelf.install("abacus_one", "abacus", plugin("abacus"))
    assert "abacus" in installed()
    assert load("abacus").version == "1"


def test_nothing_of_that_name() -> None:
    with pytest.raises(OperatorError, match="no adapter 'abacus' is installed"):
        load("abacus")


FAULTS = {
    "no such module inside": ("import nothing_of_that_name\n", "cannot be imported: No module named"),
    "no hook": ("x = 1\n", "registers no adapter of that name"),
    "another name": (plugin("adder"), "registers no adapter of that name"),
    "a hook of another shape": (
        plugin("abacus").replace("(register)", "(register, more)"),
        "does not register as it should",
    ),
    "another contract": (plugin("abacus", API + 1), f"made for contract version {API + 1}, this"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_that_cannot_be_used(fault: str, shelf: Shelf) -> None:
    code, message = FAULTS[fault]
    distribution = fault.replace(" ", "_")
    shelf.install(distribution, "abacus", code)
    with pytest.raises(OperatorError, match=message):
        load("abacus")


def test_two_distributions_with_one_name(shelf: Shelf) -> None:
    for distribution in ("abacus_two", "abacus_three"):
        shelf.install(distribution, "abacus", plugin("abacus"))
    with pytest.raises(OperatorError, match="abacus-three and abacus-two each bring adapter 'abacus'"):
        load("abacus")


def test_one_distribution_twice_on_the_path_is_the_first(shelf: Shelf, tmp_path: Path) -> None:
    shelf.install("abacus_four", "abacus", plugin("abacus", API + 1))
    (tmp_path / "abacus_four").rename(tmp_path / "older")
    shelf.install("abacus_four", "abacus", plugin("abacus"))
    assert load("abacus").api == API
