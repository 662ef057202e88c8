"""Leadership transfer: the leader hands over on purpose (thesis §3.10).

The law: the target is told to stand only when it holds the leader's last committable entry, so it can
win; the leader goes on leading until a vote request of the next term reaches it, and gives the
transfer up after one election timeout. What was proposed behind the last committable entry is lost to
the change, so a host that asks for a transfer does well to stop proposing.
"""

from __future__ import annotations

from coco_core.base import NodeID
from coco_core.consensus.contract import Role, TransferRequested
from coco_core.consensus.raft.core import Core, Transfer
from coco_core.consensus.raft.messages import TimeoutNow
from coco_core.errors import OperatorError


def on_requested(core: Core, event: TransferRequested) -> None:
    """Begin a transfer; without leadership, or to oneself, there is nothing to do.

    Raises OperatorError for a target that has no say.
    """
    if event.target is not None and event.target not in core.configuration.nodes:
        raise OperatorError(f"cannot hand leadership to {event.target}: not a member")
    if core.role is not Role.LEADER or event.target == core.node_id or not core.progress:
        return
    target = event.target or _most_advanced(core)
    core.transfer = Transfer(target)
    continue_to(core, target)


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


def _most_advanced(core: Core) -> NodeID:
    """Return the peer, heard of lately if any was, that holds most; the first ID among equals."""
    return max(core.progress, key=lambda peer: (core.progress[peer].active, core.progress[peer].match_index))
