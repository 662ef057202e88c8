"""Changes of membership event by event: who is served, who is asked, who goes."""

import pytest

from coco_core.base import NodeID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import (
    Effects,
    Entry,
    Leadership,
    Membership,
    Persisted,
    Proposed,
    Received,
    Reconfigured,
    Role,
    Tick,
    TransferRequested,
)
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    decode,
    encode,
)
from coco_core.errors import OperatorError, PeerError
from coco_core.testing.stage import StageDisk

A, B, C, D, E = (NodeID(name) for name in "abcde")


def settings(members: str = "abc", learners: str = "") -> RaftSettings:
    return RaftSettings(
        node_id=A,
        members=names(members),
        learners=names(learners),
        election_timeout_ticks_min=4,
        election_timeout_ticks_max=6,
        heartbeat_ticks=1,
    )


def names(text: str) -> frozenset[NodeID]:
    return frozenset(NodeID(name) for name in text)


def follower(members: str = "abc", learners: str = "") -> Raft:
    return Raft(settings(members, learners), draw=min, reader=StageDisk())


def founder(members: str = "abc") -> Raft:
    return Raft.founder(settings(members), draw=min, reader=StageDisk())


def receive(raft: Raft, sender: NodeID, message: Message) -> Effects:
    return raft.handle(Received(sender, encode(message)))


def sent(effects: Effects) -> list[tuple[NodeID, Message]]:
    return [(send.to, decode(send.message)) for send in effects.send]


def ticks(raft: Raft, count: int) -> Effects:
    for _ in range(count - 1):
        raft.handle(Tick())
    return raft.handle(Tick())


def reconfigured(index: int, voters: str, learners: str = "") -> Reconfigured:
    return Reconfigured(Membership(index, names(voters), names(learners)))


def changed(voters: str, learners: str = "", *, members: str = "abc") -> Raft:
    """Return a leader that proposed, and holds durably, a change and its signature."""
    raft = founder(members)
    raft.handle(Proposed(2, 1, [(b"change", False), (b"signature", True)]))
    raft.handle(reconfigured(1, voters, learners))
    raft.handle(Persisted(2, 2))
    return raft


def sets(raft: Raft) -> list[int]:
    return [membership.index for membership in raft.status().memberships]


# ── the leader ───────────────────────────────────────────────────────────────────────────────────


def test_a_new_peer_is_served_from_the_change_on() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"change", False), (b"signature", True)]))
    effects = raft.handle(reconfigured(1, "abd", "e"))
    assert sent(effects) == [(peer, Append(2, 2, 2, 0, ())) for peer in (D, E)]
    assert raft.status().match == {B: 0, C: 0, D: 0, E: 0}


def test_a_change_is_agreed_by_the_sets_before_and_after() -> None:
    raft = changed("de")
    receive(raft, B, Acknowledge(2, 2))
    receive(raft, C, Acknowledge(2, 2))
    assert receive(raft, D, Acknowledge(2, 2)).commit is None
    assert sets(raft) == [0, 1]
    assert receive(raft, E, Acknowledge(2, 2)).commit == 2
    assert sets(raft) == [1]


def test_a_learner_counts_for_nothing() -> None:
    raft = changed("abc", "de")
    receive(raft, D, Acknowledge(2, 2))
    assert receive(raft, E, Acknowledge(2, 2)).commit is None
    ticks(raft, 4)
    receive(raft, D, Acknowledge(2, 2))
    receive(raft, E, Acknowledge(2, 2))
    ticks(raft, 4)
    assert raft.status().role is Role.FOLLOWER


def test_what_is_known_of_those_that_stay_is_kept() -> None:
    raft = changed("abd")
    receive(raft, B, Acknowledge(2, 1))
    receive(raft, C, Acknowledge(2, 1))
    assert raft.status().match == {B: 1, C: 1, D: 0}
    assert receive(raft, B, Acknowledge(2, 2)).commit == 2
    assert raft.status().match == {B: 2, D: 0}


def test_learners_are_heard_of_like_voters_and_those_removed_are_not() -> None:
    raft = changed("abd", "e")
    assert raft.status().heard == {B, C, D, E}
    for _ in range(2):
        for peer in (B, E):
            receive(raft, peer, Acknowledge(2, 1))
        receive(raft, C, Acknowledge(2, 1))
        ticks(raft, 4)
    assert raft.status().role is Role.LEADER
    assert raft.status().heard == {B, C, E}
    receive(raft, B, Acknowledge(2, 2))
    receive(raft, C, Acknowledge(2, 2))
    assert sets(raft) == [1]
    assert raft.status().heard == {B, E}


def test_those_removed_are_told_that_it_is_agreed() -> None:
    raft = changed("ab")
    effects = receive(raft, B, Acknowledge(2, 2))
    assert sent(effects) == [(B, CommitNotice(2, 2)), (C, CommitNotice(2, 2))]
    assert receive(raft, C, Acknowledge(2, 2)) == Effects()


def test_more_is_agreed_at_once_when_a_set_loses_its_say() -> None:
    raft = changed("a")
    raft.handle(Proposed(2, 3, [(b"x", True)]))
    raft.handle(Persisted(3, 2))
    assert raft.status().commit_index == 0
    assert receive(raft, B, Acknowledge(2, 2)).commit == 3


def test_a_leader_that_is_removed_leads_until_that_is_agreed_and_names_its_successor() -> None:
    raft = changed("bc")
    receive(raft, C, Acknowledge(2, 1))
    assert raft.status().role is Role.LEADER
    receive(raft, C, Acknowledge(2, 2))
    effects = receive(raft, B, Acknowledge(2, 2))
    assert effects.commit == 2
    assert sent(effects) == [(B, CommitNotice(2, 2)), (C, CommitNotice(2, 2)), (B, TimeoutNow(2))]
    assert effects.leadership == Leadership(Role.FOLLOWER, 2, None)
    assert ticks(raft, 20) == Effects()


def test_a_retired_node_does_not_hold_what_only_it_has_against_a_candidate() -> None:
    raft = changed("bc")
    raft.handle(Proposed(2, 3, [(b"only here", True)]))
    receive(raft, B, Acknowledge(2, 2))
    receive(raft, C, Acknowledge(2, 2))
    for index, granted in ((1, False), (2, True)):
        reply = sent(receive(raft, B, VoteRequest(3, index, 2, True, True)))
        assert reply == [(B, VoteReply(3 if granted else 2, True, granted))]


def test_a_retired_node_that_does_not_know_who_agreed_keeps_its_measure() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, (Entry(2, 1, b"change", True), Entry(2, 2, b"x", True))))
    raft.handle(reconfigured(1, "bc"))
    receive(raft, C, Append(4, 1, 2, 3, ()))
    assert (raft.status().commit_index, sets(raft)) == (1, [1])
    for index, granted in ((1, False), (2, True)):
        reply = sent(receive(raft, B, VoteRequest(5, index, 2, True, True)))
        assert reply == [(B, VoteReply(5 if granted else 4, True, granted))]


def test_a_removed_leader_that_a_later_set_takes_back_stays() -> None:
    raft = changed("bc")
    raft.handle(Proposed(2, 3, [(b"change", False)]))
    raft.handle(reconfigured(3, "abc"))
    receive(raft, B, Acknowledge(2, 2))
    assert receive(raft, C, Acknowledge(2, 2)).commit == 2
    assert raft.status().role is Role.LEADER
    assert sets(raft) == [1, 3]


def test_a_transfer_goes_to_voters_of_the_newest_set() -> None:
    raft = changed("abd", "e")
    receive(raft, C, Acknowledge(2, 2))
    receive(raft, E, Acknowledge(2, 2))
    for target in (C, E):
        with pytest.raises(OperatorError):
            raft.handle(TransferRequested(target))
    receive(raft, D, Acknowledge(2, 2))
    assert (D, TimeoutNow(2)) in sent(raft.handle(TransferRequested()))


def test_a_transfer_to_who_is_no_voter_any_more_is_given_up() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"change", True)]))
    raft.handle(TransferRequested(C))
    raft.handle(reconfigured(1, "ab", "c"))
    assert sent(receive(raft, C, Acknowledge(2, 1))) == []


def test_a_lone_voter_has_nobody_to_hand_over_to() -> None:
    raft = changed("a", "b", members="a")
    receive(raft, B, Acknowledge(2, 2))
    assert raft.handle(TransferRequested()) == Effects()


# ── the others ───────────────────────────────────────────────────────────────────────────────────


def test_a_change_decides_whom_a_follower_asks() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, (Entry(2, 1, b"change", True),)))
    raft.handle(reconfigured(1, "abd", "e"))
    assert [to for to, _ in sent(ticks(raft, 4))] == [B, C, D]


def test_a_change_in_the_provisional_tail_asks_nobody() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, (Entry(2, 1, b"change", False),)))
    raft.handle(reconfigured(1, "ade"))
    assert [to for to, _ in sent(ticks(raft, 4))] == [B, C]
    receive(raft, B, VoteReply(3, True, True))
    effects = receive(raft, B, VoteReply(3, False, True))
    assert (effects.truncate_after, sets(raft)) == (0, [0])
    assert raft.status().match == {B: 0, C: 0}


def test_a_change_that_is_agreed_when_it_comes_has_the_say_alone() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 1, (Entry(2, 1, b"change", True),)))
    raft.handle(reconfigured(1, "bc"))
    assert sets(raft) == [1]
    assert raft.status().leader == B
    assert sent(ticks(raft, 4)) == []
    assert raft.status().leader is None
    receive(raft, C, Append(3, 1, 2, 0, ()))
    assert receive(raft, C, TimeoutNow(3)) == Effects()


def test_a_change_that_another_leader_replaces_is_gone() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, (Entry(2, 1, b"s", True), Entry(2, 2, b"change", True))))
    raft.handle(reconfigured(2, "bc"))
    receive(raft, C, Append(3, 1, 2, 0, (Entry(3, 2, b"t", True),)))
    assert sets(raft) == [0]


def test_a_learner_never_stands_and_always_answers() -> None:
    raft = follower("bc", "a")
    assert sent(ticks(raft, 20)) == []
    assert sent(receive(raft, B, VoteRequest(3, 0, 0, False, False))) == [(B, VoteReply(3, False, True))]


def test_a_node_that_was_never_heard_of_may_lead_or_stand_but_not_answer() -> None:
    raft = follower()
    assert sent(receive(raft, D, VoteRequest(3, 0, 0, False, False))) == [(D, VoteReply(3, False, True))]
    assert receive(raft, E, StaleTerm(9)) == Effects()
    assert sent(receive(raft, D, Append(3, 0, 0, 0, ()))) == [(D, Acknowledge(3, 0))]
    with pytest.raises(PeerError):
        receive(raft, A, Append(3, 0, 0, 0, ()))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(reconfigured(3, "ab"), id="beyond the log"),
        pytest.param(reconfigured(1, "ab"), id="before another"),
        pytest.param(reconfigured(2, "", "a"), id="without voters"),
    ],
)
def test_a_set_out_of_place_is_a_bug_of_the_host(event: Reconfigured) -> None:
    with pytest.raises(BrokenInvariantError):
        changed("abd").handle(event)
