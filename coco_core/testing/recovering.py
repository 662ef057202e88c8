"""Recovering a :class:`Cluster` whose nodes are lost, from what one of them left with its host.

Must not know shares: the secrets are there.
"""

from __future__ import annotations

import attrs

from coco_core.base import TxID, limits
from coco_core.crypto import endorse_predecessor, read_certificate
from coco_core.governance import Takeover, service_endorsements, takeover_writes
from coco_core.replica import Agreed, Identity, LedgerKeys, Restoration
from coco_core.replica.views import ViewHistory
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.consortium import Consortium


def restored_from(
    cluster: Cluster, old: ClusterNode, seqno: int, view: int, identity: Identity
) -> Restoration:
    """Return the ledger of ``old`` up to its signature at ``seqno``, to go on in ``view`` as ``identity``."""
    service = cluster.consortium.service
    views = ViewHistory()
    for entry in old.disk.entries[:seqno]:
        views.extend(TxID(entry.term, entry.index))
    agreed = Agreed(committed=TxID(views.at(seqno), seqno), views=views.runs(seqno), view=view)
    keys = LedgerKeys(cluster.secrets.begun_by(seqno), identity)
    restored = Restoration(keys, service.certificate, agreed, service.endorsements)
    for entry in old.disk.entries:
        if restored.read_back(entry.data) is None:
            break
    return restored


def recovered(cluster: Cluster, old: ClusterNode, first_key: int = 5000) -> Cluster:
    """Return the service as the only node of another identity recovers it from the ledger of ``old``.

    Nodes that join it have the next numbers. What ``old`` stored behind its last signature is cut.
    """
    seqno = max(entry.index for entry in old.disk.entries if entry.committable)
    view = max(entry.term for entry in old.disk.entries) + limits.RECOVERY_UNKNOWN_VIEWS_MAX
    new = Consortium.of(4, first_key)
    restored = restored_from(cluster, old, seqno, view, new.identities[0])
    before, until = cluster.consortium, restored.chain.committed
    endorsement = endorse_predecessor(
        read_certificate(before.service.certificate), new.service.key, new.service.certificate, until
    )
    tables = restored.chain.store.view()
    endorsements = (*service_endorsements(tables), endorsement)
    new = attrs.evolve(
        new,
        service=attrs.evolve(new.service, endorsements=endorsements),
        secrets=before.secrets,
        operator=before.operator,
    )
    after = attrs.evolve(cluster, consortium=new, nodes={}, pool=[], committed=dict(cluster.committed))
    (record,) = new.first(1).values()
    takeover = Takeover(
        node=record,
        service_certificate=new.service.certificate,
        endorsement=endorsement,
        until=until,
        time_ms=cluster.now_ms,
    )
    after.recover(old, restored, takeover_writes(tables, takeover))
    return after
