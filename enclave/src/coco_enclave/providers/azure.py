"""Azure: evidence of confidential VMs through their virtual TPM, and of container groups through files.

Sources: Microsoft's documentation of confidential VMs and of ``UVM_SECURITY_CONTEXT_DIR``; tpm2-tools. Never
run on hardware: only against a TPM, and files, that behave as described there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from coco_core.attestation import Evidence
from coco_core.errors import OperatorError
from coco_enclave.azure import (
    ACI_KIND,
    CONTAINER_POLICY,
    ENDORSEMENT,
    HCL,
    QUOTE,
    REGISTERS,
    REPORT,
    SIGNATURE,
    SNP_KIND,
)
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import encode_parts
from coco_enclave.forms import read_collateral
from coco_enclave.providers.device_tree import DeviceTree
from coco_enclave.tpm import REGISTERS as REGISTER_COUNT

HCL_INDEX: Final = 0x01400001
"""Where the paravisor keeps its report in the TPM's memory."""
AK_HANDLE: Final = 0x81000003
"""The attestation key that the paravisor vouches for."""
_TOOL_TIMEOUT_S: Final = 30
_REGISTER_BYTES: Final = 32


class VirtualTpm(Protocol):
    """What is asked of a TPM."""

    def read_memory(self, index: int) -> bytes:
        """Return what is kept at an NV index; raises OperatorError."""
        ...

    def quote(self, nonce: bytes, registers: Sequence[int]) -> tuple[bytes, bytes]:
        """Return a quote over SHA-256 registers and its bare signature; raises OperatorError."""
        ...

    def read_registers(self) -> list[bytes]:
        """Return all SHA-256 registers in order; raises OperatorError."""
        ...


class AzureGuestPlatform:
    """What a node in a confidential VM of Azure runs on."""

    format = SNP_KIND

    def __init__(self, collateral: Callable[[], bytes], vtpm: VirtualTpm, registers: Sequence[int]) -> None:
        """Attest with what ``collateral`` returns; ``registers`` are what names this guest."""
        self._collateral = collateral
        self._tpm = vtpm
        self._registers = tuple(registers)

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over SHA-256 of ``report_data``, which fits any TPM; raises OperatorError."""
        quote, signature = self._tpm.quote(hashlib.sha256(report_data).digest(), self._registers)
        values = self._tpm.read_registers()
        if len(values) != REGISTER_COUNT or any(len(value) != _REGISTER_BYTES for value in values):
            raise OperatorError(f"the TPM has not {REGISTER_COUNT} SHA-256 registers")
        parts = {
            HCL: self._tpm.read_memory(HCL_INDEX),
            QUOTE: quote,
            SIGNATURE: signature,
            REGISTERS: b"".join(values),
        }
        return Evidence(format=SNP_KIND, quote=encode_parts(parts), endorsements=self._collateral())


class Tpm2Tools:
    """A TPM by the command-line tools of the TPM2 software stack."""

    def __init__(self, run: Callable[[Sequence[str]], bytes] | None = None) -> None:
        """Ask with ``run``, which executes a command and returns what it prints."""
        self._run = run if run is not None else _run_tool

    def read_memory(self, index: int) -> bytes:
        """Return what is kept at an NV index; raises OperatorError."""
        return self._run(["tpm2_nvread", "-C", "o", f"{index:#010x}"])

    def quote(self, nonce: bytes, registers: Sequence[int]) -> tuple[bytes, bytes]:
        """Return a quote over SHA-256 registers and its bare signature; raises OperatorError."""
        selection = "sha256:" + ",".join(str(index) for index in sorted(registers))
        with tempfile.TemporaryDirectory() as folder:
            message, signature = Path(folder) / "message", Path(folder) / "signature"
            self._run(
                [
                    *("tpm2_quote", "-c", f"{AK_HANDLE:#010x}", "-l", selection, "-q", nonce.hex()),
                    *("-m", str(message), "-s", str(signature), "-f", "plain", "-g", "sha256"),
                ]
            )
            try:
                return message.read_bytes(), signature.read_bytes()
            except OSError as error:
                raise OperatorError(f"tpm2_quote wrote no quote: {error}") from error

    def read_registers(self) -> list[bytes]:
        """Return all SHA-256 registers in order; raises OperatorError."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "registers"
            self._run(["tpm2_pcrread", "sha256", "-o", str(path), "-F", "values"])
            try:
                data = path.read_bytes()
            except OSError as error:
                raise OperatorError(f"tpm2_pcrread wrote no registers: {error}") from error
        return [data[at : at + _REGISTER_BYTES] for at in range(0, len(data), _REGISTER_BYTES)]


def _run_tool(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=_TOOL_TIMEOUT_S)  # noqa: S603 - one of three, ours
    except (OSError, subprocess.SubprocessError) as error:
        raise OperatorError(f"{command[0]} failed: {error}") from error
    return done.stdout


class AzureContainerPlatform:
    """What a node in a container group of Azure runs on."""

    format = ACI_KIND

    def __init__(self, context: DeviceTree, report: Callable[[bytes], bytes]) -> None:
        """Attest with the files of ``UVM_SECURITY_CONTEXT_DIR``; ``report`` asks the firmware."""
        self._context = context
        self._report = report

    def attest(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes; raises OperatorError."""
        parts = {
            REPORT: self._report(report_data),
            ENDORSEMENT: self._decoded("reference-info-base64"),
            CONTAINER_POLICY: self._decoded("security-policy-base64"),
        }
        try:
            certificates = read_collateral(ACI_KIND, [self._decoded("host-amd-cert-base64")])
        except EvidenceError as error:
            raise OperatorError(f"the host's certificates are not as documented: {error}") from error
        return Evidence(format=ACI_KIND, quote=encode_parts(parts), endorsements=certificates)

    def _decoded(self, name: str) -> bytes:
        try:
            return base64.b64decode(self._context.read(name), validate=True)
        except binascii.Error as error:
            raise OperatorError(f"{name} is not base64") from error
