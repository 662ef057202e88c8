"""Evidence made by real hardware gets the answer its publishers' tools give, and the reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_enclave import EvidenceError, Status, TeeEvidence, Verdict, attestation_key, tpm, uvm
from coco_enclave.anchors import AMD_ANCHORS, INTEL_ANCHORS, VENDOR_ANCHORS
from coco_enclave.evidence import encode_parts
from coco_enclave.hcl import TDX, parse_hcl
from coco_enclave.hcl import attestation_key as vouched_key
from coco_enclave.pki import fingerprint
from coco_enclave.policy import PlatformPolicy, TeePolicy
from coco_enclave.snp import CHAIN, LEAF
from coco_enclave.snp_report import tcb_from_text
from coco_enclave.verify import verify

pytestmark = pytest.mark.shared

SUMMER_2025_S = 1_750_000_000
AUTUMN_2026_S = 1_795_000_000
ANY_PROVIDER = {"vlek_providers": ["any"]}


def judge(kind: str, quote: bytes, collateral: bytes, expected: bytes, now_s: int, **fields: Any) -> Verdict:
    """Judge by a policy that accepts any code under the vendor's roots."""
    one = PlatformPolicy(**{"measurements": None, "anchors": AMD_ANCHORS, **fields})
    return verify(
        TeeEvidence(kind=kind, quote=quote), collateral, TeePolicy(platforms={kind: one}), expected, now_s
    )


def refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        judge(*args, **fields)
    return caught.value.code


# ── SEV-SNP ──────────────────────────────────────────────────────────────────────────────────────


def _snp(samples: Path, report: str, leaf: str, chain: str = "ask_ark_milan.pem") -> tuple[bytes, bytes]:
    data = (samples / "snp" / report).read_bytes()
    quote = bytes.fromhex(data.decode()) if report.endswith(".hex") else data
    parts = {
        LEAF: (samples / "snp" / leaf).read_bytes(),
        CHAIN: (samples / "snp" / "amd-roots" / chain).read_bytes(),
    }
    return quote, encode_parts(parts)


def _judge_snp(
    samples: Path,
    *files: str,
    now_s: int = AUTUMN_2026_S,
    rules: Mapping[str, Any] = ANY_PROVIDER,
    **fields: Any,
) -> Verdict:
    quote, collateral = _snp(samples, *files)
    return judge("snp", quote, collateral, quote[0x50:0x90], now_s, rules=rules, **fields)


@pytest.mark.parametrize(
    ("files", "tcb"),
    [
        (("virtee-sev/report_milan.hex", "virtee-sev/vcek_milan.der"), "bl=3,tee=0,snp=8,ucode=115"),
        (("trustee/test-report.bin", "trustee/test-vcek.der"), "bl=3,tee=0,snp=8,ucode=115"),
    ],
)
def test_snp_that_is_accepted(samples: Path, files: tuple[str, str], tcb: str) -> None:
    verdict = _judge_snp(samples, *files)
    assert (verdict.status, verdict.notes) == (Status.AFFIRMING, ())
    assert (verdict.claims.product, verdict.claims.tcb) == ("Milan", tcb)


VLEK = ("trustee/test-vlek-report.bin", "trustee/test-vlek.der", "ask_ark_milan_vlek.pem")


@pytest.mark.parametrize(
    ("code", "files", "now_s"),
    [
        ("debug", ("go-sev-guest/attestation.bin", "go-sev-guest/vcek.der"), AUTUMN_2026_S),
        ("chain", ("trustee/test-report.bin", "trustee/test-vcek-invalid-legacy.der"), AUTUMN_2026_S),
        ("chain", ("trustee/test-report.bin", "trustee/test-vcek-invalid-new.der"), AUTUMN_2026_S),
        ("signature", ("trustee/test-report.bin", "virtee-sev/vcek_milan.der"), AUTUMN_2026_S),
        ("vmpl", VLEK, SUMMER_2025_S),
        ("expired", VLEK, AUTUMN_2026_S),
        (
            "chain",
            ("trustee/test-vlek-report.bin", "trustee/test-vlek.der", "ask_ark_milan.pem"),
            SUMMER_2025_S,
        ),
        ("root", ("trustee/test-report.bin", "trustee/test-vcek.der", "ask_ark_genoa.pem"), AUTUMN_2026_S),
        ("root", ("trustee/test-report.bin", "virtee-sev/vcek_turin.der"), AUTUMN_2026_S),
    ],
)
def test_snp_that_is_refused(samples: Path, code: str, files: tuple[str, ...], now_s: int) -> None:
    with pytest.raises(EvidenceError) as caught:
        _judge_snp(samples, *files, now_s=now_s)
    assert caught.value.code == code


def test_a_loaded_key_of_a_real_provider(samples: Path) -> None:
    provider = "CN=cc-us-east-2.amazonaws.com"
    rules = {"vlek_providers": [provider], "vmpl_max": 1}
    verdict = _judge_snp(samples, *VLEK, now_s=SUMMER_2025_S, rules=rules)
    assert verdict.claims.more["provider"] == provider
    with pytest.raises(EvidenceError) as caught:
        _judge_snp(samples, *VLEK, now_s=SUMMER_2025_S, rules={"vmpl_max": 1})
    assert caught.value.code == "provider"


# ── Azure ────────────────────────────────────────────────────────────────────────────────────────


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bytes(value: str | list[int]) -> bytes:
    return bytes.fromhex(value) if isinstance(value, str) else bytes(value)


def _azure_guest(samples: Path, name: str) -> tuple[bytes, bytes, bytes]:
    """Return evidence, the machine's certificate in PEM and the nonce of a published confidential VM."""
    value = json.loads((samples / "azure-cvm" / "trustee-az-snp" / f"evidence-{name}.json").read_bytes())
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
    return encode_parts(parts), leaf, tpm.parse_quote(parts["quote"]).nonce


@pytest.mark.parametrize(
    ("name", "product", "floor"),
    [
        ("v0", "Milan", "bl=4,tee=0,snp=24,ucode=219"),
        ("v1", "Milan", "bl=4,tee=0,snp=24,ucode=219"),
        ("v2", "Milan", "bl=4,tee=0,snp=24,ucode=219"),
        ("genoa", "Genoa", "bl=10,tee=0,snp=23,ucode=84"),
    ],
)
def test_azure_guests(samples: Path, name: str, product: str, floor: str) -> None:
    evidence, leaf, nonce = _azure_guest(samples, name)
    chain = (samples / "snp" / "amd-roots" / f"ask_ark_{product.lower()}.pem").read_bytes()
    arguments = ("azure-snp", evidence, leaf + chain)
    verdict = judge(*arguments, nonce, AUTUMN_2026_S, minimum_tcb=f"{product} {floor}")
    assert (verdict.status, verdict.claims.product) == (Status.AFFIRMING, product)
    assert refusal(*arguments, nonce + b"x", AUTUMN_2026_S) == "tpm_nonce"
    reported = tcb_from_text(floor)
    above = attrs.evolve(reported, microcode=reported.microcode + 1)
    assert refusal(*arguments, nonce, AUTUMN_2026_S, minimum_tcb=f"{product} {above}") == "tcb_floor"
    denied = frozenset({product})
    assert refusal(*arguments, nonce, AUTUMN_2026_S, denied_products=denied) == "product"


def test_an_azure_guest_with_certificates_of_another_chip(samples: Path) -> None:
    evidence, _, nonce = _azure_guest(samples, "v1")
    others = (samples / "azure-cvm" / "kinvolk" / "certs.pem").read_bytes()
    assert refusal("azure-snp", evidence, others, nonce, AUTUMN_2026_S) == "signature"


def test_azure_keys_are_vouched_for_on_tdx_too(samples: Path) -> None:
    for folder, quoted in (("trustee-az-tdx", True), ("kinvolk", False)):
        name = "hcl-report.bin" if quoted else "hcl-report-tdx.bin"
        report = parse_hcl((samples / "azure-cvm" / folder / name).read_bytes())
        assert report.hardware_type == TDX
        key = vouched_key(report)
        if quoted:
            value = json.loads((samples / "azure-cvm" / folder / "tpm-quote-v1.json").read_bytes())
            quote = tpm.parse_quote(bytes.fromhex(value["message"]))
            tpm.check_signature(quote, tpm.bare_signature(bytes.fromhex(value["signature"])), key)


def _azure_tdx(samples: Path, **replaced: bytes) -> tuple[bytes, bytes, bytes]:
    folder = samples / "azure-cvm" / "trustee-az-tdx"
    value = json.loads((folder / "evidence-v1.json").read_bytes())
    parts = {
        "hcl": (folder / "hcl-report.bin").read_bytes(),
        "td_quote": (folder / "td-quote.bin").read_bytes(),
        "quote": bytes.fromhex(value["tpm_quote"]["message"]),
        "signature": bytes.fromhex(value["tpm_quote"]["signature"]),
        "registers": b"".join(map(bytes.fromhex, value["tpm_quote"]["pcrs"])),
    }
    collateral = (samples / "bundles" / "tdx-azure.collateral.json").read_bytes()
    return encode_parts(parts | replaced), collateral, tpm.parse_quote(parts["quote"]).nonce


def test_azure_guests_on_tdx_leave_page_faults_to_the_host(samples: Path) -> None:
    told = json.loads((samples / "bundles" / "EXPECTED.json").read_bytes())
    (now_s,) = (one["now"] for one in told if one["name"] == "tdx-azure")
    evidence, collateral, nonce = _azure_tdx(samples)
    anchors = {"anchors": INTEL_ANCHORS}
    assert refusal("azure-tdx", evidence, collateral, nonce, now_s, **anchors) == "td_attributes"
    assert refusal("azure-tdx", evidence, collateral, b"other", now_s, **anchors) == "tpm_nonce"
    other = (samples / "azure-cvm" / "kinvolk" / "hcl-report-tdx.bin").read_bytes()
    mixed, _, _ = _azure_tdx(samples, hcl=other)
    assert refusal("azure-tdx", mixed, collateral, nonce, now_s, **anchors) == "hcl_binding"
    snp = (samples / "azure-cvm" / "kinvolk" / "hcl-report-snp.bin").read_bytes()
    mixed, _, _ = _azure_tdx(samples, hcl=snp)
    assert refusal("azure-tdx", mixed, collateral, nonce, now_s, **anchors) == "kind"


def _aci(samples: Path, **replaced: bytes) -> tuple[bytes, bytes, bytes]:
    folder = samples / "snp" / "azure-aci"
    parts = {
        "report": (folder / "snp_report.bin").read_bytes(),
        "uvm": (folder / "body.uvm_reference_info.bin").read_bytes(),
        "policy": base64.b64decode((folder / "uvm_security_policy.base64").read_bytes()),
    }
    return (
        encode_parts(parts | replaced),
        (folder / "uvm_host_amd_certificate.pem").read_bytes(),
        parts["report"][0x50:0x90],
    )


FEBRUARY_2023_S = 1_676_000_000
MICROSOFT = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"


def test_azure_containers(samples: Path) -> None:
    evidence, pem, expected = _aci(samples)
    rules: dict[str, Any] = {"dids": [MICROSOFT], "uvm_svn": 22}
    verdict = judge("azure-aci", evidence, pem, expected, FEBRUARY_2023_S, rules=rules)
    assert (verdict.status, verdict.claims.more["uvm_svn"]) == (Status.AFFIRMING, 22)
    late = {**rules, "at_signing": True}
    assert judge("azure-aci", evidence, pem, expected, AUTUMN_2026_S, rules=late).claims == verdict.claims
    for changed, now_s in (
        (rules, AUTUMN_2026_S),
        ({**rules, "uvm_svn": 23}, FEBRUARY_2023_S),
        ({**rules, "dids": []}, FEBRUARY_2023_S),
        ({**rules, "feed": "another"}, FEBRUARY_2023_S),
    ):
        assert refusal("azure-aci", evidence, pem, expected, now_s, rules=changed) == "endorsement"
    other, _, _ = _aci(samples, policy=b"package other")
    assert refusal("azure-aci", other, pem, expected, FEBRUARY_2023_S, rules=rules) == "host_data"
    genuine = (samples / "snp" / "azure-aci" / "body.uvm_reference_info.bin").read_bytes()
    forged = genuine.replace(b'"22"', b'"99"')
    assert uvm.parse_endorsement(forged).guest_svn == 99
    other, _, _ = _aci(samples, uvm=forged)
    assert refusal("azure-aci", other, pem, expected, FEBRUARY_2023_S, rules=rules) == "endorsement"


def test_an_azure_virtual_tpm(samples: Path) -> None:
    folder = samples / "azure-cvm" / "agentrust-azure-vtpm"
    quote = tpm.parse_quote((folder / "quote.msg").read_bytes())
    signature = tpm.bare_signature((folder / "quote.sig").read_bytes())
    key, chain = attestation_key.read_key((folder / "ak.pub").read_bytes())
    tpm.check_signature(quote, signature, key)
    tpm.check_nonce(quote, bytes.fromhex((folder / "nonce.hex").read_text()))
    assert chain == []
    # The certificate that was published beside it is genuine, and of another key.
    leaf = x509.load_der_x509_certificate((folder / "akcert_0x01C101D0.der").read_bytes())
    pem = leaf.public_bytes(Encoding.PEM) + (folder / "ms-vtpm-ca-chain.pem").read_bytes()
    policy = PlatformPolicy(anchors=frozenset(VENDOR_ANCHORS))
    found = attestation_key.check_key(*attestation_key.read_key(pem), policy, AUTUMN_2026_S)
    with pytest.raises(EvidenceError) as caught:
        tpm.check_signature(quote, signature, found.key)
    assert caught.value.code == "signature"


# ── TPM and Windows ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["rsassa-sha256", "rsapss-sha256", "rsassa-sha384", "ecdsa-sha384"])
def test_quotes_of_the_reference_tpm(samples: Path, name: str) -> None:
    folder = samples / "tpm-ref"
    data = (folder / f"{name}-attest.bin").read_bytes()
    signature = tpm.parse_signature((folder / f"{name}-tpmt-signature.bin").read_bytes())
    key, chain = attestation_key.read_key((folder / f"{name}-ak-chain.pem").read_bytes())
    policy = PlatformPolicy(anchors=frozenset({fingerprint(chain[-1])}))
    attestation_key.check_key(key, chain, policy, AUTUMN_2026_S)
    tpm.check_signature(tpm.parse_quote(data), signature, key)
    tpm.check_nonce(tpm.parse_quote(data), bytes.fromhex((folder / "nonce.hex").read_text()))
    for at in range(6, len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1
        with pytest.raises(EvidenceError):
            tpm.check_signature(tpm.parse_quote(bytes(flipped)), signature, key)


OCTOBER_2019_S = 1_572_460_000


def _sql_server(samples: Path) -> tuple[bytes, bytes, PlatformPolicy]:
    folder = samples / "vbs" / "mssql-jdbc"
    health = x509.load_der_x509_certificate((folder / "hgs_health_certificate.der").read_bytes())
    report = (folder / "vbs_enclave_report.bin").read_bytes()
    rules = {"modules": "any", "untyped": True}
    policy = PlatformPolicy(measurements=None, anchors=frozenset({fingerprint(health)}), rules=rules)
    return report, health.public_bytes(Encoding.PEM), policy


def test_a_vbs_enclave_vouched_for_by_a_guardian_service(samples: Path) -> None:
    report, pem, policy = _sql_server(samples)

    def call(now_s: int, **changed: Any) -> Verdict:
        fields = {"anchors": policy.anchors, "rules": policy.rules, **changed}
        return judge("vbs-hgs", report, pem, report[32:96], now_s, **fields)

    verdict = call(OCTOBER_2019_S)
    assert (verdict.status, verdict.claims.debug) == (Status.AFFIRMING, False)
    for code, now_s, changed in (
        ("expired", OCTOBER_2019_S + 86_400, {}),
        ("expired", OCTOBER_2019_S - 86_400, {}),
        ("root", OCTOBER_2019_S, {"anchors": frozenset()}),
        ("identity", OCTOBER_2019_S, {"rules": {"modules": "any"}}),
        ("identity", OCTOBER_2019_S, {"rules": {"untyped": True}}),
        ("signer", OCTOBER_2019_S, {"signers": frozenset({"ab" * 32})}),
    ):
        with pytest.raises(EvidenceError) as caught:
            call(now_s, **changed)
        assert caught.value.code == code


def test_a_windows_machine_without_vbs(samples: Path) -> None:
    value = json.loads((samples / "vbs" / "go-attestation" / "windows_gcp_shielded_vm.json").read_bytes())
    report, _, policy = _sql_server(samples)
    modulus = int.from_bytes(base64.b64decode(value["AK"]["Public"])[-256:], "big")
    key = rsa.RSAPublicNumbers(e=65537, n=modulus).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = {
        "report": report,
        "quote": base64.b64decode(value["Quote"]["Quote"]),
        "signature": base64.b64decode(value["Quote"]["Signature"]),
        "log": base64.b64decode(value["Log"]["Raw"]),
    }
    pinned = frozenset({attestation_key.fingerprint(key)})
    for code, sha1 in (("unsupported", False), ("boot_state", True)):
        arguments = ("vbs", encode_parts(parts), pem, report[32:96], OCTOBER_2019_S)
        assert refusal(*arguments, anchors=pinned, rules={**policy.rules, "sha1": sha1}) == code
    dropped = encode_parts({**parts, "log": parts["log"][:-100]})
    rules = {**policy.rules, "sha1": True}
    code = refusal("vbs", dropped, pem, report[32:96], OCTOBER_2019_S, anchors=pinned, rules=rules)
    assert code in ("log", "malformed")
