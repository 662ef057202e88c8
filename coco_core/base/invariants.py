"""Checks of our own reasoning. They stay on under ``python -O`` and are never caught."""

from typing import Never


class BrokenInvariantError(BaseException):
    """Our own code is wrong; not an Exception, so that no handler swallows it."""


def invariant(condition: object, message: str) -> None:
    """Raise BrokenInvariantError(message) unless ``condition`` holds."""
    if not condition:
        raise BrokenInvariantError(message)


def unreachable(message: str) -> Never:
    """Mark a place that a correct program never reaches."""
    raise BrokenInvariantError(message)
