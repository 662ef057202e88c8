"""Whether a history of operations could have happened one at a time: a linearizability checker.

The algorithm is Wing and Gong's search ("Testing and Verifying Concurrent Objects", 1993) with Lowe's
memory of configurations visited ("Testing for linearizability", 2017), applied to each counter alone,
which is enough because linearizability is local (Herlihy and Wing, 1990; called P-compositionality by
Horn and Kroening, 2015, whose combination Porcupine and Knossos use too).

The object is a counter with one operation, *add and return the total*; adding nothing reads. A
configuration is the set of operations taken, for the total follows from it. Where the ledger says an
operation took effect decides only what is tried first, never what is accepted. Knows numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from coco_core.testing.violation import ViolationError

CONFIGURATIONS_MAX = 200_000
"""Configurations visited before the checker gives up on one counter."""


@attrs.frozen(slots=True)
class Operation:
    """One call: ``returned`` is None when its end is unknown, ``total`` when its result is."""

    amount: int
    called: int
    returned: int | None
    total: int | None
    place: int | None = None
    """Where its ledger says that it took effect."""


def check_linearizable(operations: Sequence[Operation], start: int, name: str) -> None:
    """Raise ViolationError unless ``operations`` on one counter, at ``start`` first, are linearizable.

    An operation that never returned may have happened at any time after its call, or not at all.
    Raises too when that cannot be decided within ``CONFIGURATIONS_MAX``.
    """
    ordered = sorted(operations, key=lambda one: one.called)
    required = 0
    for at, one in enumerate(ordered):
        if one.returned is not None:
            required |= 1 << at
    visited: set[int] = set()
    stack: list[tuple[int, int]] = [(0, start)]
    while stack:
        taken, total = stack.pop()
        if taken & required == required:
            return
        if taken in visited:
            continue
        if len(visited) >= CONFIGURATIONS_MAX:
            raise ViolationError("linearizability", f"counter {name}: undecided after {len(visited)} steps")
        visited.add(taken)
        stack += _next(ordered, taken, total)
    raise ViolationError(
        "linearizability",
        f"no order of {len(ordered)} operations on counter {name} explains what clients were told",
    )


def _next(ordered: Sequence[Operation], taken: int, total: int) -> list[tuple[int, int]]:
    """Return the configurations reachable by an operation that no untaken one returned before."""
    # Everything below the lowest untaken operation is taken, so the scan starts there.
    first = (~taken & (taken + 1)).bit_length() - 1
    earliest: int | None = None
    for at in range(first, len(ordered)):
        one = ordered[at]
        if earliest is not None and one.called > earliest:
            break
        if not taken >> at & 1 and one.returned is not None:
            earliest = one.returned if earliest is None else min(earliest, one.returned)
    reachable: list[tuple[float, int, int]] = []
    for at in range(first, len(ordered)):
        one = ordered[at]
        if earliest is not None and one.called > earliest:
            break
        after = total + one.amount
        if not taken >> at & 1 and one.total in (None, after):
            place = math.inf if one.place is None else one.place
            reachable.append((place, taken | 1 << at, after))
    # The last one is tried first.
    return [(further, after) for _, further, after in sorted(reachable, reverse=True)]
