"""Positional arguments of one call, each read once and named by position when it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from coco_ethereum.rpc.errors import invalid_params

T = TypeVar("T")


class Params:
    """The ``params`` member of a request."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[object]) -> None:
        """Hold the values as parsed from JSON."""
        self._values = values

    def bounds(self, least: int, most: int) -> None:
        """Refuse too few or too many arguments (RPCError -32602, geth's wording)."""
        count = len(self._values)
        if count < least:
            raise invalid_params(f"missing value for required argument {count}")
        if count > most:
            raise invalid_params(f"too many arguments, want at most {most}")

    def at(self, position: int, read: Callable[[object], T]) -> T:
        """Return a required argument; ``read`` raises ValueError for a wrong one."""
        value = self._values[position] if position < len(self._values) else None
        if value is None:
            raise invalid_params(f"missing value for required argument {position}")
        return self._read(position, value, read)

    def optional(self, position: int, read: Callable[[object], T], default: T) -> T:
        """Return an argument that may be absent or null."""
        value = self._values[position] if position < len(self._values) else None
        return default if value is None else self._read(position, value, read)

    def plain(self, position: int, read: Callable[[object], T]) -> T:
        """Return a required argument whose reader words its errors completely."""
        value = self._values[position] if position < len(self._values) else None
        if value is None:
            raise invalid_params(f"missing value for required argument {position}")
        try:
            return read(value)
        except ValueError as error:
            raise invalid_params(str(error)) from error

    def absent(self, position: int) -> bool:
        """Tell whether an argument was not given, is null or is an empty table."""
        return position >= len(self._values) or self._values[position] in (None, {})

    def _read(self, position: int, value: object, read: Callable[[object], T]) -> T:
        try:
            return read(value)
        except ValueError as error:
            raise invalid_params(f"invalid argument {position}: {error}") from error
