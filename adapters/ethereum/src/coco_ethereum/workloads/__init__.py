"""Load for benchmarks: recorded mainnet transactions and generated mixes, each with its own judge."""

from coco_ethereum.workloads.choice import KINDS, make_workload

__all__ = ["KINDS", "make_workload"]
