"""SEV-SNP guests: reports and keys from the firmware, through the kernel's folder or its device.

Sources: Linux, Documentation/ABI/testing/configfs-tsm-report and ``linux/sev-guest.h``; AMD 56860
(MSG_REPORT_RSP, MSG_KEY_RSP). Never run on hardware: only against a tree, and a device, that behave as
described there.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from coco_core.attestation import REPORT_DATA_SIZE_BYTES, Evidence
from coco_core.errors import OperatorError
from coco_enclave.errors import EvidenceError
from coco_enclave.forms import read_collateral
from coco_enclave.providers.device_tree import DeviceTree
from coco_enclave.providers.tsm import ask_kernel
from coco_enclave.seal import SealingKey, SealPolicy
from coco_enclave.snp import KIND
from coco_enclave.snp_report import MILAN, REPORT_SIZE_BYTES, SnpReport, parse_report, tcb_from_bytes

DEVICE: Final = Path("/dev/sev-guest")
TSM_PROVIDER: Final = "sev_guest"
GET_REPORT: Final = 0xC0205300
GET_DERIVED_KEY: Final = 0xC0205301
_REPORT_ANSWER_BYTES: Final = 4000
_KEY_ANSWER_BYTES: Final = 64
_ANSWER_HEADER_BYTES: Final = 32
_KEY_BYTES: Final = 32

# What is mixed into a derived key (GUEST_FIELD_SELECT): guest policy, measurement and TCB.
_EXACT_FIELDS: Final = 1 << 0 | 1 << 3 | 1 << 5


class SevGuestDevice(Protocol):
    """Asks the firmware: one request, one answer."""

    def ask(self, command: int, request: bytes, answer_size: int) -> bytes:
        """Return the answer to a command of ``linux/sev-guest.h``; raises OperatorError."""
        ...


class GuestRequest(ctypes.Structure):
    """``struct snp_guest_request_ioctl``: 32 bytes."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("exitinfo2", ctypes.c_uint64),
    )


class KernelSevGuest:
    """The kernel's device."""

    def __init__(self, path: Path = DEVICE) -> None:
        """Ask the device at ``path``."""
        self._path = path

    def ask(self, command: int, request: bytes, answer_size: int) -> bytes:
        """Return the answer to a command; raises OperatorError with the firmware's word."""
        import fcntl  # Not on Windows, where there is no such device.

        asked = ctypes.create_string_buffer(request, len(request))
        answer = ctypes.create_string_buffer(answer_size)
        outer = GuestRequest(1, ctypes.addressof(asked), ctypes.addressof(answer), 0)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, command, outer)
            finally:
                os.close(descriptor)
        except OSError as error:
            word = f"{outer.exitinfo2:#x}"
            raise OperatorError(f"{self._path} refused command {command:#x}: {error}, {word}") from error
        return answer.raw


def ask_report(device: SevGuestDevice, report_data: bytes, vmpl: int = 0) -> bytes:
    """Return a report over 64 bytes, made at a privilege level; raises OperatorError."""
    request = report_data + struct.pack("<I28x", vmpl)
    answer = device.ask(GET_REPORT, request, _REPORT_ANSWER_BYTES)
    status, size = struct.unpack_from("<II", answer)
    if status != 0 or size != REPORT_SIZE_BYTES:
        raise OperatorError(f"the firmware made no report: status {status:#x}, {size} bytes")
    return answer[_ANSWER_HEADER_BYTES : _ANSWER_HEADER_BYTES + size]


def ask_key(device: SevGuestDevice, *, fields: int, vmpl: int, guest_svn: int, tcb: bytes) -> bytes:
    """Return a key of 32 bytes derived from the chip's own (VCEK); raises OperatorError."""
    request = struct.pack("<IIQII", 0, 0, fields, vmpl, guest_svn) + tcb
    answer = device.ask(GET_DERIVED_KEY, request, _KEY_ANSWER_BYTES)
    (status,) = struct.unpack_from("<I", answer)
    key = answer[_ANSWER_HEADER_BYTES : _ANSWER_HEADER_BYTES + _KEY_BYTES]
    if status != 0 or not any(key):
        raise OperatorError(f"the firmware derived no key: status {status:#x}")
    return key


class SnpPlatform:
    """What a node in a SEV-SNP guest runs on."""

    format = KIND

    def __init__(
        self,
        collateral: Callable[[], bytes] | None,
        *,
        tree: DeviceTree | None = None,
        name: str = "",
        device: SevGuestDevice | None = None,
        vmpl: int = 0,
    ) -> None:
        """Attest with what ``collateral`` returns: the chip's certificate and its issuers.

        Without it, by what the host hands out beside a report, which only the kernel's folder shows.
        By the kernel's folder where ``tree`` is given, ``name`` being this process's own in it; else by
        ``device``. Keys come from the device only.
        """
        self._collateral = collateral
        self._tree = tree
        self._name = name
        self._device = device if device is not None else KernelSevGuest()
        self._vmpl = vmpl

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes; raises OperatorError."""
        quote, handed_out = self._ask(report_data)
        if self._collateral is not None:
            return Evidence(format=KIND, quote=quote, endorsements=self._collateral())
        try:
            certificates = read_collateral(KIND, [handed_out])
        except EvidenceError as error:
            raise OperatorError(
                f"the host hands out no certificates, name a file ('platform.collateral'): {error}"
            ) from error
        return Evidence(format=KIND, quote=quote, endorsements=certificates)

    def sealing_key(self, policy: SealPolicy = SealPolicy.EXACT, tcb: bytes | None = None) -> SealingKey:
        """Return the key this code has on this chip; raises OperatorError.

        The committed firmware's state is mixed in, or an older one that ``tcb`` names, to open what was
        sealed under it. There is no key by author: anybody's ID block may name the same family and image.
        """
        if policy is not SealPolicy.EXACT:
            raise OperatorError("SEV-SNP has keys for exact code only")
        report = self._parsed(self._ask(bytes(REPORT_DATA_SIZE_BYTES))[0])
        state = report.committed_tcb if tcb is None else tcb
        secret = ask_key(
            self._device, fields=_EXACT_FIELDS, vmpl=self._vmpl, guest_svn=report.guest_svn, tcb=state
        )
        return SealingKey(
            platform=KIND,
            policy=policy,
            code=report.measurement.hex(),
            svn=report.guest_svn,
            tcb=str(tcb_from_bytes(state, report.product or MILAN)),
            secret=secret,
        )

    def _ask(self, report_data: bytes) -> tuple[bytes, bytes]:
        """Return a report, and what the host hands out beside it."""
        if len(report_data) != REPORT_DATA_SIZE_BYTES:
            raise OperatorError(f"evidence is made over {REPORT_DATA_SIZE_BYTES} bytes")
        if self._tree is None:
            quote, handed_out = ask_report(self._device, report_data, self._vmpl), b""
        else:
            answer = ask_kernel(
                self._tree, self._name, report_data, provider=TSM_PROVIDER, privilege=self._vmpl
            )
            quote, handed_out = answer.report, answer.auxiliary
        if self._parsed(quote).report_data != report_data:
            raise OperatorError("the firmware made a report over other bytes")
        return quote, handed_out

    def _parsed(self, quote: bytes) -> SnpReport:
        try:
            return parse_report(quote)
        except EvidenceError as error:
            raise OperatorError(f"the firmware's report cannot be read: {error}") from error
