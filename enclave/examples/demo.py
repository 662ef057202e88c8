"""Verify every published piece of evidence found beside the checkout, a line each, and say how fast.

Exit status 0 only when each gets the answer it must get.
"""

from __future__ import annotations

import os
import platform
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

from samples import AUTUMN_2026_S, Sample, find_samples

from coco_enclave import PlatformPolicy, Status, Verdict
from coco_enclave.describe import CAVEATS
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm, sim_vbs

ROOT = Path(__file__).resolve().parents[2]
SECONDS_PER_PLATFORM = 0.5


def main() -> int:
    """Return the exit status."""
    # Libraries warn of what vendors' own certificates do, such as AMD's serial number 0.
    warnings.simplefilter("ignore")
    beside = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared")) / "data" / "tee-evidence"
    folder = Path(os.environ.get("COCO_TEE_EVIDENCE", beside))
    if not folder.is_dir():
        print(f"no published evidence in {folder}; COCO_TEE_EVIDENCE names another place", file=sys.stderr)
        return 2
    samples = find_samples(folder)
    print(f"  {'platform':10} {'evidence':46} {'verdict':16} {'reason':20} measured")
    wrong = [sample for sample in samples if not tell(sample)]
    print(f"\n{len(samples) - len(wrong)} of {len(samples)} as expected\n")
    throughput([*samples, *simulated()])
    print("\nWhat genuine evidence does not prove: `coco attest show FILE`")
    return 1 if wrong or not samples else 0


def tell(sample: Sample) -> bool:
    """Print one line of what became of a sample; return whether it was to be."""
    verdict = sample.judge()
    right = answer(verdict) == sample.answer
    claims = verdict.claims
    measured = claims.measurement[:16] if claims is not None else "unreadable"
    reason = verdict.code or ", ".join(verdict.notes) or (claims.tcb_status if claims is not None else "")
    line = f"{sample.kind:10} {sample.name[:46]:46} {verdict.status.value:16} {reason:20} {measured}"
    print(f"{'✓' if right else '✗'} {line}" + ("" if right else f"   expected: {sample.answer}"))
    return right


def answer(verdict: Verdict) -> str:
    """Return the code that refused, else how far it is trusted."""
    return verdict.code if verdict.status is Status.CONTRAINDICATED else verdict.status.value


def throughput(samples: list[Sample]) -> None:
    """Print how many verdicts one core gives in a second, by platform: on what passes every check.

    Evidence and collateral are read anew for each; time is that of this process, whatever else runs.
    """
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("cryptography", "dcap-qvl"))
    print(f"one core ({platform.machine()}), Python {platform.python_version()}, {versions}:")
    for kind in CAVEATS:
        accepted = [one for one in samples if one.kind == kind and one.answer in ("affirming", "warning")]
        if not accepted:
            continue
        count, begin = 0, time.process_time()
        while (spent := time.process_time() - begin) < SECONDS_PER_PLATFORM:
            accepted[count % len(accepted)].judge()
            count += 1
        each = 1000 * spent / count
        print(f"{kind:10} {count / spent:7.0f} verdicts a second of one core, {each:.2f} ms each")


def simulated() -> list[Sample]:
    """Return evidence of the platforms of which nobody publishes any that would be accepted."""
    vendor, intel = sim_tpm.make_tpm_vendor(AUTUMN_2026_S), SimulatedIntel(AUTUMN_2026_S)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=AUTUMN_2026_S))
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(AUTUMN_2026_S), now_s=AUTUMN_2026_S)
    guest = sim_azure.AzureGuest(chip=chip, tpm=host.tpm)
    data, anchors = bytes(64), frozenset({vendor.anchor, intel.anchor})
    made = {
        "azure-tdx": (guest.tdx_evidence(data, intel), intel.collateral("tdx")),
        "vbs": (host.evidence(data, data), host.tpm.chain),
    }
    return [
        Sample(
            name="simulated",
            kind=kind,
            quote=quote,
            collateral=collateral,
            expected_report_data=data,
            now_s=AUTUMN_2026_S,
            answer="warning",
            policy=PlatformPolicy(measurements=None, simulator_anchors=anchors),
        )
        for kind, (quote, collateral) in made.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
