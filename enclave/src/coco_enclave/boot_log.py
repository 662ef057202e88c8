"""What Windows measured while it booted: whether its secure kernel runs, undisturbed, and which key it made.

Sources: ``wbcl.h`` of the Windows SDK (SIPA events, tagged values inside events of registers 11 to 14); UEFI
specification (UEFI_VARIABLE_DATA in register 7). Only events whose digest is of their data are read, and only
those from before firmware and boot loader handed over: a running system may extend registers too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from coco_enclave.errors import EvidenceError
from coco_enclave.event_log import NO_ACTION, Event
from coco_enclave.reader import Reader

SECURE_BOOT_REGISTER: Final = 7
BOOT_REGISTERS: Final = frozenset({12, 13, 14})
"""Where the boot loader measures: state of the boot, what was loaded, the authorities that vouch for it."""
REGISTERS: Final = BOOT_REGISTERS | {SECURE_BOOT_REGISTER}

_LOADER_ENDED: Final = b"WBCL"
_FIRMWARE_ENDED: Final = bytes(4)
"""What separators (EV_SEPARATOR) hold."""
GLOBAL_VARIABLE: Final = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
"""EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c, as it lies in memory."""

BOOT_DEBUGGING, KERNEL_DEBUG, CODE_INTEGRITY, TEST_SIGNING = 0x40001, 0x50001, 0x50002, 0x50003
HYPERVISOR_LAUNCH, VSM_LAUNCH, IDENTITY_KEY = 0x5000A, 0x50012, 0x50023
_AGGREGATION: Final = 0x40000000
_DEPTH_MAX: Final = 4

REQUIRED: Final[Mapping[int, tuple[str, int]]] = {
    VSM_LAUNCH: ("virtualization-based security", 1),
    HYPERVISOR_LAUNCH: ("the hypervisor", 1),
    CODE_INTEGRITY: ("code integrity", 1),
    TEST_SIGNING: ("test signing", 0),
    KERNEL_DEBUG: ("kernel debugging", 0),
    BOOT_DEBUGGING: ("boot debugging", 0),
}
"""What must have been measured, by type: what it is, and 1 for on, 0 for off."""

_RSA_ALGORITHM: Final = 1
_KEY_BITS: Final = 2048


def read_values(events: Sequence[Event], bank: int) -> dict[int, set[bytes]]:
    """Return the tagged values the boot loader measured into registers 12 to 14, by type.

    What was extended after it had ended its part is the running system's, and counts for nothing. Raises
    EvidenceError: ``log`` where an event's text is not what was measured, or where the boot loader has not
    ended, ``malformed`` where an event does not parse.
    """
    found: dict[int, set[bytes]] = {}
    ended: set[int] = set()
    for event in events:
        if event.register not in BOOT_REGISTERS - ended or event.type == NO_ACTION:
            continue
        if not event.is_of_its_data(bank):
            raise EvidenceError(
                "log", f"boot log: an event of register {event.register} has another text than measured"
            )
        # An event's type is not measured: whoever hands the log on may have changed it, to hide the event.
        if event.data == _LOADER_ENDED:
            ended.add(event.register)
            continue
        for kind, value in _tagged(event.data, 0):
            # The identity key counts only where the boot loader puts it; state is stated in several
            # registers.
            if kind != IDENTITY_KEY or event.register == 12:
                found.setdefault(kind, set()).add(value)
    if ended != BOOT_REGISTERS:
        raise EvidenceError("log", "boot log: the boot loader did not end what it measured")
    return found


def _tagged(data: bytes, depth: int) -> Iterator[tuple[int, bytes]]:
    if depth > _DEPTH_MAX:
        raise EvidenceError("malformed", "boot log: tagged values are nested too deep")
    reader = Reader(data, "boot log")
    while reader.left:
        kind, value = reader.u32(), reader.take(reader.u32())
        if kind & _AGGREGATION:
            yield from _tagged(value, depth + 1)
        else:
            yield kind, value


def check_state(values: Mapping[int, set[bytes]]) -> None:
    """Check that the secure kernel runs and nobody debugs it; raises EvidenceError (``boot_state``).

    A value that is missing, or that is stated twice and differently, is refused.
    """
    for kind, (what, wanted) in REQUIRED.items():
        stated = {int.from_bytes(value, "little") for value in values.get(kind, ())}
        if stated != {wanted}:
            told = f"is {'off' if wanted else 'on'}" if stated else "is not told of"
            raise EvidenceError("boot_state", f"Windows boot: {what} {told}")


def check_secure_boot(events: Sequence[Event], bank: int) -> None:
    """Check that firmware measured secure boot as on; raises EvidenceError (``boot_state``, ``log``).

    Before it handed over: afterwards anybody may extend register 7.
    """
    stated, ended = set(), False
    for event in events:
        if event.register != SECURE_BOOT_REGISTER or event.type == NO_ACTION or ended:
            continue
        if not event.is_of_its_data(bank):
            raise EvidenceError("log", "boot log: an event of register 7 has another text than measured")
        ended = event.data == _FIRMWARE_ENDED
        # What it is shows in the data alone: types are not measured.
        if event.data.startswith(GLOBAL_VARIABLE):
            name, value = _variable(event.data)
            if name == "SecureBoot":
                stated.add(value)
    if stated != {b"\x01"} or not ended:
        raise EvidenceError("boot_state", "Windows boot: secure boot is off, or not measured")


def _variable(data: bytes) -> tuple[str, bytes]:
    """Return name and value of a variable of the firmware's own (UEFI_VARIABLE_DATA)."""
    reader = Reader(data, "boot log: UEFI variable")
    reader.take(len(GLOBAL_VARIABLE))
    name_units, size = reader.u64(), reader.u64()
    name = reader.take(2 * name_units).decode("utf-16-le", "replace")
    value = reader.take(size)
    reader.finish()
    return name, value


def identity_key(values: Mapping[int, set[bytes]]) -> rsa.RSAPublicKey:
    """Return the key the secure kernel signs with in this boot; raises EvidenceError (``boot_state``).

    One and only one must have been measured: with two, nothing tells which is the kernel's.
    """
    keys = values.get(IDENTITY_KEY, set())
    if len(keys) != 1:
        raise EvidenceError(
            "boot_state", f"Windows boot: {len(keys)} signing keys of the secure kernel were measured"
        )
    reader = Reader(next(iter(keys)), "boot log: signing key")
    algorithm, bits, exponent_size, modulus_size = reader.u32(), reader.u32(), reader.u32(), reader.u32()
    if (algorithm, bits, modulus_size) != (_RSA_ALGORITHM, _KEY_BITS, _KEY_BITS // 8) or exponent_size > 4:
        raise EvidenceError("unsupported", "boot log: the secure kernel's key is not RSA of 2048 bits")
    exponent = int.from_bytes(reader.take(exponent_size), "big")
    modulus = int.from_bytes(reader.take(modulus_size), "big")
    reader.finish()
    return rsa_public_key(modulus, exponent, "boot log: signing key")


def rsa_public_key(modulus: int, exponent: int, what: str) -> rsa.RSAPublicKey:
    """Return a key of its numbers; raises EvidenceError (``malformed``)."""
    try:
        return rsa.RSAPublicNumbers(e=exponent, n=modulus).public_key()
    except ValueError as error:
        raise EvidenceError("malformed", f"{what}: no RSA key: {error}") from error
