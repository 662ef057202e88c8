"""Where evidence is made: the one room of this distribution that touches devices."""

from coco_enclave.providers.device_tree import DeviceTree, KernelTree
from coco_enclave.providers.gramine import GraminePlatform
from coco_enclave.providers.tsm import TdxPlatform, TsmReport, ask_kernel

__all__ = ["DeviceTree", "GraminePlatform", "KernelTree", "TdxPlatform", "TsmReport", "ask_kernel"]
