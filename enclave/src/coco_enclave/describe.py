"""Evidence explained to a person: which kind a file holds, what it says, what it proves and what it does not.

Pure. Recognising looks at the form alone; a verifier is still chosen by the kind, and refuses what is not of
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.attestation import Evidence, Finding
from coco_enclave import anchors, azure, azure_tdx, evidence, forms, snp, vbs
from coco_enclave.dcap_quote import SGX, TDX, parse_quote
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import TeeEvidence
from coco_enclave.policy import PlatformPolicy, TeePolicy, read_policy
from coco_enclave.snp_rules import ANY_PROVIDER
from coco_enclave.verdict import Claims, Verdict
from coco_enclave.verify import appraise, verifier_of

_READ_ONLY: Final = "none"


def _is_dcap(kind: str) -> Callable[[bytes], bool]:
    def recognise(data: bytes) -> bool:
        try:
            return parse_quote(data).kind == kind
        except EvidenceError:
            return False

    return recognise


def _is_read_by(kind: str) -> Callable[[bytes], bool]:
    def recognise(data: bytes) -> bool:
        try:
            verifier_of(kind).read(data)
        except EvidenceError:
            return False
        return True

    return recognise


RECOGNISERS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    SGX: _is_dcap(SGX),
    TDX: _is_dcap(TDX),
    **{
        kind: _is_read_by(kind)
        for kind in (snp.KIND, azure.SNP_KIND, azure.ACI_KIND, azure_tdx.KIND, vbs.KIND, vbs.HGS_KIND)
    },
}
"""By kind, whether bytes have its form."""

ANCHORS: Final[Mapping[str, frozenset[str]]] = {
    SGX: anchors.INTEL_ANCHORS,
    TDX: anchors.INTEL_ANCHORS,
    snp.KIND: anchors.AMD_ANCHORS,
    azure.SNP_KIND: anchors.AMD_ANCHORS,
    azure.ACI_KIND: anchors.AMD_ANCHORS,
    azure_tdx.KIND: anchors.INTEL_ANCHORS,
}
"""By kind, the vendor's roots: what evidence is looked at with when no policy is given."""

_ANY_PROVIDER: Final = {"vlek_providers": [ANY_PROVIDER]}
_LOOKING: Final[Mapping[str, Mapping[str, Any]]] = {
    snp.KIND: _ANY_PROVIDER,
    azure.SNP_KIND: _ANY_PROVIDER,
    azure.ACI_KIND: {**_ANY_PROVIDER, "dids": sorted(anchors.MICROSOFT_UVM_ISSUERS)},
}
"""By kind, what is asked of evidence that is only looked at, beside its roots."""

_INTERPOSERS: Final = (
    "That nobody with the machine in hand took its attestation key: interposers on the memory bus did in "
    "2025 (WireTap, Battering RAM, TEE.fail)."
)
_FRESH: Final = "That it is fresh: only what it was made for (the 64 bytes) can say so."
_VBS: Final = (
    _FRESH,
    "That nobody reads its memory from outside: VBS encrypts none, and trusts firmware and hypervisor.",
    "Anything after the next boot: the key that signed it is gone then.",
)
CAVEATS: Final[Mapping[str, tuple[str, ...]]] = {
    SGX: (_FRESH, _INTERPOSERS, "Anything of what the enclave was given, or of the host that runs it."),
    TDX: (
        _FRESH,
        _INTERPOSERS,
        "By MRTD alone, which system runs: that is in the RTMRs, and a policy has to name them.",
    ),
    snp.KIND: (
        _FRESH,
        _INTERPOSERS,
        "What a guest did after its start: disks and containers count only if what was measured checks them.",
    ),
    azure.SNP_KIND: (
        _FRESH,
        _INTERPOSERS,
        "Anything without Microsoft's paravisor: it holds the guest's virtual TPM, and is trusted.",
    ),
    azure_tdx.KIND: (
        _FRESH,
        _INTERPOSERS,
        "Anything without Microsoft's paravisor: it holds the guest's virtual TPM, and is trusted.",
    ),
    azure.ACI_KIND: (
        _FRESH,
        _INTERPOSERS,
        "More of the containers than their policy says: whoever accepts its digest should have read it.",
    ),
    vbs.KIND: (
        *_VBS,
        "That Windows' own boot manager ran, unless the policy pins register 4 or 7 of the TPM.",
    ),
    vbs.HGS_KIND: (*_VBS, "The boot itself: the Host Guardian Service judged it, and is trusted."),
}
"""By kind, what evidence does not prove, however genuine."""


class TeeExaminer:
    """Reads the files of every platform here and explains them."""

    @property
    def formats(self) -> frozenset[str]:
        """Every kind of evidence here."""
        return frozenset(RECOGNISERS)

    def read(self, data: bytes) -> Evidence | None:
        """Return the evidence in a file: our envelope, a platform's own form or another's; None for none.

        Raises EvidenceError for evidence in a certificate that is not for the certificate's key.
        """
        try:
            enveloped, collateral = evidence.decode(data)
        except EvidenceError:
            found = forms.find_evidence(data, recognise)
            if found is None:
                return None
            return Evidence(format=found.kind, quote=found.quote, endorsements=found.collateral)
        return Evidence(format=enveloped.kind, quote=enveloped.quote, endorsements=collateral)

    def with_collateral(self, evidence: Evidence, files: Sequence[bytes]) -> Evidence:
        """Return evidence with what it is to be judged by, from files in the vendors' forms.

        What came with it counts where the files have no key's certificate. One file that cannot be read is
        left to the verifier; raises EvidenceError for several.
        """
        own = [evidence.endorsements] if evidence.endorsements else []
        for given in (files or own, [*own, *files]):
            try:
                found = forms.read_collateral(evidence.format, given, evidence.quote)
                return attrs.evolve(evidence, endorsements=found)
            except EvidenceError as error:
                refusal = error
        if len(files) > 1:
            raise refusal
        return attrs.evolve(evidence, endorsements=(*files, *own)[0])

    def show(self, evidence: Evidence) -> Finding:
        """Return what evidence says, nothing of it checked; raises EvidenceError."""
        claims = verifier_of(evidence.format).read(evidence.quote)
        return Finding(
            format=evidence.format,
            status=_READ_ONLY,
            claims=claims_to_json(claims),
            caveats=CAVEATS.get(evidence.format, ()),
        )

    def judge(
        self, evidence: Evidence, policy: bytes | None, expected_report_data: bytes | None, now_s: int
    ) -> Finding:
        """Return the verdict, also one that refuses; raises EvidenceError (``policy``)."""
        by = read_policy(policy, ANCHORS) if policy is not None else looking(evidence.format)
        found = TeeEvidence(kind=evidence.format, quote=evidence.quote)
        expected = own_report_data(found) if expected_report_data is None else expected_report_data
        verdict = appraise(found, evidence.endorsements, by, expected, now_s)
        if verdict.code == "policy":
            # Nothing that the evidence could help.
            raise EvidenceError(verdict.code, verdict.reason)
        return to_finding(evidence.format, verdict)


def recognise(data: bytes) -> str:
    """Return the kind of evidence that bytes have the form of, empty for none."""
    return next((kind for kind, is_of in RECOGNISERS.items() if is_of(data)), "")


def looking(kind: str) -> TeePolicy:
    """Return the policy that looks at a platform alone: its vendor's roots, any code, any cloud provider."""
    accepted = PlatformPolicy(
        measurements=None, anchors=ANCHORS.get(kind, frozenset()), rules=_LOOKING.get(kind, {})
    )
    return TeePolicy(platforms={kind: accepted})


def own_report_data(found: TeeEvidence) -> bytes:
    """Return the 64 bytes evidence says it was made for, empty when it cannot be read."""
    try:
        return bytes.fromhex(verifier_of(found.kind).read(found.quote).report_data)
    except (EvidenceError, ValueError):
        return b""


def to_finding(kind: str, verdict: Verdict) -> Finding:
    """Return a verdict for a person."""
    details: dict[str, Any] = {
        "notes": list(verdict.notes),
        "root": anchors.VENDOR_ANCHORS.get(verdict.anchor, verdict.anchor),
        "valid_from": verdict.valid_from_s,
        "valid_until": verdict.valid_until_s,
        "policy": verdict.policy,
    }
    return Finding(
        format=kind,
        status=verdict.status.value,
        code=verdict.code,
        reason=verdict.reason,
        claims=claims_to_json(verdict.claims) if verdict.claims is not None else {},
        details=details,
        caveats=CAVEATS.get(kind, ()),
    )


def claims_to_json(claims: Claims) -> dict[str, Any]:
    """Return claims as JSON values, what a platform does not have left out."""
    values = attrs.asdict(claims, recurse=False)
    values["advisories"] = list(claims.advisories)
    more = values.pop("more")
    told = {name: value for name, value in values.items() if value not in ("", [])}
    return {**told, **more}
