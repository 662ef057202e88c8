"""Every platform passes the kit for verifiers, on what its simulator makes."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import orjson

from coco_core.attestation import Evidence, Policy, Verifier
from coco_core.testing import Genuine, VerifierTests
from coco_enclave.evidence import TeeEvidence, encode_parts
from coco_enclave.pki import fingerprint
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm, sim_vbs
from coco_enclave.verifiers import TeeVerifier
from coco_enclave.verify import verifier_of

NOW_S = 1_790_000_000
DATA = bytes(range(64))


@cache
def made() -> dict[str, tuple[bytes, bytes, list[str], dict[str, Any]]]:
    """Return quote, collateral, roots and further rules of every platform; keys are slow to make."""
    intel = SimulatedIntel(NOW_S)
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    vendor = sim_tpm.make_tpm_vendor(NOW_S)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))
    guest = sim_azure.AzureGuest(chip=chip, tpm=host.tpm)
    issuer = sim_azure.make_uvm_issuer(NOW_S)
    service = sim_vbs.make_guardian_service(NOW_S)
    containers = {"report": chip.report(DATA, b"u" * 48), "uvm": issuer.endorsement(b"u" * 48)}
    started = {"registers": dict.fromkeys(("rtmr0", "rtmr1", "rtmr2"), "any")}
    amd, health = [chip.vendor.anchor], host.health_certificate(service, now_s=NOW_S)
    return {
        "sgx": (intel.sgx_quote(DATA), intel.collateral(), [intel.anchor], {}),
        "tdx": (intel.tdx_quote(DATA, version=5), intel.collateral("tdx"), [intel.anchor], started),
        "snp": (chip.report(DATA, b"m" * 48), chip.collateral(), amd, {}),
        "azure-snp": (guest.evidence(DATA), chip.collateral(), amd, {}),
        "azure-aci": (encode_parts(containers), chip.collateral(), amd, {"dids": [issuer.did]}),
        "vbs": (host.evidence(DATA, DATA), host.tpm.chain, [vendor.anchor], {}),
        "vbs-hgs": (host.report(DATA), health, [fingerprint(service.certificate)], {}),
    }


class Simulated(VerifierTests):
    """One platform as the core sees it."""

    kind: ClassVar[str]

    def verifier(self) -> Verifier:
        return TeeVerifier(self.kind)

    def genuine(self) -> Genuine:
        quote, collateral, roots, rules = made()[self.kind]
        claims = verifier_of(self.kind).read(TeeEvidence(kind=self.kind, quote=quote).quote)
        policy = Policy(
            formats=frozenset({self.kind}),
            measurements=frozenset({(self.kind, claims.measurement)}),
            rules={self.kind: orjson.dumps({"simulator_anchors": roots, "rules": rules}).decode()},
        )
        evidence = Evidence(format=self.kind, quote=quote, endorsements=collateral)
        return Genuine(evidence=evidence, report_data=DATA, policy=policy, now_s=NOW_S)


class TestSgx(Simulated):
    kind = "sgx"


class TestTdx(Simulated):
    kind = "tdx"


class TestSnp(Simulated):
    kind = "snp"


class TestAzureSnp(Simulated):
    kind = "azure-snp"
    binding_code = "tpm_nonce"


class TestAzureAci(Simulated):
    kind = "azure-aci"


class TestVbs(Simulated):
    kind = "vbs"


class TestVbsHgs(Simulated):
    kind = "vbs-hgs"
