"""Votes and transfers event by event: who may lead, and who is not disturbed."""

import pytest

from coco_core.base import NodeID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import Effects, Entry, Leadership, Proposed, Received, Role, Tick, TransferRequested
from coco_core.consensus.raft import Raft, RaftSettings, roles
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    Message,
    Reject,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    decode,
    encode,
)
from coco_core.testing.stage import StageDisk

A, B, C = (NodeID(name) for name in "abc")
SETTINGS = RaftSettings(
    node_id=A,
    members=frozenset({A, B, C}),
    election_timeout_ticks_min=4,
    election_timeout_ticks_max=6,
    heartbeat_ticks=1,
)


def least(low: int, _high: int) -> int:
    return low


def follower() -> Raft:
    return Raft(SETTINGS, draw=least, reader=StageDisk())


def founder() -> Raft:
    return Raft.founder(SETTINGS, draw=least, reader=StageDisk())


def receive(raft: Raft, sender: NodeID, message: Message) -> Effects:
    return raft.handle(Received(sender, encode(message)))


def sent(effects: Effects) -> list[tuple[NodeID, Message]]:
    return [(send.to, decode(send.message)) for send in effects.send]


def ticks(raft: Raft, count: int) -> Effects:
    for _ in range(count - 1):
        raft.handle(Tick())
    return raft.handle(Tick())


def following(*terms: int) -> Raft:
    """Return a node whose log, received from B, has these terms, every entry committable."""
    raft = follower()
    entries = tuple(Entry(term, index, b"x", True) for index, term in enumerate(terms, start=1))
    receive(raft, B, Append(max(terms), 0, 0, 0, entries))
    return raft


# ── electing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_vote_is_given_once_a_term_and_again_to_the_same() -> None:
    raft = follower()
    request = VoteRequest(3, 0, 0, False, False)
    assert sent(receive(raft, B, request)) == [(B, VoteReply(3, False, True))]
    assert sent(receive(raft, C, request)) == [(C, VoteReply(3, False, False))]
    assert sent(receive(raft, B, request)) == [(B, VoteReply(3, False, True))]


def test_who_follows_a_leader_votes_for_nobody_in_its_term() -> None:
    raft = follower()
    receive(raft, B, Append(3, 0, 0, 0, ()))
    request = VoteRequest(3, 9, 9, False, True)
    assert sent(receive(raft, C, request)) == [(C, VoteReply(3, False, False))]


def test_a_voter_gives_its_candidate_time() -> None:
    raft = follower()
    ticks(raft, 3)
    receive(raft, B, VoteRequest(3, 0, 0, False, False))
    receive(raft, B, VoteRequest(3, 0, 0, False, False))
    ticks(raft, 3)
    receive(raft, B, VoteRequest(3, 0, 0, False, False))
    ticks(raft, 3)
    assert raft.status().role is Role.FOLLOWER


def test_a_log_is_judged_by_term_before_index() -> None:
    raft = following(2, 3)
    for index, term, granted in ((9, 2, False), (1, 3, False), (2, 3, True), (1, 4, True)):
        reply = sent(receive(raft, C, VoteRequest(9, index, term, True, True)))
        assert reply == [(C, VoteReply(9 if granted else 3, True, granted))]


def test_a_provisional_tail_does_not_count_in_an_election() -> None:
    raft = follower()
    tail = (Entry(2, 1, b"s", True), Entry(2, 2, b"x", False))
    receive(raft, B, Append(2, 0, 0, 0, tail))
    assert sent(receive(raft, C, VoteRequest(3, 1, 2, False, True))) == [(C, VoteReply(3, False, True))]


def test_a_trusted_leader_is_not_deposed() -> None:
    raft = following(2)
    for pre in (True, False):
        assert receive(raft, C, VoteRequest(9, 9, 9, pre, False)) == Effects()
    assert founder().handle(Received(C, encode(VoteRequest(9, 9, 9, False, False)))) == Effects()
    ticks(raft, 3)
    assert receive(raft, C, VoteRequest(9, 9, 9, False, False)) == Effects()


def test_candidates_of_earlier_terms_learn_of_the_term() -> None:
    raft = follower()
    receive(raft, B, Append(5, 0, 0, 0, ()))
    for pre in (True, False):
        reply = sent(receive(raft, C, VoteRequest(4, 0, 0, pre, False)))
        assert reply == [(C, VoteReply(5, pre, False))]
    assert receive(raft, C, VoteReply(4, False, True)) == Effects()


def test_votes_for_another_term_do_not_count() -> None:
    raft = follower()
    ticks(raft, 4)
    assert raft.status().role is Role.PRE_CANDIDATE
    assert receive(raft, B, VoteReply(2, True, True)) == Effects(), "granted for a term already begun"
    assert receive(raft, B, VoteReply(4, True, True)) == Effects(), "granted for a term not asked for"
    assert receive(raft, B, VoteReply(2, False, True)) == Effects(), "a real vote nobody asked for"
    assert raft.status().role is Role.PRE_CANDIDATE
    effects = receive(raft, B, VoteReply(3, True, True))
    assert effects.leadership == Leadership(Role.CANDIDATE, 3, None)
    assert receive(raft, C, VoteReply(3, True, True)) == Effects(), "the pre-vote is over"


def test_a_refused_candidate_follows_and_a_later_term_is_taken_over() -> None:
    raft = follower()
    ticks(raft, 4)
    receive(raft, B, VoteReply(2, True, False))
    effects = receive(raft, C, VoteReply(2, True, False))
    assert effects.leadership == Leadership(Role.FOLLOWER, 2, None)
    ticks(raft, 4)
    effects = receive(raft, C, VoteReply(6, True, False))
    assert effects.leadership == Leadership(Role.FOLLOWER, 6, None)


def test_a_candidate_follows_the_leader_of_its_term() -> None:
    raft = follower()
    ticks(raft, 4)
    receive(raft, B, VoteReply(3, True, True))
    effects = receive(raft, C, Append(3, 0, 0, 0, ()))
    assert effects.leadership == Leadership(Role.FOLLOWER, 3, C)
    assert sent(effects) == [(C, Acknowledge(3, 0))]


def test_a_candidate_that_hears_nothing_asks_again() -> None:
    raft = follower()
    ticks(raft, 4)
    receive(raft, B, VoteReply(3, True, True))
    effects = ticks(raft, 4)
    assert effects.leadership == Leadership(Role.PRE_CANDIDATE, 3, None)
    assert {m.term for _, m in sent(effects)} == {4}


def test_only_the_ways_of_the_table_are_taken() -> None:
    raft = follower()
    with pytest.raises(BrokenInvariantError):
        roles.become_leader(raft._core)
    with pytest.raises(BrokenInvariantError):
        roles.become_follower(raft._core, 1, None)


# ── being heard of ─────────────────────────────────────────────────────────────────────────────────


def test_who_answered_in_this_or_the_last_period_is_heard_of() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    assert raft.status().heard == {B, C}, "elected by them just now"
    heard = []
    for _ in range(4):
        receive(raft, B, Acknowledge(2, 1))
        ticks(raft, 4)
        heard.append(raft.status().heard)
    # How far C was is not forgotten; that it is silent shows.
    assert heard == [{B, C}, {B}, {B}, {B}]
    assert raft.status().match == {B: 1, C: 0}
    receive(raft, C, Reject(2, 1, 0, 0))
    for expected in ({B, C}, {B, C}, {B}):
        assert raft.status().heard == expected
        receive(raft, B, Acknowledge(2, 1))
        ticks(raft, 4)


def test_who_was_heard_of_just_now_is_heard_of_for_a_whole_period() -> None:
    raft = founder()
    ticks(raft, 3)
    for peer in (B, C):
        receive(raft, peer, Acknowledge(2, 0))
    for _ in range(4):
        assert raft.status().heard == {B, C}
        raft.handle(Tick())
    assert raft.status().heard == {B, C}
    receive(raft, B, Acknowledge(2, 0))
    ticks(raft, 4)
    assert raft.status().heard == {B}


def test_only_a_leader_says_who_is_heard_of() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, ()))
    assert raft.status().heard == frozenset()
    raft = founder()
    ticks(raft, 8)
    assert raft.status().role is Role.FOLLOWER
    assert raft.status().heard == frozenset()


# ── handing over ─────────────────────────────────────────────────────────────────────────────────


def test_only_a_follower_stands_when_told() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, ()))
    effects = receive(raft, B, TimeoutNow(2))
    assert effects.leadership == Leadership(Role.CANDIDATE, 3, None)
    assert sent(effects)[0] == (B, VoteRequest(3, 0, 0, False, True))
    assert receive(raft, C, TimeoutNow(3)) == Effects(), "a candidate stands already"


def test_a_transfer_without_leadership_or_to_oneself_does_nothing() -> None:
    assert follower().handle(TransferRequested(B)) == Effects()
    assert founder().handle(TransferRequested(A)) == Effects()


def test_a_transfer_waits_for_the_target_and_asks_once() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True), (b"y", False)]))
    assert raft.handle(TransferRequested(C)) == Effects()
    receive(raft, B, Acknowledge(2, 2))
    assert (C, TimeoutNow(2)) in sent(receive(raft, C, Acknowledge(2, 1)))
    assert sent(receive(raft, C, Acknowledge(2, 2))) == []


def test_a_transfer_is_given_up_after_an_election_timeout() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    raft.handle(TransferRequested(C))
    ticks(raft, 4)
    assert (C, TimeoutNow(2)) not in sent(receive(raft, C, Acknowledge(2, 1)))


def test_a_transfer_prefers_whom_it_heard_of_then_who_holds_most() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    receive(raft, C, Acknowledge(2, 1))
    assert sent(raft.handle(TransferRequested())) == [(C, TimeoutNow(2))]
    ticks(raft, 4)
    receive(raft, B, Acknowledge(2, 0))
    receive(raft, C, Acknowledge(2, 1))
    assert sent(raft.handle(TransferRequested(None))) == [(C, TimeoutNow(2))]
