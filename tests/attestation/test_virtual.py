"""The platform for development has the same path and the same refusals as a real one."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.attestation import Evidence, Policy, Verdict, VirtualPlatform, VirtualVerifier
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import AttestationError

MEASUREMENT = "0123456789abcdef" * 4
FORMAT = "Insecure_Virtual"
POLICY = Policy(formats=frozenset({FORMAT}), measurements=frozenset({(FORMAT, MEASUREMENT)}))
DATA = bytes(range(64))
EVIDENCE = VirtualPlatform(MEASUREMENT).attest(DATA)


def test_good_evidence_is_never_called_secure() -> None:
    verdict = VirtualVerifier().verify(EVIDENCE, POLICY, DATA, 0)
    assert verdict == Verdict(format=FORMAT, measurement=MEASUREMENT, secure=False)
    assert VirtualPlatform(MEASUREMENT).format == VirtualVerifier().format == FORMAT


def quote(**fields: object) -> Evidence:
    good = {"measurement": MEASUREMENT, "report_data": DATA.hex()}
    return Evidence(format=FORMAT, quote=json.dumps(good | fields).encode())


REFUSED = {
    "another format": (attrs.evolve(EVIDENCE, format="SGX"), "format", "'SGX' is not virtual"),
    "too long": (attrs.evolve(EVIDENCE, quote=b" " * 4097), "size", "too long"),
    "not JSON": (attrs.evolve(EVIDENCE, quote=b"{"), "malformed", "not JSON"),
    "not text": (attrs.evolve(EVIDENCE, quote=b"\xff"), "malformed", "not JSON"),
    "nested": (attrs.evolve(EVIDENCE, quote=b"[" * 4096), "malformed", "not JSON"),
    "a list": (attrs.evolve(EVIDENCE, quote=b"[]"), "malformed", "no 32-byte measurement"),
    "no measurement": (quote(measurement=None), "malformed", "no 32-byte measurement"),
    "short measurement": (quote(measurement="ab"), "malformed", "no 32-byte measurement"),
    "upper case": (quote(measurement=MEASUREMENT.upper()), "malformed", "no 32-byte measurement"),
    "other code": (quote(measurement="00" * 32), "measurement", "is not in the code manifest"),
    "another key": (quote(report_data="00" * 64), "report_data", "for another key or purpose"),
    "half of it": (quote(report_data=DATA[:32].hex()), "report_data", "for another key or purpose"),
    "half and zeros": (quote(report_data=DATA[:32].hex() + "00" * 32), "report_data", "another key"),
    "more than it": (quote(report_data=DATA.hex() + "00"), "report_data", "for another key or purpose"),
    "no key": (quote(report_data=None), "report_data", "for another key or purpose"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refusals_name_the_rule(fault: str) -> None:
    evidence, code, message = REFUSED[fault]
    with pytest.raises(AttestationError, match=message) as caught:
        VirtualVerifier().verify(evidence, POLICY, DATA, 0)
    assert caught.value.code == code


def test_format_must_be_in_the_policy() -> None:
    with pytest.raises(AttestationError, match="is not accepted by this network") as caught:
        VirtualVerifier().verify(EVIDENCE, attrs.evolve(POLICY, formats=frozenset()), DATA, 0)
    assert caught.value.code == "platform"


def test_measurement_must_be_listed_for_this_platform() -> None:
    other = attrs.evolve(POLICY, measurements=frozenset({("SGX", MEASUREMENT)}))
    with pytest.raises(AttestationError, match="is not in the code manifest") as caught:
        VirtualVerifier().verify(EVIDENCE, other, DATA, 0)
    assert caught.value.code == "measurement"


def test_evidence_is_made_over_all_64_bytes() -> None:
    with pytest.raises(BrokenInvariantError):
        VirtualPlatform(MEASUREMENT).attest(DATA[:32])


@given(st.binary(max_size=200))
def test_any_quote_is_refused_properly(data: bytes) -> None:
    with pytest.raises(AttestationError):
        VirtualVerifier().verify(Evidence(format=FORMAT, quote=data), POLICY, DATA, 0)
