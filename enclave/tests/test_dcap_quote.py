"""SGX and TDX quotes taken apart: what form they have, and that no other is read."""

from __future__ import annotations

import struct
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from coco_enclave import EvidenceError, certificates
from coco_enclave.dcap_quote import parse_quote, read_claims, report_data
from coco_enclave.testing import SimulatedIntel, TrustDomain, sim_snp
from coco_enclave.testing.authority import issue

NOW_S = 1_790_000_000
DATA = bytes(range(64))
HEADER, SGX_BODY, TD_BODY, TD15_BODY = 48, 384, 584, 648


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


def put(data: bytes, at: int, form: str, *values: int) -> bytes:
    new = struct.pack(form, *values)
    return data[:at] + new + data[at + len(new) :]


def refused(data: bytes) -> str:
    with pytest.raises(EvidenceError) as caught:
        parse_quote(data)
    return caught.value.code


def test_sgx_may_come_in_later_versions(intel: SimulatedIntel) -> None:
    body = parse_quote(intel.sgx_quote(DATA)).body
    for version, prefix in ((4, b""), (5, struct.pack("<HI", 1, SGX_BODY))):
        found = parse_quote(intel.sign(version, 0, prefix + body))
        assert (found.kind, found.body, found.version) == ("sgx", body, version)


def test_tdx_1_0_may_come_in_version_5(intel: SimulatedIntel) -> None:
    body = parse_quote(intel.tdx_quote(DATA)).body
    found = parse_quote(intel.sign(5, 0x81, struct.pack("<HI", 2, TD_BODY) + body))
    assert (found.kind, found.body) == ("tdx", body)


def test_claims_are_where_they_belong(intel: SimulatedIntel) -> None:
    for version in (4, 5):
        claims = read_claims(parse_quote(intel.tdx_quote(DATA, version=version)))
        domain = TrustDomain()
        assert claims.report_data == DATA.hex()
        assert claims.measurement == domain.measurement.hex()
        registers = [claims.more[f"rtmr{number}"] for number in range(4)]
        assert registers == [register.hex() for register in domain.registers]


@pytest.mark.parametrize("version", [0, 1, 2, 6, 0xFFFF])
def test_other_versions_are_not_guessed(version: int, intel: SimulatedIntel) -> None:
    for quote in (intel.sgx_quote(DATA), intel.tdx_quote(DATA), intel.tdx_quote(DATA, version=5)):
        assert refused(put(quote, 0, "<H", version)) == "unsupported"


@pytest.mark.parametrize("tee", [1, 0x80, 0x82, 0xFFFFFFFF])
def test_other_tees_are_not_guessed(tee: int, intel: SimulatedIntel) -> None:
    assert refused(put(intel.tdx_quote(DATA), 4, "<I", tee)) == "unsupported"
    assert refused(put(intel.sgx_quote(DATA), 4, "<I", tee)) == "malformed"


@pytest.mark.parametrize(
    ("body_type", "size", "code"),
    [
        (0, TD15_BODY, "unsupported"),
        (4, TD15_BODY, "malformed"),
        (5, TD15_BODY, "unsupported"),
        (2, TD15_BODY, "malformed"),
        (3, TD_BODY, "malformed"),
        (3, 0xFFFFFFFF, "malformed"),
        (1, SGX_BODY, "malformed"),
    ],
)
def test_report_has_the_size_of_its_type(body_type: int, size: int, code: str, intel: SimulatedIntel) -> None:
    assert refused(put(intel.tdx_quote(DATA, version=5), HEADER, "<HI", body_type, size)) == code


def test_certification_data_is_of_the_type_it_must_be(intel: SimulatedIntel) -> None:
    quote = intel.tdx_quote(DATA)
    at = HEADER + TD_BODY + 4 + 128
    assert struct.unpack_from("<H", quote, at) == (6,)
    for other in (0, 5, 7):
        assert refused(put(quote, at, "<H", other)) == "unsupported"


def test_lengths_add_up(intel: SimulatedIntel) -> None:
    for quote, at in ((intel.sgx_quote(DATA), HEADER + SGX_BODY), (intel.tdx_quote(DATA), HEADER + TD_BODY)):
        (size,) = struct.unpack_from("<I", quote, at)
        for other in (0, size - 1, size + 1, 0xFFFFFFFF):
            assert refused(put(quote + b"\0", at, "<I", other)) == "malformed"
    inner = HEADER + TD_BODY + 4 + 128 + 2
    quote = intel.tdx_quote(DATA)
    (size,) = struct.unpack_from("<I", quote, inner)
    for other in (size - 1, size + 1):
        assert refused(put(quote, inner, "<I", other)) == "malformed"


def test_chains_are_bounded(intel: SimulatedIntel) -> None:
    one = certificates.pem(intel.root.certificate)
    for count in (0, 1, 3, 8, 9, 1000):
        with pytest.raises(EvidenceError, match="more than 8" if count > 8 else "certificates|cannot"):
            certificates.load_chain(one * count, 2, "a chain")
    assert len(certificates.load_chain(one * 2, 2, "a chain")) == 2


def test_keys_are_of_one_curve() -> None:
    rsa = sim_snp.make_snp_vendor(NOW_S)
    (root,) = certificates.load_chain(rsa.ark.pem, 1, "a root")
    with pytest.raises(EvidenceError) as caught:
        certificates.key_of(root, "a root")
    assert caught.value.code == "malformed"
    other = issue("a root", ec.generate_private_key(ec.SECP384R1()), None, now_s=NOW_S)
    with pytest.raises(EvidenceError) as caught:
        certificates.key_of(other.certificate, "a root")
    assert caught.value.code == "malformed"


def test_a_revocation_list_names_its_issuer(intel: SimulatedIntel) -> None:
    """The right key under another name is not the CA."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Another CA")]))
        .last_update(intel.now)
        .next_update(intel.now + timedelta(days=1))
        .sign(intel.ca.key, SHA256())
    )
    with pytest.raises(EvidenceError) as caught:
        certificates.check_crl(made, intel.ca.certificate, "a list")
    assert caught.value.code == "crl"


def test_what_reports_of_tdx_1_5_tell_more(intel: SimulatedIntel) -> None:
    plain = read_claims(parse_quote(intel.tdx_quote(DATA, version=5)))
    assert plain.more["mr_service_td"] == "00" * 48
    assert "td_id" not in plain.more
    domain = TrustDomain(later_service_td=b"\2" * 48)
    quote = parse_quote(intel.tdx_quote(DATA, domain, version=5))
    assert (quote.version, len(quote.body)) == (5, 885)
    more = read_claims(quote).more
    assert (more["vm"], more["td_id"]) == (0, "71" * 32)
    assert (more["mr_service_td"], more["service_td_now"]) == ("00" * 48, "02" * 48)
    assert report_data(quote) == DATA
