"""Load for benchmarks: cash of R3's finance contracts, made beforehand by Corda's own code."""

from coco_corda.workloads.cash import CashWorkload
from coco_corda.workloads.choice import KINDS, make_workload
from coco_corda.workloads.samples import ALL, CASH, MOVES, NUMBERED, Samples, find_samples

__all__ = [
    "ALL",
    "CASH",
    "CashWorkload",
    "KINDS",
    "MOVES",
    "NUMBERED",
    "Samples",
    "find_samples",
    "make_workload",
]
