"""Snapshots: how a follower continues that the log alone cannot serve (Raft §7).

The laws:

* A snapshot holds agreed state only, and travels outside of this room: the leader names peer and place,
  the host transfers. Until the peer acknowledges that place, or the host says that the transfer failed,
  the peer is sent no entries and asked for no other snapshot; a failed one is asked for again with a
  heartbeat, never sooner. Heartbeats meanwhile claim nothing of the peer's log.
* A node takes a snapshot only if its log does not hold the snapshot's last entry. If it does hold it,
  entries behind it may have been acknowledged and counted, so the log stays and is agreed up to there. If
  it does not, then whatever stands behind its agreed prefix is either covered by the snapshot or
  contradicts it, so nothing that can ever be agreed is lost.
* With it a node enters the term of the leader that sent it. Otherwise it could acknowledge the
  snapshot's place to a leader of an earlier term, whose log need not hold it.
"""

from __future__ import annotations

from coco_core.base import NodeID, invariant
from coco_core.consensus.contract import Role, SnapshotAvailable, SnapshotFailed, SnapshotReceived
from coco_core.consensus.raft import membership, roles
from coco_core.consensus.raft.core import Core
from coco_core.consensus.raft.messages import Acknowledge
from coco_core.consensus.raft.progress import AWAITS_SNAPSHOT, Progress
from coco_core.errors import IntegrityError

# ── leader ───────────────────────────────────────────────────────────────────────────────────────


def on_available(core: Core, event: SnapshotAvailable) -> None:
    """Remember the newest snapshot of this node; peers that wait for one get it with a heartbeat."""
    invariant(event.index <= core.log.commit_index, "a snapshot holds agreed state only")
    core.log.note_snapshot(event.index, event.term)


def on_failed(core: Core, event: SnapshotFailed) -> None:
    """Let the next heartbeat ask for a transfer again."""
    progress = core.progress.get(event.peer)
    if progress is not None and progress.snapshot_index is not None:
        progress.snapshot_index = AWAITS_SNAPSHOT


def begin(core: Core, peer: NodeID, progress: Progress) -> None:
    """Ask the host to transfer the newest snapshot to ``peer``; without a useful one, let it wait."""
    log = core.log
    if log.snapshot_index > progress.match_index:
        progress.await_snapshot(log.snapshot_index)
        core.send_snapshot(peer, log.snapshot_index, log.snapshot_term)
    else:
        progress.await_snapshot(AWAITS_SNAPSHOT)


# ── follower ─────────────────────────────────────────────────────────────────────────────────────


def on_received(core: Core, event: SnapshotReceived) -> None:
    """Begin anew at a snapshot if it is ahead of the log, and say so to the leader.

    Raises IntegrityError if the log holds that very entry as one that cannot end what is agreed.
    """
    log, index = core.log, event.index
    invariant(
        event.term <= event.leader_term and event.membership.index <= index,
        "a snapshot is of entries, and with members, from before it",
    )
    if event.leader_term > core.term:
        roles.become_follower(core, event.leader_term, None)
    if core.role is Role.LEADER or index <= log.commit_index:
        return
    if log.term_at(index) == event.term:
        if log.last_committable(index) != index:
            raise IntegrityError(
                f"a snapshot ends at entry {event.term}.{index}, which is not committable here"
            )
        membership.agree(core, index)
        core.matched_index = max(core.matched_index, index)
        return
    if core.role is not Role.FOLLOWER:
        # Whoever votes, or votes are asked of, changes with the log.
        roles.become_follower(core, core.term, None)
    core.install(index, event.term)
    core.configure((event.membership,))
    core.matched_index = index
    if core.leader is not None:
        core.send(core.leader, Acknowledge(core.term, index))
