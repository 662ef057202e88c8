"""What an attacker may try with SGX and TDX evidence: each attempt is refused by a rule of its own.

On a simulated platform whose root the policy trusts: the attacker's alone differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import EvidenceError, PlatformPolicy, Status, TeeEvidence, TeePolicy, Verdict, verify
from coco_enclave.testing import Enclave, SimulatedIntel, TrustDomain
from coco_enclave.testing.sim_sgx import QE_SVN, sign_raw, tcb_level

NOW_S = 1_790_000_000
DATA = bytes(range(64))


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


def judge(
    intel: SimulatedIntel,
    quote: bytes | None = None,
    collateral: bytes | None = None,
    *,
    kind: str = "sgx",
    expected: bytes = DATA,
    now_s: int = NOW_S,
    policy: PlatformPolicy | None = None,
    **changes: Any,
) -> Verdict:
    made = intel.sgx_quote if kind == "sgx" else intel.tdx_quote
    return verify(
        TeeEvidence(kind=kind, quote=made(DATA) if quote is None else quote),
        intel.collateral(kind) if collateral is None else collateral,
        TeePolicy(platforms={kind: policy or intel.policy(**changes)}),
        expected,
        now_s,
    )


def pem(*chain: Any) -> str:
    return "".join(one.certificate.public_bytes(Encoding.PEM).decode() for one in chain)


@pytest.mark.parametrize(
    ("kind", "version", "later"),
    [("sgx", 3, None), ("tdx", 4, None), ("tdx", 5, None), ("tdx", 5, bytes(48))],
)
def test_honest_evidence_is_accepted_and_called_simulated(
    intel: SimulatedIntel, kind: str, version: int, later: bytes | None
) -> None:
    domain = TrustDomain(later_service_td=later)
    quote = intel.sgx_quote(DATA) if kind == "sgx" else intel.tdx_quote(DATA, domain, version=version)
    verdict = judge(intel, quote, kind=kind)
    assert (verdict.status, verdict.notes, verdict.anchor) == (Status.WARNING, ("simulator",), intel.anchor)
    assert verdict.claims is not None
    assert (verdict.claims.platform, verdict.claims.tcb_status) == (kind, "UpToDate")


Attack = Callable[[SimulatedIntel], Verdict]


def _foreign_tcb_signer(intel: SimulatedIntel) -> Verdict:
    chain = [intel.pck.certificate, intel.ca.certificate, intel.root.certificate]
    return judge(intel, collateral=intel.collateral(tcb_signer=intel.pck, tcb_chain=chain))


def _signer_under_the_ca(intel: SimulatedIntel) -> Verdict:
    signer = intel.issue("Intel SGX TCB Signing", intel.ca)
    return judge(intel, collateral=intel.collateral(tcb_signer=signer))


def _signer_of_another_name(intel: SimulatedIntel) -> Verdict:
    signer = intel.issue("Intel SGX PCK Certificate", intel.root)
    return judge(intel, collateral=intel.collateral(tcb_signer=signer))


def _other_vendor(intel: SimulatedIntel) -> Verdict:
    return judge(SimulatedIntel(NOW_S), policy=intel.policy())


def _own_root_in_collateral(intel: SimulatedIntel) -> Verdict:
    return judge(intel, collateral=SimulatedIntel(NOW_S).collateral())


def _other_ca(intel: SimulatedIntel) -> Verdict:
    other = SimulatedIntel(NOW_S)
    chain = (intel.pck.certificate, other.ca.certificate, intel.root.certificate)
    return judge(intel, intel.sgx_quote(DATA, chain=chain))


def _no_platform(intel: SimulatedIntel) -> Verdict:
    pck = intel.issue("Intel SGX PCK Certificate", intel.ca)
    chain = (pck.certificate, intel.ca.certificate, intel.root.certificate)
    return judge(intel, intel.sgx_quote(DATA, chain=chain))


def _at(intel: SimulatedIntel, days: int, lasts: int, now_s: int) -> Verdict:
    """Judge a quote of a platform whose certificate begins in ``days``."""
    now, own = intel.now, intel.pck
    intel.now = now + timedelta(days=days)
    extension = intel.sgx_extension()
    intel.pck = intel.issue("Intel SGX PCK Certificate", intel.ca, extension=extension, days=lasts)
    chain = (intel.pck.certificate, intel.ca.certificate, intel.root.certificate)
    intel.now, quote = now, intel.sgx_quote(DATA, chain=chain)
    intel.pck = own
    return judge(intel, quote, now_s=now_s)


def fields(intel: SimulatedIntel, **given: str) -> Verdict:
    return judge(intel, collateral=intel.collateral(fields=given))


def tcb(intel: SimulatedIntel, **given: Any) -> Verdict:
    return judge(intel, collateral=intel.collateral(tcb_info=given))


def identity(intel: SimulatedIntel, **given: Any) -> Verdict:
    return judge(intel, collateral=intel.collateral(qe_identity=given))


def domain(intel: SimulatedIntel, **given: Any) -> Verdict:
    changed = attrs.evolve(TrustDomain(), **given)
    return judge(intel, intel.tdx_quote(DATA, changed, version=5), kind="tdx")


def _flipped(quote: bytes, at: int) -> bytes:
    return quote[:at] + bytes([quote[at] ^ 1]) + quote[at + 1 :]


def _levels(intel: SimulatedIntel, *levels: dict[str, Any]) -> Verdict:
    return tcb(intel, tcbLevels=list(levels))


ATTACKS: dict[str, tuple[str, Attack]] = {
    "evidence for another key": ("report_data", lambda it: judge(it, expected=bytes(64))),
    "half of what it is bound to": ("report_data", lambda it: judge(it, expected=DATA[:32] + bytes(32))),
    "a debug enclave": ("debug", lambda it: judge(it, it.sgx_quote(DATA, Enclave().debug))),
    "a debug enclave, whatever is brought along": (
        "debug",
        lambda it: judge(it, it.sgx_quote(DATA, Enclave().debug), b""),
    ),
    "a platform whose certificate ran out": ("expired", lambda it: _at(it, 0, 1, NOW_S + 2 * 86400)),
    "a platform whose certificate does not count yet": ("expired", lambda it: _at(it, 40, 10, NOW_S)),
    "a debug trust domain": ("debug", lambda it: domain(it, attributes=(1 << 28) | 1)),
    "SEPT_VE_DISABLE off": ("td_attributes", lambda it: domain(it, attributes=0)),
    "a service TD": ("td_attributes", lambda it: domain(it, service_td=b"\1" * 48)),
    "a service TD bound later": ("td_attributes", lambda it: domain(it, later_service_td=b"\1" * 48)),
    "somebody's TDX module": ("td_module", lambda it: domain(it, module_signer=b"\1" * 48)),
    "a TDX module under debugging": ("td_module", lambda it: domain(it, module_attributes=b"\1" + bytes(7))),
    "a TDX module nobody lists": ("td_module", lambda it: domain(it, tcb_svn=bytes([3, 7, 5, *[0] * 13]))),
    "another code": ("measurement", lambda it: judge(it, measurements=frozenset({"00" * 32}))),
    "another signer": ("signer", lambda it: judge(it, signers=frozenset({"00" * 32}))),
    "another product of its signer": ("product_id", lambda it: judge(it, rules={"product_ids": ["2"]})),
    "old code": ("svn", lambda it: judge(it, minimum_svn=4)),
    "a product that is denied": (
        "product",
        lambda it: judge(it, denied_products=frozenset({it.fmspc.hex()})),
    ),
    "frozen collateral": ("eval_number", lambda it: judge(it, minimum_tcb="18")),
    "two evaluations": ("eval_number", lambda it: identity(it, tcbEvaluationDataNumber=16)),
    "TCB info signed by a platform's key": ("tcb_signer", _foreign_tcb_signer),
    "TCB info signed below the CA": ("tcb_signer", _signer_under_the_ca),
    "TCB info signed in another role": ("tcb_signer", _signer_of_another_name),
    "another PCE": ("pceid", lambda it: tcb(it, pceId="0001")),
    "TCB info of an old form": ("version", lambda it: tcb(it, version=2)),
    "identity of an old form": ("version", lambda it: identity(it, version=1)),
    "TCB info of other platforms": ("fmspc", lambda it: tcb(it, fmspc="00606A000000")),
    "TCB info of TDX": ("tee", lambda it: tcb(it, id="TDX")),
    "identity of the TD quoting enclave": ("tee", lambda it: identity(it, id="TD_QE")),
    "identity of the verifying enclave": ("tee", lambda it: identity(it, id="QVE")),
    "another root with the same names": ("root", _other_vendor),
    "own root in the collateral": ("root", _own_root_in_collateral),
    "another CA with the same name": ("chain", _other_ca),
    "a certificate of no platform": ("chain", _no_platform),
    "TCB status Revoked": ("tcb_status", lambda it: _levels(it, tcb_level(5, 11, "Revoked"))),
    "TCB out of date": (
        "tcb_status",
        lambda it: _levels(it, tcb_level(9, 11, "UpToDate"), tcb_level(0, 0, "OutOfDate")),
    ),
    "below every level": ("tcb_none", lambda it: _levels(it, tcb_level(9, 11, "UpToDate"))),
    "quoting enclave too old": (
        "qe",
        lambda it: judge(it, collateral=it.collateral(qe_identity=it.qe_identity(svn=QE_SVN + 1))),
    ),
    "quoting enclave out of date": (
        "tcb_status",
        lambda it: judge(it, collateral=it.collateral(qe_identity=it.qe_identity(status="OutOfDate"))),
    ),
    "quoting enclave of another signer": (
        "qe",
        lambda it: judge(it, it.sgx_quote(DATA, qe_signer=b"\1" * 32)),
    ),
    "quoting enclave of another vendor": ("qe", lambda it: judge(it, it.sgx_quote(DATA, vendor=bytes(16)))),
    "an attestation key nobody made": (
        "signature",
        lambda it: judge(it, it.sgx_quote(DATA, qe_data=bytes(64))),
    ),
    "TCB info changed after signing": (
        "collateral_signature",
        lambda it: fields(it, tcb_info=json.dumps(it.tcb_info())),
    ),
    "identity changed after signing": (
        "collateral_signature",
        lambda it: fields(it, qe_identity=json.dumps(it.qe_identity())),
    ),
    "collateral too old": ("collateral_time", lambda it: judge(it, now_s=NOW_S + 30 * 86400)),
    "collateral of the future": ("collateral_time", lambda it: judge(it, now_s=NOW_S - 2 * 86400)),
    "a revoked platform": (
        "revoked",
        lambda it: fields(it, pck_crl=it.crl(it.ca, [it.pck.certificate]).hex()),
    ),
    "a revoked CA": (
        "revoked",
        lambda it: fields(it, root_ca_crl=it.crl(it.root, [it.ca.certificate]).hex()),
    ),
    "a revoked TCB signer": (
        "revoked",
        lambda it: fields(it, root_ca_crl=it.crl(it.root, [it.tcb_signer.certificate]).hex()),
    ),
    "the root's revocation list twice": ("crl", lambda it: fields(it, pck_crl=it.crl(it.root).hex())),
    "a revocation list by nobody": (
        "crl",
        lambda it: fields(it, root_ca_crl=SimulatedIntel(NOW_S).crl(it.root).hex()[:-2] + "00"),
    ),
    "a revocation list of another CA": (
        "crl",
        lambda it: fields(
            it,
            pck_crl=it.crl(it.tcb_signer).hex(),
            pck_crl_issuer_chain=pem(it.tcb_signer, it.root),
        ),
    ),
    "a revocation list of the future": (
        "collateral_time",
        lambda it: fields(it, pck_crl=it.crl(it.ca, begins=it.now + timedelta(days=1)).hex()),
    ),
    "no collateral": ("collateral", lambda it: judge(it, collateral=b"")),
    "a quote of version 2": ("unsupported", lambda it: judge(it, b"\2" + it.sgx_quote(DATA)[1:])),
    "an attestation key of another type": (
        "unsupported",
        lambda it: judge(it, it.sgx_quote(DATA, key_type=3)),
    ),
    "no certificates in the quote": (
        "unsupported",
        lambda it: judge(it, it.sgx_quote(DATA, certification_type=3)),
    ),
    "a TDX quote called SGX": ("kind", lambda it: judge(it, it.tdx_quote(DATA))),
    "an SGX quote called TDX": ("kind", lambda it: judge(it, it.sgx_quote(DATA), kind="tdx")),
    "something after the quote": ("malformed", lambda it: judge(it, it.sgx_quote(DATA) + b"x")),
    "nothing": ("malformed", lambda it: judge(it, b"")),
    "ten million bytes": ("size", lambda it: judge(it, bytes(10_000_000))),
    "ten million bytes of collateral": ("size", lambda it: judge(it, collateral=bytes(10_000_000))),
    "a simulator in production": (
        "root",
        lambda it: judge(it, policy=PlatformPolicy(measurements=None, anchors=frozenset({it.anchor}))),
    ),
    "a platform that is not accepted": (
        "platform",
        lambda it: verify(TeeEvidence(kind="sgx", quote=b""), b"", TeePolicy(platforms={}), DATA, NOW_S),
    ),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_attack_is_refused_by_its_own_rule(what: str, intel: SimulatedIntel) -> None:
    code, attack = ATTACKS[what]
    with pytest.raises(EvidenceError) as caught:
        attack(intel)
    assert caught.value.code == code, str(caught.value)


def test_open_advisories(intel: SimulatedIntel) -> None:
    """What is not up to date is accepted only with every advisory that is open, and none that is denied."""
    open_ones = ("INTEL-SA-00614", "INTEL-SA-00615")
    levels = [
        tcb_level(9, 11, "UpToDate"),
        tcb_level(0, 0, "SWHardeningNeeded", open_ones),
    ]
    collateral = intel.collateral(tcb_info={"tcbLevels": levels})
    hardening = {"tcb_statuses": frozenset({"SWHardeningNeeded"})}

    def refused(**changes: Any) -> str:
        with pytest.raises(EvidenceError) as caught:
            judge(intel, collateral=collateral, **changes)
        return caught.value.code

    assert refused() == "tcb_status"
    for allowed in ((), open_ones[:1], ("INTEL-SA-00001",)):
        assert refused(**hardening, allowed_advisories=frozenset(allowed)) == "advisory"
    all_of_them = frozenset(open_ones)
    denied = {"allowed_advisories": all_of_them, "denied_advisories": all_of_them}
    assert refused(**hardening, **denied) == "advisory"
    verdict = judge(intel, collateral=collateral, **hardening, allowed_advisories=all_of_them)
    assert verdict.notes == ("tcb_status", "advisory", "simulator")


def test_what_firmware_started_has_to_be_named(intel: SimulatedIntel) -> None:
    domain = TrustDomain()
    code = frozenset({domain.measurement.hex()})
    named = {f"rtmr{number}": [domain.registers[number].hex()] for number in range(3)}

    def refused(registers: dict[str, Any]) -> str:
        with pytest.raises(EvidenceError) as caught:
            judge(intel, kind="tdx", measurements=code, rules={"registers": registers})
        return caught.value.code

    verdict = judge(intel, kind="tdx", measurements=code, rules={"registers": named})
    assert verdict.notes == ("simulator",)
    unasked = judge(intel, kind="tdx", measurements=code, rules={"registers": dict.fromkeys(named, "any")})
    assert unasked.claims == verdict.claims
    for name in named:
        assert refused({one: value for one, value in named.items() if one != name}) == "measurement"
        assert refused({**named, name: ["ab" * 48]}) == "measurement"
    for name in ("rtmr3", "mr_seam", "mr_config_id", "mr_owner", "mr_owner_config"):
        assert refused({**named, name: ["ab" * 48]}) == "measurement"


SIGNED = {
    "header": (0, 48),
    "report": (48, 432),
    "signature": (436, 500),
    "key": (500, 564),
    "QE report": (564, 948),
}


@pytest.mark.parametrize("region", SIGNED)
def test_every_signed_byte_counts(region: str, intel: SimulatedIntel) -> None:
    quote, collateral = intel.sgx_quote(DATA), intel.collateral()
    begin, end = SIGNED[region]
    codes = set()
    for at in range(begin, end):
        with pytest.raises(EvidenceError) as caught:
            judge(intel, _flipped(quote, at), collateral)
        codes.add(caught.value.code)
    expected = {
        # Which quote, whose quoting enclave, and what it is bound to are asked before signatures are checked.
        "header": {"unsupported", "malformed", "qe", "signature"},
        "report": {"report_data", "signature"},
    }
    assert codes == expected.get(region, {"signature"})


def test_truncated_quote_is_malformed(intel: SimulatedIntel) -> None:
    quote = intel.tdx_quote(DATA)
    for size in range(0, len(quote), 7):
        with pytest.raises(EvidenceError) as caught:
            judge(intel, quote[:size], kind="tdx")
        assert caught.value.code == "malformed"


def test_quote_within_a_quote_within_a_quote_is_refused(intel: SimulatedIntel) -> None:
    quote = bytearray(intel.tdx_quote(DATA))
    # The inner certification data, where a chain belongs, says that it holds another report.
    at = 48 + 584 + 4 + 128 + 6 + 384 + 64 + 2 + 32
    assert quote[at : at + 2] == b"\5\0"
    quote[at] = 6
    with pytest.raises(EvidenceError) as caught:
        judge(intel, bytes(quote), kind="tdx")
    assert caught.value.code == "unsupported"


def test_signatures_are_of_the_platforms_key(intel: SimulatedIntel) -> None:
    other = SimulatedIntel(NOW_S)
    quote = other.sgx_quote(DATA)
    chain = [intel.pck.certificate, intel.ca.certificate, intel.root.certificate]
    with pytest.raises(EvidenceError) as caught:
        judge(intel, other.sgx_quote(DATA, chain=chain))
    assert caught.value.code == "signature"
    assert sign_raw(other.pck.key, quote) != sign_raw(intel.pck.key, quote)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("sgx", {"minimum_tcb": "new"}),
        ("sgx", {"rules": {"registers": {}}}),
        ("sgx", {"rules": {"product_ids": "1"}}),
        ("tdx", {"rules": {"product_ids": ["1"]}}),
        ("tdx", {"rules": {"registers": {"rtmr9": "any"}}}),
        ("tdx", {"rules": {"registers": {"rtmr0": ["AB"]}}}),
    ],
)
def test_malformed_rules_refuse_everything(kind: str, changes: dict[str, Any], intel: SimulatedIntel) -> None:
    with pytest.raises(EvidenceError) as caught:
        judge(intel, kind=kind, **changes)
    assert caught.value.code == "policy"
