"""The one function that decides: evidence in, verdict out, by the kind of the evidence.

Pure: no clock, no disk, no network. Whoever has the same arguments comes to the same verdict, years later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from coco_enclave import azure, azure_tdx, limits, snp, vbs
from coco_enclave.azure import AzureAciVerifier, AzureSnpVerifier
from coco_enclave.azure_tdx import AzureTdxVerifier
from coco_enclave.dcap import DcapVerifier
from coco_enclave.dcap_quote import SGX, TDX
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import TeeEvidence, check_size
from coco_enclave.policy import PlatformPolicy, TeePolicy
from coco_enclave.snp import SnpVerifier
from coco_enclave.vbs import HgsVerifier, VbsVerifier
from coco_enclave.verdict import Claims, Status, Verdict


class PlatformVerifier(Protocol):
    """What knows one kind of evidence."""

    def read(self, quote: bytes) -> Claims:
        """Return what evidence says of itself, nothing of it checked; raises EvidenceError."""
        ...

    def verify(
        self, quote: bytes, collateral: bytes, policy: PlatformPolicy, expected_report_data: bytes, now_s: int
    ) -> Verdict:
        """Return affirming or warning; raises EvidenceError whose code names the first rule that failed."""
        ...


VERIFIERS: Final[Mapping[str, PlatformVerifier]] = {
    SGX: DcapVerifier(SGX),
    TDX: DcapVerifier(TDX),
    snp.KIND: SnpVerifier(),
    azure.SNP_KIND: AzureSnpVerifier(),
    azure.ACI_KIND: AzureAciVerifier(),
    azure_tdx.KIND: AzureTdxVerifier(),
    vbs.KIND: VbsVerifier(),
    vbs.HGS_KIND: HgsVerifier(),
}
"""By kind of evidence."""


def verify(
    evidence: TeeEvidence, collateral: bytes, policy: TeePolicy, expected_report_data: bytes, now_s: int
) -> Verdict:
    """Return the verdict on evidence, affirming or warning; raises EvidenceError, and nothing else.

    ``collateral`` is what vendors publish for judging it, in the platform's form; ``now_s`` are seconds since
    1970. Codes in the order of the rules: ``format``, ``platform``, ``size``, ``malformed``, ``report_data``,
    then those of the platform, and last the policy's.
    """
    verifier = verifier_of(evidence.kind)
    accepted = policy.of(evidence.kind)
    check_size("evidence", evidence.quote, limits.EVIDENCE_SIZE_MAX_BYTES)
    check_size("collateral", collateral, limits.COLLATERAL_SIZE_MAX_BYTES)
    verdict = verifier.verify(evidence.quote, collateral, accepted, expected_report_data, now_s)
    return attrs.evolve(verdict, policy=policy.digest)


def appraise(
    evidence: TeeEvidence, collateral: bytes, policy: TeePolicy, expected_report_data: bytes, now_s: int
) -> Verdict:
    """Return the verdict, a refusal as one that is contraindicated: for showing it. Raises nothing."""
    try:
        return verify(evidence, collateral, policy, expected_report_data, now_s)
    except EvidenceError as error:
        return Verdict(
            status=Status.CONTRAINDICATED,
            claims=_claims(evidence),
            code=error.code,
            reason=str(error),
            policy=policy.digest,
        )


def verifier_of(kind: str) -> PlatformVerifier:
    """Return who judges one kind of evidence; raises EvidenceError (``format``)."""
    if kind not in VERIFIERS:
        raise EvidenceError("format", f"no verifier for evidence of kind {kind[:64]!r}")
    return VERIFIERS[kind]


def _claims(evidence: TeeEvidence) -> Claims | None:
    try:
        check_size("evidence", evidence.quote, limits.EVIDENCE_SIZE_MAX_BYTES)
        return verifier_of(evidence.kind).read(evidence.quote)
    except EvidenceError:
        return None
