"""Who judges evidence is who is installed: found once, refused when two claim one format."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coco_core.attestation import known, known_examiners, known_verifiers
from coco_core.errors import OperatorError

PLATFORM = """
from coco_core.attestation import hookimpl


class Abacus:
    format = {format!r}


@hookimpl
def coco_register_verifiers(register):
    register(Abacus())


@hookimpl
def coco_register_examiners(register):
    register(Abacus())
"""


def forget() -> None:
    for cached in (known_verifiers, known_examiners, known._installed):
        cached.cache_clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for distributions that are installed during one test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    forget()


def install(place: Path, name: str, code: str) -> None:
    info = place / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[coco.attestation]\n{name} = {name}\n")
    (place / f"{name}.py").write_text(code)
    sys.modules.pop(name, None)
    importlib.invalidate_caches()


def test_virtual_platform_is_always_known() -> None:
    assert known_verifiers()["Insecure_Virtual"].format == "Insecure_Virtual"
    assert known_verifiers() is known_verifiers()


def test_installed_platform_is_found(installed: Path) -> None:
    install(installed, "abacus_a", PLATFORM.format(format="abacus"))
    assert known_verifiers()["abacus"].format == "abacus"
    assert "Abacus" in [type(one).__name__ for one in known_examiners()]


@pytest.mark.parametrize("taken", ["abacus", "Insecure_Virtual"])
def test_one_format_has_one_judge(installed: Path, taken: str) -> None:
    install(installed, "abacus_b", PLATFORM.format(format=taken))
    install(installed, "abacus_c", PLATFORM.format(format=taken))
    with pytest.raises(OperatorError, match="two installed platforms"):
        known_verifiers()


@pytest.mark.parametrize(
    "code",
    [
        "import nothing_of_that_name",
        "from coco_core.attestation import hookimpl\n@hookimpl\ndef coco_register_verifiers(registar): ...",
        "from coco_core.attestation import hookimpl\n@hookimpl\ndef coco_register_everything(register): ...",
    ],
)
def test_broken_platform_is_the_operators_business(installed: Path, code: str) -> None:
    install(installed, "abacus_d", code)
    with pytest.raises(OperatorError, match="abacus_d"):
        known_verifiers()
