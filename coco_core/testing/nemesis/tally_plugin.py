"""Tally as a plugin, so that node processes load it like any installed ledger (see ``injected``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coco_core.adapter import (
    API,
    AdapterPlugin,
    DevelopmentLedger,
    EngineInfo,
    LedgerAdapter,
    Workload,
    WorkloadOptions,
    hookimpl,
)
from coco_core.errors import OperatorError
from coco_core.testing.tally import Tally


class TallyPlugin:
    """What a distribution of Tally would offer to the framework."""

    name = "tally"
    version = "1"
    api = API

    def engines(self) -> Sequence[EngineInfo]:
        """Return nothing: there is no choice."""
        return ()

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter; raises OperatorError when an engine, or anything else, is asked for."""
        if settings:
            raise OperatorError(f"tally has no setting {min(settings)!r}: it has none")
        if engine:
            raise OperatorError(f"tally has no engine {engine!r}: it has none to choose from")
        return Tally()

    def development(self) -> DevelopmentLedger:
        """Return a genesis without counters: they come into being when something is added."""
        return DevelopmentLedger(config={"counters": {}}, notes=(), details={})

    def workload(self, options: WorkloadOptions) -> Workload:
        """Offer none: whoever uses this ledger sends its own. Raises OperatorError."""
        raise OperatorError(f"tally offers no workload (asked for {options.kind or 'the default'})")


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register Tally."""
    register(TallyPlugin())
