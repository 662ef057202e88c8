"""A whole network from one seed: production replicas in a world of faults, judged at every step.

It may use every room; nothing that ships may depend on it, and nothing here knows sockets, files or time.
"""

from coco_core.testing.linearizability import Operation, check_linearizable
from coco_core.testing.simulation.mutant import Mutant
from coco_core.testing.simulation.mutants import MUTANTS, Caught, hunt
from coco_core.testing.simulation.plan import Plan
from coco_core.testing.simulation.run import STEPS, Outcome, run_seed, run_seeds
from coco_core.testing.violation import ViolationError

__all__ = [
    "Caught",
    "MUTANTS",
    "Mutant",
    "Operation",
    "Outcome",
    "Plan",
    "STEPS",
    "ViolationError",
    "check_linearizable",
    "hunt",
    "run_seed",
    "run_seeds",
]
