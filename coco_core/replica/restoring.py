"""A node's own old ledger as the beginning of its log: what a restarted node need not fetch again.

A restarted node is a new node (see the ADR on node identity) and its disk is the host's. So nothing on it
is believed that does not carry its proof: snapshots by the receipt in the ledger, entries by the
signatures over them. And proofs show who wrote, not what was agreed; only what the service says is agreed,
and only where view and seqno match, is taken (log matching, Raft §5.3: the same view and seqno mean the same
entries up to there). The rest is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_core.base import TxID
from coco_core.consensus.raft import LogStart
from coco_core.ledger import EntryOpener, Snapshot
from coco_core.replica.chain import Chain
from coco_core.replica.following import Follower
from coco_core.replica.ledger_keys import LedgerKeys
from coco_core.replica.lineage import Lineage
from coco_core.replica.views import ViewHistory, ViewRuns


@attrs.frozen(kw_only=True)
class Agreed:
    """What the service says is agreed, as of one moment."""

    committed: TxID
    views: ViewRuns
    """Which view each seqno up to ``committed`` was ordered in."""
    view: int
    """The view in which it was known: this node follows no earlier primary."""

    def covers(self, place: TxID) -> bool:
        """Tell whether what stands at ``place`` is agreed, and with it everything before."""
        return place.seqno <= self.committed.seqno and ViewHistory(self.views).at(place.seqno) == place.view


class Restoration:
    """Collects what is to be kept; ``start`` is where the node's log begins then."""

    def __init__(
        self,
        keys: LedgerKeys,
        service_certificate: str,
        agreed: Agreed,
        endorsements: Sequence[str] = (),
    ) -> None:
        """Begin empty, with the secrets the node was welcomed with: of every epoch that is agreed.

        ``endorsements`` are of the identities the service had before.
        """
        self.chain = Chain(keys)
        self.follower = Follower(
            self.chain, EntryOpener(keys.secrets), Lineage(service_certificate, endorsements)
        )
        self.snapshot_seqno = 0
        """Where the newest verified snapshot at hand stands; 0 without one."""
        self._agreed = agreed
        self._views = ViewHistory(agreed.views)

    def begin_at(self, snapshot: Snapshot) -> bool:
        """Begin at a verified snapshot; return False, and do nothing, when it is none of what is agreed."""
        if not self._agreed.covers(snapshot.place.txid):
            return False
        self.chain.restart(snapshot)
        self.follower.refresh()
        self.snapshot_seqno = snapshot.place.txid.seqno
        return True

    def read_back(self, raw: bytes) -> TxID | None:
        """Take the next entry; return its place if it may be kept, None when it and all behind it may not.

        Raises IntegrityError when the entry contradicts its proof.
        """
        seqno = self.chain.head + 1
        if seqno > self._agreed.committed.seqno:
            return None
        entry = self.follower.read_back(raw, self._views.at(seqno))
        if entry is None:
            return None
        if entry.committable:
            for layer in self.chain.commit(seqno):
                if layer.pinned is not None:
                    layer.pinned.release()  # Others made the snapshot that was due here long ago.
        return TxID(entry.term, entry.index)

    def finish(self) -> LogStart:
        """Drop what no signature closes; return where the log begins."""
        committed = self.chain.committed
        if self.chain.head > committed.seqno:
            self.follower.truncate(committed.seqno)
        self.chain.take_memberships()
        return LogStart(
            last_index=committed.seqno,
            last_term=committed.view,
            committed_index=committed.seqno,
            agreed_term=self._agreed.view,
        )
