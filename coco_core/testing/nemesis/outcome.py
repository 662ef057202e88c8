"""What a round, and all rounds together, gave: counts, violations, availability; and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from coco_core.testing.nemesis.standing import CALM, WINDOW_S, Share


@attrs.define(kw_only=True)
class Outcome:
    """The figures of one round, or of several added up."""

    faults: Counter[str] = attrs.field(factory=Counter)
    skipped: Counter[str] = attrs.field(factory=Counter)
    operations: int = 0
    acknowledged: int = 0
    attempts: int = 0
    lost: int = 0
    duplicated: int = 0
    entries: int = 0
    """Ledger entries audited, on all nodes."""
    counters: int = 0
    """Histories that have an order that explains them."""
    receipts: int = 0
    archived: int = 0
    """Receipts no node could give any more, because that part of the ledger was archived everywhere."""
    replaced: int = 0
    ended: int = 0
    """Nodes whose processes were ended."""
    availability: dict[str, Share] = attrs.field(factory=dict)
    seconds: float = 0.0
    violations: list[str] = attrs.field(factory=list)

    def add(self, other: Outcome) -> None:
        """Add another round's figures."""
        for field in attrs.fields(Outcome):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            elif isinstance(mine, dict):
                for name, share in theirs.items():
                    mine[name] = mine.get(name, Share()) + share
            else:
                setattr(self, field.name, mine + theirs)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        plain = attrs.asdict(self, recurse=False)
        plain["availability"] = {
            name or "all": {
                "windows": share.windows,
                "with_commit": share.good,
                "longest_gap_s": round(share.longest_s, 1),
            }
            for name, share in self.availability.items()
        }
        return plain


def describe(outcome: Outcome, conditions: Mapping[str, object]) -> list[str]:
    """Return the report as lines to show to a person."""
    lines = [f"{name}: {value}" for name, value in conditions.items()]
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.faults.items()))
    lines.append(f"faults: {sum(outcome.faults.values())} ({faults})")
    if outcome.skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.skipped.items()))
        lines.append(f"faults left out to keep a majority of processes: {kinds}")
    lines += [
        f"nodes ended: {outcome.ended}, replaced: {outcome.replaced}",
        f"operations: {outcome.operations}, acknowledged: {outcome.acknowledged}, sent: {outcome.attempts}",
        f"lost: {outcome.lost}, duplicated: {outcome.duplicated}",
        f"counters whose history is linearizable: {outcome.counters}",
        f"receipts verified offline: {outcome.receipts}, archived: {outcome.archived}",
        f"ledger entries audited, on all nodes: {outcome.entries}",
        f"availability: {WINDOW_S * 1000:.0f} ms windows with a commit, of those with a majority connected",
    ]
    names = ["", CALM, *sorted(outcome.availability.keys() - {"", CALM})]
    lines += [
        f"  {name or 'all':<12} {outcome.availability[name]}"
        for name in names
        if name in outcome.availability
    ]
    lines += [f"VIOLATION: {one}" for one in outcome.violations] or ["no violation"]
    return lines


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group of groups, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error
