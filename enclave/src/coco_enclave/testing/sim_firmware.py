"""The device of a SEV-SNP guest, and the TPM of a confidential VM, as software: they behave as documented.

For tests of who asks them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from coco_core.errors import OperatorError
from coco_enclave.testing.sim_azure import AzureGuest
from coco_enclave.testing.sim_snp import SnpChip
from coco_enclave.tpm import REGISTERS

_REPORT, _KEY = 0xC0205300, 0xC0205301
_REPORT_REQUEST_BYTES, _KEY_REQUEST_BYTES = 96, 32


class SimulatedSevGuest:
    """``/dev/sev-guest`` of one guest on one chip."""

    def __init__(self, chip: SnpChip, measurement: bytes) -> None:
        """Answer for a guest of this launch measurement."""
        self.chip = chip
        self.measurement = measurement
        self.status = 0
        """What the firmware answers instead of success."""
        self.asked: list[tuple[int, bytes]] = []

    def ask(self, command: int, request: bytes, answer_size: int) -> bytes:
        """Return the answer to a command; raises OperatorError for what is none."""
        self.asked.append((command, request))
        if command == _REPORT and len(request) == _REPORT_REQUEST_BYTES and not any(request[68:]):
            (vmpl,) = struct.unpack_from("<I", request, 64)
            body = self.chip.report(request[:64], self.measurement, vmpl=vmpl)
        elif command == _KEY and len(request) == _KEY_REQUEST_BYTES:
            body = self._key(request)
        else:
            raise OperatorError(f"no command {command:#x} with {len(request)} bytes")
        size = len(body) if command == _REPORT else 0
        return (struct.pack("<II24x", self.status, size) + body).ljust(answer_size, b"\0")

    def _key(self, request: bytes) -> bytes:
        root, reserved, fields = struct.unpack_from("<IIQ", request)
        if root or reserved:
            raise OperatorError("no such root key")
        # Only what is selected is mixed in: bit 3 the measurement, bit 5 the firmware's state.
        mixed = self.chip.chip_id + request[8:16]
        mixed += self.measurement if fields >> 3 & 1 else b""
        mixed += request[24:] if fields >> 5 & 1 else b""
        return hashlib.sha256(mixed).digest()


class SimulatedVirtualTpm:
    """The virtual TPM of a confidential VM."""

    def __init__(self, guest: AzureGuest) -> None:
        """Answer for this guest."""
        self._guest = guest
        self.registers = [guest.tpm.register(index) for index in range(REGISTERS)]

    def read_memory(self, index: int) -> bytes:
        """Return the paravisor's report; raises OperatorError for another index."""
        if index != 0x01400001:
            raise OperatorError(f"nothing at {index:#x}")
        return self._guest.hcl()

    def quote(self, nonce: bytes, registers: Sequence[int]) -> tuple[bytes, bytes]:
        """Return a quote and its bare signature; raises OperatorError for a nonce too long."""
        if len(nonce) > 50:
            raise OperatorError("TPM_RC_SIZE")
        quote, signature = self._guest.tpm.quote(nonce, registers)
        return quote, signature[6:]

    def read_registers(self) -> list[bytes]:
        """Return all registers."""
        return self.registers
