"""The measured-boot log: events as firmware and boot loader wrote them, and the registers they add up to.

Sources: TCG "PC Client Platform Firmware Profile" (TCG_PCR_EVENT, TCG_PCR_EVENT2, Spec ID Event03). Nothing
in a log is trusted by itself: it counts only after its digests add up to quoted registers, and an event's
data only where the digest is of that data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Final

import attrs

from coco_enclave.errors import EvidenceError
from coco_enclave.reader import Reader
from coco_enclave.tpm import DIGEST_NAMES, DIGEST_SIZES, REGISTERS, SHA1, TpmQuote, at_start, check_registers

LOG_SIZE_MAX_BYTES: Final = 256 * 1024
_EVENTS_MAX: Final = 4096
_ALGORITHMS_MAX: Final = 8
_SPEC_SIGNATURE: Final = b"Spec ID Event03\0"
_LOCALITY_SIGNATURE: Final = b"StartupLocality\0"
NO_ACTION: Final = 3


@attrs.frozen(kw_only=True)
class Event:
    """One event: what was extended into which register, and what it says it was."""

    register: int
    type: int
    digests: Mapping[int, bytes]
    """By bank."""
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")

    def is_of_its_data(self, bank: int) -> bool:
        """Return whether the digest is of the data: only then the data is what was measured."""
        digest = self.digests.get(bank)
        return digest == hashlib.new(DIGEST_NAMES[bank], self.data, usedforsecurity=False).digest()


def parse_log(data: bytes) -> list[Event]:
    """Read a log, of SHA-1 only or of several banks; raises EvidenceError (``malformed``, ``log``)."""
    if len(data) > LOG_SIZE_MAX_BYTES:
        raise EvidenceError("size", f"boot log: it has {len(data)} bytes")
    reader = Reader(data, "boot log")
    first = _read_event(reader, None)
    algorithms = _algorithms(first.data) if first.data.startswith(_SPEC_SIGNATURE) else None
    events = [] if algorithms is not None else [first]
    while reader.left:
        if len(events) == _EVENTS_MAX:
            raise reader.malformed(f"it has more than {_EVENTS_MAX} events")
        events.append(_read_event(reader, algorithms))
    return events


def _algorithms(data: bytes) -> dict[int, int]:
    """Return the size of a digest by algorithm, as the first event (TCG_EfiSpecIDEvent) lists them."""
    reader = Reader(data, "boot log header")
    reader.take(24)  # Signature, platform class, version, size of a UINTN.
    count = reader.u32()
    if not 1 <= count <= _ALGORITHMS_MAX:
        raise reader.malformed(f"it lists {count} algorithms")
    sizes = {}
    for _ in range(count):
        algorithm, size = reader.u16(), reader.u16()
        if size > 64 or size != DIGEST_SIZES.get(algorithm, size):
            raise reader.malformed(f"algorithm {algorithm:#06x} has digests of {size} bytes")
        sizes[algorithm] = size
    reader.take(reader.u8())
    reader.finish()
    return sizes


def _read_event(reader: Reader, algorithms: Mapping[int, int] | None) -> Event:
    register, kind = reader.u32(), reader.u32()
    # What is extended nowhere may name no register: Windows keeps a quote of its own in the log (0xFFFFFFFF).
    if register >= REGISTERS and kind != NO_ACTION:
        raise EvidenceError("log", f"boot log: an event for register {register}")
    digests: dict[int, bytes] = {}
    if algorithms is None:
        digests[SHA1] = reader.take(20)
    else:
        for _ in range(reader.u32()):
            size = algorithms.get(algorithm := reader.u16())
            if size is None or algorithm in digests:
                raise reader.malformed(
                    f"an event has a digest of algorithm {algorithm:#06x}, unlisted or twice"
                )
            digests[algorithm] = reader.take(size)
    return Event(register=register, type=kind, digests=digests, data=reader.take(reader.u32()))


def replay(events: list[Event], bank: int) -> dict[int, bytes]:
    """Return the registers of one bank that events add up to; those without an event are left out.

    Raises EvidenceError (``log``) where an event has no digest for the bank.
    """
    name = DIGEST_NAMES[bank]
    registers: dict[int, bytes] = {}
    for event in events:
        if event.type == NO_ACTION:
            if event.register == 0 and event.data.startswith(_LOCALITY_SIGNATURE):
                # Says from where the TPM was started, which is the first value of register 0 (PFP 10.4.5.3).
                registers[0] = event.data[len(_LOCALITY_SIGNATURE) :][:1].rjust(DIGEST_SIZES[bank], b"\0")
            continue
        digest = event.digests.get(bank)
        if digest is None:
            raise EvidenceError(
                "log", f"boot log: an event of register {event.register} has no {name} digest"
            )
        before = registers.get(event.register, at_start(event.register, bank))
        registers[event.register] = hashlib.new(name, before + digest, usedforsecurity=False).digest()
    return registers


def check_log(events: list[Event], quote: TpmQuote, bank: int, required: Collection[int]) -> dict[int, bytes]:
    """Return the quoted registers after checking that a log adds up to them.

    Raises EvidenceError: ``tpm_selection`` where a required register is not quoted, ``log`` where the log is
    not of the boot that was quoted.
    """
    try:
        return check_registers(quote, replay(events, bank), bank, required)
    except EvidenceError as error:
        if error.code != "tpm_digest":
            raise
        raise EvidenceError("log", "boot log: it does not add up to the quoted registers") from error
