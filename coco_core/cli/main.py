"""The command tree, and how failures are shown: one line, by whose fault, with an exit status.

Exit status 0: done; 1: what was checked is not right; 2: usage or operator's fault; 70: our own fault,
shown with its traceback; 130: interrupted by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

import click

import coco_core
from coco_core.cli.adapters import adapters
from coco_core.cli.attest import attest
from coco_core.cli.auditor import auditor
from coco_core.cli.bench import bench
from coco_core.cli.bundle import bundle
from coco_core.cli.demo import demo
from coco_core.cli.demo_governance import demo_governance
from coco_core.cli.ledger import ledger
from coco_core.cli.member import member
from coco_core.cli.node import node
from coco_core.cli.nodes import nodes, operator
from coco_core.cli.receipt import receipt
from coco_core.cli.up import up
from coco_core.errors import AttestationError, CallerError, CocoError, IntegrityError

OUR_FAULT, INTERRUPTED = 70, 130


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
    try:
        return _status(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _interrupted()
    except CocoError as error:
        return _fail(error)
    except BaseExceptionGroup as group:
        return _fail_group(group)
    except Exception:  # noqa: BLE001 - whatever is left is a fault of our own, and is shown as one
        traceback.print_exc()
        return OUR_FAULT


def _status(returned: object) -> int:
    """Return what ``--help`` and the like exit with; commands return nothing."""
    return returned if isinstance(returned, int) else 0


def _interrupted() -> int:
    print("coco: interrupted", file=sys.stderr)
    return INTERRUPTED


def _fail(error: CocoError) -> int:
    # Why evidence is refused has a name that stays, for whoever looks it up; `refused` says nothing more.
    code = error.code if isinstance(error, AttestationError) and error.code != "refused" else ""
    print(f"coco: {error}" + (f" [{code}]" if code else ""), file=sys.stderr)
    return 1 if isinstance(error, IntegrityError | CallerError) else 2


def _fail_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Show what several tasks raised together: an error of the framework hides no bug beside it."""
    leaves = list(_leaves(group))
    known = [one for one in leaves if isinstance(one, CocoError)]
    others = [one for one in leaves if not isinstance(one, CocoError | KeyboardInterrupt)]
    if others:
        traceback.print_exception(group)
        return OUR_FAULT
    return _fail(known[0]) if known else _interrupted()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
