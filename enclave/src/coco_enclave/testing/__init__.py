"""Simulated platforms that make evidence in the real formats, under roots made in each run.

Only tests and demonstrations import this: a production policy names none of these roots.
"""

from coco_enclave.testing.devices import GramineTree, TsmTree
from coco_enclave.testing.machines import Machine, SimulatedPlatform, make_machine
from coco_enclave.testing.sim_azure import AzureGuest, UvmIssuer, make_uvm_issuer
from coco_enclave.testing.sim_firmware import SimulatedSevGuest, SimulatedVirtualTpm
from coco_enclave.testing.sim_sgx import Enclave, SimulatedIntel, TrustDomain
from coco_enclave.testing.sim_snp import SnpChip, SnpVendor, make_snp_chip, make_snp_vendor
from coco_enclave.testing.sim_tpm import Tpm, TpmVendor, make_tpm, make_tpm_vendor
from coco_enclave.testing.sim_vbs import VbsHost, boot_windows, make_guardian_service

__all__ = [
    "AzureGuest",
    "Enclave",
    "GramineTree",
    "Machine",
    "SimulatedIntel",
    "SimulatedPlatform",
    "SimulatedSevGuest",
    "SimulatedVirtualTpm",
    "SnpChip",
    "SnpVendor",
    "Tpm",
    "TpmVendor",
    "TrustDomain",
    "TsmTree",
    "UvmIssuer",
    "VbsHost",
    "boot_windows",
    "make_guardian_service",
    "make_machine",
    "make_snp_chip",
    "make_snp_vendor",
    "make_tpm",
    "make_tpm_vendor",
    "make_uvm_issuer",
]
