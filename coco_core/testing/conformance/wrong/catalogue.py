"""Wrong adapters, each with the standard tests that must fail on it, and no others.

Each is Tally with one mistake that authors make. Must not be used for anything but to try the kit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs

from coco_core.adapter import AdapterPlugin, Batch, BatchResult, LedgerAdapter, Outcome, ReadView
from coco_core.testing.conformance.tally import TallyHarness
from coco_core.testing.nemesis.tally_plugin import TallyPlugin
from coco_core.testing.tally import Tally

WrongTally = TypeVar("WrongTally", bound=type[Tally])


@attrs.frozen
class Wrong:
    """One wrong adapter."""

    adapter: type[Tally]
    plugin: type[TallyPlugin]
    fails: frozenset[str]
    """The standard tests that catch it."""


CATALOGUE: Final[dict[str, Wrong]] = {}


def fails(*tests: str, plugin: type[TallyPlugin] = TallyPlugin) -> Callable[[WrongTally], WrongTally]:
    """Enter an adapter into the catalogue: it fails ``tests`` (without ``test_``)."""

    def enter(adapter: WrongTally) -> WrongTally:
        named = frozenset(f"test_{test}" for test in tests)
        CATALOGUE[adapter.__name__] = Wrong(adapter, plugin, named)
        return adapter

    return enter


class WrongHarness(TallyHarness):
    """Tally's samples for a wrong adapter."""

    execute_max_s = 5.0

    def __init__(self, name: str) -> None:
        """Judge the wrong adapter of that name."""
        self._wrong = CATALOGUE[name]
        self.arguments = [name]

    def make(self) -> LedgerAdapter:
        """Return a new wrong adapter."""
        return self._wrong.adapter()

    def plugin(self) -> AdapterPlugin:
        """Return a plugin that makes wrong adapters."""
        return _Plugin(self._wrong)


class _Plugin(TallyPlugin):
    def __init__(self, wrong: Wrong) -> None:
        self._wrong = wrong
        self._as_it_is = wrong.plugin()

    def engines(self) -> Any:
        return self._as_it_is.engines()

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        self._as_it_is.create(engine, settings)
        return self._wrong.adapter()


class Altered(Tally):
    """Tally whose results are altered one by one, or whose payloads are looked at first."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute, then alter."""
        result = await super().execute(batch, view)
        outcomes = [
            self.altered(outcome, request.payload)
            for outcome, request in zip(result.outcomes, batch.requests, strict=True)
        ]
        return self.closed(BatchResult(outcomes, result.closing), batch, view)

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Return what becomes of one outcome."""
        del payload
        return outcome

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Return what becomes of the whole result."""
        del batch, view
        return result
