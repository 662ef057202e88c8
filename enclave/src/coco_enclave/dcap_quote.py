"""SGX and TDX quotes taken apart (Intel's DCAP quoting library API, "Quote Format", versions 3 to 5).

Pure, and checks nothing but the form. Lengths inside must add up exactly; what follows the quote is kept
apart, because devices hand over a padded buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_enclave.errors import EvidenceError
from coco_enclave.reader import Reader
from coco_enclave.verdict import Claims

SGX: Final = "sgx"
TDX: Final = "tdx"
INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
"""Whose quoting enclave it is, as every quote of Intel's says in its header."""

_HEADER_BYTES: Final = 48
_SGX_BODY_BYTES: Final = 384
_TD_BODY_BYTES: Final = 584
_TD15_BODY_BYTES: Final = 648
_TD15_EX_BODY_BYTES: Final = 885
_ECDSA_P256: Final = 2
_KINDS: Final[Mapping[int, str]] = {0x00: SGX, 0x81: TDX}
_BODIES: Final[Mapping[int, tuple[str, int]]] = {
    1: (SGX, _SGX_BODY_BYTES),
    2: (TDX, _TD_BODY_BYTES),
    3: (TDX, _TD15_BODY_BYTES),
    4: (TDX, _TD15_EX_BODY_BYTES),
}
"""By type of report, as version 5 names it: whose, and its size. Type 4 is the third with more after it."""
PCK_CHAIN: Final = 5
_QE_REPORT_CERTIFICATION: Final = 6


@attrs.frozen(kw_only=True)
class DcapQuote:
    """One quote, its parts as they are in it."""

    version: int
    kind: str
    vendor: bytes
    body: bytes
    """The report of the enclave or trust domain."""
    signed: bytes
    """Header and body: what the attestation key signed."""
    signature: bytes
    attestation_key: bytes
    qe_report: bytes
    """The quoting enclave's own report; it binds the attestation key."""
    qe_signature: bytes
    qe_authentication: bytes
    certification_type: int
    """What ``pck_chain`` is; only ``PCK_CHAIN`` can be judged without asking Intel for more."""
    pck_chain: bytes
    """The certificates of the key that signed ``qe_report``, leaf first, PEM."""
    trailing: bytes
    """What follows the quote: a device's buffer has zeros there."""


def parse_quote(data: bytes) -> DcapQuote:
    """Return the parts of a quote; raises EvidenceError (``malformed``, ``unsupported``)."""
    reader = Reader(data, "the quote")
    header = Reader(reader.take(_HEADER_BYTES), "the quote's header")
    version, key_type, tee = header.u16(), header.u16(), header.u32()
    header.take(4)  # SVNs of the quoting enclave, which its own report has too, signed by the platform.
    vendor = header.take(16)
    if version not in (3, 4, 5):
        raise EvidenceError("unsupported", f"a quote of version {version}")
    if key_type != _ECDSA_P256:
        raise EvidenceError("unsupported", f"a quote with an attestation key of type {key_type}")
    kind, body = _read_body(reader, version, tee)
    signed = data[: reader.at]
    section = Reader(reader.take(reader.u32()), "the quote's signature")
    signature, attestation_key = section.take(64), section.take(64)
    if version > 3:
        section = _read_nested(section)
    qe_report, qe_signature = section.take(_SGX_BODY_BYTES), section.take(64)
    authentication = section.take(section.u16())
    certification_type = section.u16()
    chain = section.take(section.u32())
    section.finish()
    return DcapQuote(
        version=version,
        kind=kind,
        vendor=vendor,
        body=body,
        signed=signed,
        signature=signature,
        attestation_key=attestation_key,
        qe_report=qe_report,
        qe_signature=qe_signature,
        qe_authentication=authentication,
        certification_type=certification_type,
        pck_chain=chain,
        trailing=reader.rest(),
    )


def _read_body(reader: Reader, version: int, tee: int) -> tuple[str, bytes]:
    """Return which TEE made the report, and the report."""
    if version == 3:
        if tee != 0:
            raise EvidenceError("malformed", "a quote of version 3 is of SGX")
        return SGX, reader.take(_SGX_BODY_BYTES)
    if tee not in _KINDS:
        raise EvidenceError("unsupported", f"a quote of TEE {tee:#x}")
    kind = _KINDS[tee]
    if version == 4:
        return kind, reader.take(_SGX_BODY_BYTES if kind == SGX else _TD_BODY_BYTES)
    body_type, size = reader.u16(), reader.u32()
    if body_type not in _BODIES:
        raise EvidenceError("unsupported", f"a report of type {body_type}")
    if _BODIES[body_type] != (kind, size):
        raise EvidenceError("malformed", f"a report of type {body_type} in {size} bytes is not of {kind}")
    return kind, reader.take(size)


def _read_nested(section: Reader) -> Reader:
    """Return what is inside the certification data of versions 4 and 5: one level, never more."""
    certification_type = section.u16()
    inner = Reader(section.take(section.u32()), "the quote's certification data")
    section.finish()
    if certification_type != _QE_REPORT_CERTIFICATION:
        raise EvidenceError("unsupported", f"certification data of type {certification_type}")
    return inner


def report_data(quote: DcapQuote) -> bytes:
    """Return the 64 bytes the code chose."""
    end = _SGX_BODY_BYTES if quote.kind == SGX else _TD_BODY_BYTES
    return quote.body[end - 64 : end]


def read_claims(quote: DcapQuote) -> Claims:
    """Return what a quote says of the code, nothing of it checked."""
    return _sgx_claims(quote) if quote.kind == SGX else _tdx_claims(quote)


def _sgx_claims(quote: DcapQuote) -> Claims:
    """Read an enclave's report: MRENCLAVE at 64, MRSIGNER at 128, product and version at 256."""
    body = quote.body
    attributes = body[48:64]
    return Claims(
        platform=SGX,
        measurement=body[64:96].hex(),
        signer=body[128:160].hex(),
        svn=int.from_bytes(body[258:260], "little"),
        report_data=report_data(quote).hex(),
        debug=bool(attributes[0] & 0x02),
        more={
            "quote_version": quote.version,
            "attributes": attributes.hex(),
            "misc_select": body[16:20].hex(),
            "product_id": int.from_bytes(body[256:258], "little"),
            "extended_product_id": body[32:48].hex(),
            "family_id": body[304:320].hex(),
            "config_id": body[192:256].hex(),
            "config_svn": int.from_bytes(body[260:262], "little"),
            "cpu_svn": body[:16].hex(),
        },
    )


REGISTERS: Final[Mapping[str, slice]] = {
    "mr_seam": slice(16, 64),
    "mr_config_id": slice(184, 232),
    "mr_owner": slice(232, 280),
    "mr_owner_config": slice(280, 328),
    "rtmr0": slice(328, 376),
    "rtmr1": slice(376, 424),
    "rtmr2": slice(424, 472),
    "rtmr3": slice(472, 520),
}
"""Where a trust domain's report has what was measured beside MRTD."""


def _tdx_claims(quote: DcapQuote) -> Claims:
    """Read a trust domain's report: MRTD at 136, then configuration, owner and the run-time registers.

    Reports of TDX 1.5 add service TDs, those of type 4 (``sgx_report2_body_v1_5_ex_t``) how they changed.
    """
    body = quote.body
    attributes = body[120:128]
    more: dict[str, Any] = {name: body[place].hex() for name, place in REGISTERS.items()}
    more |= {
        "quote_version": quote.version,
        "attributes": attributes.hex(),
        "xfam": body[128:136].hex(),
        "mr_signer_seam": body[64:112].hex(),
        "seam_attributes": body[112:120].hex(),
        "tee_tcb_svn": body[:16].hex(),
    }
    if len(body) >= _TD15_BODY_BYTES:
        more |= {"tee_tcb_svn2": body[584:600].hex(), "mr_service_td": body[600:648].hex()}
    if len(body) == _TD15_EX_BODY_BYTES:
        more |= {
            "vm": body[648],
            "td_id": body[649:681].hex(),
            "device_info": body[681:729].hex(),
            "service_td_at_first": body[729:777].hex(),
            "cpu_svn_at_first": body[785:801].hex(),
            "tee_tcb_svn_at_first": body[801:817].hex(),
            "service_td_now": body[829:877].hex(),
        }
    return Claims(
        platform=TDX,
        measurement=body[136:184].hex(),
        report_data=report_data(quote).hex(),
        debug=bool(attributes[0] & 0x01),
        more=more,
    )
