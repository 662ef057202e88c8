"""Deliberate bugs, each of which the simulation must notice: a test of the checkers, not of the code.

A mutant is written as the mistake would be made, not as a checker would like it.
"""

from __future__ import annotations

from typing import Final

import attrs

from coco_core.testing.simulation.bugs import CONSENSUS_BUGS
from coco_core.testing.simulation.epoch_bugs import EPOCH_BUGS
from coco_core.testing.simulation.member_bugs import MEMBER_BUGS, SNAPSHOT_BUGS
from coco_core.testing.simulation.mutant import Mutant
from coco_core.testing.simulation.run import STEPS, run_seed
from coco_core.testing.simulation.service_bugs import SERVICE_BUGS

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant
    for mutant in (*CONSENSUS_BUGS, *SERVICE_BUGS, *MEMBER_BUGS, *SNAPSHOT_BUGS, *EPOCH_BUGS)
}
"""Every mutant by its name."""


@attrs.frozen(kw_only=True)
class Caught:
    """How a mutant fared; ``checker`` is empty when nobody noticed it."""

    name: str
    seeds: int
    """Worlds it took."""
    checker: str
    violation: str


def hunt(name: str, steps: int = STEPS) -> Caught:
    """Run worlds with mutant ``name`` in them, from seed 0, until one is judged wrong."""
    mutant = MUTANTS[name]
    with mutant.applied():
        for seed in range(mutant.seeds_max):
            found = run_seed(seed, steps)
            if found.violation:
                return Caught(name=name, seeds=seed + 1, checker=found.checker, violation=found.violation)
    return Caught(name=name, seeds=mutant.seeds_max, checker="", violation="")
