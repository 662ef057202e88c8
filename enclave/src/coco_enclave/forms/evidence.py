"""Evidence as other software writes it: what is in it is told by its form, and taken out.

Text (hex, base64), certificates of RA-TLS, a report with the host's certificates after it, or as the kernel's
device answers, Open Enclave's header, what SQL Server answers with a VBS report in it, and the JSON of
Confidential Containers, of Azure's services, of CCF, and a plain one of our own::

    {"kind": "azure-aci", "parts": {"report": base64, "uvm": base64}, "collateral": PEM or base64}
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
import orjson

from coco_enclave import azure, azure_tdx, snp
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import encode_parts
from coco_enclave.forms.snp_fields import report_of_fields
from coco_enclave.forms.text import bytes_of, bytes_of_text, text_of, unmarked
from coco_enclave.forms.unjudged import only_there, say_why_not
from coco_enclave.hcl import SNP as SNP_HARDWARE
from coco_enclave.hcl import parse_hcl
from coco_enclave.ratls import (
    RaTlsEvidence,
    check_key,
    open_enclave_quote,
    read_certificate,
    read_extension,
)
from coco_enclave.snp_report import REPORT_SIZE_BYTES, parse_report
from coco_enclave.vbs import HGS_KIND
from coco_enclave.verify import verifier_of

_NESTED_MAX: Final = 4
_FIELDS_MAX: Final = 64
"""How many fields of JSON, whatever they are called, are looked into for a quote or report."""
_ANSWER_HEADER_BYTES: Final = 32
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")

Recognise = Callable[[bytes], str]
"""Returns the kind of a quote or report by its form, empty for what is none."""


@attrs.frozen(kw_only=True)
class Found:
    """Evidence that was taken out of a file, with the collateral that came along."""

    kind: str
    quote: bytes = attrs.field(repr=False)
    collateral: bytes = attrs.field(default=b"", repr=False)


def find_evidence(data: bytes, recognise: Recognise) -> Found | None:
    """Return the evidence in a file of another's, None for none.

    Raises EvidenceError where evidence in a certificate is not for the certificate's key: ``pubkey_hash``,
    ``report_data``; or a report in a paravisor's not for its keys: ``hcl_binding``. Also for quotes that are
    broken, or of a form that nobody can judge: ``malformed``, ``unsupported``.
    """
    return _find(unmarked(data), recognise, _NESTED_MAX)


def _find(data: bytes, recognise: Recognise, depth: int) -> Found | None:
    if (kind := recognise(data)) or not depth:
        return Found(kind=kind, quote=data) if kind else None
    for reader in (
        *(_certificate, _extension, _with_table, _device_answer, _open_enclave, _sql_server),
        _paravisor,
    ):
        if (found := reader(data, recognise)) is not None:
            return found
    say_why_not(data)
    text = text_of(data)
    if text is None:
        return None
    if (decoded := bytes_of_text(text)) is not None:
        return _find(decoded, recognise, depth - 1)
    try:
        value: Any = orjson.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        return _in_object(value, recognise, depth)
    return _in_any([value], recognise, depth)


# ── binary forms ─────────────────────────────────────────────────────────────────────────────────


def _certificate(data: bytes, recognise: Recognise) -> Found | None:
    """Read evidence in the first certificate, PEM or DER, and check that it is for its key."""
    # A certificate itself holds a quote, which holds certificates as text.
    pem = _PEM.search(data) if data.isascii() else None
    try:
        der = b64decode(b"".join(pem[1].split())) if pem is not None else data
        found, key = read_certificate(der)
    except (ValueError, EvidenceError):
        return None
    if found.names_key:
        check_key(found.claims, key)
    return _of_claims(found, recognise)


def _extension(data: bytes, recognise: Recognise) -> Found | None:
    try:
        found = read_extension(data)
    except EvidenceError:
        return None
    return _of_claims(found, recognise)


def _of_claims(found: RaTlsEvidence, recognise: Recognise) -> Found | None:
    """Check that evidence is over the claims beside it: otherwise they say nothing of it."""
    kind = recognise(found.quote)
    if not kind:
        return None
    if verifier_of(kind).read(found.quote).report_data != found.report_data.hex():
        if not found.names_key:
            raise EvidenceError("pubkey_hash", "the evidence is for another key than the certificate's")
        raise EvidenceError("report_data", "RA-TLS evidence: the quote is not over the claims beside it")
    return Found(kind=kind, quote=found.quote)


def _with_table(data: bytes, _: Recognise) -> Found | None:
    """Read an extended report: the host's table of certificates lies behind it."""
    report, table = data[:REPORT_SIZE_BYTES], data[REPORT_SIZE_BYTES:]
    if not table or not _is_report(report):
        return None
    return Found(kind=snp.KIND, quote=report, collateral=table)


def _device_answer(data: bytes, _: Recognise) -> Found | None:
    """Read what ``/dev/sev-guest`` answers: status 0, the report's size, then the report."""
    report = data[_ANSWER_HEADER_BYTES:][:REPORT_SIZE_BYTES]
    header = bytes(4) + REPORT_SIZE_BYTES.to_bytes(4, "little")
    if data[:_ANSWER_HEADER_BYTES] != header.ljust(_ANSWER_HEADER_BYTES, b"\0") or not _is_report(report):
        return None
    return Found(kind=snp.KIND, quote=report)


def _is_report(data: bytes) -> bool:
    try:
        parse_report(data)
    except EvidenceError:
        return False
    return True


def _open_enclave(data: bytes, recognise: Recognise) -> Found | None:
    """Read Open Enclave's report: a header, then the quote."""
    try:
        inner = open_enclave_quote(data)
    except EvidenceError:
        return None
    kind = recognise(inner)
    return Found(kind=kind, quote=inner) if kind else None


def _sql_server(data: bytes, _: Recognise) -> Found | None:
    """Read SQL Server's answer: sizes, its key, the health certificate of its host, the enclave's report."""
    begin = 4 * 4
    total, key, health, report = (int.from_bytes(data[at : at + 4], "little") for at in range(0, begin, 4))
    if not health or not report or total != begin - 4 + key + health + report or total + 4 > len(data):
        return None
    certificate = data[begin + key :][:health]
    quote = data[begin + key + health :][:report]
    try:
        verifier_of(HGS_KIND).read(quote)
    except EvidenceError:
        return None
    return Found(kind=HGS_KIND, quote=quote, collateral=certificate)


def _paravisor(data: bytes, _: Recognise) -> Found | None:
    """Read the report in that of Azure's paravisor, and check that it vouches for the keys beside it.

    Without a quote of the virtual TPM it says nothing of the guest.
    """
    try:
        report = parse_hcl(data)
        bound = parse_report(report.hardware).report_data if report.hardware_type == SNP_HARDWARE else None
    except EvidenceError:
        return None
    if bound is None:
        raise only_there()
    azure.check_binding(report, bound)
    return Found(kind=snp.KIND, quote=report.hardware)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


def _in_value(value: Any, recognise: Recognise, depth: int) -> Found | None:
    if isinstance(value, dict):
        return _in_object(value, recognise, depth)
    inner = bytes_of(value)
    if inner is not None:
        return _find(inner, recognise, depth)
    return _in_any(value, recognise, depth) if isinstance(value, list) else None


def _in_object(value: Mapping[str, Any], recognise: Recognise, depth: int) -> Found | None:
    for reader in (_own, _virtual_tpm, _containers, _fields_of_report):
        if (found := reader(value)) is not None:
            return found
    return _in_any(list(value.values()), recognise, depth)


def _in_any(values: list[Any], recognise: Recognise, depth: int) -> Found | None:
    for one in values[:_FIELDS_MAX] if depth else ():
        if (found := _in_value(one, recognise, depth - 1)) is not None:
            return found
    return None


def _own(value: Mapping[str, Any]) -> Found | None:
    match value:
        case {"kind": str(kind), "parts": dict(parts)}:
            read = {str(name): bytes_of(part) for name, part in parts.items()}
            whole = {name: part for name, part in read.items() if part is not None}
            quote = encode_parts(whole) if len(whole) == len(read) else None
        case {"kind": str(kind), "quote": one}:
            quote = bytes_of(one)
        case _:
            return None
    collateral = _collateral_in(value.get("collateral"))
    return Found(kind=kind, quote=quote, collateral=collateral) if quote is not None else None


def _virtual_tpm(value: Mapping[str, Any]) -> Found | None:
    """Read evidence of Azure's VMs as the attesters of Confidential Containers write it."""
    hcl = bytes_of(value.get("hcl_report", value.get("report")))
    match value.get("tpm_quote", value.get("quote")):
        case {"message": message, "signature": signature, "pcrs": list(registers)}:
            read = [hcl, bytes_of(message), bytes_of(signature), *_registers(registers)]
        case _:
            return None
    if not all(read):
        return None
    whole = [one for one in read if one is not None]
    parts = {
        azure.HCL: whole[0],
        azure.QUOTE: whole[1],
        azure.SIGNATURE: whole[2],
        azure.REGISTERS: b"".join(whole[3:]),
    }
    td_quote = bytes_of(value.get("td_quote"))
    if td_quote is not None:
        return Found(kind=azure_tdx.KIND, quote=encode_parts({**parts, azure_tdx.TD_QUOTE: td_quote}))
    return Found(kind=azure.SNP_KIND, quote=encode_parts(parts), collateral=_collateral_in(value.get("vcek")))


def _registers(values: list[Any]) -> Iterator[bytes | None]:
    yield from (bytes_of(one) for one in values)


def _containers(value: Mapping[str, Any]) -> Found | None:
    """Read a report with its certificates, and with the endorsement of its utility VM where there is one.

    As CCF has them, Azure's sidecars and Azure's attestation service, which asks for them in base64 in JSON.
    """
    match value:
        case {"raw": raw, "endorsements": chain} | {"evidence": raw, "endorsements": chain}:
            uvm = value.get("uvm_endorsements")
        case {"SnpReport": raw, "VcekCertChain": chain, **more}:
            uvm = _endorsement_in(more.get("Endorsements"))
        case _:
            return None
    report, endorsement, collateral = bytes_of(raw), bytes_of(uvm), _collateral_in(chain)
    if report is None or not _is_report(report):
        return None
    if endorsement is None:
        return Found(kind=snp.KIND, quote=report, collateral=collateral)
    parts = {azure.REPORT: report, azure.ENDORSEMENT: endorsement}
    return Found(kind=azure.ACI_KIND, quote=encode_parts(parts), collateral=collateral)


def _endorsement_in(value: Any) -> Any:
    """Return the first of the endorsements that Azure's attestation service is asked with, None for none."""
    text = bytes_of(value)
    try:
        given = value if text is None else orjson.loads(text)
    except ValueError:
        return None
    match given:
        case {"Uvm": [first, *_]}:
            return first
    return None


def _fields_of_report(value: Mapping[str, Any]) -> Found | None:
    """Read a report whose fields are named, with the host's certificates, as Confidential Containers do."""
    report, listed = report_of_fields(value.get("attestation_report", value)), value.get("cert_chain")
    if report is None:
        return None
    collateral = b"".join(_certificates_in(listed if isinstance(listed, list) else []))
    return Found(kind=snp.KIND, quote=report, collateral=collateral)


def _certificates_in(listed: list[Any]) -> Iterator[bytes]:
    """Return the certificates of a host's table as it is written in JSON, PEM."""
    for one in listed:
        match one:
            case {"cert_type": "VCEK" | "VLEK" | "ASK" | "ARK", "data": data} if der := bytes_of(data):
                text = b64encode(der).decode()
                yield f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode()


def _collateral_in(value: Any) -> bytes:
    """Return collateral that JSON holds: bytes written as text, or text as it is; empty for none."""
    decoded = bytes_of(value)
    if decoded is not None:
        return decoded
    return value.encode() if isinstance(value, str) else b""
