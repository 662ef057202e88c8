"""Files of real transactions, kept beside the build: made by Corda's own code when none there has enough."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from coco_corda.development import DEVELOPMENT_NAME, development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.refs import sha256
from coco_corda.shell.java import run_java
from coco_corda.shell.launching import find_java

LIBRARY: Final = Path(__file__).resolve().parents[3] / "jvm" / "acceptance" / "target" / "lib"
SAMPLES_MAX: Final = 40_000
"""Of each numbered kind: what is made in the time that Java is given, at a minute for 8 000 with reserve."""
_SOURCE: Final = Path(__file__).resolve().parent / "Samples.java"
_KEPT: Final = re.compile(r"samples-(\d+)-([a-z]+)-([0-9a-f]{16})\.bin")


def read_samples(count: int, kinds: str, folder: Path = LIBRARY.parent) -> Mapping[str, bytes] | str:
    """Return samples by name, with so many of each numbered kind, or one line that says what is missing.

    ``kinds`` are those of Samples.java. A file in ``folder`` with more of the same serves as well; one that
    other code made, or with fewer, is removed. Raises OperatorError when Java fails.
    """
    java = find_java(None)
    if java is None:
        return "no Java here: install a JDK 17"
    if not LIBRARY.is_dir():
        return "no Corda here: make jvm (needs a JDK 17 and Maven)"
    key = NotaryKey(development_seed()).public_key
    made_with = b"".join(sha256(each.read_bytes()) for each in sorted(LIBRARY.glob("*cor*.jar")))
    mark = sha256(_SOURCE.read_bytes() + key + made_with).hex()[:16]
    while True:
        found = _kept(folder, count, kinds, mark)
        try:
            if found is not None:
                return _read(found, count)
        except FileNotFoundError:
            # Another process has made more of them meanwhile.
            continue
        _make(java, folder / f"samples-{count}-{kinds}-{mark}.bin", [key.hex(), str(count), kinds])


def _kept(folder: Path, count: int, kinds: str, mark: str) -> Path | None:
    """Return the smallest file with so many, and remove those that other code made or that have fewer."""
    fit: list[tuple[int, Path]] = []
    for path in folder.glob("samples-*.bin"):
        if (named := _KEPT.fullmatch(path.name)) is None:
            continue
        number, is_same_kind = int(named[1]), named[2] == kinds
        if named[3] != mark or (is_same_kind and number < count):
            # Where systems do not let go of a file that somebody reads, it stays until the next time.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        elif is_same_kind:
            fit.append((number, path))
    return min(fit)[1] if fit else None


def _make(java: Path, kept: Path, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        made = Path(folder, "samples")
        run_java(java, LIBRARY, _SOURCE, [str(made), DEVELOPMENT_NAME, *arguments])
        # Another process may have made the same meanwhile.
        made.replace(kept)


def _read(path: Path, count: int) -> dict[str, bytes]:
    """Return what a file has up to the numbered ones not asked for; numbers are ascending in it."""
    found: dict[str, bytes] = {}
    with path.open("rb") as file:
        while size := file.read(2):
            name = file.read(int.from_bytes(size)).decode()
            if name == f"state-{count}":
                break
            found[name] = file.read(int.from_bytes(file.read(4)))
    return found
