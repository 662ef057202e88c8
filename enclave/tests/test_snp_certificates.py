"""SEV-SNP: what a chip's certificate must say, and how reports and floors are read, to the byte."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from coco_enclave import EvidenceError
from coco_enclave.evidence import encode_parts
from coco_enclave.pki import fingerprint
from coco_enclave.policy import PlatformPolicy
from coco_enclave.snp import CHAIN, LEAF, SnpVerifier
from coco_enclave.snp_report import MILAN
from coco_enclave.testing import der, sim_snp
from coco_enclave.testing.authority import issue, revocation_list, rsa_key
from coco_enclave.testing.sim_snp import SnpChip, SnpVendor

NOW_S = 1_790_000_000
DATA = bytes(range(64))
MEASUREMENT = b"m" * 48

_VENDORS: dict[str, SnpVendor] = {MILAN: sim_snp.make_snp_vendor(NOW_S, MILAN)}


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(_VENDORS[MILAN], now_s=NOW_S)


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


def test_serial_number_0(chip: SnpChip) -> None:
    """As AMD gives its chips. The library warns, and says it will refuse: then this fails first."""
    content = chip.leaf.certificate.tbs_certificate_bytes
    serial = content.index(b"\xa0\x03\x02\x01\x02\x02") + 5
    size = content[serial + 1]
    to_sign = der.sequence(content[4:serial] + b"\x02\x01\x00" + content[serial + 2 + size :])
    assert isinstance(chip.vendor.ask.key, rsa.RSAPrivateKey)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
    signature = chip.vendor.ask.key.sign(to_sign, pss, hashes.SHA384())
    whole = chip.leaf.der
    algorithm = whole[whole.index(content) + len(content) : -len(signature) - 5]
    leaf = der.sequence(to_sign, algorithm, der.tagged(0x03, b"\0" + signature))
    parts = {LEAF: leaf, CHAIN: chip.vendor.ask.pem + chip.vendor.ark.pem}
    assert judge(chip.report(DATA, MEASUREMENT), encode_parts(parts)).claims.product == MILAN


def _leaf_with(chip: SnpChip, **changes: bytes) -> SnpChip:
    """Return a chip whose certificate has other extensions, by the end of their names."""
    extensions = {one.oid.dotted_string: one.value.value for one in chip.leaf.certificate.extensions}
    extensions |= {f"1.3.6.1.4.1.3704.1.{name.replace('_', '.')}": value for name, value in changes.items()}
    leaf = issue("SEV-VCEK", chip.leaf.key, chip.vendor.ask, now_s=NOW_S, extensions=extensions, pss=True)
    return attrs.evolve(chip, leaf=leaf)


@pytest.mark.parametrize("name", ["3_1", "3_8"])
@pytest.mark.parametrize("value", [b"", b"\x02", b"\x02\x00", b"\x02\x02\x04", b"\x04\x01\x04"])
def test_numbers_of_a_certificate_that_are_none(chip: SnpChip, name: str, value: bytes) -> None:
    other = _leaf_with(chip, **{name: value})
    assert refusal(other.report(DATA, MEASUREMENT), other.collateral()) == "malformed"


@pytest.mark.parametrize("value", [b"", b"\x16", b"\x16\x08Milan", b"\x0c\x05Milan", b"\x16\x05MilanX"])
def test_texts_of_a_certificate_that_are_none(chip: SnpChip, value: bytes) -> None:
    other = _leaf_with(chip, **{"2": value})
    assert refusal(other.report(DATA, MEASUREMENT), other.collateral()) == "malformed"


def test_a_chip_is_named_in_full(chip: SnpChip) -> None:
    """Eight bytes name a chip of Turin only; zeros name none."""
    for named in (chip.chip_id[:8], bytes(64), b""):
        short = attrs.evolve(_leaf_with(chip, **{"4": named}), chip_id=named.ljust(64, b"\0"))
        assert refusal(short.report(DATA, MEASUREMENT), short.collateral()) == "chip_id"


def test_an_author_that_is_not_enabled_is_none(chip: SnpChip) -> None:
    report = chip.report(DATA, MEASUREMENT, patch={0x110: b"a" * 48})
    assert judge(report, chip.collateral()).claims.more["author_key"] == ""


def test_roots_of_no_product_line(chip: SnpChip) -> None:
    odd = issue("ARK-Naples", rsa_key(), None, now_s=NOW_S, authority=True, pss=True)
    unnamed = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "AMD")])
    key = rsa_key()
    nameless = (
        x509.CertificateBuilder()
        .subject_name(unnamed)
        .issuer_name(unnamed)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(odd.certificate.not_valid_before_utc)
        .not_valid_after(odd.certificate.not_valid_after_utc)
        .sign(key, hashes.SHA384())
    )
    naples = _leaf_with(chip, **{"2": b"\x16\x06Naples"})
    for root in (odd.certificate, nameless):
        pem = root.public_bytes(Encoding.PEM)
        parts = {LEAF: naples.leaf.der, CHAIN: chip.vendor.ask.pem + pem}
        trusted = frozenset({fingerprint(root)})
        report = naples.report(DATA, MEASUREMENT)
        assert refusal(report, encode_parts(parts), simulator_anchors=trusted) == "root"


def test_a_revocation_list_by_another_key(chip: SnpChip) -> None:
    forged = revocation_list(attrs.evolve(chip.vendor.ark, key=rsa_key()), [], now_s=NOW_S)
    assert refusal(chip.report(DATA, MEASUREMENT), chip.collateral(forged)) == "crl"


def test_fields_that_an_old_report_does_not_have(chip: SnpChip) -> None:
    """What stands in their place says nothing."""
    old = chip.report(DATA, MEASUREMENT, version=2, patch={0x188: b"\x19\x11\x01"})
    assert SnpVerifier().read(old).product == ""
    assert judge(old, chip.collateral()).claims.product == MILAN
    mitigated = chip.report(DATA, MEASUREMENT, patch={0x1F8: b"\xff" * 16})
    assert refusal(mitigated, chip.collateral(), rules={"mitigations": 1}) == "mitigation"


@pytest.mark.parametrize(
    "text", ["bl=+4", "bl=1_0", "bl= 4", "bl=-4", "bl=\u0664", "bl", "bl=", "bl=256", "xx=1"]
)
def test_floors_that_are_none(chip: SnpChip, text: str) -> None:
    floor = f"Milan {text},tee=0,snp=0,ucode=0"
    assert refusal(chip.report(DATA, MEASUREMENT), chip.collateral(), minimum_tcb=floor) == "policy"
