"""Leadership transfer: the leader hands over on purpose (thesis §3.10).

The law: the target is told to stand only when it holds the leader's last committable entry, so it can
win; the leader goes on leading until a vote request of the next term reaches it, and gives the
transfer up after one election timeout. What was proposed behind the last committable entry is lost to
the change, so a host that asks for a transfer does well to stop proposing. Only a voter of the newest
set can be a target.

A leader that retires (``membership``) does not wait: what its removal was agreed with, a majority of the
voters hold, so the most advanced of them can win.
"""

from __future__ import annotations

from collections.abc import Sequence

from coco_core.base import NodeID
from coco_core.consensus.contract import TransferRequested
from coco_core.consensus.raft import roles
from coco_core.consensus.raft.core import Core, Transfer
from coco_core.consensus.raft.messages import TimeoutNow
from coco_core.errors import OperatorError


def on_requested(core: Core, event: TransferRequested) -> None:
    """Begin a transfer; without leadership, or to oneself, there is nothing to do.

    Raises OperatorError for a target that is no voter.
    """
    if event.target is not None and event.target not in core.memberships[-1].voters:
        raise OperatorError(f"cannot hand leadership to {event.target}: not a member that votes")
    voters = _voters(core)
    if not voters or event.target == core.node_id:
        return
    target = event.target or _most_advanced(core, voters)
    core.transfer = Transfer(target)
    continue_to(core, target)


def retire(core: Core) -> None:
    """Step down for good, after naming a successor: this leader's own removal is agreed."""
    core.send(_most_advanced(core, _voters(core)), TimeoutNow(core.term))
    roles.become_follower(core, core.term, None)


def on_tick(core: Core) -> None:
    """Give a transfer up that took a whole election timeout."""
    if core.transfer is None:
        return
    core.transfer.elapsed += 1
    if core.transfer.elapsed >= core.settings.election_timeout_ticks_min:
        core.transfer = None


def continue_to(core: Core, peer: NodeID) -> None:
    """Tell ``peer`` to stand if a transfer to it waits and it holds all that is committable."""
    transfer = core.transfer
    if transfer is None or transfer.target != peer or transfer.asked:
        return
    if core.progress[peer].match_index >= core.log.last_committable(core.log.last_index):
        transfer.asked = True
        core.send(peer, TimeoutNow(core.term))


def _voters(core: Core) -> list[NodeID]:
    """Return the leader's peers that vote in the newest set; none on other nodes."""
    return [peer for peer in core.progress if peer in core.memberships[-1].voters]


def _most_advanced(core: Core, voters: Sequence[NodeID]) -> NodeID:
    """Return the voter, heard of lately if any was, that holds most; the first ID among equals."""
    progress = core.progress
    return max(voters, key=lambda peer: (progress[peer].active, progress[peer].match_index))
