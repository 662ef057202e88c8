"""The attestation report of AMD SEV-SNP: its layout, and nothing of what is acceptable in it.

Source: AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification", table ATTESTATION_REPORT.
"""

from __future__ import annotations

from typing import Final

import attrs

from coco_enclave.errors import EvidenceError
from coco_enclave.reader import Reader

REPORT_SIZE_BYTES: Final = 1184
SIGNED_SIZE_BYTES: Final = 0x2A0
VERSIONS: Final = frozenset({2, 3, 4, 5})
MITIGATIONS_SINCE_VERSION: Final = 5

MILAN, GENOA, TURIN = "Milan", "Genoa", "Turin"
PRODUCTS: Final = (MILAN, GENOA, TURIN)
_MODELS: Final = {
    (0x19, 0x0): MILAN,
    (0x19, 0x1): GENOA,
    (0x19, 0xA): GENOA,
    (0x1A, 0x0): TURIN,
    (0x1A, 0x1): TURIN,
}
"""CPUID family, and model by its upper digit (Siena and Bergamo are the Genoa product line)."""

POLICY_SMT: Final = 1 << 16
POLICY_RESERVED_ONE: Final = 1 << 17
POLICY_MIGRATE_MA: Final = 1 << 18
POLICY_DEBUG: Final = 1 << 19
POLICY_SINGLE_SOCKET: Final = 1 << 20

PLATFORM_SMT: Final = 1 << 0
PLATFORM_TSME: Final = 1 << 1
PLATFORM_ECC: Final = 1 << 2
PLATFORM_RAPL_DISABLED: Final = 1 << 3
PLATFORM_CIPHERTEXT_HIDING: Final = 1 << 4
PLATFORM_ALIAS_CHECK: Final = 1 << 5

_MASK_CHIP_KEY: Final = 1 << 1
SIGNED_BY_VCEK, SIGNED_BY_VLEK = 0, 1
_COMPONENT_SIZE_BYTES: Final = 72


@attrs.frozen(order=False)
class Tcb:
    """Security versions of a chip's firmware; ``fmc`` is Turin's only, 0 elsewhere."""

    bootloader: int
    tee: int
    snp: int
    microcode: int
    fmc: int = 0

    def at_least(self, floor: Tcb) -> bool:
        """Return whether no component is older than the floor's."""
        mine, least = attrs.astuple(self), attrs.astuple(floor)
        return all(have >= want for have, want in zip(mine, least, strict=True))

    def __str__(self) -> str:
        """Return it as operators write it: ``bl=4,tee=0,snp=24,ucode=219``, with ``fmc=`` if it is not 0."""
        text = f"bl={self.bootloader},tee={self.tee},snp={self.snp},ucode={self.microcode}"
        return f"fmc={self.fmc},{text}" if self.fmc else text


def tcb_from_bytes(data: bytes, product: str) -> Tcb:
    """Read a TCB_VERSION of 8 bytes, whose layout is another on Turin."""
    if product == TURIN:
        return Tcb(fmc=data[0], bootloader=data[1], tee=data[2], snp=data[3], microcode=data[7])
    return Tcb(bootloader=data[0], tee=data[1], snp=data[6], microcode=data[7])


def tcb_to_bytes(tcb: Tcb, product: str) -> bytes:
    """Return the 8 bytes that tcb_from_bytes reads."""
    if product == TURIN:
        return bytes((tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode))
    return bytes((tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode))


def tcb_from_text(text: str) -> Tcb:
    """Read what ``str(tcb)`` returned; raises ValueError for anything else."""
    names = {"bl": "bootloader", "tee": "tee", "snp": "snp", "ucode": "microcode", "fmc": "fmc"}
    values: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if (
            name not in names
            or names[name] in values
            or not number.isascii()
            or not number.isdecimal()
            or int(number) > 255
        ):
            raise ValueError(f"{part[:32]!r} is no component of a TCB")
        values[names[name]] = int(number)
    if not {"bootloader", "tee", "snp", "microcode"} <= values.keys():
        raise ValueError("a TCB has bl, tee, snp and ucode")
    return Tcb(**values)


@attrs.frozen(kw_only=True)
class SnpReport:
    """A report as it was read; byte fields are as signed."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    author_key_enabled: bool
    chip_key_masked: bool
    signing_key: int
    """0 for a VCEK, 1 for a VLEK, 7 for none."""
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    reported_tcb: bytes
    cpuid: tuple[int, int, int] | None
    """Family, model and stepping; reports of version 2 have none."""
    chip_id: bytes
    committed_tcb: bytes
    launch_tcb: bytes
    launch_mitigations: int
    current_mitigations: int
    signed: bytes = attrs.field(repr=False)
    signature_r: int
    signature_s: int

    @property
    def mitigations(self) -> tuple[int, int]:
        """The mitigation vectors at launch and now; nothing is set in what older reports have there."""
        if self.version < MITIGATIONS_SINCE_VERSION:
            return 0, 0
        return self.launch_mitigations, self.current_mitigations

    @property
    def debug(self) -> bool:
        """Whether the host may read the guest's memory."""
        return bool(self.policy & POLICY_DEBUG)

    @property
    def abi(self) -> tuple[int, int]:
        """The firmware ABI that the guest's owner asked for at least, major and minor."""
        return self.policy >> 8 & 0xFF, self.policy & 0xFF

    @property
    def product(self) -> str | None:
        """The product line that CPUID names, None if the report has no CPUID or an unknown one."""
        if self.cpuid is None:
            return None
        return _MODELS.get((self.cpuid[0], self.cpuid[1] >> 4))


def parse_report(data: bytes) -> SnpReport:
    """Read a report; raises EvidenceError (``malformed``, ``unsupported``)."""
    reader = Reader(data, "SNP report")
    if len(data) != REPORT_SIZE_BYTES:
        raise reader.malformed(f"it has {len(data)} bytes, not {REPORT_SIZE_BYTES}")
    version = reader.u32()
    if version not in VERSIONS:
        raise EvidenceError("unsupported", f"SNP report: version {version} is not known")
    guest_svn, policy = reader.u32(), reader.u64()
    family_id, image_id = reader.take(16), reader.take(16)
    vmpl, algorithm = reader.u32(), reader.u32()
    current_tcb, platform_info, flags = reader.take(8), reader.u64(), reader.u32()
    reader.take(4)
    report_data, measurement, host_data = reader.take(64), reader.take(48), reader.take(32)
    id_key, author_key = reader.take(48), reader.take(48)
    report_id = reader.take(32)
    reader.take(32)  # The migration agent's report id: nothing that is accepted has one.
    reported_tcb, cpuid = reader.take(8), reader.take(3)
    reader.take(21)
    chip_id, committed_tcb = reader.take(64), reader.take(8)
    reader.take(8)  # Current and committed firmware build, in words of their own.
    launch_tcb = reader.take(8)
    launch_mitigations, current_mitigations = reader.u64(), reader.u64()
    reader.take(SIGNED_SIZE_BYTES - 0x208)
    signature_r = int.from_bytes(reader.take(_COMPONENT_SIZE_BYTES), "little")
    signature_s = int.from_bytes(reader.take(_COMPONENT_SIZE_BYTES), "little")
    if any(reader.rest()):
        raise reader.malformed("bytes after its signature are not zero")
    return SnpReport(
        version=version,
        guest_svn=guest_svn,
        policy=policy,
        family_id=family_id,
        image_id=image_id,
        vmpl=vmpl,
        signature_algorithm=algorithm,
        current_tcb=current_tcb,
        platform_info=platform_info,
        author_key_enabled=bool(flags & 1),
        chip_key_masked=bool(flags & _MASK_CHIP_KEY),
        signing_key=flags >> 2 & 7,
        report_data=report_data,
        measurement=measurement,
        host_data=host_data,
        id_key_digest=id_key,
        author_key_digest=author_key,
        report_id=report_id,
        reported_tcb=reported_tcb,
        cpuid=(cpuid[0], cpuid[1], cpuid[2]) if version > 2 else None,
        chip_id=chip_id,
        committed_tcb=committed_tcb,
        launch_tcb=launch_tcb,
        launch_mitigations=launch_mitigations,
        current_mitigations=current_mitigations,
        signed=data[:SIGNED_SIZE_BYTES],
        signature_r=signature_r,
        signature_s=signature_s,
    )
