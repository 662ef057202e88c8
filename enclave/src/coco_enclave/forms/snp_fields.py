"""A SEV-SNP report whose fields are named in JSON, as virtee's library and Confidential Containers do.

Put together to the bytes that were signed; what such JSON leaves out was zero. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coco_enclave.snp_report import REPORT_SIZE_BYTES, TURIN, Tcb, tcb_to_bytes

_SIGNATURE_AT: Final = 0x2A0
_COMPONENT_BYTES: Final = 72
_NUMBERS: Final[Mapping[int, tuple[int, tuple[str, ...]]]] = {
    0x000: (4, ("version",)),
    0x004: (4, ("guest_svn",)),
    0x008: (8, ("policy",)),
    0x030: (4, ("vmpl",)),
    0x034: (4, ("sig_algo",)),
    0x040: (8, ("plat_info",)),
    0x048: (4, ("key_info", "author_key_en", "_author_key_en")),
    0x188: (1, ("cpuid_fam_id",)),
    0x189: (1, ("cpuid_mod_id",)),
    0x18A: (1, ("cpuid_step",)),
    0x1F8: (8, ("launch_mit_vector",)),
    0x200: (8, ("current_mit_vector",)),
}
"""Place of a number in a report -> its size, and what it is called: later names come before earlier ones."""
_ARRAYS: Final[Mapping[int, tuple[int, str]]] = {
    0x010: (16, "family_id"),
    0x020: (16, "image_id"),
    0x050: (64, "report_data"),
    0x090: (48, "measurement"),
    0x0C0: (32, "host_data"),
    0x0E0: (48, "id_key_digest"),
    0x110: (48, "author_key_digest"),
    0x140: (32, "report_id"),
    0x160: (32, "report_id_ma"),
    0x1A0: (64, "chip_id"),
}
_TCBS: Final[Mapping[int, str]] = {
    0x038: "current_tcb",
    0x180: "reported_tcb",
    0x1E0: "committed_tcb",
    0x1F0: "launch_tcb",
}
_BUILDS: Final[Mapping[int, str]] = {0x1E8: "current", 0x1EC: "committed"}
_TCB_FIELDS: Final = ("bootloader", "tee", "snp", "microcode")


def report_of_fields(fields: Any) -> bytes | None:
    """Return the report that JSON names the fields of, None where it is none."""
    report = bytearray(REPORT_SIZE_BYTES)
    try:
        for at, (size, names) in _NUMBERS.items():
            number = next((fields[name] for name in names if fields.get(name) is not None), 0)
            report[at : at + size] = number.to_bytes(size, "little")
        for at, (size, name) in _ARRAYS.items():
            report[at : at + size] = _sized(fields[name], size)
        for at, name in _TCBS.items():
            report[at : at + 8] = _tcb(fields[name])
        for at, name in _BUILDS.items():
            report[at : at + 3] = _build(fields, name)
        for at, name in enumerate("rs"):
            begin = _SIGNATURE_AT + at * _COMPONENT_BYTES
            report[begin : begin + _COMPONENT_BYTES] = _sized(fields["signature"][name], _COMPONENT_BYTES)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    return bytes(report)


def _sized(value: Any, size: int) -> bytes:
    if not isinstance(value, str | list):
        # Of a number ``bytes`` would make as many zeros.
        raise TypeError("neither hex nor a list of bytes")
    found = bytes.fromhex(value) if isinstance(value, str) else bytes(value)
    if len(found) != size:
        raise ValueError(f"no {size} bytes")
    return found


def _tcb(value: Mapping[str, int | None]) -> bytes:
    fmc = value.get("fmc")
    parts = {name: int(value[name] or 0) for name in _TCB_FIELDS}
    # Only Turin's has this component, and another layout with it.
    return tcb_to_bytes(Tcb(**parts, fmc=fmc or 0), "" if fmc is None else TURIN)


def _build(fields: Mapping[str, Any], name: str) -> bytes:
    whole = fields.get(name)
    if whole is None:
        return bytes(fields[f"{name}_{part}"] for part in ("build", "minor", "major"))
    return bytes(whole[part] for part in ("build", "minor", "major"))
