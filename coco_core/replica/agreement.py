"""The consensus engine and the chain it decides over, moving together: the host's duties of consensus.

The laws (``coco_core.consensus.contract``):

* an entry is sealed or checked, and in the chain, before the engine's effects for it leave;
* a set of members that an entry tells of is handed to the engine before any other event;
* a snapshot takes the chain's place as a whole, and only when the engine says so.

Knows who leads and what is agreed; must not know requests, adapters or what entries mean beyond that.
"""

from __future__ import annotations

from collections.abc import Callable

from coco_core.base import NodeID, unreachable
from coco_core.consensus import (
    Consensus,
    Effects,
    Event,
    Leadership,
    Membership,
    Proposed,
    Reconfigured,
    Role,
    SnapshotAvailable,
    SnapshotFailed,
    SnapshotReceived,
)
from coco_core.governance import read_members, tells_members
from coco_core.kv import Store, Writes, maps
from coco_core.ledger import Snapshot, read_snapshot_evidence, snapshot_evidence
from coco_core.replica.chain import Chain, CommittedLayer
from coco_core.replica.effects import (
    BatchCommitted,
    Effect,
    InstallSnapshot,
    Persist,
    ProveSnapshot,
    SendToPeer,
    TakeSnapshot,
)
from coco_core.replica.events import SnapshotLoaded, SnapshotTaken
from coco_core.replica.following import Follower
from coco_core.replica.history import plan_receipt
from coco_core.replica.messages import encode_consensus
from coco_core.replica.sequencing import Placed
from coco_core.replica.snapshots import Snapshots


class Agreement:
    """Consensus, chain and snapshots of one node."""

    def __init__(
        self,
        consensus: Consensus,
        chain: Chain,
        follower: Follower,
        snapshots: Snapshots,
        *,
        emit: Callable[[Effect], None],
    ) -> None:
        """Carry out what ``consensus`` decides on ``chain``; effects for the shell go to ``emit``."""
        self._consensus = consensus
        self._chain = chain
        self._follower = follower
        self._snapshots = snapshots
        self._emit = emit
        status = consensus.status()
        self.leadership = Leadership(status.role, status.term, status.leader)
        self.heard = status.leader
        """The leader as of the effects being carried out, which may be for it already."""
        self.on_leadership: Callable[[Leadership], None] = _ignored
        """Told of every change, with what was before."""
        self.on_committed: Callable[[], None] = _nothing
        """Told when more is committed, or the chain began anew."""
        self.on_members: Callable[[], None] = _nothing
        """Told when nodes may have come, changed or gone: in the newest entries, or for good."""
        self._loaded: Snapshot | None = None

    @property
    def match(self) -> dict[NodeID, int]:
        """On the primary: how far the ledger is durable on each node heard of lately, itself included."""
        status = self._consensus.status()
        match = {peer: index for peer, index in status.match.items() if index and peer in status.heard}
        if status.leader is not None and status.role is Role.LEADER:
            match[status.leader] = status.persisted_index
        return match

    @property
    def log_cache_bytes(self) -> int:
        """Bytes of entries in memory for followers."""
        return self._consensus.status().log_cache_bytes

    # ── events of consensus ──────────────────────────────────────────────────────────────────────

    def handle(self, event: Event) -> None:
        """Give the engine an event and carry out what it asks for."""
        self.carry_out(self._consensus.handle(event))

    def decide(self, event: Event) -> Effects:
        """Give the engine an event; what it asks for is for the caller to look at, then ``carry_out``."""
        return self._consensus.handle(event)

    def propose(self, placed: Placed) -> None:
        """As the primary, have sequenced entries agreed."""
        if placed.tells_members:
            # Another node may lead next, and sign: this one must know whom to believe then.
            self._follower.refresh()
        self.handle(Proposed(self.leadership.term, placed.first_seqno, placed.entries))

    def carry_out(self, effects: Effects) -> None:
        """Do what the engine asks for, in the order its contract demands."""
        self.heard = (effects.leadership or self.leadership).leader
        self._change_log(effects)
        memberships = self._chain.take_memberships()
        if memberships or effects.truncate_after is not None or effects.install is not None:
            self.on_members()
        for send in effects.send:
            self._emit(SendToPeer(send.to, encode_consensus(send.message)))
        for snapshot in effects.send_snapshots:
            for effect in self._snapshots.offer(snapshot):
                self._emit(effect)
        if effects.commit is not None and effects.commit > self._chain.committed.seqno:
            layers = self._chain.commit(effects.commit)
            for layer in layers:
                self._on_layer(layer)
            self.on_committed()
            if any(tells_members(layer.writes) for layer in layers):
                self.on_members()
        if effects.leadership is not None and effects.leadership != self.leadership:
            before, self.leadership = self.leadership, effects.leadership
            self.on_leadership(before)
        for membership in memberships:
            self.handle(Reconfigured(membership))

    def _change_log(self, effects: Effects) -> None:
        if effects.truncate_after is not None:
            self._follower.truncate(effects.truncate_after)
        if effects.install is not None:
            self._install(effects.install)
        if effects.append:
            # A primary's own proposals are in its chain already.
            self._follower.add(entry for entry in effects.append if entry.index > self._chain.head)
        if effects.append or effects.truncate_after is not None:
            self._emit(Persist(effects.truncate_after, effects.append))

    def _on_layer(self, layer: CommittedLayer) -> None:
        self._emit(BatchCommitted(layer.txid, layer.writes))
        seqno = layer.txid.seqno
        if layer.evidence is not None:
            recorded = read_snapshot_evidence(layer.writes)
            if recorded is not None:
                self._snapshots.recorded(recorded[0], layer.evidence, recorded[1])
                self._prove()
        if layer.pinned is not None:
            if self._snapshots.begin(seqno):
                self._emit(TakeSnapshot(self._chain.snapshot_place(seqno), layer.pinned))
            else:
                layer.pinned.release()

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────

    def snapshot_taken(self, event: SnapshotTaken) -> None:
        """Note that a snapshot was written, or not; prove it if the ledger tells of it already.

        Raises IntegrityError when the ledger says that this node's state should have been another.
        """
        self._snapshots.taken(event.seqno, event.digest)
        self._prove()

    def snapshot_proven(self, seqno: int) -> None:
        """Offer a snapshot to peers from now on."""
        self._snapshots.proven(seqno)
        if seqno <= self._chain.committed.seqno:
            self.handle(SnapshotAvailable(seqno, self._chain.views.at(seqno)))

    def snapshot_loaded(self, event: SnapshotLoaded) -> None:
        """Begin anew at a snapshot a peer sent, if it was found sound and is still of use."""
        offer = self._snapshots.loaded(event.seqno)
        snapshot = event.snapshot
        if offer is None or snapshot is None or snapshot.place.txid != offer.place:
            return
        place = snapshot.place.txid
        self._loaded = snapshot
        membership = Membership(place.seqno, *snapshot_members(snapshot))
        self.handle(SnapshotReceived(place.seqno, place.view, offer.leader_term, membership))
        self._loaded = None
        if place.seqno <= self._chain.committed.seqno:
            self.handle(SnapshotAvailable(place.seqno, place.view))

    def peer_lost(self, peer: NodeID) -> None:
        """Give up the snapshot on its way to ``peer``."""
        if self._snapshots.lost(peer):
            self.handle(SnapshotFailed(peer))

    def tick(self) -> None:
        """Let one tick pass for snapshots on their way."""
        for peer in set(self._snapshots.receivers) - self._consensus.status().awaiting_snapshot.keys():
            self._snapshots.finished(peer)
        asked, silent = self._snapshots.tick(self._chain.committed.seqno)
        for effect in asked:
            self._emit(effect)
        for peer in silent:
            self.handle(SnapshotFailed(peer))

    def evidence_due(self) -> tuple[Writes, bytes] | None:
        """Return the writes, and their claims, that tell the ledger of a snapshot made here."""
        value = self._chain.store.head().get(maps.SNAPSHOT_EVIDENCE, maps.SINGLETON_KEY)
        recorded = read_snapshot_evidence(
            {maps.SNAPSHOT_EVIDENCE: {maps.SINGLETON_KEY: value}} if value else {}
        )
        newest = recorded[0] if recorded is not None else 0
        found = self._snapshots.unrecorded(newest)
        if found is None:
            return None
        seqno, digest = found
        return snapshot_evidence(digest, seqno), digest

    def _prove(self) -> None:
        found = self._snapshots.provable()
        if found is not None:
            seqno, evidence = found
            self._emit(ProveSnapshot(seqno, plan_receipt(self._chain, evidence)))

    def _install(self, seqno: int) -> None:
        snapshot = self._loaded
        if snapshot is None or snapshot.place.txid.seqno != seqno:
            unreachable(f"a snapshot at {seqno} is to be installed that was not offered")
        self._chain.restart(snapshot)
        self._follower.refresh()
        self._snapshots.began_anew(seqno)
        self._emit(InstallSnapshot(snapshot))
        self.on_committed()


def snapshot_members(snapshot: Snapshot) -> tuple[frozenset[NodeID], frozenset[NodeID]]:
    """Return the voters and learners in force at a snapshot."""
    tables = {name: values for name, values in snapshot.maps.items() if tells_members({name: values})}
    endorsed = snapshot.maps.get(maps.NODES_ENDORSED_CERTIFICATES, {})
    store = Store()
    store.restore(snapshot.place.txid.seqno, {**tables, maps.NODES_ENDORSED_CERTIFICATES: endorsed})
    members = read_members(store.view())
    return members.voters, members.learners


def _nothing() -> None:
    """Nobody listens."""


def _ignored(_leadership: Leadership) -> None:
    """Nobody listens."""
