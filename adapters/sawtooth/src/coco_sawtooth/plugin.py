"""The pluggy hook that registers this adapter, and the plugin it registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

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
from coco_sawtooth import fields
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.development import NODES, PROCESSORS_ENDPOINT, PROCESSORS_PORT, development_ledger
from coco_sawtooth.identity import NAME, VERSION
from coco_sawtooth.limits import PROCESSOR_SECONDS_MAX
from coco_sawtooth.processors import Policy, checked_endpoint
from coco_sawtooth.shell.connections import Connections
from coco_sawtooth.shell.ports import free_ports
from coco_sawtooth.workloads import make_workload

_SETTINGS: Final = frozenset(("processors", "processors_anywhere", "processor_seconds"))


class SawtoothPlugin:
    """What the Sawtooth distribution offers to the framework."""

    name = NAME
    version = VERSION
    api = API

    def engines(self) -> Sequence[EngineInfo]:
        """Return none: processors execute, and which ones is nobody's choice at genesis."""
        return []

    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        """Return a new adapter. Raises OperatorError for an unknown or bad setting and for any engine.

        ``processors`` is where this node listens for transaction processors and for clients of that socket:
        ``tcp://ADDRESS:PORT`` or ``ipc://PATH``. An address that others reach takes
        ``processors_anywhere: true``, for whoever connects there is trusted with everything.
        ``processor_seconds`` is how long a processor may take for one transaction (``processors.Policy``).
        """
        if engine:
            raise OperatorError(f"{NAME} has no engine {engine!r}: transaction processors execute")
        fields.only(settings, _SETTINGS, NAME)
        endpoint = settings.get("processors", PROCESSORS_ENDPOINT)
        anywhere = settings.get("processors_anywhere", False)
        if not isinstance(endpoint, str) or not isinstance(anywhere, bool):
            raise OperatorError(f"{NAME}: processors is a text, processors_anywhere true or false")
        seconds = settings.get("processor_seconds")
        if seconds is not None and (type(seconds) is not int or not 1 <= seconds <= PROCESSOR_SECONDS_MAX):
            raise OperatorError(
                f"{NAME}.processor_seconds: expected a whole number to {PROCESSOR_SECONDS_MAX}"
            )
        checked = CheckedBatches()
        policy = Policy() if seconds is None else Policy(process_ms=seconds * 1_000)
        connections = Connections(checked_endpoint(endpoint, anywhere=anywhere), checked, policy)
        return SawtoothAdapter(connections, [connections], checked)

    def development(self) -> DevelopmentLedger:
        """Return a genesis for development; its keys are public.

        Where processors look by default another network on this machine may listen: then this does elsewhere.
        """
        return development_ledger(free_ports(PROCESSORS_PORT, NODES))

    def workload(self, options: WorkloadOptions) -> Workload:
        """Return load for benchmarks, with processors. Raises OperatorError where there is none of these."""
        return make_workload(options)


@hookimpl
def coco_register_adapters(register: Callable[[AdapterPlugin], None]) -> None:
    """Register the Sawtooth adapter."""
    register(SawtoothPlugin())
