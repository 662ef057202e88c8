"""Windows VBS: a host process makes an enclave of a signed library and calls into it for reports.

Source: Microsoft's documentation of ``enclaveapi.h`` and "VBS enclaves development guide". NEVER RUN: it is
written from the documentation, on no Windows. CPython cannot run in such an enclave; what runs there is a
small native library that holds keys. What it exports is the contract below, and is no part of this
distribution.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from coco_core.attestation import REPORT_DATA_SIZE_BYTES, Evidence
from coco_core.errors import OperatorError
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import encode_parts
from coco_enclave.vbs import KIND, LOG, QUOTE, REPORT, SIGNATURE
from coco_enclave.vbs_report import REPORT_SIZE_MAX_BYTES, parse_report

ENCLAVE_TYPE_VBS: Final = 0x10
EXPORT: Final = b"CocoAttest"
"""``void *CocoAttest(CocoAttestCall *)``: fills ``report``, sets ``size``, returns zero or an HRESULT."""
_ENCLAVE_BYTES: Final = 0x10000000
_SINGLE_THREAD: Final = 1


class AttestCall(ctypes.Structure):
    """What host and enclave hand each other: 64 bytes in, a report out."""

    _fields_ = (
        ("enclave_data", ctypes.c_uint8 * REPORT_DATA_SIZE_BYTES),
        ("report", ctypes.c_void_p),
        ("capacity", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
    )


class CreateInfo(ctypes.Structure):
    """``ENCLAVE_CREATE_INFO_VBS``: flags (1: debug, never set) and the owner."""

    _fields_ = (("flags", ctypes.c_uint32), ("owner_id", ctypes.c_uint8 * 32))


class InitInfo(ctypes.Structure):
    """``ENCLAVE_INIT_INFO_VBS``: its own length and how many threads may be inside."""

    _fields_ = (("length", ctypes.c_uint32), ("thread_count", ctypes.c_uint32))


class WindowsTpm(Protocol):
    """What is asked of the machine's TPM."""

    def quote(self, nonce: bytes) -> tuple[bytes, bytes]:
        """Return a quote over registers 7, 12, 13 and 14, and its TPMT_SIGNATURE; raises OperatorError."""
        ...

    def boot_log(self) -> bytes:
        """Return the log of this boot (``Tbsi_Get_TCG_Log``); raises OperatorError."""
        ...


class VbsPlatform:
    """What a node on Windows runs on, whose keys an enclave holds."""

    format = KIND

    def __init__(
        self, collateral: Callable[[], bytes], report: Callable[[bytes], bytes], tpm: WindowsTpm
    ) -> None:
        """Attest with what ``collateral`` returns; ``report`` asks the enclave over 64 bytes."""
        self._collateral = collateral
        self._report = report
        self._tpm = tpm

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes; raises OperatorError."""
        if len(report_data) != REPORT_DATA_SIZE_BYTES:
            raise OperatorError(f"evidence is made over {REPORT_DATA_SIZE_BYTES} bytes")
        report = self._report(report_data)
        try:
            found = parse_report(report).enclave_data
        except EvidenceError as error:
            raise OperatorError(f"the enclave's report cannot be read: {error}") from error
        if found != report_data:
            raise OperatorError("the enclave made a report over other bytes")
        quote, signature = self._tpm.quote(report_data)
        parts = {REPORT: report, QUOTE: quote, SIGNATURE: signature, LOG: self._tpm.boot_log()}
        return Evidence(format=KIND, quote=encode_parts(parts), endorsements=self._collateral())


class EnclaveLibrary:
    """A VBS enclave in this process. Never run."""

    def __init__(self, path: Path, kernel: Any = None) -> None:
        """Load a signed enclave library; raises OperatorError. ``kernel`` is ``kernel32`` unless given."""
        self._kernel = kernel if kernel is not None else _kernel32()
        if not self._kernel.IsEnclaveTypeSupported(ENCLAVE_TYPE_VBS):
            raise OperatorError("this machine has no virtualization-based security, or it is off")
        self._base = self._create()
        self._load(path)
        self._routine = self._kernel.GetProcAddress(self._base, EXPORT)
        if not self._routine:
            raise OperatorError(f"{path} exports no {EXPORT.decode()}")

    def report(self, enclave_data: bytes) -> bytes:
        """Return the enclave's report over 64 bytes; raises OperatorError."""
        buffer = ctypes.create_string_buffer(REPORT_SIZE_MAX_BYTES)
        call = AttestCall(
            (ctypes.c_uint8 * REPORT_DATA_SIZE_BYTES).from_buffer_copy(enclave_data),
            ctypes.addressof(buffer),
            REPORT_SIZE_MAX_BYTES,
            0,
        )
        answer = ctypes.c_void_p()
        done = self._kernel.CallEnclave(self._routine, ctypes.byref(call), 1, ctypes.byref(answer))
        if not done or answer.value or call.size > REPORT_SIZE_MAX_BYTES:
            raise OperatorError(f"the enclave made no report: {answer.value or 0:#x}")
        return buffer.raw[: call.size]

    def _create(self) -> int:
        info, error = CreateInfo(), ctypes.c_uint32()
        base = self._kernel.CreateEnclave(
            self._kernel.GetCurrentProcess(),
            None,
            _ENCLAVE_BYTES,
            0,
            ENCLAVE_TYPE_VBS,
            ctypes.byref(info),
            ctypes.sizeof(info),
            ctypes.byref(error),
        )
        if not base:
            raise OperatorError(f"CreateEnclave failed: {error.value:#x}")
        return int(base)

    def _load(self, path: Path) -> None:
        if not self._kernel.LoadEnclaveImageW(self._base, str(path)):
            raise OperatorError(f"{path} cannot be loaded: is it signed for an enclave?")
        info = InitInfo(ctypes.sizeof(InitInfo), _SINGLE_THREAD)
        error = ctypes.c_uint32()
        done = self._kernel.InitializeEnclave(
            self._kernel.GetCurrentProcess(),
            self._base,
            ctypes.byref(info),
            ctypes.sizeof(info),
            ctypes.byref(error),
        )
        if not done:
            raise OperatorError(f"InitializeEnclave failed: {error.value:#x}")


def _kernel32() -> Any:
    """Return ``kernel32`` with the types of what is called; raises OperatorError where there is none."""
    windll = getattr(ctypes, "WinDLL", None)
    if windll is None:
        raise OperatorError("VBS enclaves are a feature of Windows")
    kernel = windll("kernel32", use_last_error=True)
    kernel.CreateEnclave.restype = ctypes.c_void_p
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.GetProcAddress.restype = ctypes.c_void_p
    kernel.CreateEnclave.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.c_uint32,
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_void_p,
    ]
    kernel.LoadEnclaveImageW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p]
    kernel.InitializeEnclave.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_void_p,
    ]
    kernel.GetProcAddress.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    kernel.CallEnclave.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    return kernel
