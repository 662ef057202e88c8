"""From what the operator asked for to a workload."""

from __future__ import annotations

from typing import Final

from coco_core.adapter import Workload, WorkloadOptions
from coco_core.errors import OperatorError
from coco_sawtooth.development import NODES, processors_endpoint
from coco_sawtooth.identity import NAME
from coco_sawtooth.shell.ports import drawn_ports
from coco_sawtooth.shell.processes import PYTHON, find_processor
from coco_sawtooth.workloads.intkey import IntkeyWorkload

KIND: Final = "intkey"
TRANSACTIONS_DEFAULT: Final = 4_000
WARM_UP_DEFAULT: Final = 500
"""Processors connect and register meanwhile."""
PROCESSORS_MAX: Final = 64
DIGITS_MAX: Final = 9
ARGUMENTS: Final = frozenset(("processor", "processors", "sdk"))


def make_workload(options: WorkloadOptions) -> Workload:
    """Return the workload asked for. Raises OperatorError, also when there is no processor to execute it.

    Arguments: ``sdk`` says whose of this checkout's example processors, ``python`` or ``javascript``;
    ``processor`` is the command of another one of the family, with ``{endpoint}`` where it takes what to
    connect to; ``processors`` is how many of them come to each node.
    """
    if options.kind not in ("", KIND):
        raise OperatorError(f"no workload of {NAME} is called {options.kind!r}; known is {KIND}")
    if options.data:
        raise OperatorError(f"workload {KIND!r} is generated; it reads no folder")
    told = options.arguments
    for name in told:
        if name not in ARGUMENTS:
            raise OperatorError(f"workload {KIND!r} has no argument {name!r}; {', '.join(sorted(ARGUMENTS))}")
    processor, sdk = told.get("processor", ""), told.get("sdk", "")
    if processor and sdk:
        raise OperatorError(f"sdk={sdk} beside processor={processor}: one of the two says what to start")
    count = options.transactions or TRANSACTIONS_DEFAULT
    warm_up = WARM_UP_DEFAULT if options.warm_up is None else options.warm_up
    if count < 1 or warm_up < 0:
        raise OperatorError(f"a workload of {count} transactions after {warm_up}")
    return IntkeyWorkload(
        count=warm_up + count,
        warm_up=warm_up,
        seed=options.seed,
        processor=find_processor(processor, sdk or PYTHON),
        processors=_processors(told.get("processors", "1")),
        endpoints=[processors_endpoint(0, port) for port in drawn_ports(NODES)],
    )


def _processors(told: str) -> int:
    # Bounded before it is read: Python refuses to read thousands of digits.
    number = int(told) if told.isascii() and told.isdigit() and len(told) <= DIGITS_MAX else 0
    if not 1 <= number <= PROCESSORS_MAX:
        raise OperatorError(f"processors={told[:80]}: expected a whole number to {PROCESSORS_MAX}")
    return number
