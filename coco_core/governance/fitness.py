"""Who may not come in any more: it was accepted when it asked, and is not when it would take part.

A law of the tables alone, so that an auditor finds the same as the primary: what members changed since then
is asked of the evidence that was recorded, as of when it was.
"""

from __future__ import annotations

from coco_core.attestation import Policy, known_verifiers
from coco_core.errors import AttestationError
from coco_core.governance.admission import AdmissionRecord, admit, read_admission
from coco_core.governance.epochs import ADDITION_CANCELLED, want_epoch
from coco_core.governance.membership import (
    TRUSTED,
    NodeRecord,
    change_writes,
    dismissing_writes,
    read_change,
    read_nodes,
)
from coco_core.governance.policy import policy_digest, read_policy
from coco_core.governance.renewals import left_out
from coco_core.kv import View, Writes, merge


def unfit_writes(view: View) -> Writes | None:
    """Return the writes that leave out of the change under way, and forget, who may not come in any more.

    None when nobody is. The change goes on without them, and ends if nothing, or nobody, would be left.
    """
    change = read_change(view)
    if change is None or not change.add:
        return None
    nodes, policy = read_nodes(view), read_policy(view)
    unfit = [
        name
        for name in change.add
        if name in nodes and not _fit(nodes[name], read_admission(view, name), policy)
    ]
    if not unfit:
        return None
    rest = left_out(view, change, unfit)
    trusted = {name for name, node in nodes.items() if node.status == TRUSTED}
    left = {*(trusted - set(rest.remove)), *rest.add}
    writes = change_writes(rest if (rest.add or rest.remove) and left else None)
    merge(writes, dismissing_writes(view, unfit))
    merge(writes, want_epoch(ADDITION_CANCELLED))
    return writes


def _fit(node: NodeRecord, record: AdmissionRecord | None, policy: Policy) -> bool:
    try:
        policy.check_platform(node.evidence.format)
        policy.check_measurement(node.evidence.format, node.measurement)
        if record is not None and record.policy != policy_digest(policy):
            shown, now_s = record.proof, record.judged_at_ms // 1000
            admit(shown.evidence, shown.transcript.report_data, known_verifiers(), policy, now_s)
    except AttestationError:
        return False
    return True
