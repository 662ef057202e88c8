"""From what the operator asked for to a workload."""

from __future__ import annotations

from typing import Final

from eth_hash.auto import keccak

from coco_core.adapter import Workload, WorkloadOptions
from coco_core.errors import OperatorError
from coco_ethereum import engines
from coco_ethereum.shell import read_recording
from coco_ethereum.workloads.contracts import Keccak
from coco_ethereum.workloads.generated import MIXES, GeneratedWorkload
from coco_ethereum.workloads.recorded import RecordedWorkload

RECORDED: Final = "recorded"
KINDS: Final = (*MIXES, RECORDED)
"""Every kind ``WorkloadOptions.kind`` may name; the default is ``recorded`` with data, else DEFAULT."""

DEFAULT: Final = "mixed"
TRANSACTIONS_DEFAULT: Final = 10_000


def make_workload(options: WorkloadOptions) -> Workload:
    """Return the workload asked for; it names no engine, so any may run it. Raises OperatorError."""
    if options.arguments:
        raise OperatorError(f"workloads of ethereum have no argument {min(options.arguments)!r}")
    kind = options.kind or (RECORDED if options.data else DEFAULT)
    if kind == RECORDED:
        if not options.data:
            raise OperatorError("workload 'recorded' needs a folder with recorded transactions")
        return RecordedWorkload(read_recording(options.data), options.transactions, options.warm_up or 0)
    if kind not in MIXES:
        raise OperatorError(f"no workload is called {kind!r}; known are {', '.join(KINDS)}")
    if options.data:
        raise OperatorError(f"workload {kind!r} is generated; only 'recorded' reads a folder")
    count = options.transactions or TRANSACTIONS_DEFAULT
    if count < 1:
        raise OperatorError(f"a workload of {count} transactions")
    warm_up = options.warm_up or 0
    return GeneratedWorkload(kind, warm_up + count, options.seed, _keccak(), warm_up)


def _keccak() -> Keccak:
    """Return the fastest Keccak-256 there is: signing a transaction takes two."""
    return engines.load(engines.available()[0].name).keccak256 if engines.available() else keccak
