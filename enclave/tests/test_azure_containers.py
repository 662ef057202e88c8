"""Azure's containers: endorsed utility VMs, and every attack with the code it is refused with (simulated)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from coco_enclave import EvidenceError, Status
from coco_enclave.azure import AzureAciVerifier
from coco_enclave.evidence import encode_parts
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp_report import Tcb
from coco_enclave.testing import sim_azure, sim_snp
from coco_enclave.testing.authority import issue
from coco_enclave.testing.sim_azure import UvmIssuer
from coco_enclave.testing.sim_snp import SnpChip
from coco_enclave.uvm import parse_endorsement

NOW_S = 1_790_000_000
DATA = bytes(range(64))
UVM = b"u" * 48
CONTAINERS = b"package policy\n"


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)


@pytest.fixture(scope="module")
def issuer() -> UvmIssuer:
    return sim_azure.make_uvm_issuer(NOW_S)


def policy_of(chip: SnpChip, **fields: Any) -> PlatformPolicy:
    accepted = {"measurements": None, "simulator_anchors": frozenset({chip.vendor.anchor})}
    return PlatformPolicy(**{**accepted, **fields})


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


def test_containers_that_are_bound_to_something_else(chip: SnpChip, issuer: UvmIssuer) -> None:
    report = chip.report(DATA[:63] + b"x", UVM, host_data=hashlib.sha256(CONTAINERS).digest())
    evidence = encode_parts({"report": report, "uvm": issuer.endorsement(UVM)})
    assert container_refusal(chip, issuer, evidence) == "report_data"


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
        {"svn": 99},
        {"svn": True},
        {"svn": -100},
        {"svn": 100.0},
        {"svn": "0x100"},
        {"svn": "1" * 10},
        {"feed": "another"},
        {"feed": 1},
        {"did": "did:x509:0:sha256:other"},
        {"did": 1},
        {"did": ["a list, which no set can be asked for"]},
        {"header": {1: -37}},
        {"header": {1: -35}},
        {"header": {1: -257}},
        {"header": {1: [-38]}},
        {"header": {2: [15]}},
        {"header": {33: b"one"}},
        {"header": {33: [1]}},
        {"header": {33: [b"none"]}},
        {"header": {33: [b""] * 9}},
        {"payload": b"none"},
        {"payload": b"[]"},
        {"payload": b'{"x-ms-sevsnpvm-guestsvn": "100", "x-ms-sevsnpvm-launchmeasurement": 1}'},
        {"payload": b'{"x-ms-sevsnpvm-guestsvn": "100", "x-ms-sevsnpvm-launchmeasurement": "ab"}'},
        {"tag": 17},
    ],
)
def test_endorsements_that_are_none(chip: SnpChip, issuer: UvmIssuer, fields: dict[str, Any]) -> None:
    evidence = container_evidence(chip, issuer.endorsement(UVM, **fields))
    assert container_refusal(chip, issuer, evidence) in ("endorsement", "malformed")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps([1]),
        cbor2.dumps(cbor2.CBORTag(18, [1])),
        cbor2.dumps(cbor2.CBORTag(18, 1)),
        cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(1), {}, b"", b""])),
    ],
)
def test_endorsements_that_are_no_message(data: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_endorsement(data)
    assert caught.value.code == "endorsement"


def test_nothing_follows_an_endorsement(chip: SnpChip, issuer: UvmIssuer) -> None:
    evidence = container_evidence(chip, issuer.endorsement(UVM) + b"\0")
    assert container_refusal(chip, issuer, evidence) == "endorsement"


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


def test_endorsements_of_2025_say_it_in_claims(chip: SnpChip, issuer: UvmIssuer) -> None:
    """Until then the version was text, first in JSON; genuine ones of all three forms are in use."""
    elliptic = sim_azure.make_uvm_issuer(NOW_S, key=ec.generate_private_key(ec.SECP384R1()))
    signed = {6: NOW_S - 60}
    for by, endorsed in (
        (issuer, issuer.endorsement(UVM, svn=100)),
        (issuer, issuer.claims_endorsement(UVM)),
        (elliptic, elliptic.claims_endorsement(UVM, claims=signed)),
    ):
        verdict = judge_containers(chip, by, container_evidence(chip, endorsed))
        assert (verdict.claims.more["uvm_svn"], verdict.claims.more["uvm_issuer"]) == (100, by.did)
    rules = {"at_signing": True}
    evidence = container_evidence(chip, issuer.claims_endorsement(UVM, claims=signed))
    assert judge_containers(chip, issuer, evidence, rules=rules).status == Status.WARNING
    for never in ({}, {6: "soon"}, {6: True}, {6: NOW_S + 60}):
        evidence = container_evidence(chip, issuer.claims_endorsement(UVM, claims=never))
        assert container_refusal(chip, issuer, evidence, rules=rules) == "endorsement"


@pytest.mark.parametrize(
    "fields",
    [
        {"claims": {1: 1}},
        {"claims": {1: ["a list, which no set can be asked for"]}},
        {"claims": {1: "did:x509:0:sha256:other"}},
        {"claims": {2: 2}},
        {"claims": {2: "another"}},
        {"claims": {"svn": "100"}},
        {"claims": {"svn": True}},
        {"claims": {"svn": -1}},
        {"claims": {"svn": 99}},
        {"claims": {"svn": 10**9}},
        {"header": {15: b"claims"}},
        {"header": {259: "application/json"}},
        {"header": {1: -35}},
        {"header": {1: -37}},
    ],
)
def test_claims_that_endorse_nothing(chip: SnpChip, issuer: UvmIssuer, fields: dict[str, Any]) -> None:
    evidence = container_evidence(chip, issuer.claims_endorsement(UVM, **fields))
    assert container_refusal(chip, issuer, evidence) == "endorsement"


def test_a_measurement_in_claims_is_bytes(chip: SnpChip, issuer: UvmIssuer) -> None:
    text: Any = "u" * 48
    with pytest.raises(EvidenceError) as caught:
        parse_endorsement(issuer.claims_endorsement(text))
    assert caught.value.code == "endorsement"


def test_more_certificates_than_a_chain_has_are_not_read(issuer: UvmIssuer) -> None:
    chain = [issuer.leaf.der, *[issuer.root.der] * 8]
    with pytest.raises(EvidenceError) as caught:
        parse_endorsement(issuer.endorsement(UVM, header={33: chain}))
    assert caught.value.code == "endorsement"


def test_a_leaf_that_the_named_authority_did_not_issue(chip: SnpChip, issuer: UvmIssuer) -> None:
    stranger = sim_azure.make_uvm_issuer(NOW_S)
    chain = [stranger.leaf.der, issuer.root.der]
    evidence = container_evidence(chip, stranger.endorsement(UVM, did=issuer.did, header={33: chain}))
    assert container_refusal(chip, issuer, evidence) == "endorsement"


def test_an_elliptic_signature_has_its_size(chip: SnpChip) -> None:
    by = sim_azure.make_uvm_issuer(NOW_S, key=ec.generate_private_key(ec.SECP384R1()))
    protected, _, payload, signature = cbor2.loads(by.claims_endorsement(UVM)).value
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    for other in (signature[:48] + b"\0" + signature[48:], flipped, "t" * 96):
        changed = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, other]))
        assert container_refusal(chip, by, container_evidence(chip, changed)) == "endorsement"


def test_what_is_not_read_as_an_endorsement(issuer: UvmIssuer) -> None:
    """Before anything is compared: types and sizes of what it says."""
    short = b'{"x-ms-sevsnpvm-guestsvn": "100", "x-ms-sevsnpvm-launchmeasurement": "ab"}'
    for data in (
        *(issuer.claims_endorsement(UVM, claims=claims) for claims in ({1: 1}, {2: 2}, {"svn": "x"})),
        *(issuer.claims_endorsement(UVM[:size]) for size in (0, 47)),
        issuer.endorsement(UVM, feed=1),
        issuer.endorsement(UVM, did=1),
        issuer.endorsement(UVM, payload=short),
    ):
        with pytest.raises(EvidenceError) as caught:
            parse_endorsement(data)
        assert caught.value.code == "endorsement"


def test_claims_state_a_measurement_of_48_bytes(chip: SnpChip, issuer: UvmIssuer) -> None:
    for measurement in (UVM[:47], UVM + b"u", UVM.hex().encode(), b"v" * 48):
        evidence = container_evidence(chip, issuer.claims_endorsement(measurement))
        assert container_refusal(chip, issuer, evidence) == "endorsement"


@pytest.mark.parametrize(
    ("algorithm", "curve"), [(-7, ec.SECP384R1), (-35, ec.SECP256R1), (-38, ec.SECP384R1)]
)
def test_algorithms_and_keys_of_endorsements_are_not_mixed(
    chip: SnpChip, algorithm: int, curve: type[ec.EllipticCurve]
) -> None:
    by = sim_azure.make_uvm_issuer(NOW_S, key=ec.generate_private_key(curve()))
    evidence = container_evidence(chip, by.claims_endorsement(UVM, header={1: algorithm}))
    assert container_refusal(chip, by, evidence) == "endorsement"


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


def test_a_verdict_lasts_no_longer_than_what_endorses(chip: SnpChip) -> None:
    issuer = sim_azure.make_uvm_issuer(NOW_S, lifetime_s=86_400)
    evidence = container_evidence(chip, issuer.endorsement(UVM, signed_at_s=NOW_S - 60))
    verdict = judge_containers(chip, issuer, evidence)
    assert verdict.valid_until_s is not None
    assert NOW_S <= verdict.valid_until_s <= NOW_S + 86_400
    # Judged as of its signing it does not expire, and was none before.
    lasting = judge_containers(chip, issuer, evidence, rules={"at_signing": True})
    assert lasting.valid_until_s is not None
    assert lasting.valid_until_s > NOW_S + 86_400
    assert lasting.valid_from_s == NOW_S - 60
