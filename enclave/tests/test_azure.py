"""Azure: confidential VMs, and every attack with the code it is refused with (simulated)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import attrs
import cbor2
import pytest

from coco_enclave import EvidenceError, Status
from coco_enclave.azure import AzureSnpVerifier, guest_measurement
from coco_enclave.azure_tdx import AzureTdxVerifier
from coco_enclave.evidence import encode_parts
from coco_enclave.hcl import parse_hcl
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp_report import POLICY_DEBUG
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm
from coco_enclave.testing.sim_azure import AzureGuest
from coco_enclave.testing.sim_snp import GUEST_POLICY, TCB, SnpChip

NOW_S = 1_790_000_000
DATA = bytes(range(64))


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)


@pytest.fixture(scope="module")
def guest(chip: SnpChip) -> AzureGuest:
    tpm = sim_tpm.make_tpm(sim_tpm.make_tpm_vendor(NOW_S), now_s=NOW_S)
    tpm.extend(4, 0xD, b"loader")
    tpm.extend(9, 0xD, b"kernel and initrd")
    return AzureGuest(chip=chip, tpm=tpm)


def policy_of(chip: SnpChip, **fields: Any) -> PlatformPolicy:
    accepted = {"measurements": None, "simulator_anchors": frozenset({chip.vendor.anchor})}
    return PlatformPolicy(**{**accepted, **fields})


def judge(guest: AzureGuest, evidence: bytes, **fields: Any) -> Any:
    policy = policy_of(guest.chip, **fields)
    return AzureSnpVerifier().verify(evidence, guest.chip.collateral(), policy, DATA, NOW_S)


def refusal(guest: AzureGuest, evidence: bytes, **fields: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        judge(guest, evidence, **fields)
    return caught.value.code


# ── a confidential VM ────────────────────────────────────────────────────────────────────────────


def test_a_genuine_guest_is_accepted(guest: AzureGuest) -> None:
    evidence = guest.evidence(DATA)
    registers = {index: guest.tpm.register(index) for index in (4, 7, 9)}
    measurement = guest_measurement(guest.paravisor, registers)
    verdict = judge(guest, evidence, measurements=frozenset({measurement}))
    assert (verdict.status, verdict.claims.measurement) == (Status.WARNING, measurement)
    assert verdict.claims.more["vm"] == {"secure-boot": True}
    assert AzureSnpVerifier().read(evidence) == verdict.claims
    rules = {
        "paravisors": [guest.paravisor.hex()],
        "registers": {"4": guest.tpm.register(4).hex()},
        "vmpl_max": 0,
    }
    assert judge(guest, evidence, rules=rules, minimum_tcb=f"Milan {TCB}").claims == verdict.claims


def test_the_measurement_is_of_all_that_was_quoted(guest: AzureGuest) -> None:
    measurement = judge(guest, guest.evidence(DATA)).claims.measurement
    accepted = frozenset({measurement})
    assert refusal(guest, guest.evidence(DATA, selection=(7, 9)), measurements=accepted) == "measurement"
    assert refusal(guest, guest.evidence(DATA, selection=()), measurements=accepted) == "measurement"
    other = attrs.evolve(guest, paravisor=b"p" * 48)
    assert refusal(other, other.evidence(DATA), measurements=accepted) == "measurement"


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("paravisor", {"rules": {"paravisors": ["ab" * 48]}}),
        ("tpm_digest", {"rules": {"registers": {"4": "ab" * 32}}}),
        ("tpm_selection", {"rules": {"registers": {"8": "ab" * 32}}}),
        ("platform_info", {"rules": {"platform_denied": ["smt"]}}),
        ("tcb_floor", {"minimum_tcb": f"Milan {attrs.evolve(TCB, snp=25)}"}),
        ("policy", {"rules": {"paravisor": []}}),
        ("root", {"simulator_anchors": frozenset()}),
    ],
)
def test_guest_rules(guest: AzureGuest, code: str, fields: dict[str, Any]) -> None:
    assert refusal(guest, guest.evidence(DATA), **fields) == code


def test_a_stale_quote(guest: AzureGuest) -> None:
    assert refusal(guest, guest.evidence(b"earlier")) == "tpm_nonce"


def test_a_debugged_guest(guest: AzureGuest) -> None:
    hcl = guest.hcl(policy=GUEST_POLICY | POLICY_DEBUG)
    assert refusal(guest, guest.evidence(DATA, hcl=hcl)) == "debug"


def test_data_the_hardware_does_not_vouch_for(guest: AzureGuest, chip: SnpChip) -> None:
    report = parse_hcl(guest.hcl()).hardware
    altered = sim_azure.hcl_report(report, guest.data().replace(b"true", b"null"))
    assert refusal(guest, guest.evidence(DATA, hcl=altered)) == "hcl_binding"
    half = hashlib.sha256(guest.data()).digest() + b"x" * 32
    longer = sim_azure.hcl_report(chip.report(half, b"P" * 48), guest.data())
    assert refusal(guest, guest.evidence(DATA, hcl=longer)) == "hcl_binding"


def test_a_configuration_may_be_missing(guest: AzureGuest) -> None:
    value = json.loads(guest.data())
    bare = json.dumps({"keys": value["keys"]}).encode()
    assert judge(guest, guest.evidence(DATA, hcl=guest.hcl(bare))).claims.more["vm"] == {}


def _web_key(**fields: Any) -> bytes:
    return json.dumps(
        {"keys": [{"kid": "HCLAkPub", "kty": "RSA", "n": "AQAB", "e": "AQAB", **fields}]}
    ).encode()


def test_the_key_must_be_the_one_that_is_vouched_for(guest: AzureGuest) -> None:
    other = AzureGuest(chip=guest.chip, tpm=sim_tpm.make_tpm(sim_tpm.make_tpm_vendor(NOW_S), now_s=NOW_S))
    assert refusal(guest, guest.evidence(DATA, hcl=other.hcl())) == "signature"
    for data, code in (
        (guest.data(kid="HCLEkPub"), "ak"),
        (guest.data(copies=2), "ak"),
        (guest.data(copies=9), "ak"),
        (b'{"keys": 1}', "ak"),
        (json.dumps({"keys": [*[{}] * 8, *json.loads(guest.data())["keys"]]}).encode(), "ak"),
        (_web_key(n="_" * 2000), "malformed"),
        (b"{}", "ak"),
        (_web_key(kty="EC"), "ak"),
        (_web_key(n=1), "malformed"),
        (_web_key(n="A" * 2000), "malformed"),
        (_web_key(n="*"), "malformed"),
        (_web_key(n="\u20ac"), "malformed"),
        (_web_key(n="AAAA"), "malformed"),
        (_web_key(), "malformed"),
    ):
        assert refusal(guest, guest.evidence(DATA, hcl=guest.hcl(data))) == code, data[:80]


def test_registers_that_were_not_quoted(guest: AzureGuest) -> None:
    parts = cbor2.loads(guest.evidence(DATA))
    lies = {**parts, "registers": bytes(24 * 32)}
    assert refusal(guest, encode_parts(lies)) == "tpm_digest"
    assert refusal(guest, encode_parts({**parts, "registers": bytes(32)})) == "malformed"


def _altered(hcl: bytes, offset: int, data: bytes) -> bytes:
    return hcl[:offset] + data + hcl[offset + len(data) :]


DATA_HEADER = 32 + 1184


@pytest.mark.parametrize(
    ("offset", "data", "code"),
    [
        (0, b"X", "malformed"),
        (4, b"\x03", "unsupported"),
        (8, b"\x00", "malformed"),
        (12, b"\x01", "unsupported"),
        (16, b"\x01", "unsupported"),
        (20, b"\x01", "malformed"),
        (DATA_HEADER, b"\x00", "malformed"),
        (DATA_HEADER + 4, b"\x02", "unsupported"),
        (DATA_HEADER + 8, b"\x03", "unsupported"),
        (DATA_HEADER + 8, b"\x04", "kind"),
        (DATA_HEADER + 12, b"\x02", "unsupported"),
        (DATA_HEADER + 16, b"\xff\xff", "malformed"),
        (DATA_HEADER + 20, b"[", "malformed"),
    ],
)
def test_paravisor_reports_that_are_none(guest: AzureGuest, offset: int, data: bytes, code: str) -> None:
    assert refusal(guest, guest.evidence(DATA, hcl=_altered(guest.hcl(), offset, data))) == code


def test_sizes_of_paravisor_reports(guest: AzureGuest) -> None:
    hcl = guest.hcl()
    for wrong in (hcl[:1000], hcl + b"\x01", hcl + bytes(20_000), sim_azure.hcl_report(bytes(1184), b"[]")):
        assert refusal(guest, guest.evidence(DATA, hcl=wrong)) == "malformed"


# ── on TDX ───────────────────────────────────────────────────────────────────────────────────────


def test_a_guest_on_tdx(guest: AzureGuest) -> None:
    intel = SimulatedIntel(NOW_S)
    collateral = intel.collateral("tdx")

    def call(evidence: bytes, **fields: Any) -> Any:
        policy = attrs.evolve(intel.policy(), **{"measurements": None, **fields})
        return AzureTdxVerifier().verify(evidence, collateral, policy, DATA, NOW_S)

    evidence = guest.tdx_evidence(DATA, intel)
    verdict = call(evidence)
    registers = {index: guest.tpm.register(index) for index in (4, 7, 9)}
    paravisor = bytes.fromhex(verdict.claims.more["paravisor"])
    assert verdict.claims.measurement == guest_measurement(paravisor, registers)
    assert AzureTdxVerifier().read(evidence).measurement == verdict.claims.measurement
    assert call(evidence, measurements=frozenset({verdict.claims.measurement})).claims == verdict.claims
    stale, _ = guest.tpm.quote(b"earlier", (4, 7, 9))
    for code, wrong, fields in (
        ("tpm_nonce", encode_parts({**cbor2.loads(evidence), "quote": stale}), {}),
        ("measurement", evidence, {"measurements": frozenset({"ab" * 32})}),
        ("hcl_binding", guest.tdx_evidence(DATA, intel, bound=b"x" * 32), {}),
        ("kind", encode_parts({**cbor2.loads(evidence), "hcl": guest.hcl()}), {}),
        ("signature", encode_parts({**cbor2.loads(evidence), "signature": bytes(256)}), {}),
        ("tpm_digest", encode_parts({**cbor2.loads(evidence), "registers": bytes(24 * 32)}), {}),
    ):
        with pytest.raises(EvidenceError) as caught:
            call(wrong, **fields)
        assert caught.value.code == code
