"""Mutated evidence, of simulators and of real hardware: refused with a code, never another exception.

2 048 mutations of every piece of evidence, as a whole and in one of its parts, and 256 of what it is judged
by: bits flipped, bytes replaced, cut out, put in, cut off. None may be accepted unless it says exactly the
same, as padding does, and what is refused may not be accepted at all.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, NamedTuple

import cbor2
import pytest

from coco_enclave import EvidenceError, TeeEvidence
from coco_enclave.evidence import encode_parts
from coco_enclave.pki import fingerprint
from coco_enclave.policy import PlatformPolicy, TeePolicy
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm, sim_vbs
from coco_enclave.verify import verify

MUTATIONS = 2048
COLLATERAL_MUTATIONS = 256
NOW_S = 1_790_000_000
DATA = bytes(range(64))
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


class Case(NamedTuple):
    """Evidence, and everything it is judged by."""

    kind: str
    quote: bytes
    collateral: bytes
    expected: bytes
    policy: PlatformPolicy
    now_s: int = NOW_S


def _simulated() -> dict[str, Case]:
    intel = SimulatedIntel(NOW_S)
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    turin = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S, "Turin"), now_s=NOW_S)
    vendor = sim_tpm.make_tpm_vendor(NOW_S)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))
    guest = sim_azure.AzureGuest(chip=chip, tpm=host.tpm)
    issuer = sim_azure.make_uvm_issuer(NOW_S)
    service = sim_vbs.make_guardian_service(NOW_S)
    roots = {
        chip.vendor.anchor,
        turin.vendor.anchor,
        vendor.anchor,
        intel.anchor,
        fingerprint(service.certificate),
    }
    containers = {"report": chip.report(DATA, b"u" * 48), "uvm": issuer.endorsement(b"u" * 48)}
    claims = {**containers, "uvm": issuer.claims_endorsement(b"u" * 48)}
    rules: dict[str, Any] = {"azure-aci": {"dids": [issuer.did]}}
    made = {
        "sgx": ("sgx", intel.sgx_quote(DATA), intel.collateral()),
        "tdx 4": ("tdx", intel.tdx_quote(DATA), intel.collateral("tdx")),
        "tdx 5": ("tdx", intel.tdx_quote(DATA, version=5), intel.collateral("tdx")),
        "snp": ("snp", chip.report(DATA, b"m" * 48), chip.collateral(chip.vendor.crl(now_s=NOW_S))),
        "snp turin": ("snp", turin.report(DATA, b"m" * 48, version=5), turin.collateral()),
        "azure-snp": ("azure-snp", guest.evidence(DATA), chip.collateral()),
        "azure-aci": ("azure-aci", encode_parts(containers), chip.collateral()),
        "azure-aci claims": ("azure-aci", encode_parts(claims), chip.collateral()),
        "azure-tdx": ("azure-tdx", guest.tdx_evidence(DATA, intel), intel.collateral("tdx")),
        "vbs": ("vbs", host.evidence(DATA, DATA), host.tpm.chain),
        "vbs-hgs": ("vbs-hgs", host.report(DATA), host.health_certificate(service, now_s=NOW_S)),
    }
    return {
        name: Case(
            kind,
            quote,
            collateral,
            DATA,
            PlatformPolicy(measurements=None, simulator_anchors=frozenset(roots), rules=rules.get(kind, {})),
        )
        for name, (kind, quote, collateral) in made.items()
    }


def _published(folder: Path) -> dict[str, Case]:
    """Return every distinct piece of published evidence, as the demo judges it."""
    found: dict[bytes, tuple[str, Case]] = {}
    for one in _samples_module().find_samples(folder):
        case = Case(one.kind, one.quote, one.collateral, one.expected_report_data, one.policy, one.now_s)
        known = found.get(one.quote)
        # Judged so that it is accepted, where one of the ways to judge it is.
        if known is None or one.answer in ("affirming", "warning"):
            found[one.quote] = (one.name, case)
    return dict(found.values())


def _samples_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("published_samples", EXAMPLES / "samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # attrs looks a class' module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _judge(case: Case, quote: bytes, collateral: bytes) -> object:
    """Return the claims, None where they are refused."""
    policy = TeePolicy(platforms={case.kind: case.policy})
    try:
        evidence = TeeEvidence(kind=case.kind, quote=quote)
        return verify(evidence, collateral, policy, case.expected, case.now_s).claims
    except EvidenceError:
        return None


def _mutate(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    size = random.choice((1, 1, 1, 2, 4, 16, 64))
    match random.randrange(5):
        case 0:
            flipped = bytearray(data or b"\0")
            flipped[at - 1] ^= 1 << random.randrange(8)
            return bytes(flipped)
        case 1:
            return data[:at] + random.randbytes(size) + data[at + size :]
        case 2:
            return data[:at] + data[at + size :]
        case 3:
            return data[:at] + random.choice((b"\0", b"\xff", b"\x80")) * size + data[at:]
        case _:
            return data[:at]


def _mutations(case: Case, random: Random) -> Iterator[tuple[bytes, bytes]]:
    parts = cbor2.loads(case.quote) if case.quote[:1] in (b"\xa2", b"\xa3", b"\xa4", b"\xa5") else {}
    for number in range(MUTATIONS):
        if parts and number % 2:
            name = random.choice(sorted(parts))
            yield encode_parts({**parts, name: _mutate(parts[name], random)}), case.collateral
        else:
            yield _mutate(case.quote, random), case.collateral
    for _ in range(COLLATERAL_MUTATIONS):
        yield case.quote, _mutate(case.collateral, random)


def _check(case: Case) -> None:
    claims = _judge(case, case.quote, case.collateral)
    # Simulated evidence is new each time, and so are its mutations; those of a published one never change.
    for quote, collateral in _mutations(case, Random(case.kind)):
        assert _judge(case, quote, collateral) in (None, claims)


SIMULATED = _simulated()


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated(name: str) -> None:
    case = SIMULATED[name]
    assert _judge(case, case.quote, case.collateral) is not None
    _check(case)


@pytest.fixture(scope="module")
def published(samples: Path) -> dict[str, Case]:
    return _published(samples)


@pytest.mark.shared
@pytest.mark.parametrize("number", range(30))
def test_published(number: int, published: dict[str, Case]) -> None:
    """One piece of evidence each; how many there are is said by the folder."""
    names = sorted(published)
    if number >= len(names):
        pytest.skip(f"only {len(names)} pieces of evidence are published")
    _check(published[names[number]])
