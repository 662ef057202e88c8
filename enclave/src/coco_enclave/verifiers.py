"""Each platform behind the core's contract: a network's policy in its ledger, read as the policy of its kind.

Pure. The core's policy names code and platforms; what only one kind has is in its ``rules``, JSON in text,
with the fields of ``PlatformPolicy``. Left out, roots are the vendor's, and nothing but up to date is
accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, cast

import orjson

from coco_core.attestation import Evidence, Policy, Verdict
from coco_enclave import azure, azure_tdx, snp, vbs
from coco_enclave.dcap import read_rules
from coco_enclave.dcap_quote import SGX, TDX
from coco_enclave.describe import ANCHORS, claims_to_json
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import TeeEvidence
from coco_enclave.policy import PlatformPolicy, TeePolicy, platform_from_json
from coco_enclave.snp_rules import read_floors, snp_rules
from coco_enclave.verdict import Claims
from coco_enclave.verify import verify

_IN_THE_TABLES: Final = ("measurements", "minimum_tcb", "allowed_advisories")
"""What has a place of its own in the ledger, and so none in ``rules``."""

_PROTECTS_NOTHING: Final = frozenset({"simulator", "debug", "sha1", "boot_manager"})
"""Notes of verdicts on what may have been made by whoever has the machine."""


def _floors(policy: PlatformPolicy) -> None:
    read_floors(policy.minimum_tcb)


_RULES: Final[Mapping[str, tuple[Callable[[PlatformPolicy], object], ...]]] = {
    SGX: (partial(read_rules, kind=SGX),),
    TDX: (partial(read_rules, kind=TDX),),
    azure_tdx.KIND: (partial(read_rules, kind=TDX),),
    snp.KIND: (snp_rules, _floors),
    azure.SNP_KIND: (azure.guest_rules, _floors),
    azure.ACI_KIND: (azure.container_rules, _floors),
    vbs.KIND: (vbs.vbs_rules,),
    vbs.HGS_KIND: (vbs.vbs_rules,),
}
"""By kind, what reads what only it has: before anybody is judged, what is misspelt is found."""


class TeeVerifier:
    """Judges evidence of one format for the core."""

    def __init__(self, kind: str) -> None:
        """Judge evidence of this kind; its name in the ledger is the same."""
        self._kind = kind

    @property
    def format(self) -> str:
        """The format it understands."""
        return self._kind

    def verify(self, evidence: Evidence, policy: Policy, expected_report_data: bytes, now_s: int) -> Verdict:
        """Return the verdict; raises EvidenceError, an AttestationError, as the core's contract says.

        Endorsements are the collateral.
        """
        if evidence.format != self._kind:
            raise EvidenceError("format", f"evidence of {evidence.format[:64]!r} is not of {self._kind}")
        policy.check_platform(self._kind)
        verdict = verify(
            TeeEvidence(kind=self._kind, quote=evidence.quote),
            evidence.endorsements,
            TeePolicy(platforms={self._kind: platform_policy(self._kind, policy)}),
            expected_report_data,
            now_s,
        )
        # Only refusals are without claims, and those are raised.
        claims = cast("Claims", verdict.claims)
        return Verdict(
            format=self._kind,
            measurement=claims.measurement,
            claims={**claims_to_json(claims), "root": verdict.anchor, "notes": list(verdict.notes)},
            secure=not _PROTECTS_NOTHING.intersection(verdict.notes),
        )

    def check_policy(self, policy: Policy) -> None:
        """Check what a policy says of this kind; raises EvidenceError (``policy``)."""
        accepted = platform_policy(self._kind, policy)
        for read in _RULES[self._kind]:
            read(accepted)
        if policy.production:
            _check_production(self._kind, accepted)


def _check_production(kind: str, accepted: PlatformPolicy) -> None:
    """Check that nothing is accepted by which evidence would be called insecure; raises EvidenceError."""
    if accepted.simulator_anchors or accepted.debug:
        raise EvidenceError("policy", f"{kind}: simulators and debug builds are for development alone")
    if kind in (vbs.KIND, vbs.HGS_KIND) and vbs.weaknesses(vbs.vbs_rules(accepted), kind):
        raise EvidenceError(
            "policy",
            f"{kind}: SHA-1, and a boot without register 4 or 7 in 'registers', are for development alone",
        )


def platform_policy(kind: str, policy: Policy) -> PlatformPolicy:
    """Return what a network's policy accepts of one kind; raises EvidenceError (``policy``)."""
    try:
        rules = orjson.loads(policy.rules.get(kind, "{}"))
    except ValueError as error:
        raise EvidenceError("policy", f"the rules of {kind} are not JSON") from error
    if not isinstance(rules, dict):
        raise EvidenceError("policy", f"the rules of {kind} are no JSON object")
    twice = [name for name in _IN_THE_TABLES if name in rules]
    if twice:
        raise EvidenceError("policy", f"the rules of {kind} have what is said elsewhere: {', '.join(twice)}")
    return platform_from_json(
        {
            **rules,
            "measurements": sorted(code for platform, code in policy.measurements if platform == kind),
            "minimum_tcb": policy.minimum_tcb.get(kind, ""),
            "allowed_advisories": sorted(policy.allowed_advisories.get(kind, ())),
        },
        kind,
        ANCHORS.get(kind, frozenset()),
    )
