"""The bugs of consensus and storage that the simulation must notice (see ``mutants``).

Every function here is wrong on purpose. Each replaces the one named beside it in ``CONSENSUS_BUGS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_core.base import NodeID
from coco_core.consensus import Entry, Role
from coco_core.consensus.raft import election, membership, quorum, raft, replication, roles
from coco_core.consensus.raft.core import Core
from coco_core.consensus.raft.log import Log
from coco_core.consensus.raft.messages import Acknowledge, VoteReply, VoteRequest
from coco_core.replica.effects import Persist
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.simulation.mutant import Change, Mutant

_HANDLERS: Final[dict[Any, Any]] = vars(raft)["_HANDLERS"]
_vote_request = election.on_vote_request
_vote_reply = election.on_vote_reply
_advance_commit = replication.advance_commit
_become_follower = roles.become_follower


def _forget_the_vote(core: Core, sender: NodeID, request: VoteRequest) -> None:
    core.voted_for = None
    _vote_request(core, sender, request)


def _compare_lengths(core: Core, sender: NodeID, request: VoteRequest) -> None:
    _, last_term = membership.last_committable(core)
    _vote_request(core, sender, attrs.evolve(request, last_term=last_term))


def _judge_by_nothing(_core: Core) -> tuple[int, int]:
    return 0, 0


def _count_pre_votes(core: Core, sender: NodeID, reply: VoteReply) -> None:
    if core.role is Role.CANDIDATE and reply.pre and reply.granted:
        reply = VoteReply(core.term, pre=False, granted=True)
    _vote_reply(core, sender, reply)


def _one_too_few(voters: frozenset[NodeID], match: Mapping[NodeID, int]) -> int:
    descending = sorted((match.get(voter, 0) for voter in voters), reverse=True)
    return descending[max(0, quorum.majority(len(descending)) - 2)]


def _acknowledge_at_once(core: Core, leader: NodeID) -> None:
    core.send(leader, Acknowledge(core.term, core.matched_index))


def _count_own_at_once(core: Core) -> bool:
    durable, core.log.persisted_index = core.log.persisted_index, core.log.last_index
    try:
        return _advance_commit(core)
    finally:
        core.log.persisted_index = durable


def _commit_older_terms(core: Core) -> bool:
    match = {peer: progress.match_index for peer, progress in core.progress.items()}
    match[core.node_id] = core.log.persisted_index
    membership.agree(core, core.log.last_committable(core.configuration.agreed_index(match)))
    return _advance_commit(core)


def _commit_all_that_matches(core: Core, _commit_index: int) -> None:
    membership.agree(core, core.log.last_committable(core.matched_index))


def _commit_beyond_the_match(core: Core, commit_index: int) -> None:
    membership.agree(core, core.log.last_committable(min(commit_index, core.log.last_index)))


def _keep_the_match(core: Core, term: int, leader: NodeID | None) -> None:
    matched = core.matched_index
    _become_follower(core, term, leader)
    core.matched_index = min(matched, core.log.last_index)


def _hold_any_place(log: Log, index: int, _term: int) -> bool:
    return index <= log.last_index


def _take_any_entry_for_ours(log: Log, entry: Entry) -> bool:
    return entry.index <= log.last_index


def _report_before_the_sync(disk: SimulatedDisk) -> Entry | None:
    written = [work for work in disk.writing if isinstance(work, Persist)]
    newest = next((effect.entries[-1] for effect in reversed(written) if effect.entries), None)
    disk.pending, disk.writing = [*disk.writing, *disk.pending], []
    return newest


def _mutant(name: str, breaks: str, *changes: Change, seeds_max: int = 60) -> Mutant:
    return Mutant(name=name, breaks=breaks, changes=changes, seeds_max=seeds_max)


def _yes(*_: object) -> bool:
    return True


def _majority_too_small(count: int) -> int:
    return max(1, count // 2)


CONSENSUS_BUGS: Final = (
    _mutant("forget the vote", "one vote a node and view", (_HANDLERS, VoteRequest, _forget_the_vote)),
    _mutant("half is enough", "majorities overlap", (quorum, "majority", _majority_too_small)),
    _mutant(
        "compare lengths only",
        "voters judge by view first",
        (_HANDLERS, VoteRequest, _compare_lengths),
        seeds_max=300,
    ),
    _mutant(
        "any log may lead", "voters judge logs", (membership, "yardstick", _judge_by_nothing), seeds_max=150
    ),
    _mutant(
        "count pre-votes", "a pre-vote is no vote", (_HANDLERS, VoteReply, _count_pre_votes), seeds_max=600
    ),
    _mutant("commit on a minority", "agreed means a majority", (quorum, "_agreed_index", _one_too_few)),
    _mutant(
        "acknowledge before the disk",
        "durable before counted",
        (replication, "_acknowledge", _acknowledge_at_once),
    ),
    _mutant(
        "count own entries before the disk",
        "durable before counted",
        (replication, "advance_commit", _count_own_at_once),
    ),
    _mutant(
        "forget an fsync", "durable means on the disk", (SimulatedDisk, "complete", _report_before_the_sync)
    ),
    _mutant(
        "commit older views directly", "Raft figure 8", (replication, "advance_commit", _commit_older_terms)
    ),
    _mutant(
        "apply uncommitted",
        "only the agreed is applied",
        (replication, "_follow_commit", _commit_all_that_matches),
    ),
    _mutant(
        "commit beyond the match",
        "commit what is known to match",
        (replication, "_follow_commit", _commit_beyond_the_match),
        seeds_max=150,
    ),
    _mutant(
        "keep the match across views",
        "a match is of one view",
        (roles, "become_follower", _keep_the_match),
        seeds_max=80,
    ),
    _mutant("skip the consistency check", "log matching", (Log, "holds", _hold_any_place)),
    _mutant("keep conflicting entries", "the leader's entry wins", (Log, "has", _take_any_entry_for_ours)),
    _mutant("skip check-quorum", "who hears no majority stops leading", (election, "_hears_quorum", _yes)),
)
