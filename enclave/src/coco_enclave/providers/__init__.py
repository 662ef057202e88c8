"""Where evidence is made: the one room of this distribution that touches devices."""

from coco_enclave.providers.azure import (
    AzureContainerPlatform,
    AzureGuestPlatform,
    Tpm2Tools,
    VirtualTpm,
)
from coco_enclave.providers.device_tree import DeviceTree, KernelTree
from coco_enclave.providers.gramine import GraminePlatform
from coco_enclave.providers.sev_guest import KernelSevGuest, SevGuestDevice, SnpPlatform
from coco_enclave.providers.tsm import TdxPlatform, TsmReport, ask_kernel
from coco_enclave.providers.vbs import EnclaveLibrary, VbsPlatform, WindowsTpm

__all__ = [
    "AzureContainerPlatform",
    "AzureGuestPlatform",
    "DeviceTree",
    "EnclaveLibrary",
    "GraminePlatform",
    "KernelSevGuest",
    "KernelTree",
    "SevGuestDevice",
    "SnpPlatform",
    "TdxPlatform",
    "Tpm2Tools",
    "TsmReport",
    "VbsPlatform",
    "VirtualTpm",
    "WindowsTpm",
    "ask_kernel",
]
