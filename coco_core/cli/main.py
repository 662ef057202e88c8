"""The command tree, and how failures are shown: one line, by whose fault, with an exit status.

Exit status 0: done; 1: what was checked is not right; 2: usage or operator's fault; 70: our own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

import coco_core
from coco_core.cli.adapters import adapters
from coco_core.cli.bench import bench
from coco_core.cli.demo import demo
from coco_core.cli.ledger import ledger
from coco_core.cli.node import node
from coco_core.cli.receipt import receipt
from coco_core.cli.up import up
from coco_core.errors import CallerError, CocoError, IntegrityError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(coco_core.__version__, prog_name="coco")
def cli() -> None:
    """Confidential consortium ledgers: run a network, measure it, audit it."""


for command in (adapters, bench, demo, ledger, node, receipt, up):
    cli.add_command(command)


def main() -> None:
    """Run the command line; errors of the framework become one plain line on stderr."""
    try:
        cli()
    except CocoError as error:
        _fail(error)
    except BaseExceptionGroup as group:
        known = next((one for one in _leaves(group) if isinstance(one, CocoError)), None)
        if known is None:
            raise
        _fail(known)


def _fail(error: CocoError) -> None:
    print(f"coco: {error}", file=sys.stderr)
    sys.exit(1 if isinstance(error, IntegrityError | CallerError) else 2)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
