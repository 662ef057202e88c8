"""Pre-vote, votes, check-quorum and leader stickiness: how one leader a term is found and kept.

The laws:

* One vote a node and term, so at most one leader a term.
* **Pre-vote** (thesis §9.6): nobody begins a term before a quorum said it would vote for it, so a node
  that was cut off does not depose anyone when it returns.
* **Stickiness** (thesis §4.2.3): who heard of a leader within the smallest election timeout ignores
  candidates altogether, unless the leader itself asked for the election.
* **Check-quorum** (thesis §6.2): a leader that did not hear of a quorum for that time steps down.
* A log is judged by its **last committable entry**, term first, then index; what is behind it does
  not count, and who wins drops it (``roles.become_leader``). A retired node judges by less: see
  ``membership``.

Why the last law is safe. Claim: an entry agreed in term T is in the log of every leader of a later
term. Suppose U > T is the first term whose leader lacks it. Agreed entries are covered by a
committable entry C of term T that a quorum Q stored before it acknowledged C in T; some voter v of
leader U is in Q (across changes of members too: see ``membership``), and v acknowledged C before it
voted in U (afterwards it refuses term T). Between the two, v's log kept C: entries are removed only
(a) on conflict with a leader of a term between T and U, and these hold C by choice of U, so by log
matching the conflict is behind C; (b) by v itself on winning an election, behind its last committable
entry, which is C or later; or (c) for a snapshot of agreed state that holds C (see ``snapshots``).
So v's last committable
entry L is C or stands behind C, with term(L) >= T, and the candidate's last committable entry K compares
at least as high. If term(K) = term(L), both were made by the same leader and index(K) >= index(L):
by log matching the candidate holds L and all before it, hence C. If term(K) > term(L) >= T, the leader of
term(K) < U held C before it appended K, so by log matching the candidate holds C too. Either way U does
not lack C: a contradiction. Log matching itself needs one entry per (term, index): a new leader drops its
tail before it appends anything in its term and never afterwards, so it holds.

Comparing by last committable instead of last entries also keeps liveness: a node with a long provisional
tail does not outrank one that holds more of what counts.
"""

from __future__ import annotations

from coco_core.base import NodeID
from coco_core.consensus.contract import Role
from coco_core.consensus.raft import membership, replication, roles
from coco_core.consensus.raft.core import Core
from coco_core.consensus.raft.messages import TimeoutNow, VoteReply, VoteRequest
from coco_core.consensus.raft.quorum import VoteOutcome

# ── time ─────────────────────────────────────────────────────────────────────────────────────────


def on_tick(core: Core) -> None:
    """Let one tick pass: heartbeats and check-quorum for a leader, patience for all others."""
    core.election_elapsed += 1
    if core.role is not Role.LEADER:
        if core.election_elapsed >= core.election_timeout:
            _on_timeout(core)
        return
    core.heartbeat_elapsed += 1
    if core.election_elapsed >= core.settings.election_timeout_ticks_min:
        core.election_elapsed = 0
        if not _hears_quorum(core):
            roles.become_follower(core, core.term, None)
            return
    if core.heartbeat_elapsed >= core.settings.heartbeat_ticks:
        replication.send_heartbeats(core)


def _on_timeout(core: Core) -> None:
    """Ask to lead; who may not (a learner, a retired node) just no longer knows a leader."""
    if core.node_id in membership.elective(core).nodes:
        _campaign(core, pre=True, transfer=False)
    else:
        roles.become_follower(core, core.term, None)


def _hears_quorum(core: Core) -> bool:
    """Return whether a quorum answered since this was last asked, and begin to count anew."""
    heard = {core.node_id}
    for peer, progress in core.progress.items():
        if progress.active:
            heard.add(peer)
        progress.was_active, progress.active = progress.active, False
    return core.configuration.is_quorum(heard)


# ── candidate ────────────────────────────────────────────────────────────────────────────────────


def on_timeout_now(core: Core, _sender: NodeID, _message: TimeoutNow) -> None:
    """Stand at once: the leader of this very term asked for it, so no pre-vote and no stickiness."""
    if core.role is Role.FOLLOWER and core.node_id in membership.elective(core).nodes:
        _campaign(core, pre=False, transfer=True)


def on_vote_reply(core: Core, sender: NodeID, message: VoteReply) -> None:
    """Count an answer, and go on or give up once the answers decide."""
    role = Role.PRE_CANDIDATE if message.pre else Role.CANDIDATE
    asked_term = core.term + 1 if message.pre and message.granted else core.term
    if core.role is not role or message.term != asked_term:
        return
    core.votes[sender] = message.granted
    _count_votes(core)


def _campaign(core: Core, *, pre: bool, transfer: bool) -> None:
    """Become a candidate and ask everyone."""
    if pre:
        roles.become_pre_candidate(core)
    else:
        roles.become_candidate(core)
    last_index, last_term = membership.last_committable(core)
    request = VoteRequest(core.term + 1 if pre else core.term, last_index, last_term, pre, transfer)
    for peer in sorted(membership.elective(core).nodes - {core.node_id}):
        core.send(peer, request)
    _count_votes(core)


def _count_votes(core: Core) -> None:
    outcome = membership.elective(core).outcome(core.votes)
    if outcome is VoteOutcome.LOST:
        roles.become_follower(core, core.term, None)
    elif outcome is VoteOutcome.WON and core.role is Role.PRE_CANDIDATE:
        _campaign(core, pre=False, transfer=False)
    elif outcome is VoteOutcome.WON:
        roles.become_leader(core)
        replication.send_heartbeats(core)


# ── voter ────────────────────────────────────────────────────────────────────────────────────────


def ignores(core: Core, request: VoteRequest) -> bool:
    """Return whether this node has a leader it trusts, and so ignores candidates (stickiness)."""
    trusted = core.election_elapsed < core.settings.election_timeout_ticks_min
    return core.leader is not None and trusted and not request.transfer


def on_vote_request(core: Core, sender: NodeID, request: VoteRequest) -> None:
    """Grant or refuse; the caller has brought this node to the term of a real request."""
    if request.pre:
        free = request.term > core.term
    else:
        free = request.term == core.term and core.voted_for in (None, sender) and core.leader is None
    last_index, last_term = membership.yardstick(core)
    granted = free and (request.last_term, request.last_index) >= (last_term, last_index)
    if granted and not request.pre:
        core.voted_for = sender
        core.election_elapsed = 0
    core.send(sender, VoteReply(request.term if granted else core.term, request.pre, granted))
