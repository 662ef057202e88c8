"""Load for benchmarks: integer-key transactions, executed by processors that know nothing of Coco."""

from coco_sawtooth.workloads.choice import make_workload
from coco_sawtooth.workloads.intkey import FAMILY, NAMESPACE, IntkeyWorkload, intkey_address, intkey_payload

__all__ = ["FAMILY", "IntkeyWorkload", "NAMESPACE", "intkey_address", "intkey_payload", "make_workload"]
