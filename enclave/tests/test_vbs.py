"""Windows VBS: what is accepted, and every attack with the code it is refused with (a simulated host)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from coco_enclave import EvidenceError, Status, decode_parts, encode_parts
from coco_enclave.pki import fingerprint, load_certificates
from coco_enclave.policy import PlatformPolicy
from coco_enclave.testing import sim_tpm, sim_vbs
from coco_enclave.testing.authority import issue
from coco_enclave.testing.sim_tpm import Tpm, TpmVendor
from coco_enclave.testing.sim_vbs import AUTHOR, UNIQUE, VbsHost
from coco_enclave.vbs import HgsVerifier, VbsVerifier
from coco_enclave.vbs_report import parse_report

NOW_S = 1_790_000_000
DATA = bytes(range(64))


@pytest.fixture(scope="module")
def vendor() -> TpmVendor:
    return sim_tpm.make_tpm_vendor(NOW_S)


@pytest.fixture(scope="module")
def host(vendor: TpmVendor) -> VbsHost:
    return sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))


@pytest.fixture(scope="module")
def other(vendor: TpmVendor) -> VbsHost:
    return sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))


@pytest.fixture
def machine(vendor: TpmVendor, host: VbsHost) -> Tpm:
    """A TPM that measured nothing yet; making its key is the slow part, so it is the other's."""
    return Tpm(ak=host.tpm.ak, chain=host.tpm.chain)


def policy_of(anchor: str, **fields: Any) -> PlatformPolicy:
    accepted = {"measurements": frozenset({UNIQUE.hex()}), "simulator_anchors": frozenset({anchor})}
    return PlatformPolicy(**{**accepted, **fields})


def judge(vendor: TpmVendor, evidence: bytes, host: VbsHost, now_s: int = NOW_S, **fields: Any) -> Any:
    return VbsVerifier().verify(evidence, host.tpm.chain, policy_of(vendor.anchor, **fields), DATA, now_s)


def refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        judge(*args, **fields)
    return caught.value.code


def test_a_genuine_report_is_accepted(vendor: TpmVendor, host: VbsHost) -> None:
    verdict = judge(vendor, host.evidence(DATA, DATA), host, signers=frozenset({AUTHOR.hex()}))
    assert (verdict.status, verdict.anchor) == (Status.WARNING, vendor.anchor)
    assert verdict.notes == ("boot_manager", "simulator")
    assert (verdict.claims.measurement, verdict.claims.signer, verdict.claims.svn) == (
        UNIQUE.hex(),
        AUTHOR.hex(),
        1,
    )
    assert VbsVerifier().read(host.evidence(DATA, DATA)) == verdict.claims
    named = {str(index): host.tpm.register(index).hex() for index in sim_vbs.SELECTION}
    assert verdict.claims.more["registers"] == named


def test_what_cannot_be_read_of_registers_is_not_told(host: VbsHost) -> None:
    parts = decode_parts(
        host.evidence(DATA, DATA), {"report", "quote", "signature", "log"}, size_max_bytes=2**18
    )
    nothing, _ = Tpm(ak=host.tpm.ak, chain=b"").quote(DATA, ())
    for changed in ({"log": b""}, {"quote": b""}, {"quote": nothing}):
        claims = VbsVerifier().read(encode_parts({**parts, **changed}))
        assert (claims.measurement, claims.more["registers"]) == (UNIQUE.hex(), {})


def test_rules_that_are_met_are_no_hindrance(vendor: TpmVendor, host: VbsHost) -> None:
    rules = {
        "families": [(b"F" * 16).hex()],
        "images": [(b"I" * 16).hex()],
        "modules": [(b"v" * 32).hex(), (b"m" * 32).hex()],
        "platform_svn": 1,
        "secure_kernel_svn": 1,
        "registers": {"7": host.tpm.register(7).hex()},
    }
    modules = [
        ("keys.dll", UNIQUE, AUTHOR),
        ("vertdll.dll", b"v" * 32, bytes(32)),
        ("a.dll", b"a" * 32, b"m" * 32),
    ]
    report = host.report(DATA, modules=modules)
    verdict = judge(vendor, host.evidence(DATA, DATA, report=report), host, rules=rules)
    assert verdict.claims.more["modules"][1] == ["vertdll.dll", (b"v" * 32).hex()]
    assert verdict.notes == ("simulator",), "register 7 tells whose boot manager ran"


# ── attacks on the report ────────────────────────────────────────────────────────────────────────

REPORTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("debug", "debug", {"flags": 1}, {}),
    ("dynamic debugging enabled", "debug", {"flags": 2}, {}),
    ("dynamic debugging active", "debug", {"flags": 4}, {}),
    ("measurement", "measurement", {"unique_id": b"u" * 32}, {}),
    ("author", "signer", {"author_id": b"a" * 32}, {"signers": frozenset({AUTHOR.hex()})}),
    ("security version", "svn", {}, {"minimum_svn": 2}),
    ("family", "identity", {}, {"rules": {"families": ["ab" * 16]}}),
    ("image", "identity", {}, {"rules": {"images": ["ab" * 16]}}),
    ("no VBS enclave", "identity", {"enclave_type": 0}, {}),
    ("platform svn", "tcb_floor", {}, {"rules": {"platform_svn": 2}}),
    ("secure kernel svn", "tcb_floor", {}, {"rules": {"secure_kernel_svn": 2}}),
    ("module", "identity", {"modules": [("x.dll", b"x" * 32, bytes(32))]}, {}),
    (
        "module of nobody",
        "identity",
        {"modules": [("x.dll", b"x" * 32, bytes(32))]},
        {"rules": {"modules": [bytes(32).hex()]}},
    ),
    ("size", "malformed", {"size_error": 1}, {}),
    ("register pinned to another value", "tpm_digest", {}, {"rules": {"registers": {"7": "ab" * 32}}}),
    ("register that is not quoted", "tpm_selection", {}, {"rules": {"registers": {"4": "ab" * 32}}}),
    ("no such register", "policy", {}, {"rules": {"registers": {"24": "ab" * 32}}}),
    ("no hex", "policy", {}, {"rules": {"registers": {"4": "xy"}}}),
    ("half a byte", "policy", {}, {"rules": {"registers": {"4": "abc"}}}),
    ("no text", "policy", {}, {"rules": {"registers": {"4": 7}}}),
    ("no such rule", "policy", {}, {"rules": {"register": {}}}),
]


@pytest.mark.parametrize(
    ("code", "fields", "policy"), [row[1:] for row in REPORTS], ids=[row[0] for row in REPORTS]
)
def test_report(
    vendor: TpmVendor, host: VbsHost, code: str, fields: dict[str, Any], policy: dict[str, Any]
) -> None:
    evidence = host.evidence(DATA, DATA, report=host.report(DATA, **fields))
    assert refusal(vendor, evidence, host, **policy) == code


def test_a_report_without_a_type_where_that_is_accepted(vendor: TpmVendor, host: VbsHost) -> None:
    evidence = host.evidence(DATA, DATA, report=host.report(DATA, enclave_type=0))
    assert judge(vendor, evidence, host, rules={"untyped": True}).claims.more["enclave_type"] == 0


def test_a_report_for_another_key(vendor: TpmVendor, host: VbsHost) -> None:
    for data in (bytes(64), DATA[:32] + bytes(32)):
        assert refusal(vendor, host.evidence(data, DATA), host) == "report_data"


def test_a_report_of_another_boot(vendor: TpmVendor, host: VbsHost, other: VbsHost) -> None:
    evidence = host.evidence(DATA, DATA, report=other.report(DATA))
    assert refusal(vendor, evidence, host) == "signature"


def _package(body: bytes, **fields: int) -> bytes:
    sizes = {"size": 24 + len(body) + 256, "version": 1, "scheme": 1, "signed": len(body), "signature": 256}
    values = {**sizes, "reserved": 0, **fields}
    return struct.pack("<6I", *values.values()) + body + bytes(256)


BODY = sim_vbs.report_body(DATA)


def _with_data(data: bytes) -> bytes:
    """Return a package whose variable data are ``data``."""
    return _package(struct.pack("<I", 224 + len(data)) + BODY[4:224] + data)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (b"", "malformed"),
        (_package(BODY)[:-1], "malformed"),
        (_package(BODY) + b"\0", "malformed"),
        (_package(BODY, size=1), "malformed"),
        (_package(BODY, signed=1), "malformed"),
        (_package(BODY, signature=255), "malformed"),
        (_package(BODY, reserved=1), "malformed"),
        (_package(BODY, version=2), "unsupported"),
        (_package(BODY, scheme=2), "unsupported"),
        (_package(BODY[:4] + b"\x02" + BODY[5:]), "unsupported"),
        (_package(struct.pack("<II", 200, 1) + bytes(192)), "malformed"),
        (_package(sim_vbs.report_body(DATA, modules=[("", UNIQUE, AUTHOR)] * 257)), "malformed"),
        (_with_data(struct.pack("<II", 2, 110) + bytes(102)), "malformed"),
        (_with_data(struct.pack("<II", 1, 107) + bytes(99)), "malformed"),
        (_with_data(struct.pack("<II", 1, 109) + bytes(101)), "malformed"),
        (_with_data(struct.pack("<II", 1, 1 << 31)), "malformed"),
        (bytes(70_000), "malformed"),
    ],
)
def test_reports_that_are_none(report: bytes, code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_report(report)
    assert caught.value.code == code


# ── vouched for by a Host Guardian Service ───────────────────────────────────────────────────────


def hgs_refusal(*args: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        HgsVerifier().verify(*args)
    return caught.value.code


def test_host_guardian_service(host: VbsHost, other: VbsHost) -> None:
    service = sim_vbs.make_guardian_service(NOW_S)
    policy = policy_of(sim_tpm.TpmVendor(root=service, authority=service).anchor)
    certificates = host.health_certificate(service, now_s=NOW_S)
    report = host.report(DATA)
    verdict = HgsVerifier().verify(report, certificates, policy, DATA, NOW_S)
    assert (verdict.claims.platform, verdict.claims.measurement) == ("vbs-hgs", UNIQUE.hex())
    assert HgsVerifier().read(report) == verdict.claims
    alone = certificates.removesuffix(service.pem)
    pinned = fingerprint(load_certificates(alone, "health")[0])
    assert HgsVerifier().verify(report, alone, policy_of(pinned), DATA, NOW_S).claims == verdict.claims
    assert hgs_refusal(report, alone, policy, DATA, NOW_S) == "root"
    assert hgs_refusal(report, certificates, policy, DATA, NOW_S + 8 * 3600) == "expired"
    assert hgs_refusal(report, certificates, policy, bytes(64), NOW_S) == "report_data"
    assert hgs_refusal(other.report(DATA), certificates, policy, DATA, NOW_S) == "signature"
    assert hgs_refusal(report, certificates, policy_of("ab" * 32), DATA, NOW_S) == "root"
    assert hgs_refusal(host.report(DATA, flags=1), certificates, policy, DATA, NOW_S) == "debug"
    assert hgs_refusal(report, b"", policy, DATA, NOW_S) == "collateral"
    assert hgs_refusal(report, b"certificate", policy, DATA, NOW_S) == "malformed"
    stranger = sim_vbs.make_guardian_service(NOW_S)
    mixed = host.health_certificate(stranger, now_s=NOW_S).removesuffix(stranger.pem) + service.pem
    assert hgs_refusal(report, mixed, policy, DATA, NOW_S) == "chain"
    elliptic = issue("host", ec.generate_private_key(ec.SECP256R1()), service, now_s=NOW_S).pem + service.pem
    assert hgs_refusal(report, elliptic, policy, DATA, NOW_S) == "unsupported"
