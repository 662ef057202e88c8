"""The rules of a policy that every platform has, each with the code it refuses with.

Pure. A check raises or returns; what it returns is a note, when something is accepted that should not be.
"""

from __future__ import annotations

from collections.abc import Iterator

from coco_enclave.errors import EvidenceError
from coco_enclave.policy import UP_TO_DATE, PlatformPolicy
from coco_enclave.verdict import Claims, Status, Verdict

REPORT_DATA_SIZE_BYTES = 64


def check_report_data(found: bytes, expected: bytes) -> None:
    """Check that evidence is bound to all 64 expected bytes; raises EvidenceError (``report_data``)."""
    if len(expected) != REPORT_DATA_SIZE_BYTES or found != expected:
        raise EvidenceError(
            "report_data", "the evidence was made for another key or purpose than is presented"
        )


def check_claims(claims: Claims, policy: PlatformPolicy) -> tuple[str, ...]:
    """Check genuine claims against the policy and return notes; raises EvidenceError.

    Codes in the order of the rules: ``debug``, ``product``, ``tcb_status``, ``advisory``, ``signer``,
    ``measurement``, ``svn``.
    """
    return tuple(_judge(claims, policy))


def _judge(claims: Claims, policy: PlatformPolicy) -> Iterator[str]:
    if claims.debug:
        if not policy.debug:
            raise EvidenceError("debug", "a debug build: whoever runs it can read its memory")
        yield "debug"
    if claims.product in policy.denied_products:
        raise EvidenceError("product", f"platforms of {claims.product} are not accepted")
    yield from _judge_tcb(claims, policy)
    if policy.signers and claims.signer not in policy.signers:
        raise EvidenceError("signer", f"code signed by {claims.signer or 'nobody'} is not accepted")
    if policy.measurements is not None and claims.measurement not in policy.measurements:
        raise EvidenceError("measurement", f"code measurement {claims.measurement} is not accepted")
    if claims.svn < policy.minimum_svn:
        raise EvidenceError(
            "svn", f"code of security version {claims.svn}: {policy.minimum_svn} is the oldest"
        )


def _judge_tcb(claims: Claims, policy: PlatformPolicy) -> Iterator[str]:
    if claims.tcb_status and claims.tcb_status not in policy.tcb_statuses:
        raise EvidenceError("tcb_status", f"the vendor says of its firmware: {claims.tcb_status}")
    denied = policy.denied_advisories.intersection(claims.advisories)
    if denied:
        raise EvidenceError("advisory", f"open advisories that are not accepted: {', '.join(sorted(denied))}")
    if claims.tcb_status in ("", UP_TO_DATE):
        return
    yield "tcb_status"
    unknown = set(claims.advisories) - policy.allowed_advisories
    if unknown:
        raise EvidenceError("advisory", f"open advisories nobody accepted: {', '.join(sorted(unknown))}")
    if claims.advisories:
        yield "advisory"


def conclude(
    claims: Claims,
    notes: tuple[str, ...],
    anchor: str,
    policy: PlatformPolicy,
    window_s: tuple[int | None, int | None],
) -> Verdict:
    """Return the verdict on evidence that passed every check; a warning when there is anything to note."""
    if anchor in policy.simulator_anchors:
        notes = (*notes, "simulator")
    return Verdict(
        status=Status.WARNING if notes else Status.AFFIRMING,
        claims=claims,
        notes=notes,
        anchor=anchor,
        valid_from_s=window_s[0],
        valid_until_s=window_s[1],
    )
