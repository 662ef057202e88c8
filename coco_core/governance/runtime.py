"""What governance asks of whatever evaluates constitutions and ballots. Must not know who does, or where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""A value as JSON has it."""


class Runtime(Protocol):
    """Evaluates members' Starlark texts within the bounds of ``limits.SCRIPT_…``.

    Texts are hostile until evaluated. Both raise ScriptError, and a text that fails changes nothing: each
    call evaluates it from its first line on, so nothing is remembered between calls.
    """

    async def check(self, source: str, functions: Sequence[str]) -> None:
        """Raise ScriptError unless ``source`` can be evaluated and defines all of ``functions``."""
        ...

    async def call(
        self, source: str, function: str, args: Sequence[JSON], service: JSON | None = None
    ) -> JSON:
        """Return what ``function`` of ``source`` returns for ``args``.

        The text sees ``service`` as a frozen global of this name, an empty dict when there is none.
        """
        ...
