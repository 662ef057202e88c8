"""Collateral as vendors publish it: put together, and judged like what we write ourselves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_core.attestation import Evidence
from coco_enclave import EvidenceError, TeeEvidence, TeePolicy, encode_parts, verify
from coco_enclave.describe import TeeExaminer
from coco_enclave.forms import read_collateral
from coco_enclave.testing import SimulatedIntel, make_snp_chip, make_snp_vendor
from coco_enclave.testing.sim_snp import SnpChip, certificate_table

NOW_S = 1_790_000_000
DATA = bytes(range(64))
CODE = b"C" * 48


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return make_snp_chip(make_snp_vendor(NOW_S), now_s=NOW_S)


def refusal(ask: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        ask(*arguments)
    return caught.value.code


def tabled_of(chip: SnpChip) -> dict[str, bytes]:
    return {"vcek": chip.leaf.der, "ask": chip.vendor.ask.der, "ark": chip.vendor.ark.der}


def pem_of(chip: SnpChip) -> list[bytes]:
    return [chip.leaf.pem, chip.vendor.ask.pem, chip.vendor.ark.pem]


def chains(chip: SnpChip) -> dict[str, list[bytes]]:
    leaf, ask, ark = pem_of(chip)
    thim = {"vcekCert": leaf.decode(), "tcbm": "00", "certificateChain": (ask + ark).decode()}
    tabled = certificate_table(tabled_of(chip))
    return {
        "in order": [leaf + ask + ark],
        "the other way round": [ark + ask + leaf],
        "the key's own as DER": [chip.leaf.der, ask + ark],
        "each alone": [chip.vendor.ark.der, chip.leaf.pem, chip.vendor.ask.der],
        "of Azure's service": [json.dumps(thim).encode()],
        "of Azure's containers": [base64.b64encode(json.dumps(thim).encode())],
        "a table": [tabled],
        "ours": [chip.collateral()],
        "with others' authorities": [leaf + chip.vendor.asvk.pem + ask + ark],
        "twice": [leaf + ask + ark, leaf],
    }


def test_certificates_in_any_form_are_one_chain(chip: SnpChip) -> None:
    expected = b"".join(pem_of(chip))
    for form, files in chains(chip).items():
        assert read_collateral("snp", files) == expected, form
        assert read_collateral("azure-snp", files) == expected, form


def test_a_revocation_list_comes_along(chip: SnpChip) -> None:
    crl = chip.vendor.crl(now_s=NOW_S)
    pem = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
    for one in (crl, pem):
        assert read_collateral("snp", [b"".join(pem_of(chip)), one]) == chip.collateral(crl)
    tabled = certificate_table({**tabled_of(chip), "crl": crl})
    assert read_collateral("snp", [tabled]) == chip.collateral(crl)
    assert read_collateral("snp", [chip.collateral(crl)]) == chip.collateral(crl)


def test_a_chain_that_ends_early_is_left_to_the_verifier(chip: SnpChip) -> None:
    leaf, ask, _ = pem_of(chip)
    assert read_collateral("snp", [ask, leaf]) == leaf + ask
    assert read_collateral("snp", ["é".encode() + ask, leaf]) == leaf + ask


def test_another_products_authorities_are_left_to_the_verifier(chip: SnpChip) -> None:
    genoa = make_snp_vendor(NOW_S, "Genoa")
    mixed = chip.leaf.pem + genoa.ask.pem + genoa.ark.pem
    assert read_collateral("snp", [mixed]) == mixed
    assert read_collateral("snp", [genoa.ask.pem + genoa.ark.pem, chip.leaf.der]) == mixed


def test_collateral_that_is_none(chip: SnpChip) -> None:
    other = make_snp_chip(chip.vendor, now_s=NOW_S)
    leaf, ask, ark = pem_of(chip)
    assert refusal(read_collateral, "snp", [leaf + ask + ark, other.leaf.pem]) == "collateral"
    assert refusal(read_collateral, "snp", [ask + ark]) == "collateral"
    other = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    assert read_collateral("snp", [other + leaf + ask + ark]) == leaf + ask + ark
    assert refusal(read_collateral, "snp", [leaf, other]) == "collateral"
    deep = leaf
    for _ in range(4):
        deep = base64.b64encode(deep)
    assert refusal(read_collateral, "snp", [deep]) == "collateral"
    assert refusal(read_collateral, "snp", [leaf, b"[]" + b" " * 70]) == "collateral"
    assert refusal(read_collateral, "snp", [leaf, b"{}"]) == "collateral"
    assert refusal(read_collateral, "snp", [leaf, b'{"vcekCert": 1}']) == "collateral"
    assert (
        refusal(read_collateral, "snp", [b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"])
        == "collateral"
    )
    assert (
        refusal(read_collateral, "snp", [leaf, b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"])
        == "collateral"
    )
    assert refusal(read_collateral, "snp", [leaf] * 9) == "size"
    assert refusal(read_collateral, "snp", [bytes(300_000)]) == "size"
    assert refusal(read_collateral, "snp", [ask * 40]) == "size"


def test_intels_is_kept_as_it_is(intel: SimulatedIntel) -> None:
    collateral = intel.collateral()
    for kind in ("sgx", "tdx", "azure-tdx"):
        assert read_collateral(kind, [collateral]) == collateral
        assert read_collateral(kind, []) == b""
        assert refusal(read_collateral, kind, [collateral, collateral]) == "malformed"


def answers(intel: SimulatedIntel, kind: str = "sgx") -> dict[str, bytes]:
    """Return what Intel's service answers, by what was asked for."""
    nine = json.loads(intel.collateral(kind))
    tcb, identity = (
        f'{{"{name}":{nine[field]},"signature":"{nine[field + "_signature"]}"}}'.encode()
        for name, field in (("tcbInfo", "tcb_info"), ("enclaveIdentity", "qe_identity"))
    )
    return {
        "tcb": tcb,
        "identity": identity,
        "root list": bytes.fromhex(nine["root_ca_crl"]),
        "list": nine["pck_crl"].encode(),
        "chain": quote(nine["tcb_info_issuer_chain"]).encode(),
    }


def judged(intel: SimulatedIntel, kind: str, collateral: bytes) -> Any:
    made = intel.sgx_quote(DATA) if kind == "sgx" else intel.tdx_quote(DATA)
    policy = TeePolicy(platforms={kind: intel.policy()})
    return verify(TeeEvidence(kind=kind, quote=made), collateral, policy, DATA, NOW_S)


def test_answers_of_intels_service_are_put_together(intel: SimulatedIntel) -> None:
    for kind, made in (("sgx", intel.sgx_quote(DATA)), ("tdx", intel.tdx_quote(DATA))):
        files = answers(intel, kind)
        for order in (list(files.values()), list(files.values())[::-1]):
            assert judged(intel, kind, read_collateral(kind, order, made)).claims.tcb_status == "UpToDate"
        spaced = json.dumps(json.loads(files["tcb"]), indent=2).encode()
        assert judged(intel, kind, read_collateral(kind, [*files.values(), spaced], made))
    parts = dict.fromkeys(("hcl", "quote", "signature", "registers"), b"")
    whole = encode_parts({**parts, "td_quote": intel.tdx_quote(DATA)})
    files = answers(intel, "tdx")
    assert read_collateral("azure-tdx", list(files.values()), whole)


def test_what_is_missing_of_intels_is_told(intel: SimulatedIntel) -> None:
    files = answers(intel)
    made = intel.sgx_quote(DATA)
    for name in files:
        rest = [data for other, data in files.items() if other != name]
        with pytest.raises(EvidenceError, match=r"of Intel's collateral .* is missing") as caught:
            read_collateral("sgx", rest, made)
        assert caught.value.code == "collateral"
    broken = files["tcb"].replace(b":{", b":{\n,", 1)
    assert refusal(read_collateral, "sgx", [*files.values(), broken], made) == "collateral"
    other = SimulatedIntel(NOW_S)
    foreign = [files["tcb"], files["identity"], files["chain"], other.crl(other.tcb_signer)]
    assert refusal(read_collateral, "sgx", foreign, made) == "collateral"


def test_a_tpms_key_without_certificates(chip: SnpChip) -> None:
    key = chip.leaf.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert read_collateral("vbs", [key]).split() == key.split()
    assert read_collateral("vbs-hgs", [chip.leaf.der]) == chip.leaf.pem


def test_what_came_with_evidence_is_completed(chip: SnpChip) -> None:
    leaf, ask, ark = pem_of(chip)
    evidence = Evidence(format="snp", quote=chip.report(DATA, CODE), endorsements=leaf)
    whole = leaf + ask + ark
    examiner = TeeExaminer()
    assert examiner.with_collateral(evidence, [ask + ark]).endorsements == whole
    assert examiner.with_collateral(evidence, [whole]).endorsements == whole
    assert examiner.with_collateral(evidence, []).endorsements == leaf
    assert refusal(examiner.with_collateral, evidence, [b"nothing", b"nothing"]) == "collateral"
    bare = Evidence(format="snp", quote=b"")
    assert refusal(examiner.with_collateral, bare, [ask, ark]) == "collateral"
    # One file is as it is: why it is refused is the verifier's to say.
    for one in (b"nothing", ask + ark):
        assert examiner.with_collateral(bare, [one]).endorsements == one
    assert examiner.with_collateral(bare, []).endorsements == b""
