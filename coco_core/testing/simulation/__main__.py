"""``python -m coco_core.testing.simulation``: run worlds, or hunt the mutants, and print what was found.

Exit code 1 when a world was judged wrong, a mutant got away or ``--cover`` found a state unreached.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import click

from coco_core.testing.simulation.coverage import table, unreached
from coco_core.testing.simulation.mutants import MUTANTS, hunt
from coco_core.testing.simulation.run import STEPS, Outcome, run_seed, run_seeds


@click.command()
@click.option("--seeds", default=300, show_default=True, help="How many worlds.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--seed", type=int, help="Run this one world only, and show its last steps.")
@click.option("--steps", default=STEPS, show_default=True, help="Steps under faults in each world.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--cover", is_flag=True, help="Demand that every state is reached.")
@click.option("--mutants", is_flag=True, help="Hunt the deliberate bugs instead.")
def main(
    *, seeds: int, first: int, seed: int | None, steps: int, jobs: int, cover: bool, mutants: bool
) -> None:
    """Simulate whole networks; every world follows from its seed."""
    if mutants:
        sys.exit(_hunt_all(jobs))
    if seed is not None:
        sys.exit(_show(run_seed(seed, steps)))
    sys.exit(_run(range(first, first + seeds), steps, jobs, cover))


def _run(seeds: range, steps: int, jobs: int, cover: bool) -> int:
    started = time.monotonic()
    counts: Counter[str] = Counter()
    taken, virtual_us, wrong = 0, 0, 0
    for outcome in run_seeds(seeds, steps, jobs):
        counts += outcome.counts
        taken += outcome.steps
        virtual_us += outcome.virtual_us
        if outcome.violation:
            wrong += 1
            click.echo(f"seed {outcome.seed}: {outcome.violation}")
    seconds = time.monotonic() - started
    click.echo(table(counts, len(seeds)))
    click.echo(
        f"{len(seeds)} worlds, {taken} steps, {virtual_us / 1e6:.0f} s of theirs in {seconds:.0f} s of ours"
        f" ({taken / max(seconds, 0.001):.0f} steps/s): {wrong} violations"
    )
    missing = unreached(counts) if cover else []
    for name in missing:
        click.echo(f"never reached: {name}")
    return 1 if wrong or missing else 0


def _show(outcome: Outcome) -> int:
    for line in outcome.recent:
        click.echo(line)
    click.echo(f"seed {outcome.seed}: {outcome.steps} steps, digest {outcome.digest}")
    click.echo(outcome.violation or "no violation")
    return 1 if outcome.violation else 0


def _hunt_all(jobs: int) -> int:
    missed = 0
    click.echo(f"{'mutant':<34} {'what it breaks':<44} {'caught by':<19} seeds (of at most)")
    with ProcessPoolExecutor(jobs) as pool:
        for caught in pool.map(hunt, MUTANTS):
            mutant = MUTANTS[caught.name]
            missed += not caught.checker
            click.echo(
                f"{mutant.name:<34} {mutant.breaks:<44} {caught.checker or 'NOBODY':<19}"
                f" {caught.seeds} ({mutant.seeds_max})"
            )
    click.echo(f"{len(MUTANTS)} mutants, {missed} got away")
    return 1 if missed else 0


if __name__ == "__main__":
    main()
