"""The platform for development has the same path and the same refusals as a real one."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.attestation import Evidence, Policy, Verdict, VirtualPlatform, VirtualVerifier
from coco_core.errors import AttestationError

MEASUREMENT = "0123456789abcdef" * 4
FORMAT = "Insecure_Virtual"
POLICY = Policy(formats=frozenset({FORMAT}), measurements=frozenset({MEASUREMENT}))
DATA = bytes(range(32))
EVIDENCE = VirtualPlatform(MEASUREMENT).attest(DATA)


def test_good_evidence_is_never_called_secure() -> None:
    verdict = VirtualVerifier().verify(EVIDENCE, POLICY, DATA, 0)
    assert verdict == Verdict(format=FORMAT, measurement=MEASUREMENT, secure=False)
    assert VirtualPlatform(MEASUREMENT).format == VirtualVerifier().format == FORMAT


def quote(**fields: object) -> Evidence:
    good = {"measurement": MEASUREMENT, "report_data": DATA.hex()}
    return Evidence(format=FORMAT, quote=json.dumps(good | fields).encode())


REFUSED = {
    "another format": (attrs.evolve(EVIDENCE, format="SGX"), "format 'SGX' is not accepted"),
    "too long": (attrs.evolve(EVIDENCE, quote=b" " * 4097), "too long"),
    "not JSON": (attrs.evolve(EVIDENCE, quote=b"{"), "not JSON"),
    "not text": (attrs.evolve(EVIDENCE, quote=b"\xff"), "not JSON"),
    "nested": (attrs.evolve(EVIDENCE, quote=b"[" * 4096), "not JSON"),
    "a list": (attrs.evolve(EVIDENCE, quote=b"[]"), "no 32-byte measurement"),
    "no measurement": (quote(measurement=None), "no 32-byte measurement"),
    "short measurement": (quote(measurement="ab"), "no 32-byte measurement"),
    "upper case": (quote(measurement=MEASUREMENT.upper()), "no 32-byte measurement"),
    "other code": (quote(measurement="00" * 32), "is not in the code manifest"),
    "another key": (quote(report_data="00" * 32), "bound to another key"),
    "no key": (quote(report_data=None), "bound to another key"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refusals_name_the_rule(fault: str) -> None:
    evidence, message = REFUSED[fault]
    with pytest.raises(AttestationError, match=message):
        VirtualVerifier().verify(evidence, POLICY, DATA, 0)


def test_format_must_be_in_the_policy() -> None:
    with pytest.raises(AttestationError, match="is not accepted by this network"):
        VirtualVerifier().verify(EVIDENCE, attrs.evolve(POLICY, formats=frozenset()), DATA, 0)


@given(st.binary(max_size=200))
def test_any_quote_is_refused_properly(data: bytes) -> None:
    with pytest.raises(AttestationError):
        VirtualVerifier().verify(Evidence(format=FORMAT, quote=data), POLICY, DATA, 0)
