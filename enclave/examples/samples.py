"""Evidence made by real hardware, published by others, with the answer each piece must get.

Looks for the folder, keeps nothing of it. What a sample is judged by is the vendor's roots and any code: it
is the platform that is tried.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_enclave import (
    PlatformPolicy,
    TeeEvidence,
    TeePolicy,
    Verdict,
    appraise,
    encode_parts,
)
from coco_enclave.anchors import AMD_ANCHORS, INTEL_ANCHORS
from coco_enclave.attestation_key import fingerprint as key_fingerprint
from coco_enclave.pki import fingerprint
from coco_enclave.tpm import parse_quote as parse_tpm_quote

SUMMER_2025_S = 1_750_000_000
AUTUMN_2026_S = 1_795_000_000
FEBRUARY_2023_S = 1_676_000_000
OCTOBER_2019_S = 1_572_460_000
ANY_PROVIDER = {"vlek_providers": ["any"]}
MICROSOFT = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"
REFUSALS: Mapping[str, str] = {
    "Debug mode is enabled": "debug",
    "Invalid MR service TD": "td_attributes",
    "No matching TCB level found": "tcb_none",
    "SEPT_VE_DISABLE is not enabled": "td_attributes",
    "Unsupported DCAP PCK cert format": "unsupported",
}
"""What the published answers say of a refusal -> our code."""


@attrs.frozen(kw_only=True)
class Sample:
    """One piece of evidence and how it must be judged."""

    name: str
    kind: str
    quote: bytes
    collateral: bytes
    expected_report_data: bytes
    now_s: int
    answer: str
    """``affirming``, ``warning``, or the code of the rule that must refuse it."""
    policy: PlatformPolicy

    def judge(self) -> Verdict:
        """Return the verdict, also one that refuses."""
        return appraise(
            TeeEvidence(kind=self.kind, quote=self.quote),
            self.collateral,
            TeePolicy(platforms={self.kind: self.policy}),
            self.expected_report_data,
            self.now_s,
        )


def find_samples(folder: Path) -> list[Sample]:
    """Return every piece of evidence below ``folder`` that something can be judged by."""
    sources: list[Callable[[Path], Iterator[Sample]]] = [
        *(_dcap, _without_collateral, _debug_enclaves, _snp, _azure, _windows)
    ]
    return [sample for source in sources for sample in source(folder)]


def _any_code(**changes: Any) -> PlatformPolicy:
    return PlatformPolicy(**{"measurements": None, **changes})


# ── SGX and TDX ──────────────────────────────────────────────────────────────────────────────────


def _dcap(folder: Path) -> Iterator[Sample]:
    """Quotes with collateral: by default, and allowed where the vendor's word is another than up to date."""
    for told in json.loads((folder / "bundles" / "EXPECTED.json").read_text(encoding="utf-8")):
        answer = told["dcap_qvl_0_7_0"]
        default = Sample(
            name=told["name"],
            kind=told["tee"].lower(),
            quote=(folder / told["quote"]).read_bytes(),
            collateral=(folder / told["collateral"]).read_bytes(),
            expected_report_data=bytes.fromhex(told["report_data"]),
            now_s=told["now"],
            answer=_dcap_answer(answer),
            policy=_any_code(anchors=INTEL_ANCHORS),
        )
        yield default
        if default.answer == "tcb_status":
            allowed = attrs.evolve(
                default.policy,
                tcb_statuses=frozenset({answer["status"]}),
                allowed_advisories=frozenset(answer["advisories"]),
            )
            name = f"{default.name} ({answer['status']} allowed)"
            yield attrs.evolve(default, name=name, answer="warning", policy=allowed)


def _dcap_answer(told: Mapping[str, Any]) -> str:
    if told["outcome"] == "verified":
        return "affirming" if told["status"] == "UpToDate" else "tcb_status"
    (code,) = (code for part, code in REFUSALS.items() if part in told["error"])
    return code


_ALONE: list[tuple[str, str, str]] = [
    ("collateral", "tdx", "oasis/quote_v4_tdx_ecdsa_p256.bin"),
    ("collateral", "tdx", "oasis/quote_v4_tdx_ecdsa_p256_trailing.bin"),
    ("collateral", "tdx", "trustee/tdx_quote_6.dat"),
    ("collateral", "tdx", "automata/solana/quote_tdx.bin"),
    ("collateral", "tdx", "agentrust-gcp/tdx_quote.bin"),
    ("collateral", "tdx", "agentrust-gcp/tdx_quote_manifest.bin"),
    ("debug", "sgx", "openenclave/sgx_quote_intel_qve"),
]
"""Quotes that nothing is published to judge by: signatures hold up to Intel's root, and no further."""


def _without_collateral(folder: Path) -> Iterator[Sample]:
    for answer, kind, name in _ALONE:
        quote = (folder / "sgx-tdx" / name).read_bytes()
        yield Sample(
            name=f"{name.partition('.')[0]} alone",
            kind=kind,
            quote=quote,
            collateral=b"",
            expected_report_data=quote[568:632] if kind == "tdx" else quote[368:432],
            now_s=AUTUMN_2026_S,
            answer=answer,
            policy=_any_code(anchors=INTEL_ANCHORS),
        )


def _debug_enclaves(folder: Path) -> Iterator[Sample]:
    """Quotes in RA-TLS certificates: all genuine, all of debug builds, which no collateral makes better."""
    for path in sorted((folder / "ra-tls").glob("*.evidence.cbor")):
        quote, _ = cbor2.loads(path.read_bytes()).value
        yield Sample(
            name=f"ra-tls/{path.name.partition('.')[0]}",
            kind="sgx",
            quote=quote,
            collateral=b"",
            expected_report_data=quote[368:432],
            now_s=AUTUMN_2026_S,
            answer="debug",
            policy=_any_code(anchors=INTEL_ANCHORS),
        )


# ── SEV-SNP ──────────────────────────────────────────────────────────────────────────────────────

_MILAN, _LOADED, _GENOA = "ask_ark_milan.pem", "ask_ark_milan_vlek.pem", "ask_ark_genoa.pem"
_SNP: list[tuple[str, str, str, str, int]] = [
    ("affirming", "virtee-sev/report_milan.hex", "virtee-sev/vcek_milan.der", _MILAN, AUTUMN_2026_S),
    ("affirming", "trustee/test-report.bin", "trustee/test-vcek.der", _MILAN, AUTUMN_2026_S),
    ("debug", "go-sev-guest/attestation.bin", "go-sev-guest/vcek.der", _MILAN, AUTUMN_2026_S),
    ("chain", "trustee/test-report.bin", "trustee/test-vcek-invalid-legacy.der", _MILAN, AUTUMN_2026_S),
    ("chain", "trustee/test-report.bin", "trustee/test-vcek-invalid-new.der", _MILAN, AUTUMN_2026_S),
    ("signature", "trustee/test-report.bin", "virtee-sev/vcek_milan.der", _MILAN, AUTUMN_2026_S),
    ("root", "trustee/test-report.bin", "trustee/test-vcek.der", _GENOA, AUTUMN_2026_S),
    ("vmpl", "trustee/test-vlek-report.bin", "trustee/test-vlek.der", _LOADED, SUMMER_2025_S),
    ("expired", "trustee/test-vlek-report.bin", "trustee/test-vlek.der", _LOADED, AUTUMN_2026_S),
]


def _snp(folder: Path) -> Iterator[Sample]:
    for answer, report, leaf, chain, now_s in _SNP:
        data = (folder / "snp" / report).read_bytes()
        quote = bytes.fromhex(data.decode()) if report.endswith(".hex") else data
        certificates = {
            "leaf": (folder / "snp" / leaf).read_bytes(),
            "chain": (folder / "snp" / "amd-roots" / chain).read_bytes(),
        }
        yield Sample(
            name=f"{report.partition('.')[0]} under {Path(leaf).stem}",
            kind="snp",
            quote=quote,
            collateral=encode_parts(certificates),
            expected_report_data=quote[0x50:0x90],
            now_s=now_s,
            answer=answer,
            policy=_any_code(anchors=AMD_ANCHORS, rules=ANY_PROVIDER),
        )


# ── Azure ────────────────────────────────────────────────────────────────────────────────────────


def _azure(folder: Path) -> Iterator[Sample]:
    for name, product in (("v0", "milan"), ("v1", "milan"), ("v2", "milan"), ("genoa", "genoa")):
        guest = _azure_guest(folder, name, product)
        yield guest
        if name == "v1":
            others = (folder / "azure-cvm" / "kinvolk" / "certs.pem").read_bytes()
            yield attrs.evolve(
                guest, name=f"{guest.name} under another chip", collateral=others, answer="signature"
            )
    yield _azure_tdx(folder)
    containers = _containers(folder)
    yield containers
    other = attrs.evolve(containers.policy, rules={**containers.policy.rules, "uvm_svn": 23})
    yield attrs.evolve(
        containers, name=f"{containers.name}, older than asked", policy=other, answer="endorsement"
    )


def _azure_guest(folder: Path, name: str, product: str) -> Sample:
    path = folder / "azure-cvm" / "trustee-az-snp" / f"evidence-{name}.json"
    value = json.loads(path.read_bytes())
    quote = value.get("quote") or value["tpm_quote"]
    if "report" in value:
        hcl, leaf = bytes(value["report"]), value["vcek"].encode()
    else:
        hcl = _base64url(value["hcl_report"])
        leaf = x509.load_der_x509_certificate(_base64url(value["vcek"])).public_bytes(Encoding.PEM)
    parts = {
        "hcl": hcl,
        "quote": _bytes(quote["message"]),
        "signature": _bytes(quote["signature"]),
        "registers": b"".join(map(_bytes, quote["pcrs"])),
    }
    return Sample(
        name=f"azure-cvm/{name} ({product})",
        kind="azure-snp",
        quote=encode_parts(parts),
        collateral=leaf + (folder / "snp" / "amd-roots" / f"ask_ark_{product}.pem").read_bytes(),
        expected_report_data=parse_tpm_quote(parts["quote"]).nonce,
        now_s=AUTUMN_2026_S,
        answer="affirming",
        policy=_any_code(anchors=AMD_ANCHORS),
    )


def _azure_tdx(folder: Path) -> Sample:
    place = folder / "azure-cvm" / "trustee-az-tdx"
    quote = json.loads((place / "evidence-v1.json").read_bytes())["tpm_quote"]
    parts = {
        "hcl": (place / "hcl-report.bin").read_bytes(),
        "td_quote": (place / "td-quote.bin").read_bytes(),
        "quote": _bytes(quote["message"]),
        "signature": _bytes(quote["signature"]),
        "registers": b"".join(map(_bytes, quote["pcrs"])),
    }
    told = json.loads((folder / "bundles" / "EXPECTED.json").read_bytes())
    (bundle,) = (one for one in told if one["name"] == "tdx-azure")
    return Sample(
        name="azure-cvm/trustee-az-tdx",
        kind="azure-tdx",
        quote=encode_parts(parts),
        collateral=(folder / bundle["collateral"]).read_bytes(),
        expected_report_data=parse_tpm_quote(parts["quote"]).nonce,
        now_s=bundle["now"],
        answer="td_attributes",
        policy=_any_code(anchors=INTEL_ANCHORS),
    )


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bytes(value: str | list[int]) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def _containers(folder: Path) -> Sample:
    place = folder / "snp" / "azure-aci"
    report = (place / "snp_report.bin").read_bytes()
    parts = {
        "report": report,
        "uvm": (place / "body.uvm_reference_info.bin").read_bytes(),
        "policy": base64.b64decode((place / "uvm_security_policy.base64").read_bytes()),
    }
    return Sample(
        name="azure-aci",
        kind="azure-aci",
        quote=encode_parts(parts),
        collateral=(place / "uvm_host_amd_certificate.pem").read_bytes(),
        expected_report_data=report[0x50:0x90],
        now_s=FEBRUARY_2023_S,
        answer="affirming",
        policy=_any_code(anchors=AMD_ANCHORS, rules={"dids": [MICROSOFT], "uvm_svn": 22}),
    )


# ── Windows ──────────────────────────────────────────────────────────────────────────────────────


def _windows(folder: Path) -> Iterator[Sample]:
    """SQL Server's enclave of 2019, whose guardian service published no root; and a machine without VBS."""
    place = folder / "vbs"
    health = x509.load_der_x509_certificate(
        (place / "mssql-jdbc" / "hgs_health_certificate.der").read_bytes()
    )
    report = (place / "mssql-jdbc" / "vbs_enclave_report.bin").read_bytes()
    rules: dict[str, Any] = {"modules": "any", "untyped": True}
    enclave = Sample(
        name="mssql-jdbc",
        kind="vbs-hgs",
        quote=report,
        collateral=health.public_bytes(Encoding.PEM),
        expected_report_data=report[32:96],
        now_s=OCTOBER_2019_S,
        answer="affirming",
        policy=_any_code(anchors=frozenset({fingerprint(health)}), rules=rules),
    )
    yield enclave
    yield attrs.evolve(
        enclave, name="mssql-jdbc, a day later", now_s=OCTOBER_2019_S + 86_400, answer="expired"
    )
    yield attrs.evolve(
        enclave, name="mssql-jdbc, no root named", policy=_any_code(rules=rules), answer="root"
    )
    value = json.loads((place / "go-attestation" / "windows_gcp_shielded_vm.json").read_bytes())
    modulus = int.from_bytes(base64.b64decode(value["AK"]["Public"])[-256:], "big")
    key = rsa.RSAPublicNumbers(e=65537, n=modulus).public_key()
    parts = {
        "report": report,
        "quote": base64.b64decode(value["Quote"]["Quote"]),
        "signature": base64.b64decode(value["Quote"]["Signature"]),
        "log": base64.b64decode(value["Log"]["Raw"]),
    }
    yield Sample(
        name="go-attestation, VBS off",
        kind="vbs",
        quote=encode_parts(parts),
        collateral=key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        expected_report_data=report[32:96],
        now_s=OCTOBER_2019_S,
        answer="boot_state",
        policy=_any_code(anchors=frozenset({key_fingerprint(key)}), rules={**rules, "sha1": True}),
    )
