"""Collateral may come from whoever is judged: it is read strictly, and refused without the library's help."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import EvidenceError, TeeEvidence, TeePolicy, anchors, verify
from coco_enclave import dcap as dcap_module
from coco_enclave.testing import Enclave, SimulatedIntel, TrustDomain, der

NOW_S = 1_790_000_000
DATA = bytes(range(64))
DAY_S = 86_400


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


@pytest.fixture
def credulous_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that finds everything up to date."""

    def verify_with_root_ca(*_: Any) -> SimpleNamespace:
        return SimpleNamespace(status="UpToDate", advisory_ids=[])

    monkeypatch.setattr(dcap_module.dcap_qvl, "verify_with_root_ca", verify_with_root_ca)


def refused(
    intel: SimulatedIntel,
    collateral: bytes,
    quote: bytes | None = None,
    kind: str = "sgx",
    now_s: int = NOW_S,
) -> str:
    evidence = TeeEvidence(kind=kind, quote=intel.sgx_quote(DATA) if quote is None else quote)
    with pytest.raises(EvidenceError) as caught:
        verify(evidence, collateral, TeePolicy(platforms={kind: intel.policy()}), DATA, now_s)
    return caught.value.code


MALFORMED: dict[str, dict[str, Any]] = {
    "a field that is no text": {"tcb_info": 3},
    "bytes that are no hex": {"pck_crl": "xyz"},
    "text that is no Unicode": {"qe_identity": "\ud800"},
    "a field nobody knows": {"more": ""},
    "TCB info that is no JSON": {"tcb_info": "{"},
    "TCB info that is no object": {"tcb_info": "[]"},
    "an identity that is no object": {"qe_identity": "3"},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_collateral_is_refused(what: str, intel: SimulatedIntel) -> None:
    value = {**orjson.loads(intel.collateral()), **MALFORMED[what]}
    assert refused(intel, json.dumps(value).encode()) == "collateral"


def test_every_field_is_needed(intel: SimulatedIntel) -> None:
    value = orjson.loads(intel.collateral())
    assert len(value) == 9
    for name in value:
        assert refused(intel, orjson.dumps({**value, name: None})) == "collateral"
        less = {other: text for other, text in value.items() if other != name}
        assert refused(intel, orjson.dumps(less)) == "collateral"


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_collateral_is_refused(data: bytes, intel: SimulatedIntel) -> None:
    assert refused(intel, data) == "collateral"


@pytest.mark.parametrize("time", [None, 3, "", "yesterday", "2026-09-20T00:00:00", "2026-09-20 00:00:00Z"])
def test_times_have_one_form(time: Any, intel: SimulatedIntel) -> None:
    assert refused(intel, intel.collateral(tcb_info={"issueDate": time})) == "collateral"


@pytest.mark.parametrize("number", [None, "17", 17.0, True])
def test_evaluation_is_a_number(number: Any, intel: SimulatedIntel) -> None:
    changed = {"tcbEvaluationDataNumber": number}
    assert refused(intel, intel.collateral(tcb_info=changed, qe_identity=changed)) == "collateral"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("tcb_info_issuer_chain", "tcb_signer"),
        ("qe_identity_issuer_chain", "tcb_signer"),
        ("pck_crl_issuer_chain", "crl"),
    ],
)
def test_chains_are_of_two(field: str, code: str, intel: SimulatedIntel) -> None:
    chain = orjson.loads(intel.collateral())[field]
    for other in (chain * 2, chain * 20, "", "no certificates", chain[: len(chain) // 2]):
        assert refused(intel, intel.collateral(fields={field: other})) == code


@pytest.mark.parametrize("field", ["pck_crl", "root_ca_crl"])
def test_revocation_lists_are_lists(field: str, intel: SimulatedIntel) -> None:
    assert refused(intel, intel.collateral(fields={field: "3000"})) == "crl"


def test_revocation_lists_end(intel: SimulatedIntel) -> None:
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    issued = der.tagged(0x17, intel.now.strftime("%y%m%d%H%M%SZ").encode())
    to_sign = der.sequence(der.integer(1), algorithm, intel.ca.certificate.subject.public_bytes(), issued)
    signature = intel.ca.key.sign(to_sign, ec.ECDSA(SHA256()))
    endless = der.sequence(to_sign, algorithm, der.tagged(0x03, b"\0" + signature))
    assert refused(intel, intel.collateral(fields={"pck_crl": endless.hex()})) == "crl"


@pytest.mark.parametrize("field", ["tcb_info_signature", "qe_identity_signature"])
def test_signatures_are_64_bytes(field: str, intel: SimulatedIntel) -> None:
    for signature in ("", "00" * 63, "00" * 64, "ff" * 64, "00" * 65):
        assert refused(intel, intel.collateral(fields={field: signature})) == "collateral_signature"
    good = orjson.loads(intel.collateral())[field]
    longer = good[:64] + "00" + good[64:]
    assert refused(intel, intel.collateral(fields={field: longer})) == "collateral_signature"


def test_a_chain_some_publishers_add_is_not_read(intel: SimulatedIntel) -> None:
    value = {**orjson.loads(intel.collateral()), "pck_certificate_chain": "anything", "tee_type": 129}
    policy = TeePolicy(platforms={"sgx": intel.policy()})
    evidence = TeeEvidence(kind="sgx", quote=intel.sgx_quote(DATA))
    assert verify(evidence, orjson.dumps(value), policy, DATA, NOW_S).claims


# ── what does not depend on the library ──────────────────────────────────────────────────────────


@pytest.mark.usefixtures("credulous_library")
def test_revoked_platform_is_refused_alone(intel: SimulatedIntel) -> None:
    fields = {"pck_crl": intel.crl(intel.ca, [intel.pck.certificate]).hex()}
    assert refused(intel, intel.collateral(fields=fields)) == "revoked"
    for one in (intel.ca, intel.tcb_signer):
        fields = {"root_ca_crl": intel.crl(intel.root, [one.certificate]).hex()}
        assert refused(intel, intel.collateral(fields=fields)) == "revoked"


@pytest.mark.usefixtures("credulous_library")
def test_times_are_checked_alone(intel: SimulatedIntel) -> None:
    for now_s in (NOW_S - 2 * DAY_S, NOW_S + 30 * DAY_S):
        assert refused(intel, intel.collateral(), now_s=now_s) == "collateral_time"


@pytest.mark.usefixtures("credulous_library")
def test_certificates_of_collateral_end_alone(intel: SimulatedIntel) -> None:
    signer = intel.issue("Intel SGX TCB Signing", intel.root, days=1)
    collateral = intel.collateral(tcb_signer=signer)
    assert refused(intel, collateral, now_s=NOW_S + 2 * DAY_S) == "collateral_time"


@pytest.mark.usefixtures("credulous_library")
def test_debug_is_refused_alone(intel: SimulatedIntel) -> None:
    assert refused(intel, intel.collateral(), intel.sgx_quote(DATA, Enclave().debug)) == "debug"
    domain = TrustDomain(attributes=(1 << 28) | 1)
    assert refused(intel, intel.collateral("tdx"), intel.tdx_quote(DATA, domain), "tdx") == "debug"


@pytest.mark.usefixtures("credulous_library")
@pytest.mark.parametrize("changes", [{"module_signer": b"\1" * 48}, {"module_attributes": b"\1" + bytes(7)}])
def test_tdx_module_is_the_vendors_alone(changes: dict[str, Any], intel: SimulatedIntel) -> None:
    quote = intel.tdx_quote(DATA, TrustDomain(**changes))
    assert refused(intel, intel.collateral("tdx"), quote, "tdx") == "td_module"


class PanicException(BaseException):
    """What native code raises that gave up; no Exception, as theirs is none."""


@pytest.mark.parametrize(
    "fault", [ValueError("Something new"), RuntimeError("boom"), PanicException("gave up")]
)
def test_whatever_the_library_raises_is_a_refusal(
    fault: BaseException, intel: SimulatedIntel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify_with_root_ca(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(dcap_module.dcap_qvl, "verify_with_root_ca", verify_with_root_ca)
    assert refused(intel, intel.collateral()) == "library"


def test_interruption_is_no_refusal(intel: SimulatedIntel, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify_with_root_ca(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dcap_module.dcap_qvl, "verify_with_root_ca", verify_with_root_ca)
    with pytest.raises(KeyboardInterrupt):
        verify(
            TeeEvidence(kind="sgx", quote=intel.sgx_quote(DATA)),
            intel.collateral(),
            TeePolicy(platforms={"sgx": intel.policy()}),
            DATA,
            NOW_S,
        )


@pytest.mark.parametrize("bit", [1, 4, 5, 6, 29, 40], ids=lambda bit: f"attribute {bit}")
def test_a_domain_that_others_may_watch_or_move(bit: int, intel: SimulatedIntel) -> None:
    quote = intel.tdx_quote(DATA, TrustDomain(attributes=1 << 28 | 1 << bit))
    assert refused(intel, intel.collateral("tdx"), quote, "tdx") == "td_attributes"


def test_a_root_is_the_same_under_the_certificate_it_had_before(
    intel: SimulatedIntel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = intel.root_before()
    quote = intel.sgx_quote(DATA, chain=(intel.pck.certificate, intel.ca.certificate, before))
    collateral = intel.collateral(tcb_chain=(intel.tcb_signer.certificate, before))
    # Only what is known to have been issued to the same key is taken for it, whatever its names.
    assert refused(intel, intel.collateral(), quote) == "root"
    assert refused(intel, collateral) == "root"
    digest = hashlib.sha256(before.public_bytes(Encoding.DER)).hexdigest()
    monkeypatch.setattr(anchors, "EARLIER", {digest: intel.anchor})
    policy = TeePolicy(platforms={"sgx": intel.policy()})
    for one in (quote, intel.sgx_quote(DATA)):
        for other in (collateral, intel.collateral()):
            verdict = verify(TeeEvidence(kind="sgx", quote=one), other, policy, DATA, NOW_S)
            assert verdict.anchor == intel.anchor
