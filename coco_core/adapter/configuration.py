"""What a consortium may set of a ledger while it runs: fields that a manifest names, and checks of values.

A manifest is recorded in the ledger, so whoever executes a proposal, and whoever audits it later, judges
values alike without the adapter. Values only; how they are decided on is governance's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.wire.values import typed

Value = int | str | bool

_TYPES: Final[Mapping[str, type[Value]]] = {"integer": int, "text": str, "hashes": str, "boolean": bool}
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")


@attrs.frozen(kw_only=True)
class ConfigurationField:
    """One thing a consortium may set of a ledger."""

    name: str
    kind: str
    """``integer``, ``text``, ``boolean``, or ``hashes``: a text of SHA-256 in hex with spaces between."""
    description: str
    """One line for members: what it does, and what holds while it is not set."""
    minimum: int = 0
    """Of an integer; the least length of a text."""
    maximum: int = 2**53 - 1
    """Of an integer; the greatest length of a text."""

    def check(self, value: Any) -> None:
        """Raise ValueError unless ``value`` may be set."""
        if type(value) is not _TYPES.get(self.kind):
            raise ValueError(f"{self.name!r} must be {self.kind}")
        if isinstance(value, bool):
            return
        measured, what = (value, "") if isinstance(value, int) else (len(value), " characters")
        if not self.minimum <= measured <= self.maximum:
            raise ValueError(f"{self.name!r} must be {self.minimum} to {self.maximum}{what}")
        if self.kind == "hashes" and isinstance(value, str):
            wrong = next((word for word in value.split() if not _HASH.fullmatch(word)), None)
            if wrong is not None:
                raise ValueError(
                    f"{self.name!r} must be hashes of 64 hex digits, spaces between: {wrong[:80]!r} is none"
                )


def check_configuration(fields: Sequence[ConfigurationField], values: Mapping[str, Any]) -> None:
    """Raise ValueError unless ``values`` are for some of ``fields``, each within its bounds."""
    known = {field.name: field for field in fields}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"there is no {name[:64]!r}; there are {', '.join(sorted(known)) or 'none'}")
        known[name].check(value)


def read_fields(value: Any) -> tuple[ConfigurationField, ...]:
    """Read fields as a manifest's JSON form holds them; raises ValueError, KeyError or TypeError."""
    fields = tuple(
        ConfigurationField(
            name=typed(each["name"], str),
            kind=typed(each["kind"], str),
            description=typed(each["description"], str),
            minimum=typed(each["minimum"], int),
            maximum=typed(each["maximum"], int),
        )
        for each in value
    )
    check_fields(fields)
    return fields


def check_fields(fields: Sequence[ConfigurationField]) -> None:
    """Raise ValueError for fields no manifest may have: a name twice, an unknown kind."""
    if len({field.name for field in fields}) < len(fields):
        raise ValueError("a configuration field is named twice")
    for field in fields:
        if field.kind not in _TYPES:
            raise ValueError(f"configuration field {field.name!r} is of kind {field.kind!r}")
