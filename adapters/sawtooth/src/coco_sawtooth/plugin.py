"""The pluggy hook that registers this adapter, and the plugin it registers."""

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
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.development import development_ledger
from coco_sawtooth.execution import Nobody
from coco_sawtooth.identity import NAME, VERSION


class SawtoothPlugin:
    """What the Sawtooth distribution offers to the framework."""

    @property
    def name(self) -> str:
        """The adapter's name."""
        return NAME

    @property
    def version(self) -> str:
        """The distribution's version."""
        return VERSION

    @property
    def api(self) -> int:
        """The contract version it is written for."""
        return API

    def engines(self) -> Sequence[EngineInfo]:
        """Return none: processors execute, and which ones is nobody's choice at genesis."""
        return []

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter. Raises OperatorError for any engine and any setting: there are none."""
        if engine:
            raise OperatorError(f"{NAME} has no engine {engine!r}: transaction processors execute")
        if settings:
            raise OperatorError(f"{NAME} has no setting {min(settings)!r}")
        return SawtoothAdapter(Nobody())

    def development(self) -> DevelopmentLedger:
        """Return a genesis for development; its keys are public."""
        return development_ledger()

    def workload(self, options: WorkloadOptions) -> Workload:
        """Raise OperatorError: there is no load of its own."""
        raise OperatorError(f"{NAME} brings no load (asked for {options.kind or 'the default'!r})")


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register the Sawtooth adapter."""
    register(SawtoothPlugin())
