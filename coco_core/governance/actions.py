"""The built-in actions: what an accepted proposal can do, each with a check of its arguments.

A constitution's ``apply`` says which of them are carried out. Names and arguments are CCF's where CCF has
the action. An action is judged twice: its arguments when it is proposed, and against the tables when it is
carried out, for much may have happened in between; what hardly changes is asked of them as it is proposed,
too. All raise MemberError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.errors import AttestationError, MemberError
from coco_core.governance import actions_consortium, actions_network, actions_service
from coco_core.governance.action import Action
from coco_core.governance.decision import Decision
from coco_core.kv import View

ACTIONS: Final[Mapping[str, Action]] = {
    action.name: action
    for action in (*actions_consortium.ACTIONS, *actions_network.ACTIONS, *actions_service.ACTIONS)
}
"""Every built-in action by its name."""


@attrs.frozen
class Planned:
    """One action with arguments that were checked."""

    action: Action
    args: Mapping[str, Any]


def plan(values: Any) -> list[Planned]:
    """Return the actions that ``apply`` of a constitution named; raises MemberError for anything else."""
    if not isinstance(values, list):
        raise MemberError("the constitution's apply returned no list of actions")
    return [_planned(number, value) for number, value in enumerate(values, 1)]


def _planned(number: int, value: Any) -> Planned:
    match value:
        case {"name": str(name), **rest} if rest.keys() <= {"args"}:
            action = ACTIONS.get(name)
        case _:
            raise MemberError(f'action {number}: expected {{"name": …, "args": {{…}}}}')
    if action is None:
        raise MemberError(f"action {number}: there is no action {name[:64]!r}")
    args = rest.get("args")
    args = {} if args is None else args
    if not isinstance(args, dict):
        raise MemberError(f"action {number} ({name}): its args are no object")
    unknown = sorted(str(key) for key in args.keys() - action.fields)
    missing = sorted(action.required - args.keys())
    if unknown or missing:
        raise MemberError(
            f"action {number} ({name}): "
            + "; ".join(
                [f"unknown argument {one[:40]!r}" for one in unknown[:3]]
                + [f"argument {one!r} is missing" for one in missing]
            )
        )
    try:
        action.check(args)
    except MemberError as error:
        raise MemberError(f"action {number} ({name}): {error}") from error
    return Planned(action, args)


def check_proposed(planned: Sequence[Planned], view: View) -> None:
    """Judge actions by the tables as they are proposed; raises MemberError."""
    for number, one in enumerate(planned, 1):
        try:
            one.action.check_tables(one.args, view)
        except MemberError as error:
            raise MemberError(f"action {number} ({one.action.name}): {error}") from error


def carry_out(planned: Sequence[Planned], decision: Decision) -> None:
    """Carry the actions out in order; raises MemberError when one cannot be, and then none counts."""
    run: Callable[[Mapping[str, Any], Decision], None]
    for number, one in enumerate(planned, 1):
        run = one.action.apply
        try:
            run(one.args, decision)
        except (MemberError, AttestationError) as error:
            raise MemberError(f"action {number} ({one.action.name}): {error}") from error
