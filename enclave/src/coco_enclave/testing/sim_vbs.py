"""A simulated Windows host with a secure kernel: a measured boot, and reports signed by the key of that boot.

Layouts: ``ntenclv.h`` and ``wbcl.h`` of the Windows SDK, as ``vbs_report`` and ``boot_log`` read them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from coco_enclave import boot_log
from coco_enclave.evidence import encode_parts
from coco_enclave.testing.authority import Issued, issue, rsa_key
from coco_enclave.testing.sim_tpm import Tpm
from coco_enclave.vbs import LOG, QUOTE, REPORT, SIGNATURE
from coco_enclave.vbs_report import ENCLAVE_TYPE

EV_SEPARATOR, EV_EVENT_TAG, EV_VARIABLE = 4, 6, 0x80000001
SELECTION: Final = (7, 12, 13, 14)
AUTHOR: Final = b"A" * 32
UNIQUE: Final = b"U" * 32
IDK: Final = 0x50020
"""The secure kernel's key for encryption: it signs nothing."""
_CONTAINER: Final = 0x40010001


STATE: Final[Mapping[int, bytes]] = {
    boot_log.HYPERVISOR_LAUNCH: struct.pack("<Q", 1),
    boot_log.VSM_LAUNCH: struct.pack("<Q", 1),
    boot_log.KERNEL_DEBUG: b"\0",
    boot_log.CODE_INTEGRITY: b"\1",
    boot_log.TEST_SIGNING: b"\0",
    boot_log.BOOT_DEBUGGING: b"\0",
}
"""How a host boots that is to be accepted."""


@attrs.define(kw_only=True)
class VbsHost:
    """A host since its boot."""

    tpm: Tpm
    idks: rsa.RSAPrivateKey = attrs.field(repr=False)

    def report(self, enclave_data: bytes, **fields: Any) -> bytes:
        """Return a report over 64 bytes; ``fields`` are those of ``report_body``."""
        return self.sign(report_body(enclave_data, **fields))

    def sign(self, body: bytes) -> bytes:
        """Return the package of a body and the secure kernel's signature."""
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = self.idks.sign(body, pss, hashes.SHA256())
        header = struct.pack("<6I", 24 + len(body) + len(signature), 1, 1, len(body), len(signature), 0)
        return header + body + signature

    def evidence(
        self,
        enclave_data: bytes,
        nonce: bytes,
        *,
        report: bytes | None = None,
        log: bytes | None = None,
        selection: Sequence[int] = SELECTION,
    ) -> bytes:
        """Return evidence of kind ``vbs``; parts that are given replace the host's own."""
        quote, signature = self.tpm.quote(nonce, selection)
        parts = {
            REPORT: report if report is not None else self.report(enclave_data),
            QUOTE: quote,
            SIGNATURE: signature,
            LOG: log if log is not None else self.tpm.log,
        }
        return encode_parts(parts)

    def health_certificate(self, service: Issued, *, now_s: int, lifetime_s: int = 8 * 3600) -> bytes:
        """Return the certificate a Host Guardian Service gives the key, and its own: PEM, collateral."""
        health = issue("Simulated host", self.idks, service, now_s=now_s, lifetime_s=lifetime_s, age_s=60)
        return health.pem + service.pem


def make_guardian_service(now_s: int) -> Issued:
    """Make a Host Guardian Service."""
    return issue("Simulated HGS", rsa_key(), None, now_s=now_s, authority=True)


def boot_windows(
    tpm: Tpm,
    *,
    state: Mapping[int, bytes] | None = None,
    more: Sequence[tuple[int, bytes]] = (),
    secure_boot: bytes = b"\1",
    keys: int = 1,
    key_kind: int = boot_log.IDENTITY_KEY,
) -> VbsHost:
    """Boot Windows: measure variables, state and the secure kernel's key; ``more`` are further values."""
    idks = [rsa_key() for _ in range(max(keys, 1))]
    values = [*(STATE if state is None else state).items(), *more]
    values += [(key_kind, key_info(key)) for key in idks[:keys]]
    tpm.extend(7, EV_VARIABLE, variable("SecureBoot", secure_boot))
    tpm.extend(7, EV_SEPARATOR, bytes(4))
    tpm.extend(12, EV_EVENT_TAG, tagged(_CONTAINER, b"".join(tagged(kind, value) for kind, value in values)))
    tpm.extend(13, EV_EVENT_TAG, tagged(_CONTAINER, tagged(boot_log.TEST_SIGNING, b"\0")))
    for register in (12, 13, 14):
        tpm.extend(register, EV_SEPARATOR, b"WBCL")
    return VbsHost(tpm=tpm, idks=idks[0])


def key_info(key: rsa.RSAPrivateKey) -> bytes:
    """Return what is measured of the secure kernel's key (SIPAEVENT_VSM_IDK_RSA_INFO)."""
    numbers = key.public_key().public_numbers()
    modulus = numbers.n.to_bytes(key.key_size // 8, "big")
    return struct.pack("<4I", 1, key.key_size, 3, len(modulus)) + numbers.e.to_bytes(3, "big") + modulus


def tagged(kind: int, value: bytes) -> bytes:
    """Return one tagged value."""
    return struct.pack("<II", kind, len(value)) + value


def variable(name: str, value: bytes) -> bytes:
    """Return a UEFI variable as firmware measures it."""
    return (
        boot_log.GLOBAL_VARIABLE
        + struct.pack("<QQ", len(name), len(value))
        + name.encode("utf-16-le")
        + value
    )


def report_body(
    enclave_data: bytes,
    *,
    unique_id: bytes = UNIQUE,
    author_id: bytes = AUTHOR,
    family_id: bytes = b"F" * 16,
    image_id: bytes = b"I" * 16,
    svn: int = 1,
    secure_kernel_svn: int = 1,
    platform_svn: int = 1,
    flags: int = 0,
    enclave_type: int = ENCLAVE_TYPE,
    modules: Sequence[tuple[str, bytes, bytes]] = (("keys.dll", UNIQUE, AUTHOR),),
    size_error: int = 0,
) -> bytes:
    """Return what the secure kernel signs; ``modules`` are names with UniqueId and AuthorId."""
    numbers = struct.pack("<6I", svn, secure_kernel_svn, platform_svn, flags, 0, enclave_type)
    identity = bytes(32) + unique_id + author_id + family_id + image_id + numbers
    loaded = b""
    for name, unique, author in modules:
        text = (name + "\0").encode("utf-16-le")
        module = unique + author + family_id + image_id + struct.pack("<I", svn) + text
        loaded += struct.pack("<II", 1, 8 + len(module)) + module
    size = 8 + len(enclave_data) + len(identity) + len(loaded)
    return struct.pack("<II", size + size_error, 1) + enclave_data + identity + loaded
