"""Mutated evidence, of simulators and of real hardware: refused with a code, never another exception.

2 048 mutations of each: bytes changed, cut out, doubled, put in, in evidence and in collateral. None may be
accepted unless it says the same, as padding does.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import EvidenceError, TeeEvidence
from coco_enclave.anchors import AMD_ANCHORS
from coco_enclave.evidence import encode_parts
from coco_enclave.pki import fingerprint
from coco_enclave.policy import PlatformPolicy, TeePolicy
from coco_enclave.testing import sim_azure, sim_snp, sim_tpm, sim_vbs
from coco_enclave.tpm import parse_quote
from coco_enclave.verify import verify

MUTATIONS = 2048
NOW_S = 1_790_000_000
DATA = bytes(range(64))


class Case(NamedTuple):
    """Evidence that is accepted as it is."""

    kind: str
    quote: bytes
    collateral: bytes
    expected: bytes
    policy: PlatformPolicy
    now_s: int = NOW_S


def _simulated(kind: str) -> Case:
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    vendor = sim_tpm.make_tpm_vendor(NOW_S)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))
    guest = sim_azure.AzureGuest(chip=chip, tpm=host.tpm)
    issuer = sim_azure.make_uvm_issuer(NOW_S)
    service = sim_vbs.make_guardian_service(NOW_S)
    containers = {"report": chip.report(DATA, b"u" * 48), "uvm": issuer.endorsement(b"u" * 48)}
    anchors = frozenset({chip.vendor.anchor, vendor.anchor, fingerprint(service.certificate)})
    quote, collateral, rules = {
        "snp": (chip.report(DATA, b"m" * 48), chip.collateral(), {}),
        "azure-snp": (guest.evidence(DATA), chip.collateral(), {}),
        "azure-aci": (encode_parts(containers), chip.collateral(), {"dids": [issuer.did]}),
        "vbs": (host.evidence(DATA, DATA), host.tpm.chain, {}),
        "vbs-hgs": (host.report(DATA), host.health_certificate(service, now_s=NOW_S), {}),
    }[kind]
    policy = PlatformPolicy(measurements=None, simulator_anchors=anchors, rules=rules)
    return Case(kind, quote, collateral, DATA, policy)


def _real_snp(samples: Path) -> Case:
    report = bytes.fromhex((samples / "snp/virtee-sev/report_milan.hex").read_text())
    leaf = x509.load_der_x509_certificate((samples / "snp/virtee-sev/vcek_milan.der").read_bytes())
    pem = leaf.public_bytes(Encoding.PEM) + (samples / "snp/amd-roots/ask_ark_milan.pem").read_bytes()
    return Case("snp", report, pem, report[0x50:0x90], PlatformPolicy(measurements=None, anchors=AMD_ANCHORS))


def _real_azure(samples: Path) -> Case:
    value = json.loads((samples / "azure-cvm/trustee-az-snp/evidence-v0.json").read_bytes())
    parts = {
        "hcl": bytes(value["report"]),
        "quote": bytes(value["quote"]["message"]),
        "signature": bytes(value["quote"]["signature"]),
        "registers": b"".join(map(bytes, value["quote"]["pcrs"])),
    }
    pem = value["vcek"].encode() + (samples / "snp/amd-roots/ask_ark_milan.pem").read_bytes()
    policy = PlatformPolicy(measurements=None, anchors=AMD_ANCHORS)
    return Case("azure-snp", encode_parts(parts), pem, parse_quote(parts["quote"]).nonce, policy)


def _real_containers(samples: Path) -> Case:
    folder = samples / "snp/azure-aci"
    parts = {
        "report": (folder / "snp_report.bin").read_bytes(),
        "uvm": (folder / "body.uvm_reference_info.bin").read_bytes(),
        "policy": base64.b64decode((folder / "uvm_security_policy.base64").read_bytes()),
    }
    did = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"
    policy = PlatformPolicy(measurements=None, anchors=AMD_ANCHORS, rules={"dids": [did], "at_signing": True})
    pem = (folder / "uvm_host_amd_certificate.pem").read_bytes()
    return Case("azure-aci", encode_parts(parts), pem, parts["report"][0x50:0x90], policy)


def _real_enclave(samples: Path) -> Case:
    folder = samples / "vbs/mssql-jdbc"
    health = x509.load_der_x509_certificate((folder / "hgs_health_certificate.der").read_bytes())
    report = (folder / "vbs_enclave_report.bin").read_bytes()
    policy = PlatformPolicy(
        measurements=None,
        anchors=frozenset({fingerprint(health)}),
        rules={"modules": "any", "untyped": True},
    )
    return Case("vbs-hgs", report, health.public_bytes(Encoding.PEM), report[32:96], policy, 1_572_460_000)


def _judge(case: Case, quote: bytes, collateral: bytes) -> object:
    verdict = verify(
        TeeEvidence(kind=case.kind, quote=quote),
        collateral,
        TeePolicy(platforms={case.kind: case.policy}),
        case.expected,
        case.now_s,
    )
    return verdict.claims


def _mutate(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    size = random.choice((1, 1, 1, 2, 4, 16, 64))
    match random.randrange(5):
        case 0:
            flipped = bytearray(data)
            flipped[at - 1] ^= 1 << random.randrange(8)
            return bytes(flipped)
        case 1:
            return data[:at] + random.randbytes(size) + data[at + size :]
        case 2:
            return data[:at] + data[at + size :]
        case 3:
            return data[:at] + random.choice((b"\0", b"\xff", b"\x80")) * size + data[at:]
        case _:
            return data[:at]


def _check(case: Case) -> None:
    random = Random(case.kind)
    claims = _judge(case, case.quote, case.collateral)
    for number in range(MUTATIONS):
        quote, collateral = case.quote, case.collateral
        if number % 2:
            quote = _mutate(quote, random)
        else:
            collateral = _mutate(collateral, random)
        try:
            found = _judge(case, quote, collateral)
        except EvidenceError as error:
            assert error.code  # noqa: PT017 - what is accepted is checked too
        else:
            assert found == claims


@pytest.mark.parametrize("kind", ["snp", "azure-snp", "azure-aci", "vbs", "vbs-hgs"])
def test_simulated(kind: str) -> None:
    _check(_simulated(kind))


@pytest.mark.shared
@pytest.mark.parametrize("make", [_real_snp, _real_azure, _real_containers, _real_enclave])
def test_real(samples: Path, make: Callable[[Path], Case]) -> None:
    _check(make(samples))
