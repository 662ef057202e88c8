"""Azure: confidential VMs and containers, and every attack with the code it is refused with (simulated)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import attrs
import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from coco_enclave import EvidenceError, Status
from coco_enclave.azure import AzureAciVerifier, AzureSnpVerifier, guest_measurement
from coco_enclave.azure_tdx import AzureTdxVerifier
from coco_enclave.evidence import encode_parts
from coco_enclave.hcl import TDX, parse_hcl
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp_report import POLICY_DEBUG, Tcb
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm
from coco_enclave.testing.authority import issue
from coco_enclave.testing.sim_azure import AzureGuest, UvmIssuer
from coco_enclave.testing.sim_snp import GUEST_POLICY, TCB, SnpChip
from coco_enclave.uvm import parse_endorsement

NOW_S = 1_790_000_000
DATA = bytes(range(64))
UVM = b"u" * 48
CONTAINERS = b"package policy\n"


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)


@pytest.fixture(scope="module")
def guest(chip: SnpChip) -> AzureGuest:
    tpm = sim_tpm.make_tpm(sim_tpm.make_tpm_vendor(NOW_S), now_s=NOW_S)
    tpm.extend(4, 0xD, b"loader")
    tpm.extend(9, 0xD, b"kernel and initrd")
    return AzureGuest(chip=chip, tpm=tpm)


@pytest.fixture(scope="module")
def issuer() -> UvmIssuer:
    return sim_azure.make_uvm_issuer(NOW_S)


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


# ── a container group ────────────────────────────────────────────────────────────────────────────


def container_evidence(
    chip: SnpChip, endorsement: bytes, policy: bytes | None = CONTAINERS, **fields: Any
) -> bytes:
    report = chip.report(DATA, UVM, **{"host_data": hashlib.sha256(CONTAINERS).digest(), **fields})
    return encode_parts(
        {"report": report, "uvm": endorsement} | ({"policy": policy} if policy is not None else {})
    )


def judge_containers(
    chip: SnpChip, issuer: UvmIssuer, evidence: bytes, now_s: int = NOW_S, **fields: Any
) -> Any:
    rules = {"dids": [issuer.did], "uvm_svn": 100, **fields.pop("rules", {})}
    policy = policy_of(chip, rules=rules, **fields)
    return AzureAciVerifier().verify(evidence, chip.collateral(), policy, DATA, now_s)


def container_refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        judge_containers(*args, **fields)
    return caught.value.code


@pytest.mark.parametrize("policy", [CONTAINERS, None])
def test_genuine_containers_are_accepted(chip: SnpChip, issuer: UvmIssuer, policy: bytes | None) -> None:
    evidence = container_evidence(chip, issuer.endorsement(UVM), policy)
    digest = hashlib.sha256(CONTAINERS).hexdigest()
    verdict = judge_containers(chip, issuer, evidence, measurements=frozenset({digest}))
    assert (verdict.claims.measurement, verdict.claims.more["uvm_svn"]) == (digest, 100)
    assert AzureAciVerifier().read(evidence) == verdict.claims


def test_another_container_policy(chip: SnpChip, issuer: UvmIssuer) -> None:
    endorsed = issuer.endorsement(UVM)
    assert container_refusal(chip, issuer, container_evidence(chip, endorsed, b"other")) == "host_data"
    assert container_refusal(chip, issuer, container_evidence(chip, endorsed, bytes(200_000))) == "size"
    other = container_evidence(chip, endorsed, None, host_data=bytes(32))
    accepted = frozenset({hashlib.sha256(CONTAINERS).hexdigest()})
    assert container_refusal(chip, issuer, other, measurements=accepted) == "measurement"
    assert container_refusal(chip, issuer, other, rules={"host_data": ["ab" * 32]}) == "host_data"


def test_container_rules_are_read_strictly(chip: SnpChip, issuer: UvmIssuer) -> None:
    evidence = container_evidence(chip, issuer.endorsement(UVM))
    assert container_refusal(chip, issuer, evidence, rules={"did": []}) == "policy"
    assert container_refusal(chip, issuer, evidence, minimum_tcb=f"Milan {Tcb(255, 0, 0, 0)}") == "tcb_floor"


@pytest.mark.parametrize(
    "fields",
    [
        {"svn": "99"},
        {"svn": 100},
        {"svn": "0x100"},
        {"svn": "1" * 10},
        {"feed": "another"},
        {"feed": 1},
        {"did": "did:x509:0:sha256:other"},
        {"did": 1},
        {"did": ["a list, which no set can be asked for"]},
        {"header": {1: -37}},
        {"header": {33: b"one"}},
        {"header": {33: [1]}},
        {"header": {33: [b"none"]}},
        {"header": {33: [b""] * 9}},
        {"payload": b"none"},
        {"payload": b"[]"},
        {"payload": b'{"x-ms-sevsnpvm-guestsvn": "100", "x-ms-sevsnpvm-launchmeasurement": "ab"}'},
        {"tag": 17},
    ],
)
def test_endorsements_that_are_none(chip: SnpChip, issuer: UvmIssuer, fields: dict[str, Any]) -> None:
    evidence = container_evidence(chip, issuer.endorsement(UVM, **fields))
    assert container_refusal(chip, issuer, evidence) in ("endorsement", "malformed")


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", cbor2.dumps([1]), cbor2.dumps(cbor2.CBORTag(18, [1])), cbor2.dumps(cbor2.CBORTag(18, 1))],
)
def test_endorsements_that_are_no_message(data: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_endorsement(data)
    assert caught.value.code == "endorsement"


def test_endorsements_of_another_vm_or_by_another(chip: SnpChip, issuer: UvmIssuer) -> None:
    other = container_evidence(chip, issuer.endorsement(b"v" * 48))
    assert container_refusal(chip, issuer, other) == "endorsement"
    stranger = sim_azure.make_uvm_issuer(NOW_S)
    forged = container_evidence(chip, stranger.endorsement(UVM))
    assert container_refusal(chip, issuer, forged) == "endorsement"
    # Under the accepted issuer's name: with a stranger's certificates, then with the issuer's own.
    named = container_evidence(chip, stranger.endorsement(UVM, did=issuer.did))
    assert container_refusal(chip, issuer, named) == "endorsement"
    borrowed = stranger.endorsement(UVM, did=issuer.did, header={33: [issuer.leaf.der, issuer.root.der]})
    assert container_refusal(chip, issuer, container_evidence(chip, borrowed)) == "endorsement"
    odd = issuer.endorsement(UVM, did="did:web:example")
    rules = {"dids": ["did:web:example"]}
    assert container_refusal(chip, issuer, container_evidence(chip, odd), rules=rules) == "endorsement"
    assert container_refusal(chip, issuer, container_evidence(chip, bytes(70_000))) == "size"


def test_a_certificate_for_another_use(chip: SnpChip) -> None:
    other = sim_azure.make_uvm_issuer(NOW_S, use="1.3.6.1.5.5.7.3.3")
    evidence = container_evidence(chip, other.endorsement(UVM))
    assert container_refusal(chip, other, evidence) == "endorsement"


def test_a_certificate_for_another_kind_of_key(chip: SnpChip, issuer: UvmIssuer) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    usage = issuer.leaf.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    leaf = issue("UVM", key, issuer.root, now_s=NOW_S, extensions={"2.5.29.37": usage.value.public_bytes()})
    endorsed = issuer.endorsement(UVM, header={33: [leaf.der, issuer.root.der]})
    assert container_refusal(chip, issuer, container_evidence(chip, endorsed)) == "endorsement"


def test_endorsements_expire_unless_judged_at_their_signing(chip: SnpChip) -> None:
    short = sim_azure.make_uvm_issuer(NOW_S - 3 * 86_400, lifetime_s=86_400)
    for signed_at_s, at_signing, accepted in (
        (NOW_S - 3 * 86_400, True, True),
        (NOW_S - 3 * 86_400, False, False),
        (NOW_S, True, False),
        (NOW_S + 1, True, False),
        (None, True, False),
    ):
        evidence = container_evidence(chip, short.endorsement(UVM, signed_at_s=signed_at_s))
        rules = {"at_signing": at_signing}
        if accepted:
            assert judge_containers(chip, short, evidence, rules=rules).status == Status.WARNING
        else:
            assert container_refusal(chip, short, evidence, rules=rules) == "endorsement"


def test_a_did_holds_an_unpadded_digest(issuer: UvmIssuer) -> None:
    named = issuer.did.removeprefix("did:x509:0:sha256:").partition("::")[0]
    assert base64.urlsafe_b64decode(named + "=") == hashlib.sha256(issuer.root.der).digest()


# ── on TDX ───────────────────────────────────────────────────────────────────────────────────────


def _tdx_evidence(guest: AzureGuest, intel: SimulatedIntel, bound: bytes | None = None) -> bytes:
    digest = hashlib.sha256(guest.data()).digest() if bound is None else bound
    quote, signature = guest.tpm.quote(DATA, (4, 7, 9))
    return encode_parts(
        {
            "hcl": sim_azure.hcl_report(bytes(1184), guest.data(), kind=TDX, version=2),
            "td_quote": intel.tdx_quote(digest.ljust(64, b"\0")),
            "quote": quote,
            "signature": signature[6:],
            "registers": b"".join(guest.tpm.register(index) for index in range(24)),
        }
    )


def test_a_guest_on_tdx(guest: AzureGuest) -> None:
    intel = SimulatedIntel(NOW_S)
    collateral = intel.collateral("tdx")

    def call(evidence: bytes, **fields: Any) -> Any:
        policy = attrs.evolve(intel.policy(), **{"measurements": None, **fields})
        return AzureTdxVerifier().verify(evidence, collateral, policy, DATA, NOW_S)

    evidence = _tdx_evidence(guest, intel)
    verdict = call(evidence)
    registers = {index: guest.tpm.register(index) for index in (4, 7, 9)}
    paravisor = bytes.fromhex(verdict.claims.more["paravisor"])
    assert verdict.claims.measurement == guest_measurement(paravisor, registers)
    assert AzureTdxVerifier().read(evidence).measurement == verdict.claims.measurement
    assert call(evidence, measurements=frozenset({verdict.claims.measurement})).claims == verdict.claims
    for code, wrong, fields in (
        ("measurement", evidence, {"measurements": frozenset({"ab" * 32})}),
        ("hcl_binding", _tdx_evidence(guest, intel, b"x" * 32), {}),
        ("kind", encode_parts({**cbor2.loads(evidence), "hcl": guest.hcl()}), {}),
        ("signature", encode_parts({**cbor2.loads(evidence), "signature": bytes(256)}), {}),
        ("tpm_digest", encode_parts({**cbor2.loads(evidence), "registers": bytes(24 * 32)}), {}),
    ):
        with pytest.raises(EvidenceError) as caught:
            call(wrong, **fields)
        assert caught.value.code == code
