"""The platforms a node's settings may name, each with what its operator has to say of it.

::

    "platform": {"name": "sgx", "collateral": "intel.json"}
    "platform": {"name": "tdx", "collateral": "intel.json"}
    "platform": {"name": "snp", "collateral": "chip.pem", "vmpl": 0, "interface": "device"}
    "platform": {"name": "azure-snp", "collateral": "chip.pem", "registers": "4,7,11"}
    "platform": {"name": "azure-aci", "context": "/security-context-…"}

``collateral`` is what the vendor publishes for judging this machine, in any form of ``forms``. It is read
anew whenever evidence is made: who renews it puts another file in its place. A VBS enclave holds keys
and runs no node, so there is no such platform here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from coco_core.attestation import Platform, PlatformOptions, PlatformPlugin, hookimpl
from coco_core.errors import OperatorError
from coco_enclave import azure, snp
from coco_enclave.dcap_quote import SGX, TDX
from coco_enclave.errors import EvidenceError
from coco_enclave.forms import read_collateral
from coco_enclave.providers.azure import AzureContainerPlatform, AzureGuestPlatform, Tpm2Tools
from coco_enclave.providers.device_tree import KernelTree
from coco_enclave.providers.gramine import GraminePlatform
from coco_enclave.providers.sev_guest import KernelSevGuest, SnpPlatform, ask_report
from coco_enclave.providers.tsm import ROOT, TdxPlatform
from coco_enclave.tpm import REGISTERS

_CONTEXT: Final = "UVM_SECURITY_CONTEXT_DIR"
_KERNEL, _DEVICE = "kernel", "device"


@hookimpl
def coco_register_platforms(register: Callable[[PlatformPlugin], None]) -> None:
    """Register every platform that a node can run on here."""
    for name, options, create in (
        (SGX, {"collateral"}, _gramine),
        (TDX, {"collateral"}, _tdx),
        (snp.KIND, {"collateral", "vmpl", "interface"}, _snp),
        (azure.SNP_KIND, {"collateral", "registers"}, _azure_guest),
        (azure.ACI_KIND, {"context"}, _azure_container),
    ):
        register(PlatformPlugin(name=name, options=frozenset(options), create=create))


def _gramine(options: PlatformOptions) -> Platform:
    return GraminePlatform(options.file("collateral"))


def _tdx(options: PlatformOptions) -> Platform:
    return TdxPlatform(options.file("collateral"), _own_name())


def _snp(options: PlatformOptions) -> Platform:
    interface = options.text("interface", _KERNEL if ROOT.is_dir() else _DEVICE)
    if interface not in (_KERNEL, _DEVICE):
        raise OperatorError(f"'platform.interface' must be {_KERNEL!r} or {_DEVICE!r}")
    tree = KernelTree(ROOT) if interface == _KERNEL else None
    vmpl = options.number("vmpl", 0)
    # A kernel's folder has what the host hands out, too: enough where no file is named.
    handed_out = tree is not None and "collateral" not in options.values
    collateral = None if handed_out else _certificates(snp.KIND, options)
    return SnpPlatform(collateral, tree=tree, name=_own_name(), vmpl=vmpl)


def _azure_guest(options: PlatformOptions) -> Platform:
    registers = options.text("registers").split(",")
    if not all(one.isdecimal() and int(one) < REGISTERS for one in registers):
        raise OperatorError("'platform.registers' must be numbers of the TPM's registers, like 4,7,11")
    return AzureGuestPlatform(
        _certificates(azure.SNP_KIND, options), Tpm2Tools(), sorted(map(int, registers))
    )


def _azure_container(options: PlatformOptions) -> Platform:
    folder = options.text("context", os.environ.get(_CONTEXT, ""))
    if not Path(folder).is_dir() or not folder:
        raise OperatorError(
            f"no security context: {_CONTEXT} is not set, and 'platform.context' is no folder"
        )
    device = KernelSevGuest()
    return AzureContainerPlatform(KernelTree(Path(folder)), lambda data: ask_report(device, data))


def _certificates(kind: str, options: PlatformOptions) -> Callable[[], bytes]:
    """Return what reads the chip's certificates, in whatever form; raises OperatorError when there are none.

    They are read once here, for a file that is of no use to be told of when the node starts.
    """
    read = options.file("collateral")

    def collateral() -> bytes:
        try:
            return read_collateral(kind, [read()])
        except EvidenceError as error:
            raise OperatorError(f"'platform.collateral' cannot be used: {error}") from error

    collateral()
    return collateral


def _own_name() -> str:
    """Return what this platform is called in the kernel's folder: what was left there by another stays so."""
    return f"coco-{os.getpid()}-{os.urandom(4).hex()}"
