"""How an adapter is found: one pluggy hook that only registers, and the plugin it registers.

*Installed is not enabled*: discovery lists plugins, a network runs only those its genesis names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import pluggy

from coco_core.adapter.contract import LedgerAdapter
from coco_core.adapter.workload import DevelopmentLedger, Workload, WorkloadOptions

PROJECT: Final = "coco"
ENTRY_POINT_GROUP: Final = "coco.adapters"
HARNESS_GROUP: Final = "coco.adapter_harnesses"
"""Entry points of this group name an adapter's harness for the conformance kit, as ``module:Class``."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@attrs.frozen(kw_only=True)
class EngineInfo:
    """An execution engine an adapter can use here, or why it cannot."""

    name: str
    version: str = ""
    unavailable: str = ""
    """Empty when usable, else one line that says what is missing and how to get it."""


class AdapterPlugin(Protocol):
    """What an adapter distribution registers."""

    @property
    def name(self) -> str:
        """The adapter's name, as genesis and the command line use it."""
        ...

    @property
    def version(self) -> str:
        """The distribution's version."""
        ...

    @property
    def api(self) -> int:
        """The contract version it was written for (coco_core.adapter.API)."""
        ...

    def engines(self) -> Sequence[EngineInfo]:
        """Return the engines it knows, the default first; must not raise when one is missing."""
        ...

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter using ``engine`` ("" = default), independent of others in this process.

        ``settings`` are for this node alone, as its operator wrote them (where to listen for what the ledger
        executes with, say), empty for the defaults; what all nodes must agree on belongs into genesis or
        the consortium's configuration. Raises OperatorError for an unusable engine, an unknown setting, or a
        bad one, naming it.
        """
        ...

    def development(self) -> DevelopmentLedger:
        """Return a genesis for development, with what a person needs to use it."""
        ...

    def workload(self, options: WorkloadOptions) -> Workload:
        """Return load for benchmarks. Raises OperatorError when its data is absent or malformed."""
        ...


@hookspec
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Call ``register`` once for every adapter this distribution brings."""
