"""Simulated platforms that make evidence in the real formats, under roots made in each run.

Only tests and demonstrations import this: a production policy names none of these roots.
"""

from coco_enclave.testing.sim_sgx import Enclave, SimulatedIntel, TrustDomain

__all__ = ["Enclave", "SimulatedIntel", "TrustDomain"]
