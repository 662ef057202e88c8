"""Running worlds: one seed from founding to the final judgement, and many seeds side by side.

The same seed and number of steps give the same world, step by step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from random import Random
from typing import Final

import attrs

from coco_core.testing.simulation.bounds import small_bounds
from coco_core.testing.simulation.ending import judge_at_rest, make_peace
from coco_core.testing.simulation.faults import Nemesis
from coco_core.testing.simulation.plan import Plan
from coco_core.testing.simulation.sealing import derived_seals
from coco_core.testing.simulation.world import World
from coco_core.testing.violation import ViolationError

STEPS: Final = 2_000


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one world."""

    seed: int
    steps: int
    """Steps taken, those of the healed world at the end included."""
    virtual_us: int
    counts: Counter[str]
    digest: str
    """Of every step: equal wherever the seed is run."""
    ledger_digest: str
    """Of the ledger at the end, byte for byte."""
    checker: str = ""
    """Who saw a violation, empty when nobody did."""
    violation: str = ""
    recent: tuple[str, ...] = ()
    """The last steps before it."""


def run_seed(seed: int, steps: int = STEPS) -> Outcome:
    """Run world ``seed``: faults and load for ``steps`` steps, then peace, then judgement."""
    rng = Random(seed)  # noqa: S311 - a world must follow from its seed; no secret depends on it
    plan = Plan.draw(seed, steps, rng)
    with small_bounds(plan), derived_seals():
        return _run(World(plan, rng))


def run_seeds(seeds: Iterable[int], steps: int = STEPS, jobs: int = 1) -> Iterator[Outcome]:
    """Run many worlds in ``jobs`` processes; yield what became of each, in the order of ``seeds``."""
    if jobs == 1:
        yield from (run_seed(seed, steps) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = list(seeds)
        yield from pool.map(run_seed, waiting, [steps] * len(waiting), chunksize=4)


def _run(world: World) -> Outcome:
    Nemesis(world)
    checker = violation = ""
    ledger = b""
    try:
        while world.steps < world.plan.steps:
            world.step()
            if not world.steps & 63:
                world.sample()
        make_peace(world)
        ledger = judge_at_rest(world)
    except ViolationError as error:
        checker, violation = error.checker, str(error)
    world.counts["messages overtaken"] = world.network.overtaken
    world.counts["log read back from disk"] = sum(host.disk.reads for host in world.hosts.values())
    return Outcome(
        seed=world.plan.seed,
        steps=world.steps,
        virtual_us=world.now_us,
        counts=world.counts,
        digest=world.digest(),
        ledger_digest=sha256(ledger).hexdigest(),
        checker=checker,
        violation=violation,
        recent=tuple(f"{at} {what} {who}" for at, what, who in world.recent) if violation else (),
    )
