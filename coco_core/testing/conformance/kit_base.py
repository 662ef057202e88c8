"""What every part of the kit builds on: the harness, judged pipelines, references to compare with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import attrs

from coco_core.adapter import Applied, BatchResult, Deferred, Outcome, Rejected, Writes, merge
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.marking import Nonconformity, expect
from coco_core.testing.conformance.notes import Kind, Notes
from coco_core.testing.conformance.pipeline import Pipeline, written
from coco_core.testing.conformance.survey import Survey, take_survey

_TURNS_MAX = 200


@attrs.frozen
class Executed:
    """A batch executed to its end, what was deferred in further turns, and what users would see then."""

    outcomes: Sequence[Outcome]
    entries: Sequence[Writes]
    seen: Any


class KitBase:
    """Common to all parts of the kit."""

    harness: ClassVar[LedgerHarness]
    """The ledger under test; a subclass sets it."""
    every_nth_point: ClassVar[int] = 1
    """At how many of all points the tests of crashes break something; 1 for all."""

    _surveys: ClassVar[dict[type, Survey]] = {}
    _references: ClassVar[dict[tuple[type, tuple[bytes, ...]], Any]] = {}

    async def survey(self) -> Survey:
        """Return what the adapter did on a single node; made once for each class of tests."""
        if type(self) not in self._surveys:
            self._surveys[type(self)] = await take_survey(self.harness)
        return self._surveys[type(self)]

    async def expect_none(self, kind: Kind, mend: str) -> None:
        """Raise Nonconformity if the survey shows a fault of this kind."""
        found = (await self.survey()).notes.of(kind)
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        expect(not found, f"the adapter {kind}: {shown}. {mend}")

    @asynccontextmanager
    async def pipeline(self, nodes: int, **options: Any) -> AsyncIterator[Pipeline]:
        """Open a pipeline; faults that no other test tells of already are told at its end."""
        notes = Notes()
        async with Pipeline.open(self.harness, nodes, notes=notes, **options) as pipeline:
            yield pipeline
        if notes.faults:
            told = (await self.survey()).notes.kinds
            expect_no_more = [f"{kind}: {text}" for kind, text in notes.faults if kind not in told]
            expect(not expect_no_more, f"the adapter {'; '.join(expect_no_more[:5])}")

    async def reference(self, *payloads: bytes) -> Any:
        """Return what users see once each of ``payloads`` was applied, one at a time, on a node alone."""
        key = type(self), payloads
        if key not in self._references:
            async with Pipeline.open(self.harness, 1) as pipeline:
                for payload in payloads:
                    await pipeline.send(payload)
                self._references[key] = pipeline.observe()
        return self._references[key]

    async def executed(
        self, pipeline: Pipeline, *payloads: bytes, at: ClusterNode | None = None, adapter: Any = None
    ) -> Executed:
        """Execute a batch that is never committed, and what it defers, turn by turn."""
        outcomes: list[Outcome | None] = [None] * len(payloads)
        entries: list[Writes] = []
        over: Writes = {}
        left = list(range(len(payloads)))
        node = at if at is not None else pipeline.cluster.primary
        for _ in range(_TURNS_MAX):
            result = await pipeline.aside(*(payloads[n] for n in left), at=node, adapter=adapter, over=over)
            for number, outcome in zip(left, result.outcomes, strict=True):
                outcomes[number] = outcome
            for entry in written(result):
                entries.append(entry)
                merge(over, entry)
            left = [number for number in left if isinstance(outcomes[number], Deferred)]
            if not left:
                view = pipeline.scoped(node.replica.chain.store.head().over(over))
                decided = [one for one in outcomes if one is not None]
                return Executed(decided, entries, self.harness.observe(view))
        raise Nonconformity(f"requests were deferred again and again, {_TURNS_MAX} times")

    def expect_seen(self, seen: Any, wanted: Any, when: str) -> None:
        """Raise Nonconformity unless users see what they should."""
        expect(seen == wanted, f"{when}: users see {_short(seen)} where they should see {_short(wanted)}")

    @property
    def refused(self) -> list[bytes]:
        """Payloads of which none may ever be applied."""
        return [self.harness.rejected(0), *self.harness.malformed(), b"", self.harness.rejected(1)]


def same_results(one: BatchResult, other: BatchResult) -> str:
    """Return the first difference of two results; empty when they are equal, byte for byte."""
    for number, (mine, theirs) in enumerate(zip(one.outcomes, other.outcomes, strict=True)):
        if type(mine) is not type(theirs):
            return f"request {number} is {type(mine).__name__} here and {type(theirs).__name__} there"
        if isinstance(mine, Applied) and isinstance(theirs, Applied):
            what = _applied_difference(mine, theirs)
            if what:
                return f"{what} of request {number}"
        elif isinstance(mine, Rejected) and mine != theirs:
            return f"the rejection of request {number}: {mine!r:.120} and {theirs!r:.120}"
    return "closing writes" if one.closing != other.closing else ""


def _applied_difference(mine: Applied, theirs: Applied) -> str:
    names = sorted({*mine.writes, *theirs.writes})
    for name in names:
        if mine.writes.get(name) != theirs.writes.get(name):
            return f"writes to {name}"
    return (
        "the receipt" if mine.receipt != theirs.receipt else "claims" if mine.claims != theirs.claims else ""
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}…"
