"""How a program of this project fails: one line on stderr, by whose fault, with an exit status.

Exit status 0: done; 1: what was checked is not right; 2: usage or operator's fault; 70: our own fault,
shown with its traceback; 130: interrupted by Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator

import click

from coco_core.errors import AttestationError, CallerError, CocoError, IntegrityError

OUR_FAULT, INTERRUPTED = 70, 130


def status_of(work: Callable[[], object]) -> int:
    """Do ``work`` and return the exit status: what it returns if that is one, else of how it ended.

    Errors of the framework become one plain line, also when they come out of several tasks in a group.
    """
    try:
        returned = work()
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
