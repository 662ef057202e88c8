"""What a recovered service may change when it takes over, judged over the tables before it.

That the new identity endorses the one before, and who signed what, is the ledger's own auditor's to see.
"""

from __future__ import annotations

from coco_core.base import TxID
from coco_core.crypto import check_issued, read_certificate, read_predecessors
from coco_core.errors import AttestationError
from coco_core.governance.admission import read_admission
from coco_core.governance.audit_keys import AuditedKeys
from coco_core.governance.audit_nodes import check_admitted, difference
from coco_core.governance.audit_rules import Fail, GovernanceRule
from coco_core.governance.consortium import read_service_info
from coco_core.governance.epochs import SERVICE_RECOVERED
from coco_core.governance.leases import read_leases
from coco_core.governance.membership import TRUSTED, read_nodes
from coco_core.governance.policy import read_policy
from coco_core.governance.takeover import Takeover, service_endorsements, takeover_writes
from coco_core.kv import View, Writes, maps, merge


def check_takeover(before: View, writes: Writes, window: tuple[int, int], fail: Fail) -> None:
    """Judge the entry of a recovery, made within ``window`` (milliseconds)."""
    rule = GovernanceRule.SERVICE
    after = before.over(writes)
    was, now = read_service_info(before), read_service_info(after)
    service = read_certificate(str(now["cert"]))
    if service.public_key == read_certificate(str(was["cert"])).public_key:
        fail(rule, "the service's status changes, and no member asked for it")
    old, endorsements = read_nodes(before), service_endorsements(after)
    added = [node for name, node in read_nodes(after).items() if name not in old]
    told = len(endorsements) - len(service_endorsements(before))
    if len(added) != 1 or added[0].status != TRUSTED or told != 1:
        fail(rule, "a recovery has one new node, and tells of the identity before")
    (node,) = added
    try:
        check_issued(read_certificate(node.certificate), service)
        until: TxID = read_predecessors(endorsements, service)[-1].until
    except AttestationError as fault:
        fail(rule, f"the identity that takes over: {fault}")
    lease = read_leases(after).get(node.node_id)
    granted_ms = lease.granted_ms if lease is not None else window[0]
    if not window[0] <= granted_ms <= window[1]:
        fail(GovernanceRule.TIME, f"a lease is granted at {granted_ms} ms")
    expected = takeover_writes(
        before,
        Takeover(
            node=node,
            service_certificate=str(now["cert"]),
            endorsement=endorsements[-1],
            until=until,
            time_ms=granted_ms,
        ),
    )
    admitted = writes.get(maps.ADMISSIONS, {}).get(node.node_id.encode())
    record, policy = read_admission(after, node.node_id), read_policy(before)
    if record is not None:
        check_admitted(record, node, str(now["cert"]), policy, fail)
    elif policy.production:
        fail(rule, "nothing tells why the node that takes over was admitted")
    if admitted is not None:
        merge(expected, {maps.ADMISSIONS: {node.node_id.encode(): admitted}})
    keys = AuditedKeys(before, writes, window, fail)
    merge(expected, keys.begin_epoch(before.over(expected), SERVICE_RECOVERED))
    found = difference(writes, expected)
    if found is not None:
        fail(rule, f"a recovery changes more than who the service and its node are ({found})")
