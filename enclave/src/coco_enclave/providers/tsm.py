"""Reports of confidential VMs through the kernel (Linux, Documentation/ABI/testing/configfs-tsm-report).

Never run on hardware: only against a tree that behaves as described there. One folder is one question: its
writes are counted by the kernel, so that an answer to somebody else's question is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from coco_core.attestation import REPORT_DATA_SIZE_BYTES, Evidence
from coco_core.errors import OperatorError
from coco_enclave.dcap_quote import TDX
from coco_enclave.providers.device_tree import DeviceTree, KernelTree

ROOT: Final = Path("/sys/kernel/config/tsm/report")
_TDX_PROVIDER: Final = "tdx_guest"


@attrs.frozen(kw_only=True)
class TsmReport:
    """What the kernel answered."""

    provider: str
    """Who made it: ``tdx_guest``, ``sev_guest``, …"""
    report: bytes
    auxiliary: bytes
    """What came beside it, such as certificates; empty where the provider has none."""


def ask_kernel(
    tree: DeviceTree, name: str, report_data: bytes, *, provider: str, privilege: int | None = None
) -> TsmReport:
    """Return a report over 64 bytes; raises OperatorError when it is not the answer to this question.

    ``name`` must be one that nobody else uses at this time. ``privilege`` is the level to ask at (VMPL), not
    below what the kernel allows.
    """
    if len(report_data) != REPORT_DATA_SIZE_BYTES:
        raise OperatorError(f"evidence is made over {REPORT_DATA_SIZE_BYTES} bytes")
    tree.make(name)
    try:
        found = tree.read(f"{name}/provider").decode(errors="replace").strip()
        if found != provider:
            raise OperatorError(f"this machine attests by {found!r}, not by {provider!r}")
        writes = 1
        if privilege is not None:
            _check_floor(tree, name, privilege)
            tree.write(f"{name}/privlevel", f"{privilege}\n".encode())
            writes += 1
        tree.write(f"{name}/inblob", report_data)
        report = tree.read(f"{name}/outblob")
        auxiliary = _auxiliary(tree, name)
        generation = _number(tree.read(f"{name}/generation"), "generation")
        if generation != writes:
            raise OperatorError(
                "the kernel's report answers another question: somebody else wrote in between"
            )
        return TsmReport(provider=found, report=report, auxiliary=auxiliary)
    finally:
        tree.remove(name)


def _check_floor(tree: DeviceTree, name: str, privilege: int) -> None:
    floor = _number(tree.read(f"{name}/privlevel_floor"), "privlevel_floor")
    if privilege < floor:
        raise OperatorError(f"privilege level {privilege} cannot be asked for, {floor} is the lowest")


def _auxiliary(tree: DeviceTree, name: str) -> bytes:
    """Return what came beside a report; not every provider has the file."""
    try:
        return tree.read(f"{name}/auxblob")
    except OperatorError:
        return b""


def _number(data: bytes, what: str) -> int:
    text = data.decode(errors="replace").strip()
    if not text.isdecimal():
        raise OperatorError(f"the kernel's {what} is no number: {text[:32]!r}")
    return int(text)


class TdxPlatform:
    """What a node in a TDX guest runs on. Such a guest has no key to seal with."""

    format = TDX

    def __init__(self, collateral: Callable[[], bytes], name: str, tree: DeviceTree | None = None) -> None:
        """Attest with what ``collateral`` returns; ``name`` is this process's own in the kernel's folder."""
        self._collateral = collateral
        self._name = name
        self._tree = tree if tree is not None else KernelTree(ROOT)

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes; raises OperatorError."""
        answer = ask_kernel(self._tree, self._name, report_data, provider=_TDX_PROVIDER)
        return Evidence(format=TDX, quote=answer.report, endorsements=self._collateral())
