"""The pluggy hook that registers this adapter, and the plugin it registers.

Importing it must stay cheap: engines are loaded when an adapter is created, not when plugins are
listed.
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
from coco_ethereum import engines
from coco_ethereum.adapter import EthereumAdapter
from coco_ethereum.development import development_ledger
from coco_ethereum.identity import NAME, VERSION
from coco_ethereum.workloads import make_workload


class EthereumPlugin:
    """What the Ethereum distribution offers to the framework."""

    name = NAME
    version = VERSION
    api = API

    def engines(self) -> Sequence[EngineInfo]:
        """Return the engines it knows, usable ones first, so that the first is the default."""
        found = [_engine_info(each) for each in engines.ENGINES]
        return sorted(found, key=lambda info: bool(info.unavailable))

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter on ``engine`` ("" = default).

        Raises OperatorError for an unusable engine and for any setting: there are none.
        """
        if settings:
            raise OperatorError(f"ethereum has no setting {min(settings)!r}: it has none")
        return EthereumAdapter(engines.load(engine or _default_engine()))

    def development(self) -> DevelopmentLedger:
        """Return a genesis for development; its accounts' keys are public."""
        return development_ledger()

    def workload(self, options: WorkloadOptions) -> Workload:
        """Return load for benchmarks. Raises OperatorError when its data is absent or malformed."""
        return make_workload(options)


def _default_engine() -> str:
    usable = engines.available()
    if not usable:
        raise OperatorError("no EVM engine is installed: from a checkout, pip install ./adapters/ethereum")
    return usable[0].name


def _engine_info(known: engines.EngineInfo) -> EngineInfo:
    if not known.installed:
        return EngineInfo(name=known.name, unavailable=f"not installed: pip install '{known.install}'")
    return EngineInfo(name=known.name, version=engines.load(known.name).version)


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register the Ethereum adapter."""
    register(EthereumPlugin())
