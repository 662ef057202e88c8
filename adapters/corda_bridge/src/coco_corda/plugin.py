"""The pluggy hook that registers this adapter, and the plugin it registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coco_corda.adapter import CordaAdapter
from coco_corda.development import development_ledger
from coco_corda.front import FrontEnd
from coco_corda.identity import NAME, VERSION
from coco_corda.shell import Clock, Keeper, Workers, find_launch
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


class CordaPlugin:
    """What the Corda distribution offers to the framework."""

    name = NAME
    version = VERSION
    api = API

    def engines(self) -> Sequence[EngineInfo]:
        """Return none: which Corda verifies is the worker's choice, the same for every node of one build."""
        return []

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter. Raises OperatorError for an unknown or bad setting and for any engine.

        The settings are those of ``shell.find_launch``. A node without a JVM follows as any other; as long as
        it leads, it refuses everything and says why.
        """
        if engine:
            raise OperatorError(f"{NAME} has no engine {engine!r}: a JVM worker verifies")
        return adapter(Workers(find_launch(settings)))

    def development(self) -> DevelopmentLedger:
        """Return a genesis for development; its keys are public."""
        return development_ledger()

    def workload(self, options: WorkloadOptions) -> Workload:
        """Return load for benchmarks. Raises OperatorError where there is no JVM to run or to make it."""
        # A node in production makes no load, and holds no code that starts a compiler and writes files.
        from coco_corda.workloads import make_workload

        return make_workload(options)


def adapter(workers: Workers, *, keeps: bool = True) -> CordaAdapter:
    """Return an adapter on ``workers``; unless it ``keeps`` them, others share them and end them."""
    front = FrontEnd(workers, Clock(), runs=workers.described)
    return CordaAdapter(workers, [front, Keeper(workers)] if keeps else [front])


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register the Corda adapter."""
    register(CordaPlugin())
