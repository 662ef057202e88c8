"""SEV-SNP: what is accepted, and every attack with the code it is refused with (a simulated chip)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from coco_enclave import EvidenceError, Status
from coco_enclave.evidence import encode_parts
from coco_enclave.pki import check_not_revoked
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp import CHAIN, LEAF, SnpVerifier
from coco_enclave.snp_report import (
    GENOA,
    MILAN,
    POLICY_DEBUG,
    POLICY_MIGRATE_MA,
    POLICY_RESERVED_ONE,
    POLICY_SINGLE_SOCKET,
    TURIN,
    Tcb,
    tcb_from_text,
)
from coco_enclave.testing import der, sim_snp
from coco_enclave.testing.authority import Issued, issue, revocation_list, rsa_key
from coco_enclave.testing.sim_snp import GUEST_POLICY, TCB, SnpChip, SnpVendor

NOW_S = 1_790_000_000
DATA = bytes(range(64))
MEASUREMENT = b"m" * 48

_VENDORS: dict[str, SnpVendor] = {}


def vendor_of(product: str = MILAN) -> SnpVendor:
    """Return the one simulated root of a product line."""
    if product not in _VENDORS:
        _VENDORS[product] = sim_snp.make_snp_vendor(NOW_S, product)
    return _VENDORS[product]


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S)


def policy_of(**fields: Any) -> PlatformPolicy:
    """Return a policy that accepts the simulated guest on any simulated product."""
    accepted = {
        "measurements": frozenset({MEASUREMENT.hex()}),
        "simulator_anchors": frozenset(vendor.anchor for vendor in _VENDORS.values()),
    }
    return PlatformPolicy(**{**accepted, **fields})


def judge(report: bytes, collateral: bytes, now_s: int = NOW_S, **fields: Any) -> Any:
    return SnpVerifier().verify(report, collateral, policy_of(**fields), DATA, now_s)


def refusal(*args: Any, **fields: Any) -> str:
    """Return the code that evidence is refused with."""
    with pytest.raises(EvidenceError) as caught:
        judge(*args, **fields)
    return caught.value.code


# ── accepted ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("product", "version"), [(MILAN, 2), (MILAN, 3), (GENOA, 3), (GENOA, 4), (TURIN, 5)])
def test_a_genuine_report_is_accepted(product: str, version: int) -> None:
    tcb = Tcb(bootloader=10, tee=1, snp=23, microcode=84, fmc=1 if product == TURIN else 0)
    chip = sim_snp.make_snp_chip(vendor_of(product), now_s=NOW_S, tcb=tcb)
    verdict = judge(chip.report(DATA, MEASUREMENT, version=version, guest_svn=7), chip.collateral())
    assert (verdict.status, verdict.notes, verdict.anchor) == (
        Status.WARNING,
        ("simulator",),
        vendor_of(product).anchor,
    )
    claims = verdict.claims
    assert (claims.product, claims.measurement, claims.svn) == (product, MEASUREMENT.hex(), 7)
    assert (claims.more["key"], claims.more["author_key"], claims.signer) == ("VCEK", "", "")
    assert claims.more["committed_tcb"] == claims.more["launch_tcb"] == claims.tcb
    assert ("mitigations" in claims.more) is (version == 5)
    assert ("fmc" in claims.tcb) is (product == TURIN)
    assert (tcb_from_text(claims.tcb), claims.report_data) == (tcb, DATA.hex())
    assert verdict.valid_from_s <= NOW_S <= verdict.valid_until_s


def test_certificates_may_come_as_one_pem_file(chip: SnpChip) -> None:
    pem = chip.leaf.pem + chip.vendor.ask.pem + chip.vendor.ark.pem
    assert judge(chip.report(DATA, MEASUREMENT), pem).status == Status.WARNING


def test_reading_tells_the_claims_without_checking_them(chip: SnpChip) -> None:
    claims = SnpVerifier().read(chip.report(DATA, MEASUREMENT, policy=GUEST_POLICY | POLICY_DEBUG))
    assert (claims.debug, claims.product, claims.tcb) == (True, MILAN, str(TCB))
    assert SnpVerifier().read(chip.report(DATA, MEASUREMENT, version=2)).product == ""


def test_a_loaded_key_is_accepted_for_a_provider_that_is() -> None:
    loaded = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, provider="CN=cloud.example")
    report = loaded.report(DATA, MEASUREMENT)
    for named in ("CN=cloud.example", "any"):
        verdict = judge(report, loaded.collateral(), rules={"vlek_providers": [named]})
        assert (verdict.claims.more["provider"], verdict.claims.more["key"]) == ("CN=cloud.example", "VLEK")
    for accepted in ([], ["CN=other.example"]):
        assert refusal(report, loaded.collateral(), rules={"vlek_providers": accepted}) == "provider"
    # What is wrong with the guest is told before whose host it is on.
    assert refusal(loaded.report(DATA, MEASUREMENT, vmpl=1), loaded.collateral()) == "vmpl"


def test_rules_that_are_met_are_no_hindrance(chip: SnpChip) -> None:
    report = chip.report(
        DATA,
        MEASUREMENT,
        version=5,
        policy=GUEST_POLICY | POLICY_SINGLE_SOCKET | 0x011F,
        host_data=b"h" * 32,
        id_key=b"i" * 48,
        author_key=b"a" * 48,
        patch={0x1F8: b"\x03" + bytes(7) + b"\x03"},
    )
    rules = {
        "host_data": [(b"h" * 32).hex()],
        "author_keys": [(b"a" * 48).hex()],
        "family_ids": [bytes(16).hex()],
        "image_ids": [bytes(16).hex()],
        "single_socket": True,
        "abi_minimum": 0x011F,
        "platform_required": ["alias_check", "ecc"],
        "platform_denied": ["tsme"],
        "mitigations": 1,
        "crl_required": True,
    }
    collateral = chip.collateral(chip.vendor.crl(now_s=NOW_S))
    floor = f"Genoa {TCB};Milan {TCB}"
    verdict = judge(
        report, collateral, rules=rules, minimum_tcb=floor, signers=frozenset({(b"i" * 48).hex()})
    )
    assert verdict.claims.more["author_key"] == (b"a" * 48).hex()
    assert verdict.claims.more["mitigations"] == ["0x3", "0x3"]


# ── attacks ──────────────────────────────────────────────────────────────────────────────────────

OLD = attrs.evolve(TCB, microcode=TCB.microcode - 1)
FLOOR = f"Milan {TCB}"

ATTACKS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("debug", "debug", {"policy": GUEST_POLICY | POLICY_DEBUG}, {}),
    ("migration agent", "migration", {"policy": GUEST_POLICY | POLICY_MIGRATE_MA}, {}),
    ("policy without its fixed bit", "guest_policy", {"policy": 0}, {}),
    ("multithreading", "guest_policy", {}, {"rules": {"smt": False}}),
    ("several sockets", "guest_policy", {}, {"rules": {"single_socket": True}}),
    ("old ABI", "guest_policy", {}, {"rules": {"abi_minimum": 1}}),
    ("paravisor level", "vmpl", {"vmpl": 1}, {}),
    ("host data", "host_data", {}, {"rules": {"host_data": ["ab" * 32]}}),
    ("author key", "author_key", {}, {"rules": {"author_keys": ["ab" * 48]}}),
    (
        "author key that is not enabled",
        "author_key",
        {"patch": {0x110: b"a" * 48}},
        {"rules": {"author_keys": [(b"a" * 48).hex()]}},
    ),
    ("family", "image", {}, {"rules": {"family_ids": ["ab" * 16]}}),
    ("image", "image", {}, {"rules": {"image_ids": ["ab" * 16]}}),
    ("id key", "signer", {}, {"signers": frozenset({"ab" * 48})}),
    ("measurement", "measurement", {}, {"measurements": frozenset({"ab" * 48})}),
    ("security version", "svn", {"guest_svn": 1}, {"minimum_svn": 2}),
    ("chip id zeroed", "chip_id", {"patch": {0x1A0: bytes(64)}}, {}),
    ("chip key masked", "chip_key", {"patch": {0x48: b"\x02"}}, {}),
    ("signed by nobody", "signing_key", {"patch": {0x48: b"\x1c"}}, {}),
    ("unknown key", "signing_key", {"patch": {0x48: b"\x08"}}, {}),
    ("no algorithm", "algorithm", {"patch": {0x34: bytes(4)}}, {}),
    ("TCB lie", "tcb_mismatch", {"tcb": attrs.evolve(TCB, microcode=220)}, {}),
    (
        "reported TCB below the floor",
        "tcb_floor",
        {},
        {"minimum_tcb": f"Milan {attrs.evolve(TCB, microcode=220)}"},
    ),
    ("committed TCB below the floor", "tcb_floor", {"committed": OLD}, {"minimum_tcb": FLOOR}),
    ("launch TCB below the floor", "tcb_floor", {"launch": OLD}, {"minimum_tcb": FLOOR}),
    ("no floor for the product", "tcb_floor", {}, {"minimum_tcb": f"Genoa {TCB}"}),
    (
        "aliases not checked",
        "platform_info",
        {"platform_info": 5},
        {"rules": {"platform_required": ["alias_check"]}},
    ),
    ("multithreading on", "platform_info", {}, {"rules": {"platform_denied": ["smt"]}}),
    ("denied product", "product", {}, {"denied_products": frozenset({MILAN})}),
    ("product of CPUID", "product", {"patch": {0x188: b"\x1a\x02"}}, {}),
    ("unknown CPUID", "product", {"patch": {0x188: b"\x17\x31"}}, {}),
    ("no mitigation vector", "mitigation", {}, {"rules": {"mitigations": 1}}),
    ("mitigation missing", "mitigation", {"version": 5}, {"rules": {"mitigations": 1}}),
    ("no revocation list", "crl", {}, {"rules": {"crl_required": True}}),
    ("report version 1", "unsupported", {"version": 1}, {}),
    ("report version 6", "unsupported", {"version": 6}, {}),
]


@pytest.mark.parametrize(
    ("code", "fields", "policy"), [row[1:] for row in ATTACKS], ids=[row[0] for row in ATTACKS]
)
def test_attack(chip: SnpChip, code: str, fields: dict[str, Any], policy: dict[str, Any]) -> None:
    assert refusal(chip.report(DATA, MEASUREMENT, **fields), chip.collateral(), **policy) == code


@pytest.mark.parametrize(("offset", "code"), [(64, "report_data"), (32, "report_data"), (0, "report_data")])
def test_all_64_bytes_must_be_the_expected_ones(chip: SnpChip, offset: int, code: str) -> None:
    other = DATA[:offset] + bytes(64 - offset) if offset < 64 else DATA[:63] + b"\xff"
    assert refusal(chip.report(other, MEASUREMENT), chip.collateral()) == code


def test_expected_data_of_another_size_are_never_met(chip: SnpChip) -> None:
    with pytest.raises(EvidenceError) as caught:
        SnpVerifier().verify(chip.report(DATA, MEASUREMENT), chip.collateral(), policy_of(), DATA[:32], NOW_S)
    assert caught.value.code == "report_data"


def test_a_report_of_another_chip(chip: SnpChip) -> None:
    other = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, seed=b"other")
    assert refusal(chip.report(DATA, MEASUREMENT), other.collateral()) == "signature"
    lying = attrs.evolve(chip, chip_id=other.chip_id)
    assert refusal(lying.report(DATA, MEASUREMENT), chip.collateral()) == "chip_id"


def test_roots_with_the_right_names_are_no_roots(chip: SnpChip) -> None:
    stranger = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    report = stranger.report(DATA, MEASUREMENT)
    assert refusal(report, stranger.collateral()) == "root"
    # The genuine root after a stranger's authority: the link does not hold.
    parts = {LEAF: stranger.leaf.der, CHAIN: stranger.vendor.ask.pem + chip.vendor.ark.pem}
    assert refusal(report, encode_parts(parts)) == "chain"


def test_a_simulators_root_is_none_in_production(chip: SnpChip) -> None:
    report, collateral = chip.report(DATA, MEASUREMENT), chip.collateral()
    assert refusal(report, collateral, simulator_anchors=frozenset()) == "root"
    # Nor does a policy that names it among the vendor's roots make it one.
    named = frozenset({chip.vendor.anchor})
    assert refusal(report, collateral, simulator_anchors=frozenset(), anchors=named) == "root"


def test_products_are_not_mixed(chip: SnpChip) -> None:
    genoa = vendor_of(GENOA)
    parts = {LEAF: chip.leaf.der, CHAIN: genoa.ask.pem + genoa.ark.pem}
    assert refusal(chip.report(DATA, MEASUREMENT), encode_parts(parts)) == "root"
    odd = issue("ARK-Naples", rsa_key(), None, now_s=NOW_S, authority=True, pss=True)
    parts = {LEAF: chip.leaf.der, CHAIN: chip.vendor.ask.pem + odd.pem}
    assert (
        refusal(chip.report(DATA, MEASUREMENT), encode_parts(parts), simulator_anchors=_anchors(odd))
        == "root"
    )


def _anchors(*roots: Any) -> frozenset[str]:
    return frozenset(attrs.evolve(vendor_of(), ark=root).anchor for root in roots)


def test_kinds_of_keys_are_not_mixed(chip: SnpChip) -> None:
    loaded = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, provider="CN=cloud.example")
    rules = {"vlek_providers": ["any"]}
    assert refusal(loaded.report(DATA, MEASUREMENT), chip.collateral(), rules=rules) == "chain"
    parts = {LEAF: loaded.leaf.der, CHAIN: chip.vendor.ask.pem + chip.vendor.ark.pem}
    assert refusal(loaded.report(DATA, MEASUREMENT), encode_parts(parts), rules=rules) == "chain"


def test_certificates_count_while_they_are_valid() -> None:
    loaded = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, provider="CN=cloud.example", lifetime_s=86_400)
    report, collateral = loaded.report(DATA, MEASUREMENT), loaded.collateral()
    rules = {"vlek_providers": ["any"]}
    verdict = judge(report, collateral, rules=rules)
    for now_s in (verdict.valid_from_s, verdict.valid_until_s):
        assert judge(report, collateral, now_s, rules=rules) == verdict
    for now_s in (verdict.valid_from_s - 1, verdict.valid_until_s + 1):
        assert refusal(report, collateral, now_s, rules=rules) == "expired"


def test_revocation(chip: SnpChip) -> None:
    report, vendor = chip.report(DATA, MEASUREMENT), chip.vendor
    revoked = vendor.crl(now_s=NOW_S, revoke_ask=True)
    assert refusal(report, chip.collateral(revoked)) == "revoked"
    genoa = vendor_of(GENOA).crl(now_s=NOW_S)
    early = revocation_list(vendor.ark, [], now_s=NOW_S, age_s=-60)
    late = revocation_list(vendor.ark, [], now_s=NOW_S, lifetime_s=60)
    renamed = issue("ARK-Other", vendor.ark.key, None, now_s=NOW_S, authority=True)
    of_another_name = revocation_list(renamed, [], now_s=NOW_S)
    for crl in (genoa, early, late, of_another_name, _endless(vendor.ark), b"no list"):
        assert refusal(report, chip.collateral(crl)) == "crl"
    assert refusal(report, chip.collateral(bytes(300_000))) == "size"
    with pytest.raises(EvidenceError) as caught:
        check_not_revoked([], bytes(300_000), vendor.ark.certificate, NOW_S, "the chain")
    assert caught.value.code == "size"


def _endless(issuer: Issued) -> bytes:
    """Return a revocation list that says no end."""
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.12"), b"\x05\x00")
    issued = der.tagged(0x17, datetime.fromtimestamp(NOW_S, UTC).strftime("%y%m%d%H%M%SZ").encode())
    to_sign = der.sequence(der.integer(1), algorithm, issuer.certificate.subject.public_bytes(), issued)
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    signature = issuer.key.sign(to_sign, padding.PKCS1v15(), hashes.SHA384())
    return der.sequence(to_sign, algorithm, der.tagged(0x03, b"\0" + signature))


@pytest.mark.parametrize("drop", ["2", "3.1", "3.8"])
def test_a_certificate_without_its_extensions(drop: str) -> None:
    bare = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, drop=drop)
    assert refusal(bare.report(DATA, MEASUREMENT), bare.collateral()) == "malformed"


def test_a_certificate_that_names_no_chip() -> None:
    bare = sim_snp.make_snp_chip(vendor_of(), now_s=NOW_S, drop="4")
    assert refusal(bare.report(DATA, MEASUREMENT), bare.collateral()) == "chip_id"


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256R1()), rsa_key()])
def test_a_certificate_for_a_key_that_chips_do_not_have(chip: SnpChip, key: Any) -> None:
    extensions = {one.oid.dotted_string: one.value.value for one in chip.leaf.certificate.extensions}
    leaf = issue("SEV-VCEK", key, chip.vendor.ask, now_s=NOW_S, extensions=extensions, pss=True)
    parts = {LEAF: leaf.der, CHAIN: chip.vendor.ask.pem + chip.vendor.ark.pem}
    assert refusal(chip.report(DATA, MEASUREMENT), encode_parts(parts)) == "unsupported"


def test_bytes_after_the_signature_must_be_zero(chip: SnpChip) -> None:
    report = bytearray(chip.report(DATA, MEASUREMENT))
    report[-1] = 1
    assert refusal(bytes(report), chip.collateral()) == "malformed"


Collateral = Callable[[SnpChip], bytes]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda _: b"", "collateral"),
        (lambda _: b"-----BEGIN", "malformed"),
        (lambda chip: chip.leaf.pem, "chain"),
        (lambda chip: chip.leaf.pem * 20, "chain"),
        (lambda chip: encode_parts({LEAF: chip.leaf.der, CHAIN: b"nothing"}), "malformed"),
        (lambda chip: encode_parts({LEAF: b"nothing", CHAIN: chip.vendor.ask.pem}), "malformed"),
        (lambda chip: encode_parts({LEAF: bytes(20_000), CHAIN: chip.vendor.ask.pem}), "size"),
        (lambda _: b"-----BEGIN" + bytes(300_000), "size"),
    ],
)
def test_collateral_that_is_none(chip: SnpChip, make: Collateral, code: str) -> None:
    assert refusal(chip.report(DATA, MEASUREMENT), make(chip)) == code


@pytest.mark.parametrize("size", [0, 1, 671, 1183, 1185, 10_000_000])
def test_reports_of_another_size(chip: SnpChip, size: int) -> None:
    report = chip.report(DATA, MEASUREMENT)
    assert refusal((report * (size // len(report) + 1))[:size], chip.collateral()) == "malformed"


def test_every_signed_byte_counts(chip: SnpChip) -> None:
    genuine, collateral = chip.report(DATA, MEASUREMENT), chip.collateral()
    for at in range(0, 0x2A0 + 144, 7):
        report = bytearray(genuine)
        report[at] ^= 1 << at % 8
        with pytest.raises(EvidenceError):
            judge(bytes(report), collateral)


@pytest.mark.parametrize(
    "rules",
    [
        {"vmpl": 1},
        {"vmpl_max": 4},
        {"vmpl_max": -1},
        {"host_data": "ab"},
        {"host_data": ["AB"]},
        {"smt": 1},
        {"platform_required": ["badram"]},
    ],
)
def test_rules_are_read_strictly(chip: SnpChip, rules: dict[str, Any]) -> None:
    assert refusal(chip.report(DATA, MEASUREMENT), chip.collateral(), rules=rules) == "policy"


@pytest.mark.parametrize(
    "floor",
    ["Milan", "Rome bl=1,tee=0,snp=0,ucode=0", "Milan bl=1", "Milan bl=1,tee=0,snp=0,ucode=256", "Milan x"],
)
def test_floors_are_read_strictly(chip: SnpChip, floor: str) -> None:
    assert refusal(chip.report(DATA, MEASUREMENT), chip.collateral(), minimum_tcb=floor) == "policy"


def test_a_reserved_bit_is_part_of_the_default_guest_policy() -> None:
    assert GUEST_POLICY & POLICY_RESERVED_ONE
