"""The table of certificates that a SEV-SNP host hands to its guest: after a report, or in ``auxblob``.

Source: AMD 56421 (guest hypervisor communication block), SNP Extended Guest Request. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coco_enclave.reader import Reader

CertificateTable = Mapping[str, bytes]
"""Certificates and lists as they lay there, by name: ``vcek``, ``vlek``, ``ask``, ``ark``, ``crl``."""

_ENTRIES_MAX: Final = 32
_NAMES: Final[Mapping[str, str]] = {
    "63da758de6644564adc5f4b93be8accd": "vcek",
    "a8074bc2a25a483eaae639c045a0b8a1": "vlek",
    "4ab7b379bbac4fe4a02f05aef327c782": "ask",
    "c0b406a4a803495297433fb6014cd0ae": "ark",
    "92f81bc358114d3d97ffd19f88dc67ea": "crl",
}
"""By GUID, its digits in the order they are written in."""


def read_table(data: bytes) -> CertificateTable:
    """Return what a table holds under the names that are known; raises EvidenceError (``malformed``).

    It ends with an entry of zeros. GUIDs lie there as UEFI has them, or as they are written: both occur.
    """
    reader = Reader(data, "certificate table")
    found: dict[str, bytes] = {}
    for _ in range(_ENTRIES_MAX):
        guid, offset, size = reader.take(16), reader.u32(), reader.u32()
        if not any(guid) and not offset and not size:
            return found
        if not size or offset + size > len(data):
            raise reader.malformed("an entry is of bytes that are not there")
        swapped = guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] + guid[8:]
        name = _NAMES.get(swapped.hex()) or _NAMES.get(guid.hex())
        if name is not None:
            found[name] = data[offset : offset + size]
    raise reader.malformed(f"it has more than {_ENTRIES_MAX} entries")
