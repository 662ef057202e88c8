"""One bit of every byte of what is signed: the rest stays genuine, and is refused all the same."""

from __future__ import annotations

from collections.abc import Iterator

import cbor2
import pytest

from coco_enclave import EvidenceError, PlatformPolicy, TeeEvidence, TeePolicy, encode_parts, verify
from coco_enclave.event_log import parse_log
from coco_enclave.snp_report import SIGNED_SIZE_BYTES
from coco_enclave.testing import sim_azure, sim_snp, sim_tpm, sim_vbs

NOW_S = 1_790_000_000
DATA = bytes(range(64))
SNP_SIGNATURE_BYTES = 144

CHIP = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
VENDOR = sim_tpm.make_tpm_vendor(NOW_S)
HOST = sim_vbs.boot_windows(sim_tpm.make_tpm(VENDOR, now_s=NOW_S))
ISSUER = sim_azure.make_uvm_issuer(NOW_S)
ANCHORS = frozenset({CHIP.vendor.anchor, VENDOR.anchor})
GUEST = sim_azure.AzureGuest(chip=CHIP, tpm=HOST.tpm)


def _code_of(kind: str, quote: bytes, collateral: bytes) -> str:
    """Return the code that evidence is refused with, nothing where it is accepted."""
    rules = {"dids": [ISSUER.did]} if kind == "azure-aci" else {}
    policy = TeePolicy(
        platforms={kind: PlatformPolicy(measurements=None, simulator_anchors=ANCHORS, rules=rules)}
    )
    try:
        verify(TeeEvidence(kind=kind, quote=quote), collateral, policy, DATA, NOW_S)
    except EvidenceError as error:
        return error.code
    return ""


def _flips(data: bytes, size: int | None = None) -> Iterator[bytes]:
    for at in range(len(data) if size is None else size):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def _parts(evidence: bytes, name: str, step: int = 1) -> Iterator[bytes]:
    parts = cbor2.loads(evidence)
    for number, flipped in enumerate(_flips(parts[name])):
        if number % step == 0:
            yield encode_parts({**parts, name: flipped})


def test_every_bit_of_what_is_signed_counts() -> None:
    report = CHIP.report(DATA, b"m" * 48)
    found = [_code_of("snp", one, CHIP.collateral()) for one in _flips(report, SIGNED_SIZE_BYTES)]
    assert {"signature", "report_data", "unsupported", "algorithm", "product"} <= set(found)
    # Whatever else a byte says is asked for first; what nothing is asked of shows in the signature alone.
    assert found.count("signature") > SIGNED_SIZE_BYTES // 2
    signature = [
        _code_of("snp", report[:SIGNED_SIZE_BYTES] + one, CHIP.collateral())
        for one in _flips(report[SIGNED_SIZE_BYTES:], SNP_SIGNATURE_BYTES)
    ]
    assert set(signature) == {"signature"}
    rest = _flips(report[SIGNED_SIZE_BYTES + SNP_SIGNATURE_BYTES :])
    head = report[: SIGNED_SIZE_BYTES + SNP_SIGNATURE_BYTES]
    assert {_code_of("snp", head + one, CHIP.collateral()) for one in rest} == {"malformed"}


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("quote", {"signature", "tpm_nonce", "tpm_magic", "malformed", "tpm_selection"}),
        ("signature", {"signature"}),
        ("hcl", {"hcl_binding", "signature", "malformed", "unsupported", "kind"}),
    ],
)
def test_a_guests_evidence(name: str, codes: set[str]) -> None:
    step = 7 if name == "hcl" else 1
    evidence = encode_parts({**cbor2.loads(GUEST.evidence(DATA))})
    found = {_code_of("azure-snp", one, CHIP.collateral()) for one in _parts(evidence, name, step)}
    # A bit of the hardware's report within is refused as one of the report alone.
    allowed = codes | {
        "algorithm",
        "chip_key",
        "signing_key",
        "product",
        "tcb_mismatch",
        "chip_id",
        "report_data",
    }
    assert "signature" in found
    assert found <= allowed


def test_an_endorsement() -> None:
    """Every byte but the tag's and those of the header that nothing signs."""
    endorsed = ISSUER.endorsement(b"u" * 48)
    report = CHIP.report(DATA, b"u" * 48)
    for number, one in enumerate(_flips(endorsed)):
        if number % 5 == 0:
            evidence = encode_parts({"report": report, "uvm": one})
            assert _code_of("azure-aci", evidence, CHIP.collateral()) in ("endorsement", "malformed")


@pytest.mark.parametrize("name", ["report", "quote", "signature"])
def test_a_windows_enclaves_evidence(name: str) -> None:
    evidence = HOST.evidence(DATA, DATA)
    found = {_code_of("vbs", one, HOST.tpm.chain) for one in _parts(evidence, name)}
    assert "signature" in found
    assert "" not in found


def test_a_boot_log() -> None:
    """Types of events are measured by nobody, nor is the log's header: what they say changes nothing."""
    parts = cbor2.loads(HOST.evidence(DATA, DATA))
    header = 32 + int.from_bytes(parts["log"][28:32], "little")
    found: dict[str, int] = {}
    for flipped in list(_flips(parts["log"]))[header:]:
        code = _code_of("vbs", encode_parts({**parts, "log": flipped}), HOST.tpm.chain)
        found[code] = found.get(code, 0) + 1
    events = len(parse_log(parts["log"]))
    assert set(found) <= {"", "log", "malformed"}
    assert found[""] <= 4 * events
    assert found["log"] > len(parts["log"]) // 2
