"""What a mutant is: one or two functions replaced in memory, and put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import attrs

Change = tuple[Any, Any, Any]
"""Owner, name of an attribute (or key of a dict), and what is put there instead."""


@contextmanager
def replaced(changes: Sequence[Change]) -> Iterator[None]:
    """Make ``changes`` for as long as the context lasts."""
    before = [owner[name] if isinstance(owner, dict) else vars(owner)[name] for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            _put(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(changes, before, strict=True):
            _put(owner, name, value)


@attrs.frozen(kw_only=True)
class Mutant:
    """One deliberate bug, which must be caught within ``seeds_max`` worlds."""

    name: str
    breaks: str
    """The law it breaks, in a few words."""
    changes: Sequence[Change]
    seeds_max: int

    def applied(self) -> AbstractContextManager[None]:
        """Put the bug in for as long as the context lasts."""
        return replaced(self.changes)


def _put(owner: Any, name: Any, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)
