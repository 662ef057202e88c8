"""Evidence as others write it: taken out whole, and judged like what we write ourselves."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from coco_enclave import EvidenceError
from coco_enclave.describe import TeeExaminer, recognise
from coco_enclave.forms import find_evidence, read_collateral, read_table
from coco_enclave.hcl import TDX
from coco_enclave.ratls import RaTlsEvidence
from coco_enclave.snp import read_collateral as read_snp
from coco_enclave.testing import (
    SimulatedIntel,
    der,
    make_snp_chip,
    make_snp_vendor,
    sim_azure,
    sim_tpm,
    sim_vbs,
)
from coco_enclave.testing.sim_snp import SnpChip, certificate_table

NOW_S = 1_790_000_000
DATA = bytes(range(64))
CODE = b"C" * 48
KEY = der.sequence(b"\x05\x00")
VCEK = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd").bytes_le


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return make_snp_chip(make_snp_vendor(NOW_S), now_s=NOW_S)


def found(data: bytes) -> tuple[str, bytes, bytes]:
    one = find_evidence(data, recognise)
    assert one is not None
    return one.kind, one.quote, one.collateral


def refusal(ask: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        ask(*arguments)
    return caught.value.code


# ── text ─────────────────────────────────────────────────────────────────────────────────────────

TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "itself": bytes,
    "hex": lambda data: data.hex().encode(),
    "upper case": lambda data: data.hex().upper().encode() + b"\n",
    "hex after 0x": lambda data: b"0x" + data.hex().encode(),
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64 of URLs, bare": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "hex in base64": lambda data: base64.b64encode(data.hex().encode()),
    "JSON": lambda data: json.dumps({"cc_eventlog": None, "quote": base64.b64encode(data).decode()}).encode(),
    "JSON in an object": lambda data: json.dumps({"tdx": {"nonce": 1, "quote": data.hex()}}).encode(),
    "hex with colons": lambda data: data.hex(":").encode(),
    "an array of source text": lambda data: ",\n".join(f"0x{one:02x}" for one in data).encode(),
    "UTF-8 with its mark": lambda data: b"\xef\xbb\xbf" + data.hex().encode(),
    "UTF-16": lambda data: data.hex().encode("utf-16"),
    "JSON, a text alone": lambda data: json.dumps(data.hex()).encode(),
    "JSON, a list alone": lambda data: json.dumps(list(data)).encode(),
    "JSON, a wrapped message": lambda data: json.dumps(["application/quote", data.hex(), 1]).encode(),
    "JSON, a list of objects": lambda data: json.dumps([{"a": [1]}, {"quote": data.hex()}]).encode(),
    "JSON, a list of numbers": lambda data: json.dumps({"report": list(data)}).encode(),
    "JSON in JSON": lambda data: json.dumps(
        {"evidence": base64.b64encode(json.dumps({"raw": data.hex()}).encode()).decode()}
    ).encode(),
    "our own": lambda data: json.dumps({"kind": "sgx", "quote": data.hex(), "collateral": "PEM"}).encode(),
}


@pytest.mark.parametrize("form", TEXTS)
def test_a_quote_in_text(form: str, intel: SimulatedIntel) -> None:
    quote = intel.sgx_quote(DATA)
    collateral = b"PEM" if form == "our own" else b""
    assert found(TEXTS[form](quote)) == ("sgx", quote, collateral)


NONE = {
    "nothing": b"",
    "a word": b"quote",
    "hex of something": b"00" * 100,
    "base64 of nothing": b"A" * 101,
    "text": "é".encode() * 100,
    "no JSON": b"{" + b'"quote": ' * 9,
    "a list": b"[1, 2]" + b" " * 70,
    "JSON of something": json.dumps({"quote": "x" * 100, "report": [256] * 100, "raw": ["a"] * 9}).encode(),
    "JSON without bytes": json.dumps({"kind": "sgx", "quote": "x", "parts": {"a": 1}}).encode(),
    "a TPM's, without bytes": json.dumps(
        {"hcl_report": "x", "tpm_quote": {"message": "x", "signature": "x", "pcrs": ["x"]}}
    ).encode(),
    "CCF's, without bytes": json.dumps({"raw": "x", "endorsements": "", "uvm_endorsements": "x"}).encode(),
    "half a character": b"\xff\xfe" + b"a" * 99,
    "JSON of a report without its fields": json.dumps({"attestation_report": {"version": 2}}).encode(),
    "JSON within JSON without end": b"[" * 999 + b"]" * 999,
    "too deep": base64.b64encode(base64.b64encode(base64.b64encode(base64.b64encode(b"\0" * 99)))),
    "a header of nothing": struct.pack("<IIQ", 1, 2, 100) + bytes(100),
    "PEM of nothing": b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
    "claims of nothing": cbor2.dumps(cbor2.CBORTag(60000, [b"quote", b"claims"])),
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_evidence(what: str) -> None:
    assert find_evidence(NONE[what], recognise) is None
    assert TeeExaminer().read(NONE[what]) is None


def test_text_within_text_ends(intel: SimulatedIntel) -> None:
    data = intel.sgx_quote(DATA)
    for _ in range(5):
        data = base64.b64encode(data)
    assert find_evidence(data, recognise) is None


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert find_evidence(data, recognise) is None
    for kind in ("snp", "vbs"):
        refusal(read_collateral, kind, [data])


# ── binary ───────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_of_sql_server() -> None:
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(sim_tpm.make_tpm_vendor(NOW_S), now_s=NOW_S))
    service = sim_vbs.make_guardian_service(NOW_S)
    pem = host.health_certificate(service, now_s=NOW_S)
    health = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    report, key, session = host.report(DATA), b"k" * 539, b"s" * 636
    whole = health + report

    def answer(total: int, size: int = len(report), inside: bytes = whole) -> bytes:
        return struct.pack("<4I", total, len(key), len(health), size) + key + inside + session

    total = 12 + len(key) + len(whole)
    assert found(answer(total)) == ("vbs-hgs", report, health)
    evidence = TeeExaminer().read(answer(total))
    assert evidence is not None
    assert pem.startswith(TeeExaminer().with_collateral(evidence, []).endorsements)
    broken = health + b"\0" + report[1:]
    for other in (answer(total + 1), answer(total, 0), answer(total, inside=broken), answer(total)[:total]):
        assert find_evidence(other, recognise) is None


def test_an_answer_of_the_kernels_device(chip: SnpChip) -> None:
    report = chip.report(DATA, CODE)
    header = struct.pack("<II24s", 0, len(report), b"")
    assert found((header + report).ljust(4000, b"\0")) == ("snp", report, b"")
    for other in (struct.pack("<II24s", 1, len(report), b""), struct.pack("<II24s", 0, 9, b"")):
        assert find_evidence(other + report, recognise) is None
    assert find_evidence(header + report[:-1], recognise) is None


def test_a_report_of_azures_paravisor(chip: SnpChip) -> None:
    data = b'{"keys": []}'
    report = chip.report(hashlib.sha256(data).digest().ljust(64, b"\0"), CODE)
    assert found(sim_azure.hcl_report(report, data)) == ("snp", report, b"")
    assert refusal(found, sim_azure.hcl_report(report, b'{"keys": [1]}')) == "hcl_binding"
    assert refusal(found, sim_azure.hcl_report(report, data, kind=TDX)) == "unsupported"
    for other in (
        sim_azure.hcl_report(bytes(1184), data),
        sim_azure.hcl_report(report, data)[:-70],
    ):
        assert find_evidence(other, recognise) is None


def test_open_enclaves_header(intel: SimulatedIntel) -> None:
    quote = intel.sgx_quote(DATA)
    assert found(struct.pack("<IIQ", 1, 2, len(quote)) + quote) == ("sgx", quote, b"")
    assert find_evidence(struct.pack("<IIQ", 1, 2, len(quote) + 1) + quote, recognise) is None


def ra_tls(intel: SimulatedIntel, claims: bytes, *, over: bytes | None = None, key: bytes = KEY) -> bytes:
    bound = RaTlsEvidence(quote=b"", claims=claims if over is None else over).report_data
    value = cbor2.dumps(cbor2.CBORTag(60000, [intel.sgx_quote(bound), claims]))
    return certificate_of("2.23.133.5.4.9", value, key)


def certificate_of(extension: str, value: bytes, key: bytes = KEY) -> bytes:
    listed = der.sequence(der.sequence(der.oid(extension), der.octets(value)))
    fields = [der.tagged(0xA0, der.integer(2)), der.integer(1), *[der.sequence(b"")] * 4, key]
    return der.sequence(der.sequence(*fields, der.tagged(0xA3, listed)), der.sequence(b""))


def test_a_certificate_of_ra_tls(intel: SimulatedIntel) -> None:
    claims = cbor2.dumps({"pubkey-hash": cbor2.dumps([1, hashlib.sha256(KEY).digest()])})
    certificate = ra_tls(intel, claims)
    body = base64.encodebytes(certificate).decode()
    pem = f"text before\n-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode()
    assert found(certificate)[0] == "sgx"
    assert found(pem)[0] == "sgx"
    assert refusal(found, ra_tls(intel, claims, key=der.sequence(b"\x05\x01"))) == "pubkey_hash"
    assert refusal(found, ra_tls(intel, claims, over=b"other")) == "report_data"


def test_certificates_of_before_ra_tls_was_interoperable(intel: SimulatedIntel) -> None:
    text = base64.b64encode(KEY).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n\0".encode()
    for extension, over in (
        ("1.2.840.113741.1337.6", KEY),
        ("1.3.6.1.4.1.311.105.1", pem),
        ("1.2.840.113556.10.1.1", pem),
    ):
        quote = intel.sgx_quote(RaTlsEvidence(quote=b"", claims=over).report_data)
        value = quote if over == KEY else struct.pack("<IIQ", 1, 2, len(quote)) + quote
        assert found(certificate_of(extension, value)) == ("sgx", quote, b"")
        other = der.sequence(b"\x05\x01")
        assert refusal(found, certificate_of(extension, value, other)) == "pubkey_hash"


def test_evidence_of_ra_tls_without_its_certificate(intel: SimulatedIntel) -> None:
    claims = cbor2.dumps({})
    quote = intel.sgx_quote(RaTlsEvidence(quote=b"", claims=claims).report_data)
    assert found(cbor2.dumps(cbor2.CBORTag(60000, [quote, claims]))) == ("sgx", quote, b"")
    assert refusal(found, cbor2.dumps(cbor2.CBORTag(60000, [quote, b"other"]))) == "report_data"


@pytest.mark.parametrize("swapped", [True, False])
def test_a_report_with_the_hosts_certificates(chip: SnpChip, swapped: bool) -> None:
    report = chip.report(DATA, CODE)
    entries = {"vcek": chip.leaf.der, "ask": chip.vendor.ask.pem, "ark": chip.vendor.ark.der, "other": b"x"}
    data = report + certificate_table(entries, swapped=swapped)
    kind, quote, collateral = found(data)
    assert (kind, quote) == ("snp", report)
    assert set(read_table(collateral)) == {"vcek", "ask", "ark"}
    assert read_snp(read_collateral("snp", [collateral])).chain == read_snp(chip.collateral()).chain


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(23),
        VCEK + struct.pack("<II", 24, 9),
        VCEK + struct.pack("<II", 48, 9) + bytes(24),
        bytes(16) + struct.pack("<II", 5, 0),
        VCEK + struct.pack("<II", 0, 0) + bytes(24),
        (VCEK + struct.pack("<II", 0, 1)) * 40,
    ],
)
def test_tables_that_are_none(data: bytes) -> None:
    assert refusal(read_table, data) == "malformed"


def test_an_entry_without_a_name_is_no_end(chip: SnpChip) -> None:
    table = certificate_table({"vcek": chip.leaf.der})
    entry = VCEK + struct.pack("<II", 72, len(chip.leaf.der))
    assert read_table(bytes(20) + struct.pack("<I", 4) + entry + bytes(24) + chip.leaf.der) == read_table(
        table
    )


def test_what_a_processor_made_and_nobody_can_judge(intel: SimulatedIntel) -> None:
    quote = intel.sgx_quote(DATA)
    assert refusal(found, quote[:-1]) == "malformed"
    assert refusal(found, b"\7" + quote[1:]) == "unsupported"
    assert refusal(found, json.dumps({"quote": quote[:900].hex()}).encode()) == "malformed"
    epid = (b"\2\0" + bytes(430) + (680).to_bytes(4, "little")).ljust(436 + 680, b"s")
    assert refusal(found, epid) == "unsupported"
    assert find_evidence(epid + b"s", recognise) is None
    assert refusal(found, (b"\x81" + bytes(1023)).hex().encode()) == "unsupported"
    assert find_evidence(b"\x81" + bytes(1024), recognise) is None


# ── published files ──────────────────────────────────────────────────────────────────────────────

SUMMER_2025_S, AUTUMN_2026_S = 1_750_000_000, 1_795_000_000
PUBLISHED = {
    "snp/virtee-sev/report_milan.hex": (
        *("snp", "affirming"),
        ["snp/virtee-sev/vcek_milan.der", "snp/virtee-sev/cert_chain_milan"],
    ),
    "snp/trustee/test-vlek-report.bin": (
        *("snp", "vmpl"),
        ["snp/amd-roots/ask_ark_milan_vlek.pem", "snp/trustee/test-vlek.der"],
    ),
    "snp/azure-aci/snp_report.bin": ("snp", "affirming", ["snp/azure-aci/uvm_host_amd_certificate.json"]),
    "azure-cvm/trustee-az-snp/evidence-v0.json": (
        *("azure-snp", "affirming"),
        ["snp/amd-roots/ask_ark_milan.pem"],
    ),
    "azure-cvm/trustee-az-snp/evidence-v2.json": (
        *("azure-snp", "signature"),
        ["azure-cvm/kinvolk/certs.pem"],
    ),
    "azure-cvm/trustee-az-tdx/evidence-v0.json": ("azure-tdx", "collateral", []),
    "azure-cvm/kinvolk/hcl-report-snp.bin": ("snp", "signature", ["azure-cvm/kinvolk/certs.pem"]),
    "ra-tls/gramine-cert.pem": ("sgx", "debug", []),
    "ra-tls/rats-tls-cert.evidence.cbor": ("sgx", "debug", []),
    "sgx-tdx/automata/quotev3.hex": (
        *("sgx", "collateral_time"),
        ["bundles/sgx-automata-v3.collateral.json"],
    ),
    "vbs/mssql-jdbc/attestation_response.bin": ("vbs-hgs", "root", []),
    "sgx-tdx/openenclave/sgx_report_bad.bin": ("sgx", "chain", []),
    "sgx-tdx/openenclave/sgx_cert_ec_bad.der": ("sgx", "chain", []),
}
"""By file: of which kind it is, and what it is found to be with those files of its vendor."""


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_as_they_are(name: str, samples: Path) -> None:
    kind, answer, collateral = PUBLISHED[name]
    examiner = TeeExaminer()
    evidence = examiner.read((samples / name).read_bytes())
    assert evidence is not None
    assert evidence.format == kind
    evidence = examiner.with_collateral(evidence, [(samples / one).read_bytes() for one in collateral])
    now_s = SUMMER_2025_S if "vlek" in name else AUTUMN_2026_S
    told = examiner.judge(evidence, None, None, now_s)
    assert answer in (told.status, told.code), told.reason


@pytest.mark.shared
def test_published_answers_of_intels_service(samples: Path) -> None:
    folder, told = samples / "sgx-tdx", json.loads((samples / "bundles" / "EXPECTED.json").read_bytes())
    names = [
        *("automata/1025/tcb_info.json", "automata/1025/identity.json", "automata/1025/pck_crl.der"),
        *("automata/solana/intel_root_ca_crl.der", "automata/solana/signing.der"),
    ]
    examiner = TeeExaminer()
    evidence = examiner.read((folder / "go-tdx-guest" / "cos-113-tdx-quote.dat").read_bytes())
    assert evidence is not None
    evidence = examiner.with_collateral(evidence, [(folder / name).read_bytes() for name in names])
    (now_s,) = (one["now"] for one in told if one["name"] == "tdx-cos113")
    assert examiner.judge(evidence, None, None, now_s).status == "affirming"
