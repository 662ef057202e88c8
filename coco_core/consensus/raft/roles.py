"""The four roles and the only ways between them.

The law is the table below; a step that is not in it is a bug and stops the node. A node's term never
goes back, it votes once a term, and both live as long as its process (see the contract)::

    FOLLOWER ──timeout──▶ PRE_CANDIDATE ──quorum would vote──▶ CANDIDATE ──quorum voted──▶ LEADER
        │                      │  ▲                              │   │                       │
        ├──told to stand───────┼──┼──────────────────────────────▶   │                       │
        │                      │  └──────────timeout─────────────┘   │                       │
        ◀──────────────────────┴──a leader or a later term is heard──┴──or the quorum is lost┘

Knows the core; must not know messages.
"""

from __future__ import annotations

from typing import Final

from coco_core.base import NodeID, invariant
from coco_core.consensus.contract import Role
from coco_core.consensus.raft import membership
from coco_core.consensus.raft.core import Core

TRANSITIONS: Final[dict[Role, frozenset[Role]]] = {
    Role.FOLLOWER: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE}),
    Role.PRE_CANDIDATE: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.CANDIDATE}),
    Role.CANDIDATE: frozenset({Role.FOLLOWER, Role.PRE_CANDIDATE, Role.LEADER}),
    Role.LEADER: frozenset({Role.FOLLOWER}),
}


def become_follower(core: Core, term: int, leader: NodeID | None) -> None:
    """Follow ``leader``, or wait to hear of one, in ``term``."""
    invariant(term >= core.term, "a term never goes back")
    if term != core.term:
        core.term = term
        core.voted_for = None
        core.matched_index = core.log.commit_index
    _enter(core, Role.FOLLOWER, leader)


def become_pre_candidate(core: Core) -> None:
    """Ask whether the others would vote, without disturbing anyone: term and vote stay."""
    _enter(core, Role.PRE_CANDIDATE, None)
    core.votes[core.node_id] = True


def become_candidate(core: Core) -> None:
    """Begin the next term and vote for oneself in it."""
    _enter(core, Role.CANDIDATE, None)
    core.term += 1
    core.voted_for = core.node_id
    core.matched_index = core.log.commit_index
    core.votes[core.node_id] = True


def become_leader(core: Core) -> None:
    """Lead this term, from the last committable entry on: the provisional tail behind it is dropped."""
    _enter(core, Role.LEADER, core.node_id)
    last_committable = core.log.last_committable(core.log.last_index)
    if last_committable < core.log.last_index:
        membership.truncate_after(core, last_committable)
    core.configure(core.memberships)


def _enter(core: Core, role: Role, leader: NodeID | None) -> None:
    invariant(role in TRANSITIONS[core.role], f"no way from {core.role.value} to {role.value}")
    core.role = role
    core.leader = leader
    core.votes.clear()
    core.progress = {}
    core.transfer = None
    core.encoded_append = None
    core.election_elapsed = 0
    core.heartbeat_elapsed = 0
    # Drawn anew at every step, so that candidates which collided once do not stay in step.
    settings = core.settings
    core.election_timeout = core.draw(
        settings.election_timeout_ticks_min, settings.election_timeout_ticks_max
    )
