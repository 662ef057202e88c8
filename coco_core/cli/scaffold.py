"""``coco adapters new``: a whole distribution of an adapter, to begin one's own ledger with.

What is written is a copy of ``template/`` under another name. That folder is a working ledger itself, linted
and typed like everything here; its name stands wherever the new one will. Knows files; must not know ledgers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from coco_core.errors import OperatorError

TEMPLATE: Final = Path(__file__).with_name("template")
_PLACEHOLDER: Final = "untitled"
_NAME: Final = re.compile("[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_NAME_CHARACTERS_MAX: Final = 32
_TAKEN: Final = frozenset({"ccf", "coco", "core", "enclave", "framework", "public", _PLACEHOLDER})
"""Names that mean something else: maps of the core's own, other distributions, the template."""
_LEFT_BEHIND: Final = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


def check_name(name: str) -> None:
    """Raise OperatorError unless a new ledger may have this name: it is part of a package's and of maps'."""
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"{name[:64]!r} cannot be a ledger's name: it is a letter, then letters, digits and single '_', "
            "all of them lower-case, such as 'tally'"
        )
    if len(name) > _NAME_CHARACTERS_MAX:
        raise OperatorError(f"{name[:64]!r} is longer than {_NAME_CHARACTERS_MAX} characters")
    if name in _TAKEN:
        raise OperatorError(f"{name!r} means something else in this framework: choose another name")


def default_folder(name: str) -> Path:
    """Return where the distribution of ledger ``name`` goes unless somebody says otherwise."""
    return Path(f"coco-{name.replace('_', '-')}")


def write_distribution(name: str, folder: Path) -> list[Path]:
    """Write the distribution of a new ledger ``name`` into ``folder``; return its files, relative to it.

    Raises OperatorError for a name that cannot be, and for a folder that is there and not empty, or cannot be
    written.
    """
    check_name(name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OperatorError(f"{folder} is there already: name a new or an empty folder with --dir")
        return sorted(_copy(source, name, folder) for source in _files(TEMPLATE))
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written: {error.strerror}") from error


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_BEHIND:
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _copy(source: Path, name: str, folder: Path) -> Path:
    place = Path(_renamed(source.relative_to(TEMPLATE).as_posix(), name))
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    text = _renamed(source.read_text(encoding="utf-8"), name)
    target.write_text(text, encoding="utf-8", newline="\n")
    if text.startswith("#!"):
        target.chmod(0o755)
    return place


def _renamed(text: str, name: str) -> str:
    """Return ``text`` with the new name for the template's, in each way of writing it."""
    title = "".join(word.capitalize() for word in name.split("_"))
    distribution = text.replace(f"coco-{_PLACEHOLDER}", f"coco-{name.replace('_', '-')}")
    return distribution.replace(_PLACEHOLDER, name).replace(_PLACEHOLDER.capitalize(), title)
