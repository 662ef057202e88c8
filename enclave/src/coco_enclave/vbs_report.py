"""The report of a Windows VBS enclave: its layout, and nothing of what is acceptable in it.

Source: ``ntenclv.h`` of the Windows SDK (VBS_ENCLAVE_REPORT_PKG_HEADER, VBS_ENCLAVE_REPORT,
ENCLAVE_IDENTITY).
"""

from __future__ import annotations

from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from coco_enclave.errors import EvidenceError
from coco_enclave.reader import Reader

REPORT_SIZE_MAX_BYTES: Final = 64 * 1024
_HEADER_SIZE_BYTES: Final = 24
_MODULES_MAX: Final = 256
_MODULE: Final = 1
_MODULE_FIXED_BYTES: Final = 108
_PSS_SHA256: Final = 1
_SALT_SIZE_BYTES: Final = 32
ENCLAVE_TYPE: Final = 0x10


@attrs.frozen(kw_only=True)
class VbsModule:
    """One image that is loaded in an enclave."""

    unique_id: bytes
    author_id: bytes
    family_id: bytes
    image_id: bytes
    svn: int
    name: str


@attrs.frozen(kw_only=True)
class VbsReport:
    """A report as it was read."""

    enclave_data: bytes
    owner_id: bytes
    unique_id: bytes
    author_id: bytes
    family_id: bytes
    image_id: bytes
    enclave_svn: int
    secure_kernel_svn: int
    platform_svn: int
    flags: int
    """1: a full-debug enclave, 2: dynamic debugging is enabled, 4: is active."""
    signing_level: int
    enclave_type: int
    modules: tuple[VbsModule, ...]
    signed: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)


def parse_report(data: bytes) -> VbsReport:
    """Read a package of report and signature; raises EvidenceError (``malformed``, ``unsupported``)."""
    reader = Reader(data, "VBS report")
    if len(data) > REPORT_SIZE_MAX_BYTES:
        raise reader.malformed(f"it has {len(data)} bytes")
    size, version, scheme, signed_size, signature_size, reserved = (reader.u32() for _ in range(6))
    if (version, scheme) != (1, _PSS_SHA256):
        raise EvidenceError(
            "unsupported", f"VBS report: package version {version}, signature scheme {scheme}"
        )
    if reserved:
        raise reader.malformed("reserved bytes are not zero")
    if size != len(data) or size != _HEADER_SIZE_BYTES + signed_size + signature_size:
        raise reader.malformed("its sizes contradict each other")
    signed, signature = reader.take(signed_size), reader.take(signature_size)
    reader = Reader(signed, "VBS report")
    report_size, report_version = reader.u32(), reader.u32()
    if report_version != 1:
        raise EvidenceError("unsupported", f"VBS report: version {report_version}")
    if report_size != signed_size:
        raise reader.malformed("its sizes contradict each other")
    enclave_data, owner_id = reader.take(64), reader.take(32)
    unique_id, author_id = reader.take(32), reader.take(32)
    family_id, image_id = reader.take(16), reader.take(16)
    numbers = [reader.u32() for _ in range(6)]
    return VbsReport(
        enclave_data=enclave_data,
        owner_id=owner_id,
        unique_id=unique_id,
        author_id=author_id,
        family_id=family_id,
        image_id=image_id,
        enclave_svn=numbers[0],
        secure_kernel_svn=numbers[1],
        platform_svn=numbers[2],
        flags=numbers[3],
        signing_level=numbers[4],
        enclave_type=numbers[5],
        modules=_modules(reader),
        signed=signed,
        signature=signature,
    )


def _modules(reader: Reader) -> tuple[VbsModule, ...]:
    modules: list[VbsModule] = []
    while reader.left:
        kind, size = reader.u32(), reader.u32()
        if kind != _MODULE or size < _MODULE_FIXED_BYTES or size % 2:
            raise reader.malformed(f"variable data of type {kind} with {size} bytes")
        if len(modules) == _MODULES_MAX:
            raise reader.malformed(f"more than {_MODULES_MAX} modules")
        part = Reader(reader.take(size - 8), "VBS report: module")
        modules.append(
            VbsModule(
                unique_id=part.take(32),
                author_id=part.take(32),
                family_id=part.take(16),
                image_id=part.take(16),
                svn=part.u32(),
                name=part.rest().decode("utf-16-le", "replace").partition("\0")[0],
            )
        )
    return tuple(modules)


def check_signature(report: VbsReport, key: rsa.RSAPublicKey) -> None:
    """Check that the secure kernel with this key signed a report; raises EvidenceError (``signature``)."""
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=_SALT_SIZE_BYTES)
    try:
        key.verify(report.signature, report.signed, pss, hashes.SHA256())
    except InvalidSignature as error:
        raise EvidenceError("signature", "VBS report: not signed by this secure kernel") from error
