"""How the framework finds the ledger: the entry point in ``pyproject.toml`` names this module.

Importing it must stay cheap: ``coco adapters list`` imports every installed plugin.
"""

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

from coco_tally.adapter import NAME, VERSION, TallyAdapter


class TallyPlugin:
    """What this distribution offers to the framework."""

    name = NAME
    version = VERSION
    api = API

    def engines(self) -> Sequence[EngineInfo]:
        """Return nothing: there is no choice of what executes."""
        return ()

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter; raises OperatorError for an engine or a setting: there are none."""
        if engine:
            raise OperatorError(f"{NAME} has no engine {engine!r}: it has none to choose from")
        if settings:
            raise OperatorError(f"{NAME} has no setting {min(settings)!r}: it has none")
        return TallyAdapter()

    def development(self) -> DevelopmentLedger:
        """Return a genesis to develop against, and what ``coco up`` tells whoever does."""
        return DevelopmentLedger(
            config={"counters": {}}, notes=(f"{NAME}: POST a line, add ID COUNTER NUMBER",), details={}
        )

    def workload(self, options: WorkloadOptions) -> Workload:
        """Offer no load for ``coco bench``; raises OperatorError."""
        raise OperatorError(f"{NAME} offers no workload (asked for {options.kind or 'the default'})")


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register this ledger."""
    register(TallyPlugin())
