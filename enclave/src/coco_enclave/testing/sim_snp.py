"""A simulated SEV-SNP chip under a root of its own: reports and certificates as the real ones are laid out.

Layouts: AMD 56860 and 57230, as ``snp_report`` reads them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Final

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from coco_enclave.evidence import encode_parts
from coco_enclave.snp import CHAIN, CRL, LEAF
from coco_enclave.snp_report import (
    GENOA,
    MILAN,
    POLICY_RESERVED_ONE,
    POLICY_SMT,
    REPORT_SIZE_BYTES,
    SIGNED_SIZE_BYTES,
    TURIN,
    Tcb,
    tcb_to_bytes,
)
from coco_enclave.testing.authority import YEAR_S, Issued, issue, revocation_list, rsa_key

TCB: Final = Tcb(bootloader=4, tee=0, snp=24, microcode=219)
GUEST_POLICY: Final = POLICY_SMT | POLICY_RESERVED_ONE
PLATFORM_INFO: Final = 0x25
"""Multithreading, ECC, aliases checked."""
_CPUID: Final = {MILAN: b"\x19\x01\x01", GENOA: b"\x19\x11\x01", TURIN: b"\x1a\x02\x01"}
_AMD: Final = "1.3.6.1.4.1.3704.1"
_GUIDS: Final = {
    "vcek": "63da758de6644564adc5f4b93be8accd",
    "vlek": "a8074bc2a25a483eaae639c045a0b8a1",
    "ask": "4ab7b379bbac4fe4a02f05aef327c782",
    "ark": "c0b406a4a803495297433fb6014cd0ae",
    "crl": "92f81bc358114d3d97ffd19f88dc67ea",
    "other": "00112233445566778899aabbccddeeff",
}
"""By name, what entries of a host's table of certificates are known by."""


@attrs.frozen(kw_only=True)
class SnpVendor:
    """A root and its two authorities, for the keys of chips and for those that are loaded into them."""

    product: str
    ark: Issued
    ask: Issued
    asvk: Issued

    @property
    def anchor(self) -> str:
        """SHA-256 of the root certificate: what a policy pins."""
        return hashlib.sha256(self.ark.der).hexdigest()

    def crl(self, *, now_s: int, revoke_ask: bool = False) -> bytes:
        """Return the root's revocation list."""
        return revocation_list(self.ark, [self.ask.certificate] if revoke_ask else [], now_s=now_s)


def make_snp_vendor(now_s: int, product: str = MILAN) -> SnpVendor:
    """Make the roots of one product line."""
    ark = issue(f"ARK-{product}", rsa_key(), None, now_s=now_s, authority=True, pss=True)
    ask = issue(f"SEV-{product}", rsa_key(), ark, now_s=now_s, authority=True, path_length=0, pss=True)
    asvk = issue(f"SEV-VLEK-{product}", rsa_key(), ark, now_s=now_s, authority=True, path_length=0, pss=True)
    return SnpVendor(product=product, ark=ark, ask=ask, asvk=asvk)


@attrs.frozen(kw_only=True)
class SnpChip:
    """One chip, or one key that a cloud provider loaded: what signs reports."""

    vendor: SnpVendor
    tcb: Tcb
    chip_id: bytes
    leaf: Issued
    loaded: bool

    def collateral(self, crl: bytes | None = None) -> bytes:
        """Return the certificates a report is judged by."""
        authority = self.vendor.asvk if self.loaded else self.vendor.ask
        parts = {LEAF: self.leaf.der, CHAIN: authority.pem + self.vendor.ark.pem}
        return encode_parts(parts | ({CRL: crl} if crl is not None else {}))

    def report(
        self,
        report_data: bytes,
        measurement: bytes,
        *,
        version: int = 3,
        policy: int = GUEST_POLICY,
        guest_svn: int = 0,
        vmpl: int = 0,
        host_data: bytes = bytes(32),
        platform_info: int = PLATFORM_INFO,
        id_key: bytes = bytes(48),
        author_key: bytes | None = None,
        tcb: Tcb | None = None,
        committed: Tcb | None = None,
        launch: Tcb | None = None,
        patch: Mapping[int, bytes] | None = None,
    ) -> bytes:
        """Return a signed report; ``patch`` overwrites bytes by their offset before it is signed."""
        product = self.vendor.product
        reported = tcb_to_bytes(tcb or self.tcb, product)
        body = bytearray(SIGNED_SIZE_BYTES)
        struct.pack_into("<IIQ", body, 0, version, guest_svn, policy)
        struct.pack_into("<II", body, 0x30, vmpl, 1)
        body[0x38:0x40] = reported
        flags = (int(self.loaded) << 2) | (author_key is not None)
        struct.pack_into("<QI", body, 0x40, platform_info, flags)
        body[0x50:0x90] = report_data
        body[0x90:0xC0] = measurement
        body[0xC0:0xE0] = host_data
        body[0xE0:0x110] = id_key
        body[0x110:0x140] = author_key or bytes(48)
        body[0x140:0x160] = hashlib.sha256(report_data).digest()
        body[0x180:0x188] = reported
        if version > 2:
            body[0x188:0x18B] = _CPUID[product]
        body[0x1A0:0x1E0] = self.chip_id
        body[0x1E0:0x1E8] = tcb_to_bytes(committed or tcb or self.tcb, product)
        body[0x1F0:0x1F8] = tcb_to_bytes(launch or tcb or self.tcb, product)
        for offset, data in (patch or {}).items():
            body[offset : offset + len(data)] = data
        return self.sign(bytes(body))

    def sign(self, body: bytes) -> bytes:
        """Return a report of a body of 672 bytes."""
        assert isinstance(self.leaf.key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(self.leaf.key.sign(body, ec.ECDSA(hashes.SHA384())))
        return (body + r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(REPORT_SIZE_BYTES, b"\0")


def make_snp_chip(
    vendor: SnpVendor,
    *,
    now_s: int,
    seed: bytes = b"chip",
    tcb: Tcb = TCB,
    provider: str = "",
    lifetime_s: int = 7 * YEAR_S,
    drop: str = "",
) -> SnpChip:
    """Make a chip, or with ``provider`` a key it loaded; ``drop`` leaves an extension out by its number."""
    size = 8 if vendor.product == TURIN else 64
    chip_id = hashlib.sha512(seed).digest()[:size].ljust(64, b"\0")
    extensions = {
        f"{_AMD}.1": _number(0),
        f"{_AMD}.2": _text(vendor.product if provider or vendor.product == TURIN else f"{vendor.product}-B0"),
        f"{_AMD}.3.1": _number(tcb.bootloader),
        f"{_AMD}.3.2": _number(tcb.tee),
        f"{_AMD}.3.3": _number(tcb.snp),
        f"{_AMD}.3.8": _number(tcb.microcode),
    }
    if vendor.product == TURIN:
        extensions[f"{_AMD}.3.9"] = _number(tcb.fmc)
    extensions |= {f"{_AMD}.5": _text(provider)} if provider else {f"{_AMD}.4": chip_id[:size]}
    extensions.pop(f"{_AMD}.{drop}", None)
    leaf = issue(
        "SEV-VLEK" if provider else "SEV-VCEK",
        ec.generate_private_key(ec.SECP384R1()),
        vendor.asvk if provider else vendor.ask,
        now_s=now_s,
        lifetime_s=lifetime_s,
        extensions=extensions,
        pss=True,
    )
    return SnpChip(
        vendor=vendor, tcb=tcb, chip_id=bytes(64) if provider else chip_id, leaf=leaf, loaded=bool(provider)
    )


def certificate_table(entries: Mapping[str, bytes], *, swapped: bool = True) -> bytes:
    """Return the table a host hands to its guest, by name; ``swapped``: GUIDs lie in it as UEFI has them."""
    head, body, begin = b"", b"", 24 * (len(entries) + 1)
    for name, data in entries.items():
        guid = bytes.fromhex(_GUIDS[name])
        first = guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] if swapped else guid[:8]
        head += first + guid[8:] + struct.pack("<II", begin + len(body), len(data))
        body += data
    return head + bytes(24) + body


def _number(value: int) -> bytes:
    return bytes((2, 1, value)) if value < 128 else bytes((2, 2, 0, value))


def _text(value: str) -> bytes:
    return bytes((0x16, len(value))) + value.encode()
