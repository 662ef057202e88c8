"""Real transactions of R3's published finance contracts, made by Corda's own code, for tests and benchmarks.

``Samples.java`` writes them with the client's library, the same in every run, once for each number of them
and each build; they are kept beside the build. Without a JDK and ``make jvm`` there are none.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from coco_corda.development import DEVELOPMENT_NAME, development_seed
from coco_corda.front.answers import text64
from coco_corda.notary_key import NotaryKey
from coco_corda.refs import StateRef, hash_text, sha256
from coco_corda.shell.java import run_java
from coco_corda.shell.launching import find_java

NUMBERED: Final = 200
ALL: Final = "all"
MOVES: Final = "moves"
CASH: Final = "cash"
_SOURCE: Final = Path(__file__).resolve().parent / "Samples.java"
LIBRARY: Final = Path(__file__).resolve().parents[3] / "jvm" / "acceptance" / "target" / "lib"


@attrs.frozen
class Samples:
    """Named transactions, jars and keys, for a network whose notary is the development one."""

    entries: Mapping[str, bytes] = attrs.field(repr=False)
    count: int

    def __getitem__(self, name: str) -> bytes:
        """Return what is called ``name``; see Samples.java."""
        return self.entries[name]

    def tx_id(self, name: str) -> str:
        """Return the identifier of a transaction as Corda prints it."""
        return hash_text(self[f"id of {name}"])

    def ref(self, number: int) -> StateRef:
        """Return the name of the state that ``left-NUMBER`` and ``right-NUMBER`` want."""
        return StateRef(self[f"state-{number}"][:32], 0)

    def state(self, number: int) -> dict[str, Any]:
        """Return a state that a genesis may begin with: ``left-NUMBER`` and ``right-NUMBER`` want it."""
        row = self[f"state-{number}"]
        return {
            "ref": str(self.ref(number)),
            "state": text64(row[32:]),
            "networkParametersHash": hash_text(sha256(self["parameters"])),
            "participants": [hash_text(sha256(self["alice-key"]))],
        }

    def genesis(self, states: int = 0) -> dict[str, Any]:
        """Return a genesis under which they are what they are said to be."""
        return {
            "notary_name": DEVELOPMENT_NAME,
            "notary_seed": development_seed().hex(),
            "attachments": [text64(self["jar"])],
            "network_parameters": [text64(self["parameters"])],
            "states": [self.state(number) for number in range(states)],
        }


@functools.cache
def find_samples(count: int = NUMBERED, kinds: str = ALL) -> Samples | str:
    """Return samples with so many of each numbered kind, or one line that says what is missing.

    ``kinds`` are ALL, or what is bearable in large numbers: MOVES (``left-…``), or CASH: these and the
    issuances of what they move (``issued-…``).
    """
    java = find_java(None)
    if java is None:
        return "no Java here: install a JDK 17"
    if not LIBRARY.is_dir():
        return "no Corda here: make jvm (needs a JDK 17 and Maven)"
    key = NotaryKey(development_seed()).public_key
    made_with = b"".join(sha256(each.read_bytes()) for each in sorted(LIBRARY.glob("*cor*.jar")))
    mark = sha256(_SOURCE.read_bytes() + key + count.to_bytes(4) + made_with).hex()[:16]
    arguments = [DEVELOPMENT_NAME, key.hex(), str(count), kinds]
    kept = LIBRARY.parent / f"samples-{count}-{kinds}-{mark}.bin"
    if not kept.exists():
        _make(java, kept, arguments)
    return Samples(_read(kept.read_bytes()), count)


def _make(java: Path, kept: Path, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        made = Path(folder, "samples")
        run_java(java, LIBRARY, _SOURCE, [str(made), *arguments])
        # Another process may have made the same meanwhile.
        made.replace(kept)


def _read(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        name_end = at + 2 + int.from_bytes(data[at : at + 2])
        begin = name_end + 4
        end = begin + int.from_bytes(data[name_end:begin])
        found[data[at + 2 : name_end].decode()] = data[begin:end]
        at = end
    return found
