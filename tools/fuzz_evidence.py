"""Coverage-guided fuzzing of what reads evidence: only EvidenceError may come out, within bounds.

``python tools/fuzz_evidence.py TARGET [--minutes 10]``; needs ``atheris`` (``pip install atheris``), which is
no dependency of the project. Begins with what the simulators make. A crash is kept where you are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris
import attrs
import cbor2

with atheris.instrument_imports(include=["coco_enclave"]):
    from coco_enclave import (
        attestation_key,
        boot_log,
        certificates,
        dcap_collateral,
        event_log,
        evidence,
        forms,
        hcl,
        policy,
        snp,
        snp_report,
        tpm,
        uvm,
        vbs,
        vbs_report,
    )
    from coco_enclave.azure import AzureAciVerifier, AzureSnpVerifier
    from coco_enclave.dcap import DcapVerifier
    from coco_enclave.describe import recognise
    from coco_enclave.errors import EvidenceError
    from coco_enclave.policy import PlatformPolicy
    from coco_enclave.seal import SealContext, SealingError, SealingKey, SealPolicy, seal, unseal
    from coco_enclave.testing import SimulatedIntel, TrustDomain, sim_azure, sim_snp, sim_tpm, sim_vbs
    from coco_enclave.testing.sim_sgx import sign_raw

NOW_S = 1_790_000_000
DATA = bytes(range(64))
MEMORY_MAX_MIB = 1024
INPUT_MAX_BYTES = 128 * 1024
POLICY = PlatformPolicy(measurements=None, rules={})


def _snp(data: bytes) -> None:
    snp_report.parse_report(data)
    snp.SnpVerifier().read(data)


def _collateral(data: bytes) -> None:
    snp.read_collateral(data)


def _quote(data: bytes) -> None:
    tpm.check_registers(tpm.parse_quote(data), {}, tpm.SHA256, {4})


def _signature(data: bytes) -> None:
    tpm.parse_signature(data)


def _key(data: bytes) -> None:
    attestation_key.read_key(data)


def _log(data: bytes) -> None:
    events = event_log.parse_log(data)
    event_log.replay(events, tpm.SHA256)
    boot_log.check_secure_boot(events, tpm.SHA256)


def _tagged(data: bytes) -> None:
    machine = sim_tpm.Tpm(ak=AK, chain=b"")
    machine.extend(12, sim_vbs.EV_EVENT_TAG, data)
    values = boot_log.read_values(event_log.parse_log(machine.log), tpm.SHA256)
    boot_log.identity_key(values)


def _vbs_report(data: bytes) -> None:
    vbs_report.parse_report(data)


def _vbs(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        vbs.VbsVerifier().verify(data, HOST.tpm.chain, TPM_POLICY, DATA, NOW_S)
    vbs.VbsVerifier().read(data)


def _hcl(data: bytes) -> None:
    report = hcl.parse_hcl(data)
    hcl.vm_configuration(report)
    hcl.attestation_key(report)


def _azure(data: bytes) -> None:
    """Judge evidence in parts, good collateral beside it: as far as it gets, then what it says of itself."""
    with contextlib.suppress(EvidenceError):
        AzureSnpVerifier().verify(data, CHIP.collateral(), AMD_POLICY, DATA, NOW_S)
    AzureSnpVerifier().read(data)


def _aci(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        AzureAciVerifier().verify(data, CHIP.collateral(), ACI_POLICY, DATA, NOW_S)
    AzureAciVerifier().read(data)


def _uvm(data: bytes) -> None:
    uvm.parse_endorsement(data)


def _dcap(data: bytes) -> None:
    """Judge a quote with good collateral: the native library sees what comes through to it."""
    for kind in ("sgx", "tdx"):
        with contextlib.suppress(EvidenceError):
            DcapVerifier(kind).verify(data, COLLATERALS[kind], INTEL_POLICY, DATA, NOW_S)


def _dcap_collateral(data: bytes) -> None:
    """Judge a good quote with collateral, read and signed by whoever."""
    given = dcap_collateral.parse_collateral(data)
    dcap_collateral.window_s(given)
    DcapVerifier("sgx").verify(SGX_QUOTE, data, INTEL_POLICY, DATA, NOW_S)


def _dcap_signed(data: bytes) -> None:
    """Judge TCB info that the vendor signed, whatever is in it: a vendor's fault must not break us."""
    text = data.decode("utf-8", errors="replace")
    signature = sign_raw(INTEL.tcb_signer.key, text.encode()).hex()
    changed = INTEL.collateral(fields={"tcb_info": text, "tcb_info_signature": signature})
    DcapVerifier("sgx").verify(SGX_QUOTE, changed, INTEL_POLICY, DATA, NOW_S)


def _chain(data: bytes) -> None:
    chain = certificates.load_chain(data, 3, "a chain")
    certificates.check_chain(chain, "a chain", "chain")
    certificates.key_of(chain[0], "a key")


def _forms(data: bytes) -> None:
    forms.find_evidence(data, recognise)


def _forms_collateral(data: bytes) -> None:
    forms.read_collateral("snp", [data])


def _envelope(data: bytes) -> None:
    evidence.decode(data)


def _policy(data: bytes) -> None:
    policy.policy_to_json(policy.read_policy(data))


def _sealed(data: bytes) -> None:
    with contextlib.suppress(SealingError):
        unseal(data, SEALING_KEY, CONTEXT, committed_seqno=0)


VENDOR = sim_tpm.make_tpm_vendor(NOW_S)
INTEL = SimulatedIntel(NOW_S)
INTEL_POLICY = INTEL.policy()
SGX_QUOTE = INTEL.sgx_quote(DATA)
COLLATERALS = {kind: INTEL.collateral(kind) for kind in ("sgx", "tdx")}
CHAIN = b"".join(certificates.pem(one.certificate) for one in (INTEL.pck, INTEL.ca, INTEL.root))
SEALING_KEY = SealingKey(platform="sgx", policy=SealPolicy.EXACT, code="11", secret=b"k" * 16)
CONTEXT = SealContext(service_id="s", node_id="n", purpose="p")
POLICIES = policy.TeePolicy(platforms={"sgx": INTEL_POLICY, "tdx": PlatformPolicy()})
AK = sim_tpm.make_tpm(VENDOR, now_s=NOW_S).ak
CHIP = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
HOST = sim_vbs.boot_windows(sim_tpm.make_tpm(VENDOR, now_s=NOW_S))
GUEST = sim_azure.AzureGuest(chip=CHIP, tpm=HOST.tpm)
ISSUER = sim_azure.make_uvm_issuer(NOW_S)
ENDORSEMENT = ISSUER.endorsement(b"u" * 48, signed_at_s=NOW_S)
REPORT = CHIP.report(DATA, b"m" * 48)
QUOTE, SIGNATURE = HOST.tpm.quote(DATA, sim_vbs.SELECTION)
AMD_POLICY = PlatformPolicy(measurements=None, simulator_anchors=frozenset({CHIP.vendor.anchor}))
ACI_POLICY = attrs.evolve(AMD_POLICY, rules={"dids": [ISSUER.did]})
TPM_POLICY = PlatformPolicy(measurements=None, simulator_anchors=frozenset({VENDOR.anchor}))

DOMAINS = [(None, 4), (None, 5), (TrustDomain(later_service_td=bytes(48)), 5)]
TABLE = sim_snp.certificate_table({"vcek": CHIP.leaf.der, "ask": CHIP.vendor.ask.pem})
FOREIGN = [
    REPORT.hex().encode(),
    REPORT + TABLE,
    json.dumps({"tdx": {"quote": REPORT.hex(), "report": list(b"r" * 99)}}).encode(),
    json.dumps({"hcl_report": "00" * 64, "tpm_quote": {"message": "", "signature": "", "pcrs": []}}).encode(),
    cbor2.dumps(cbor2.CBORTag(60000, [SGX_QUOTE, b"claims"])),
]

TARGETS: dict[str, tuple[Callable[[bytes], None], Sequence[bytes]]] = {
    "dcap": (_dcap, [SGX_QUOTE, *(INTEL.tdx_quote(DATA, one, version) for one, version in DOMAINS)]),
    "dcap-chain": (_chain, [CHAIN]),
    "dcap-collateral": (_dcap_collateral, list(COLLATERALS.values())),
    "dcap-signed": (_dcap_signed, [json.dumps(INTEL.tcb_info()).encode()]),
    "envelope": (_envelope, [evidence.encode(evidence.TeeEvidence(kind="sgx", quote=SGX_QUOTE), b"{}")]),
    "forms": (_forms, FOREIGN),
    "forms-collateral": (_forms_collateral, [CHIP.collateral(), CHIP.leaf.pem, CHIP.leaf.der, TABLE]),
    "policy": (_policy, [json.dumps(policy.policy_to_json(POLICIES)).encode()]),
    "sealed": (_sealed, [seal(b"secret", SEALING_KEY, CONTEXT, 7, bytes(44))]),
    "aci": (_aci, [sim_azure.encode_parts({"report": REPORT, "uvm": ENDORSEMENT})]),
    "azure": (_azure, [GUEST.evidence(DATA)]),
    "collateral": (_collateral, [CHIP.collateral(), CHIP.leaf.pem]),
    "hcl": (_hcl, [GUEST.hcl()]),
    "key": (_key, [HOST.tpm.chain]),
    "log": (_log, [HOST.tpm.log]),
    "quote": (_quote, [QUOTE]),
    "signature": (_signature, [SIGNATURE]),
    "snp": (_snp, [REPORT]),
    "tagged": (_tagged, [sim_vbs.tagged(boot_log.IDENTITY_KEY, sim_vbs.key_info(HOST.idks))]),
    "uvm": (_uvm, [ENDORSEMENT]),
    "vbs": (_vbs, [HOST.evidence(DATA, DATA)]),
    "vbs-report": (_vbs_report, [HOST.report(DATA)]),
}

IN_PARTS = frozenset({"aci", "azure", "collateral", "vbs"})
"""Targets whose input is a map in canonical CBOR: mutated as bytes it would seldom be one."""


def _mutate_part(data: bytes, size_max: int, seed: int) -> bytes:
    """Return evidence with one of its parts mutated; what is no map is mutated as a whole."""
    try:
        parts = cbor2.loads(data)
        name = sorted(parts)[seed % len(parts)]
        changed = {**parts, name: atheris.Mutate(parts[name], size_max - len(data) + len(parts[name]))}
        return evidence.encode_parts(changed)[:size_max]
    except (cbor2.CBORError, TypeError, ValueError, OverflowError, RecursionError, ZeroDivisionError):
        mutated: bytes = atheris.Mutate(data, size_max)
        return mutated


def main() -> None:
    """Fuzz one target until the time is over or something else than a refusal comes out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--minutes", type=int, default=10)
    chosen = parser.parse_args()
    read, seeds = TARGETS[chosen.target]

    def one(data: bytes) -> None:
        with contextlib.suppress(EvidenceError):
            read(data)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={60 * chosen.minutes}",
            f"-max_len={INPUT_MAX_BYTES}",
            f"-rss_limit_mb={MEMORY_MAX_MIB}",
            "-timeout=5",
            "-print_final_stats=1",
        ]
        custom = {"custom_mutator": _mutate_part} if chosen.target in IN_PARTS else {}
        atheris.Setup([sys.argv[0], *options, corpus], one, **custom)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
