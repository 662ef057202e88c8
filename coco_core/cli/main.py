"""The command tree. How commands fail is in ``failing``."""

from __future__ import annotations

import sys

import click

import coco_core
from coco_core.cli.adapters import adapters
from coco_core.cli.attest import attest
from coco_core.cli.auditor import auditor
from coco_core.cli.bench import bench
from coco_core.cli.bundle import bundle
from coco_core.cli.demo import demo
from coco_core.cli.demo_governance import demo_governance
from coco_core.cli.failing import status_of
from coco_core.cli.ledger import ledger
from coco_core.cli.member import member
from coco_core.cli.node import node
from coco_core.cli.nodes import nodes, operator
from coco_core.cli.receipt import receipt
from coco_core.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(coco_core.__version__, prog_name="coco")
def cli() -> None:
    """Confidential consortium ledgers: run a network, measure it, audit it."""


for command in (
    adapters,
    attest,
    auditor,
    bench,
    bundle,
    demo,
    demo_governance,
    ledger,
    member,
    node,
    nodes,
    operator,
    receipt,
    up,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit; errors of the framework become one plain line on stderr."""
    sys.exit(_run())


def _run() -> int:
    """Return the exit status of the command that was typed."""
    return status_of(lambda: cli(standalone_mode=False))
