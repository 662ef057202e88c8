"""Real transactions of R3's published finance contracts, made by Corda's own code, for tests and benchmarks.

``shell/Samples.java`` writes them with the client's library, the same in every run; they are kept beside the
build (``shell.samples``). Without a JDK and ``make jvm`` there are none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_corda.development import DEVELOPMENT_NAME, development_seed
from coco_corda.front.answers import text64
from coco_corda.notary_key import Template
from coco_corda.refs import StateRef, hash_text, sha256
from coco_corda.shell.samples import read_samples

NUMBERED: Final = 200
ALL: Final = "all"
MOVES: Final = "moves"
CASH: Final = "cash"


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

    @property
    def signable(self) -> Template:
        """What a notary signs of a transaction, by Corda's own code and not as a node says it."""
        sample, version = self["signable"], int.from_bytes(self["platform-version"])
        return Template(version, sample, sample.index(self["id of signable"]))

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
    found = read_samples(count, kinds)
    return found if isinstance(found, str) else Samples(found, count)
