"""What an action is, and checks of arguments that many of them share. Knows no table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from coco_core.base import limits
from coco_core.errors import MemberError
from coco_core.governance.decision import Decision
from coco_core.governance.validity import Validity, read_start, validity_of
from coco_core.kv import View

Args = Mapping[str, Any]

_DIGEST: Final = re.compile("[0-9a-f]{64}")


def _nothing_more(_args: Args) -> None:
    """There is nothing to check but the names of the arguments."""


def _nothing_there(_args: Args, _view: View) -> None:
    """There is nothing that the tables tell as it is proposed."""


@attrs.frozen(kw_only=True)
class Action:
    """One kind of change that a proposal can ask for."""

    name: str
    apply: Callable[[Args, Decision], None]
    check: Callable[[Args], None] = _nothing_more
    check_tables: Callable[[Args, View], None] = _nothing_there
    """Of a proposal that is made: what the tables tell is wrong, and no other proposal is likely to mend."""
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    @property
    def fields(self) -> frozenset[str]:
        """Every argument it knows."""
        return self.required | self.optional


def check_digest(value: Any, what: str) -> str:
    """Return an ID or measurement of 64 hex digits; raises MemberError for anything else."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value
    raise MemberError(f"{what} must be 64 lower-case hex digits")


def check_text(value: Any, what: str, most: int = 256) -> str:
    """Return a text of 1 to ``most`` characters; raises MemberError for anything else."""
    if isinstance(value, str) and 0 < len(value) <= most:
        return value
    raise MemberError(f"{what} must be a text of at most {most} characters")


def check_count(value: Any, what: str, least: int, most: int) -> int:
    """Return a whole number within bounds; raises MemberError for anything else."""
    if type(value) is int and least <= value <= most:
        return value
    raise MemberError(f"{what} must be a whole number from {least} to {most}")


def check_validity(args: Args) -> None:
    """Check the arguments that say how long a certificate is to be valid; raises MemberError."""
    read_validity(args, limits.CERTIFICATE_VALIDITY_DAYS_MAX)


def read_validity(args: Args, maximum_days: int) -> Validity:
    """Return how long a certificate is to be valid; raises MemberError when that is too long."""
    days = args.get("validity_period_days")
    if days is not None:
        check_count(days, "'validity_period_days'", 1, limits.CERTIFICATE_VALIDITY_DAYS_MAX)
    return validity_of(read_start(args["valid_from"]), days, maximum_days)
