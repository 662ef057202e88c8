"""The rules that every platform has: what is accepted without a note, what with one, and what is not."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from coco_enclave import Claims, EvidenceError, PlatformPolicy, Status
from coco_enclave.certificates import common_name
from coco_enclave.checks import check_claims, check_report_data, conclude
from coco_enclave.testing.authority import issue, rsa_key

CLAIMS = Claims(
    platform="sgx", measurement="ab" * 32, report_data="", signer="cd" * 32, product="Milan", svn=3
)
POLICY = PlatformPolicy(measurements=frozenset({CLAIMS.measurement}), anchors=frozenset({"root"}))


def code_of(claims: Claims, policy: PlatformPolicy) -> str:
    with pytest.raises(EvidenceError) as caught:
        check_claims(claims, policy)
    return caught.value.code


def test_exactly_64_bytes_are_compared() -> None:
    check_report_data(bytes(64), bytes(64))
    for found, expected in ((bytes(32), bytes(32)), (b"", b""), (bytes(64), bytes(63) + b"x")):
        with pytest.raises(EvidenceError) as caught:
            check_report_data(found, expected)
        assert caught.value.code == "report_data"


def test_all_as_asked_is_affirmed() -> None:
    policy = attrs.evolve(POLICY, signers=frozenset({CLAIMS.signer}), minimum_svn=3)
    assert check_claims(CLAIMS, policy) == ()
    assert conclude(CLAIMS, (), "root", policy, (1, 2)).status == Status.AFFIRMING
    assert conclude(CLAIMS, ("debug",), "root", policy, (1, 2)).status == Status.WARNING
    simulated = attrs.evolve(policy, simulator_anchors=frozenset({"root"}))
    assert conclude(CLAIMS, (), "root", simulated, (1, 2)).notes == ("simulator",)


@pytest.mark.parametrize(
    ("code", "claims", "policy"),
    [
        ("debug", {"debug": True}, {}),
        ("product", {}, {"denied_products": frozenset({"Milan"})}),
        ("tcb_status", {"tcb_status": "OutOfDate"}, {}),
        ("advisory", {"advisories": ("A",)}, {"denied_advisories": frozenset({"A"})}),
        (
            "advisory",
            {"tcb_status": "OutOfDate", "advisories": ("A",)},
            {"tcb_statuses": frozenset({"OutOfDate"})},
        ),
        ("signer", {}, {"signers": frozenset({"00" * 32})}),
        ("measurement", {}, {"measurements": frozenset({"00" * 32})}),
        ("svn", {}, {"minimum_svn": 4}),
    ],
)
def test_each_rule(code: str, claims: dict[str, Any], policy: dict[str, Any]) -> None:
    assert code_of(attrs.evolve(CLAIMS, **claims), attrs.evolve(POLICY, **policy)) == code


def test_what_is_accepted_all_the_same_is_noted() -> None:
    debugged = attrs.evolve(CLAIMS, debug=True)
    assert check_claims(debugged, attrs.evolve(POLICY, debug=True)) == ("debug",)
    late = attrs.evolve(CLAIMS, tcb_status="OutOfDate")
    accepting = attrs.evolve(
        POLICY, tcb_statuses=frozenset({"OutOfDate"}), allowed_advisories=frozenset({"A", "B"})
    )
    assert check_claims(late, accepting) == ("tcb_status",)
    assert check_claims(attrs.evolve(late, advisories=("A",)), accepting) == ("tcb_status", "advisory")
    current = attrs.evolve(CLAIMS, tcb_status="UpToDate", advisories=("A",))
    assert check_claims(current, POLICY) == ()


def test_a_certificate_of_two_names_has_none() -> None:
    """So that nobody is the signer of collateral who is something else too."""
    key = ec.generate_private_key(ec.SECP256R1())
    both = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("Intel", "Somebody")])
    one = issue("Intel", rsa_key(), None, now_s=1_790_000_000).certificate
    made = (
        x509.CertificateBuilder()
        .subject_name(both)
        .issuer_name(both)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(one.not_valid_before_utc)
        .not_valid_after(one.not_valid_after_utc)
        .sign(key, SHA256())
    )
    assert common_name(made) == ""
    assert common_name(one) == "Intel"
