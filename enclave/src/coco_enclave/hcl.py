"""The report of Azure's paravisor (HCL): the hardware's report, and the virtual TPM's key it vouches for.

Read from the virtual TPM at NV index 0x01400001. Must not know what hardware or TPM say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

from coco_enclave.boot_log import rsa_public_key
from coco_enclave.errors import EvidenceError
from coco_enclave.reader import Reader

HCL_SIZE_MAX_BYTES: Final = 16 * 1024
SNP, TDX = 2, 4
"""Types of hardware report."""
_SIGNATURE: Final = b"HCLA"
_VERSIONS: Final = frozenset({1, 2})
_HARDWARE_SIZE_BYTES: Final = 1184
_DATA_HEADER_BYTES: Final = 20
_SHA256: Final = 1
_AK: Final = "HCLAkPub"
_REQUEST_REPORT: Final = 2
_KEYS_MAX: Final = 8


@attrs.frozen(kw_only=True)
class HclReport:
    """A report of the paravisor as it was read."""

    hardware_type: int
    hardware: bytes = attrs.field(repr=False)
    """1184 bytes: an SNP report, or a TDREPORT and zeros."""
    data: bytes
    """Keys and configuration, JSON: what the hardware's report is bound to."""
    configuration: Mapping[str, Any]

    @property
    def data_digest(self) -> bytes:
        """What must stand in the hardware's report data."""
        return hashlib.sha256(self.data).digest()


def parse_hcl(data: bytes) -> HclReport:
    """Read a report; raises EvidenceError (``malformed``, ``unsupported``)."""
    reader = Reader(data, "HCL report")
    if len(data) > HCL_SIZE_MAX_BYTES:
        raise reader.malformed(f"it has {len(data)} bytes")
    if reader.take(4) != _SIGNATURE:
        raise reader.malformed("it does not begin as one")
    version, size, request, status = (reader.u32() for _ in range(4))
    if version not in _VERSIONS or request != _REQUEST_REPORT or status != 0:
        raise EvidenceError(
            "unsupported", f"HCL report: version {version}, request {request}, status {status}"
        )
    if any(reader.take(12)):
        raise reader.malformed("reserved bytes are not zero")
    hardware = reader.take(_HARDWARE_SIZE_BYTES)
    data_size, data_version, kind, algorithm, variable_size = (reader.u32() for _ in range(5))
    if kind not in (SNP, TDX) or data_version != 1 or algorithm != _SHA256:
        raise EvidenceError(
            "unsupported", f"HCL report: type {kind}, version {data_version}, hash {algorithm}"
        )
    variable = reader.take(variable_size)
    if data_size != _DATA_HEADER_BYTES + variable_size or size != len(data) - reader.left:
        raise reader.malformed("its sizes contradict each other")
    if any(reader.rest()):
        raise reader.malformed("bytes after it are not zero")
    try:
        value = orjson.loads(variable)
    except ValueError as error:
        raise reader.malformed(f"its data are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise reader.malformed("its data are no JSON object")
    return HclReport(hardware_type=kind, hardware=hardware, data=variable, configuration=value)


def attestation_key(report: HclReport) -> rsa.RSAPublicKey:
    """Return the virtual TPM's attestation key; raises EvidenceError (``ak``) unless there is exactly one."""
    keys = report.configuration.get("keys")
    if not isinstance(keys, list) or len(keys) > _KEYS_MAX:
        raise EvidenceError("ak", "HCL report: it has no keys")
    found = [key for key in keys if isinstance(key, dict) and key.get("kid") == _AK]
    if len(found) != 1 or found[0].get("kty") != "RSA":
        raise EvidenceError("ak", f"HCL report: it has {len(found)} attestation keys")
    return rsa_public_key(_number(found[0].get("n")), _number(found[0].get("e")), "HCL report")


def _number(value: object) -> int:
    """Return a number of a JSON web key (RFC 7518, Base64urlUInt)."""
    if not isinstance(value, str) or len(value) > 1024:
        raise EvidenceError("malformed", "HCL report: a number of its key is missing")
    try:
        return int.from_bytes(base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True), "big")
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("malformed", f"HCL report: a number of its key: {error}") from error


def vm_configuration(report: HclReport) -> dict[str, Any]:
    """Return what the paravisor says of the machine, as far as it is simple: switches and names."""
    value = report.configuration.get("vm-configuration")
    if not isinstance(value, dict):
        return {}
    return {str(name)[:64]: one for name, one in value.items() if isinstance(one, bool | int | str)}
