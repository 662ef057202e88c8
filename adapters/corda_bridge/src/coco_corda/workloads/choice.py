"""From what the operator asked for to a workload."""

from __future__ import annotations

from typing import Any, Final

from coco_corda.identity import NAME
from coco_corda.shell import find_launch
from coco_corda.shell.samples import SAMPLES_MAX
from coco_corda.workloads.cash import CashWorkload
from coco_corda.workloads.samples import CASH, MOVES, find_samples
from coco_core.adapter import WorkloadOptions
from coco_core.errors import OperatorError

KINDS: Final = (MOVES, CASH)
"""Every kind ``WorkloadOptions.kind`` may name, the default first."""
TRANSACTIONS_DEFAULT: Final = 3_000
WARM_UP_DEFAULT: Final = 5_000
"""A JVM compiles what it runs over its first ten thousand transactions: most of that is done then."""
VERIFY_SECONDS: Final = 60
"""Much for one transaction: the machine is busy, and nothing here is hostile."""


def make_workload(options: WorkloadOptions) -> CashWorkload:
    """Return the workload asked for. Raises OperatorError, also where there is no JVM worker or no Corda.

    Arguments are settings of every node (``shell.find_launch``). Transactions are the same in every run,
    whatever the seed; they are made the first time that so many are wanted, which takes a minute for 8 000.
    They move SAMPLES_MAX states at most.
    """
    kind = options.kind or KINDS[0]
    if kind not in KINDS:
        raise OperatorError(f"no workload of {NAME} is called {kind!r}; known are {', '.join(KINDS)}")
    if options.data:
        raise OperatorError(f"workload {kind!r} is made here; it reads no folder")
    count = options.transactions or TRANSACTIONS_DEFAULT
    warm_up = WARM_UP_DEFAULT if options.warm_up is None else options.warm_up
    if count < 1 or warm_up < 0:
        raise OperatorError(f"a workload of {count} transactions after {warm_up}")
    numbered = CashWorkload.numbered(kind, warm_up + count, warm_up)
    if numbered > SAMPLES_MAX:
        raise OperatorError(
            f"a workload of {count} transactions after {warm_up} takes {numbered} states,"
            f" {SAMPLES_MAX} at most"
        )
    settings = _settings(options)
    launch = find_launch(settings)
    if isinstance(launch, str):
        raise OperatorError(launch)
    samples = find_samples(numbered, kind)
    if isinstance(samples, str):
        raise OperatorError(samples)
    return CashWorkload(samples, kind, warm_up + count, warm_up, settings)


def _settings(options: WorkloadOptions) -> dict[str, Any]:
    """Return settings of nodes, as they are typed there; what they hold is checked where they are read."""
    seconds = options.arguments.get("verify_seconds", str(VERIFY_SECONDS))
    is_number = seconds.isascii() and seconds.isdigit()
    return {**options.arguments, "verify_seconds": int(seconds[:9]) if is_number else seconds}
