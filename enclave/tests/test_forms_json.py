"""Evidence as others write it in JSON: taken out whole, with what it is to be judged by."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from coco_enclave import encode_parts
from coco_enclave.describe import recognise
from coco_enclave.forms import find_evidence
from coco_enclave.testing import make_snp_chip, make_snp_vendor
from coco_enclave.testing.sim_snp import SnpChip
from coco_enclave.tpm import REGISTERS

NOW_S = 1_790_000_000
DATA = bytes(range(64))
CODE = b"C" * 48
BUILDS = {0x1E8: bytes((1, 2, 3, 0, 4, 5, 6)), 0x1F8: b"\x0b" + bytes(7) + b"\x0a"}
"""Numbers of the firmware's builds, and the mitigations at launch and now."""


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return make_snp_chip(make_snp_vendor(NOW_S), now_s=NOW_S)


def found(data: bytes) -> tuple[str, bytes, bytes]:
    one = find_evidence(data, recognise)
    assert one is not None
    return one.kind, one.quote, one.collateral


def parts_of(size: int) -> dict[str, bytes]:
    values = b"".join(bytes((index,)) * 32 for index in range(REGISTERS))
    return {"hcl": b"h" * size, "quote": b"q" * 122, "signature": b"s" * 256, "registers": values}


def trustee(parts: dict[str, bytes], write: Callable[[bytes], Any], **more: Any) -> bytes:
    registers = [parts["registers"][at : at + 32] for at in range(0, len(parts["registers"]), 32)]
    quote = {
        "message": write(parts["quote"]),
        "signature": write(parts["signature"]),
        "pcrs": [write(one) for one in registers],
    }
    return json.dumps({"version": 1, "hcl_report": write(parts["hcl"]), "tpm_quote": quote, **more}).encode()


@pytest.mark.parametrize("write", [list, bytes.hex], ids=["numbers", "hex"])
def test_a_vm_of_azure_by_confidential_containers(write: Callable[[bytes], Any]) -> None:
    parts = parts_of(2600)
    vcek = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    assert found(trustee(parts, write, vcek=vcek)) == ("azure-snp", encode_parts(parts), vcek.encode())
    kind, quote, collateral = found(trustee(parts, write, td_quote=write(b"t" * 99)))
    assert (kind, collateral) == ("azure-tdx", b"")
    assert quote == encode_parts({**parts, "td_quote": b"t" * 99})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_containers_of_azure(chip: SnpChip) -> None:
    report, uvm = chip.report(DATA, CODE), b"\xd2" * 99
    whole = encode_parts({"report": report, "uvm": uvm})
    ccf = {
        "format": "AMD_SEV_SNP_v1",
        "raw": b64(report),
        "endorsements": b64(b"c" * 99),
        "uvm_endorsements": b64(uvm),
    }
    assert found(json.dumps(ccf).encode()) == ("azure-aci", whole, b"c" * 99)
    for endorsed in ({"uvm_endorsements": ""}, {}):
        alone = {"raw": b64(report), "endorsements": b64(b"c" * 99), **endorsed}
        assert found(json.dumps(alone).encode()) == ("snp", report, b"c" * 99)
    assert find_evidence(json.dumps({**ccf, "raw": b64(b"r" * 99)}).encode(), recognise) is None
    sidecar = {"evidence": b64(report), "endorsements": b64(b"c" * 99), "uvm_endorsements": b64(uvm)}
    assert found(json.dumps(sidecar).encode()) == ("azure-aci", whole, b"c" * 99)
    bare = {"SnpReport": b64(report), "VcekCertChain": "PEM"}
    listed = {"Uvm": [b64(uvm)]}
    for more, kind, quote in (
        ({"Endorsements": listed}, "azure-aci", whole),
        ({"Endorsements": b64(json.dumps(listed).encode())}, "azure-aci", whole),
        ({"Endorsements": b64(b"{" * 99)}, "snp", report),
        ({}, "snp", report),
    ):
        outer = {"report": b64(json.dumps({**bare, **more}).encode()), "runtimeData": {}}
        assert found(json.dumps(outer).encode()) == (kind, quote, b"PEM")


def fields_of(report: bytes, tcb: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a report as virtee's library writes it; its reserved bytes are zero, its firmware is one."""
    arrays = {
        "family_id": (16, 16),
        "image_id": (32, 16),
        "report_data": (80, 64),
        "measurement": (144, 48),
        "host_data": (192, 32),
        "id_key_digest": (224, 48),
        "author_key_digest": (272, 48),
        "report_id": (320, 32),
        "report_id_ma": (352, 32),
        "chip_id": (416, 64),
    }
    numbers = {"version": 0, "guest_svn": 4, "vmpl": 48, "sig_algo": 52, "key_info": 72}
    wide = {"policy": 8, "plat_info": 64, "launch_mit_vector": 504, "current_mit_vector": 512}
    bytes_ = {"cpuid_fam_id": 392, "cpuid_mod_id": 393, "cpuid_step": 394}
    return {
        **{name: list(report[at : at + size]) for name, (at, size) in arrays.items()},
        **{name: int.from_bytes(report[at : at + 4], "little") for name, at in numbers.items()},
        **{name: int.from_bytes(report[at : at + 8], "little") for name, at in wide.items()},
        **{name: report[at] for name, at in bytes_.items()},
        **dict.fromkeys(("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"), tcb),
        "current": dict(zip(("build", "minor", "major"), report[488:491], strict=True)),
        "committed": dict(zip(("build", "minor", "major"), report[492:495], strict=True)),
        "signature": {"r": list(report[672:744]), "s": report[744:816].hex()},
        **more,
    }


def tcb_of(chip: SnpChip, **more: Any) -> dict[str, Any]:
    tcb = chip.tcb
    parts = {"bootloader": tcb.bootloader, "tee": tcb.tee, "snp": tcb.snp, "microcode": tcb.microcode}
    return {**parts, **more}


def test_a_report_with_named_fields(chip: SnpChip) -> None:
    report = chip.report(DATA, CODE, version=5, patch=BUILDS)
    fields = fields_of(report, tcb_of(chip, fmc=None))
    assert found(json.dumps(fields).encode()) == ("snp", report, b"")
    listed = [
        {"cert_type": "VCEK", "data": list(chip.leaf.der)},
        {"cert_type": "CRL", "data": [1]},
        {"cert_type": "ASK"},
        3,
    ]
    told = json.dumps({"attestation_report": fields, "cert_chain": listed}).encode()
    kind, quote, collateral = found(told)
    assert (kind, quote) == ("snp", report)
    assert x509.load_pem_x509_certificate(collateral) == chip.leaf.certificate
    assert found(json.dumps({"attestation_report": fields, "cert_chain": None}).encode())[2] == b""
    # Before, builds were three numbers each, and what is absent was not named.
    older = {name: value for name, value in fields.items() if name not in ("current", "committed")}
    for name in ("current", "committed"):
        older |= {f"{name}_{part}": value for part, value in fields[name].items()}
    assert found(json.dumps(older).encode())[1] == report
    for change in (
        {"chip_id": [1]},
        {"chip_id": 10**12},
        {"policy": -1},
        {"signature": {}},
        {"vmpl": 2**40},
        {"report_id": "x"},
        {"report_id": "ab " * 21 + "a"},
        {"report_id": "ab" + " " * 62},
    ):
        assert find_evidence(json.dumps({**fields, **change}).encode(), recognise) is None


def test_a_report_of_turin_with_named_fields() -> None:
    turin = make_snp_chip(make_snp_vendor(NOW_S, "Turin"), now_s=NOW_S)
    report = turin.report(DATA, CODE, version=5, patch=BUILDS)
    fields = fields_of(report, tcb_of(turin, fmc=turin.tcb.fmc))
    assert found(json.dumps(fields).encode()) == ("snp", report, b"")


def test_parts_in_a_plain_form(chip: SnpChip) -> None:
    parts = {"report": chip.report(DATA, CODE), "uvm": b"u" * 99}
    value = {"kind": "azure-aci", "parts": {name: part.hex() for name, part in parts.items()}}
    assert found(json.dumps(value).encode()) == ("azure-aci", encode_parts(parts), b"")
