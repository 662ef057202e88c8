"""``python -m coco_core.testing.nemesis``: rounds of load and faults, or measuring failover.

Exit code 1 when anything was violated; then the folder with ledgers, logs and histories is kept and named.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import NoReturn

import attrs
import click
import trio

from coco_core import __version__
from coco_core.cli.measuring import machine
from coco_core.cli.network import prepare_folder, until_interrupted
from coco_core.errors import CocoError, OperatorError
from coco_core.testing.nemesis.ethereum_load import EthereumLedger, ethereum_ledger
from coco_core.testing.nemesis.failover import describe_failover, measure_failover
from coco_core.testing.nemesis.ledgers import ARCHIVE_FOLDER
from coco_core.testing.nemesis.outcome import Outcome, describe, leaves
from coco_core.testing.nemesis.plan import KINDS, draw_plan
from coco_core.testing.nemesis.round import RoundSettings, run_round
from coco_core.testing.nemesis.sites import SITES, run_inside

ROUND_S = 120.0
"""How long a round lasts at most."""
SEED_MAX = 2**31
VIOLATED, INTERRUPTED = 1, 130
"""Exit codes; the second is what shells report of a process ended by Ctrl-C."""


@attrs.frozen(kw_only=True)
class Options:
    """What was asked for, with everything left open decided."""

    seconds: float
    nodes: int
    seed: int
    kinds: Sequence[str]
    site: str
    ethereum: EthereumLedger | None
    replace: bool
    snapshot_interval: int
    folder: Path
    keep: bool
    """Whether the folder stays also when nothing was violated."""


@click.group(invoke_without_command=True)
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(0.1), help="How long.")
@click.option("--nodes", default=5, show_default=True, type=click.IntRange(3, 9))
@click.option("--seed", type=click.IntRange(0), help="Names the plan of faults; drawn when not given.")
@click.option("--faults", default="", help=f"Only these, with commas between; of {', '.join(KINDS)}.")
@click.option("--tally-only", is_flag=True, help="Leave Ethereum out.")
@click.option("--replace/--no-replace", default=True, help="Put new nodes into the places of ended ones.")
@click.option("--snapshot-interval", default=2_000, show_default=True, help="Entries between snapshots.")
@click.option("--site", default="auto", type=click.Choice(["auto", *SITES]), help="Where the nodes live.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Keep everything here in any case.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
@click.pass_context
def main(
    context: click.Context,
    *,
    minutes: float,
    nodes: int,
    seed: int | None,
    faults: str,
    tally_only: bool,
    replace: bool,
    snapshot_interval: int,
    site: str,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Load a network of real node processes, make trouble, and check everything it said."""
    if context.invoked_subcommand is not None:
        return
    site = _enter(site)
    target = _folder(folder)
    options = Options(
        seconds=60 * minutes,
        nodes=nodes,
        seed=SystemRandom().randrange(SEED_MAX) if seed is None else seed,
        kinds=_kinds(faults, site),
        site=site,
        ethereum=None if tally_only else ethereum_ledger(),
        replace=replace,
        snapshot_interval=snapshot_interval,
        folder=target,
        keep=folder is not None,
    )
    click.echo(f"seed {options.seed}, {options.nodes} nodes, {site}; ledgers and logs in {target}")
    outcome = Outcome()
    try:
        trio.run(until_interrupted, partial(_rounds, options, outcome))
    except CocoError as error:
        outcome.violations.append(_plain(error))
    except BaseExceptionGroup as group:
        if not all(isinstance(each, CocoError) for each in leaves(group)):
            raise
        outcome.violations += [_plain(each) for each in leaves(group)]
    except KeyboardInterrupt:
        click.echo("interrupted: nothing was judged", err=True)
        _leave(target, keep=options.keep, code=INTERRUPTED)
    conditions = _conditions(options)
    for line in describe(outcome, conditions):
        click.echo(line)
    if json_file is not None:
        json_file.write_text(json.dumps({"conditions": conditions, **outcome.as_json()}, indent=2))
    _leave(target, keep=options.keep, code=VIOLATED if outcome.violations else 0)


async def _rounds(options: Options, outcome: Outcome) -> None:
    """Run one round after the other until the time is used up or something was violated."""
    count = max(1, round(options.seconds / ROUND_S))
    seconds = options.seconds / count
    for number in range(count):
        if outcome.violations:
            return
        click.echo(f"round {number + 1} of {count}")
        seed = f"{options.seed}/{number}"
        settings = RoundSettings(
            folder=options.folder / f"round-{number}",
            seed=seed,
            nodes=options.nodes,
            seconds=seconds,
            plan=draw_plan(seed, seconds, options.kinds),
            replace=options.replace,
            node_settings={
                "snapshot_interval": options.snapshot_interval,
                # With an archive, who joins finds no old log and begins from a snapshot.
                **({"archive": ARCHIVE_FOLDER} if number % 2 else {}),
            },
            ethereum=options.ethereum,
        )
        settings.folder.mkdir()
        outcome.add(await run_round(settings, SITES[options.site](), click.echo))
        if not (outcome.violations or options.keep):
            shutil.rmtree(settings.folder)


def _plain(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _enter(site: str) -> str:
    """Return where nodes will live; for namespaces this process is replaced by one inside of them."""
    if site == "loopback":
        return site
    refused = run_inside(sys.argv[1:])
    if not refused:
        return "namespaces"
    if site == "namespaces":
        raise click.ClickException(f"no network namespaces: {refused}")
    click.echo(f"no network namespaces ({refused}): nodes run on loopback, without faults that need them")
    return "loopback"


def _kinds(faults: str, site: str) -> Sequence[str]:
    possible = [
        kind
        for kind in KINDS
        if (SITES[site].has_cables or kind != "cable") and (SITES[site].has_disks or kind != "disk full")
    ]
    wanted = [each.strip() for each in faults.split(",") if each.strip()] or possible
    if unknown := [each for each in wanted if each not in possible]:
        raise click.BadParameter(f"not possible here: {', '.join(unknown)}", param_hint="'--faults'")
    return wanted


def _folder(asked: Path | None) -> Path:
    if asked is None:
        return Path(tempfile.mkdtemp(prefix="coco-nemesis-"))
    prepare_folder(asked)
    return asked.resolve()


def _leave(folder: Path, *, keep: bool, code: int) -> NoReturn:
    """Keep the folder, if something was violated or that is wished, or remove it; end with the exit code."""
    if keep or code == VIOLATED:
        click.echo(f"ledgers, logs and histories: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def _conditions(options: Options) -> Mapping[str, object]:
    return {
        "seed": options.seed,
        "nodes": options.nodes,
        "site": SITES[options.site].name,
        "ledgers": "tally" if options.ethereum is None else f"tally, ethereum on {options.ethereum.engine}",
        **_surroundings(),
    }


def _surroundings() -> Mapping[str, object]:
    about = machine()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "version": __version__,
        "machine": f"{about['cores']} x {about['processor']}, {about['system']}, Python {about['python']}",
        "load average": load,
        "at": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


@main.command()
@click.option("--kills", default=30, show_default=True, type=click.IntRange(1))
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(3, 9))
@click.option("--seed", type=click.IntRange(0), help="Names when to kill; drawn when not given.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def failover(*, kills: int, nodes: int, seed: int | None, json_file: Path | None) -> None:
    """Kill primaries and measure how long it takes until clients see commits again."""
    seed = SystemRandom().randrange(SEED_MAX) if seed is None else seed
    folder = _folder(None)
    measure = partial(measure_failover, folder, kills, nodes, str(seed), click.echo)
    try:
        found, violations = trio.run(until_interrupted, measure)
    except KeyboardInterrupt:
        _leave(folder, keep=False, code=INTERRUPTED)
    conditions = {"kills": len(found), "nodes": nodes, "seed": seed, **_surroundings()}
    lines = [f"{name}: {value}" for name, value in conditions.items()]
    lines += describe_failover(found) + [f"VIOLATION: {each}" for each in violations]
    click.echo("\n".join(lines))
    if json_file is not None:
        figures = {"conditions": conditions, "kills": [attrs.asdict(each) for each in found]}
        json_file.write_text(json.dumps({**figures, "violations": violations}, indent=2))
    _leave(folder, keep=False, code=VIOLATED if violations else 0)


if __name__ == "__main__":
    try:
        main()
    except OperatorError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
