"""The engine event by event: what it refuses, what it ignores, and the edges scenarios do not reach."""

from typing import cast

import pytest

from coco_core.base import NodeID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import (
    Consensus,
    Effects,
    Entry,
    Event,
    Leadership,
    Persisted,
    Proposed,
    Received,
    Role,
    Send,
    Tick,
)
from coco_core.consensus.raft import LogStart, Raft, RaftSettings
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    Reject,
    StaleTerm,
    VoteReply,
    VoteRequest,
    decode,
    encode,
)
from coco_core.consensus.raft.progress import Progress
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.testing.stage import StageDisk

A, B, C, D = (NodeID(name) for name in "abcd")


def settings(node_id: NodeID = A, **changes: int) -> RaftSettings:
    values = {"election_timeout_ticks_min": 4, "election_timeout_ticks_max": 6, "heartbeat_ticks": 1}
    return RaftSettings(node_id=node_id, members=frozenset({A, B, C}), **(values | changes))


def least(low: int, _high: int) -> int:
    return low


def follower(start: LogStart | None = None, disk: StageDisk | None = None) -> Raft:
    return Raft(settings(), draw=least, reader=disk or StageDisk(), start=start)


def founder(**changes: int) -> Raft:
    return Raft.founder(settings(**changes), draw=least, reader=StageDisk())


def receive(raft: Raft, sender: NodeID, message: Message) -> Effects:
    return raft.handle(Received(sender, encode(message)))


def sent(effects: Effects) -> list[tuple[NodeID, Message]]:
    return [(send.to, decode(send.message)) for send in effects.send]


def ticks(raft: Raft, count: int) -> Effects:
    for _ in range(count - 1):
        raft.handle(Tick())
    return raft.handle(Tick())


def entries(*terms: int, first: int = 1, data: bytes = b"x") -> tuple[Entry, ...]:
    return tuple(Entry(term, index, data, True) for index, term in enumerate(terms, start=first))


def following(*terms: int) -> Raft:
    """Return a node whose log, received from B, has these terms, all durable."""
    raft = follower()
    receive(raft, B, Append(max(terms), 0, 0, 0, entries(*terms)))
    raft.handle(Persisted(len(terms), terms[-1]))
    return raft


# ── beginnings ───────────────────────────────────────────────────────────────────────────────────


def test_the_engine_meets_the_contract() -> None:
    engine: Consensus = follower()
    assert engine.status().role is Role.FOLLOWER


def test_a_founder_leads_the_first_term_and_commits_alone_only_by_quorum() -> None:
    raft = founder(first_term=7)
    assert (raft.status().role, raft.status().term, raft.status().leader) == (Role.LEADER, 7, A)
    assert raft.handle(Proposed(7, 1, [(b"x", True)])).append == entries(7)
    assert raft.handle(Persisted(1, 7)).commit is None
    assert receive(raft, B, Acknowledge(7, 1)).commit == 1


def test_a_node_begins_in_the_term_of_its_log() -> None:
    disk = StageDisk()
    disk.entries = list(entries(2, 3, 5))
    raft = follower(LogStart(last_index=3, last_term=5, committed_index=2, committables=(3,)), disk)
    status = raft.status()
    assert (status.term, status.last_index, status.last_term, status.commit_index) == (5, 3, 5, 2)
    assert status.persisted_index == 3
    effects = receive(raft, B, Append(6, 3, 5, 3, entries(6, first=4)))
    assert effects.commit == 3
    assert sent(raft.handle(Persisted(4, 6))) == [(B, Acknowledge(6, 4))]


def test_settings_name_every_fault_at_once() -> None:
    with pytest.raises(OperatorError) as caught:
        RaftSettings(
            node_id=D,
            members=frozenset({A}),
            learners=frozenset({A}),
            snapshot_lag_entries=0,
            first_term=0,
            election_timeout_ticks_min=0,
            election_timeout_ticks_max=-1,
            heartbeat_ticks=0,
            append_size_max_bytes=0,
            in_flight_max=0,
            log_cache_max_bytes=-1,
        )
    for name in (
        "node_id",
        "first_term",
        "heartbeat_ticks must be",
        "min must exceed",
        "ticks_max",
        "append_size",
        "in_flight",
        "cache",
        "snapshot_lag",
        "learner too",
    ):
        assert name in str(caught.value)


# ── bad peers ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sender", "data"),
    [
        pytest.param(B, b"", id="nothing"),
        pytest.param(B, b"garbage that is no message", id="garbage"),
        pytest.param(B, encode(CommitNotice(9, 1))[:-1], id="cut short"),
        pytest.param(A, encode(CommitNotice(9, 1)), id="from itself"),
        pytest.param(B, encode(CommitNotice(2, 1)), id="another leader of our term"),
        pytest.param(B, encode(Append(2, 0, 0, 0, ())), id="another leader's append"),
        pytest.param(B, encode(Acknowledge(2, 9)), id="acknowledges what was never sent"),
        pytest.param(B, encode(Reject(2, 9, 0, 0)), id="rejects what was never sent"),
        pytest.param(B, encode(Reject(2, 1, 1, 2)), id="rejects with a hint that is no step back"),
    ],
)
def test_a_message_that_breaks_the_protocol_changes_nothing(sender: NodeID, data: bytes) -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    before = raft.status()
    with pytest.raises(PeerError):
        raft.handle(Received(sender, data))
    assert raft.status() == before
    assert raft.handle(Persisted(0, 0)) == Effects()


def test_a_leader_that_contradicts_itself_is_refused() -> None:
    raft = following(2, 2)
    receive(raft, B, Append(4, 2, 2, 0, ()))
    before = raft.status()
    with pytest.raises(PeerError, match="two different"):
        receive(raft, B, Append(4, 0, 0, 0, entries(3, 3)))
    assert raft.status() == before


def test_a_leader_that_contradicts_what_is_agreed_stops_the_node() -> None:
    raft = following(2, 2)
    receive(raft, B, CommitNotice(2, 2))
    with pytest.raises(IntegrityError):
        receive(raft, C, Append(3, 1, 2, 2, entries(3, first=2)))


# ── following ────────────────────────────────────────────────────────────────────────────────────


def test_one_acknowledgement_covers_all_that_became_durable() -> None:
    raft = follower()
    assert sent(receive(raft, B, Append(2, 0, 0, 0, entries(2, 2)))) == []
    assert sent(receive(raft, B, Append(2, 2, 2, 0, entries(2, first=3)))) == []
    assert sent(raft.handle(Persisted(3, 2))) == [(B, Acknowledge(2, 3))]
    assert raft.handle(Persisted(3, 2)) == Effects()
    assert sent(receive(raft, B, Append(2, 2, 2, 0, entries(2, first=3)))) == [(B, Acknowledge(2, 3))]


def test_a_late_heartbeat_does_not_unlearn_what_matched() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, entries(2, 2, 2)))
    receive(raft, B, Append(2, 1, 2, 0, ()))
    assert sent(raft.handle(Persisted(3, 2))) == [(B, Acknowledge(2, 3))]


def test_a_leader_that_is_heard_keeps_a_follower_patient() -> None:
    raft = follower()
    for message in (Append(2, 0, 0, 0, ()), Append(2, 0, 0, 0, entries(2)), CommitNotice(2, 1)):
        receive(raft, B, message)
        ticks(raft, 3)
        assert raft.status().role is Role.FOLLOWER


def test_a_new_leader_hears_only_of_what_is_known_to_match_it() -> None:
    raft = following(2, 2, 2)
    assert sent(receive(raft, C, Append(3, 1, 2, 0, ()))) == [(C, Acknowledge(3, 1))]
    receive(raft, C, CommitNotice(3, 3))
    assert raft.status().commit_index == 1


def test_nothing_is_acknowledged_while_no_leader_is_known() -> None:
    raft = follower()
    receive(raft, B, Append(2, 0, 0, 0, entries(2)))
    receive(raft, C, VoteRequest(3, 1, 2, False, True))
    assert raft.status().leader is None
    assert raft.handle(Persisted(1, 2)) == Effects()
    assert raft.status().persisted_index == 1


def test_entries_the_node_holds_already_are_not_stored_again() -> None:
    raft = following(2, 2)
    effects = receive(raft, B, Append(2, 0, 0, 0, entries(2, 2, 2)))
    assert effects.append == entries(2, first=3)
    assert effects.truncate_after is None


def test_a_rejection_names_the_last_place_that_can_match() -> None:
    raft = following(2, 2, 5, 5)
    receive(raft, C, Append(6, 0, 0, 0, ()))
    assert sent(receive(raft, C, Append(6, 4, 3, 0, ()))) == [(C, Reject(6, 4, 2, 2))]
    assert sent(receive(raft, C, Append(6, 9, 6, 0, ()))) == [(C, Reject(6, 9, 4, 5))]


def test_a_commit_notice_may_be_the_first_word_of_a_leader() -> None:
    raft = follower()
    effects = receive(raft, B, CommitNotice(3, 5))
    assert effects.leadership == Leadership(Role.FOLLOWER, 3, B)
    assert effects.commit is None


# ── leading ──────────────────────────────────────────────────────────────────────────────────────


def test_a_proposal_out_of_place_is_a_bug_of_the_host() -> None:
    raft = founder()
    for stale in (Proposed(1, 1, [(b"x", True)]), Proposed(2, 2, [(b"x", True)])):
        with pytest.raises(BrokenInvariantError):
            raft.handle(stale)
    with pytest.raises(BrokenInvariantError):
        follower().handle(Proposed(2, 1, [(b"x", True)]))


def test_something_else_than_an_event_is_a_bug_of_the_host() -> None:
    with pytest.raises(BrokenInvariantError):
        founder().handle(cast("Event", "tick"))


def test_what_is_under_way_to_one_follower_is_bounded() -> None:
    raft = founder(in_flight_max=2, append_size_max_bytes=3)
    first = raft.handle(Proposed(2, 1, [(b"xx", False)] * 4 + [(b"long entry", True)]))
    assert [m.entries[-1].index for to, m in sent(first) if to == B and isinstance(m, Append)] == [1, 2]
    second = receive(raft, B, Acknowledge(2, 2))
    assert [(to, m.entries[-1].index) for to, m in sent(second) if isinstance(m, Append)] == [(B, 3), (B, 4)]
    third = receive(raft, B, Acknowledge(2, 3))
    assert [m.entries[0].data for _, m in sent(third) if isinstance(m, Append)] == [b"long entry"]


def test_what_is_agreed_leaves_with_the_next_entries_or_at_once() -> None:
    raft = founder(in_flight_max=1)
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    raft.handle(Persisted(1, 2))
    raft.handle(Proposed(2, 2, [(b"y", True)]))
    effects = receive(raft, B, Acknowledge(2, 1))
    assert sent(effects) == [(B, Append(2, 1, 2, 1, entries(2, first=2, data=b"y"))), (C, CommitNotice(2, 1))]


def test_followers_in_step_get_the_same_bytes() -> None:
    effects = founder().handle(Proposed(2, 1, [(b"x", True)]))
    one, other = effects.send
    assert one.message is other.message


def test_answers_of_an_earlier_time_as_leader_are_ignored() -> None:
    raft = follower()
    for message in (Acknowledge(2, 9), Reject(2, 9, 1, 1), VoteReply(2, False, True), StaleTerm(2)):
        assert receive(raft, B, message) == Effects()


def test_a_stale_rejection_sends_nothing_again() -> None:
    raft = founder()
    raft.handle(Proposed(2, 1, [(b"x", True)]))
    receive(raft, B, Acknowledge(2, 1))
    assert receive(raft, B, Reject(2, 1, 0, 0)) == Effects()


def test_a_leader_heard_by_a_quorum_stays() -> None:
    raft = founder()
    for _ in range(5):
        ticks(raft, 4)
        receive(raft, B, Acknowledge(2, 0))
    assert raft.status().role is Role.LEADER
    ticks(raft, 8)
    assert raft.status().role is Role.FOLLOWER


def test_heartbeats_leave_as_often_as_the_settings_say() -> None:
    raft = founder(heartbeat_ticks=3)
    assert [len(raft.handle(Tick()).send) for _ in range(3)] == [0, 0, 2]
    receive(raft, B, Acknowledge(2, 0))
    assert [len(raft.handle(Tick()).send) for _ in range(3)] == [0, 0, 2]


def test_effects_begin_anew_with_every_event() -> None:
    raft = founder()
    assert raft.handle(Proposed(2, 1, [(b"x", True)])).append
    effects = raft.handle(Tick())
    assert effects.append == ()
    assert all(isinstance(send, Send) for send in effects.send)
    assert len(effects.send) == 2


def test_one_event_reads_one_append_back_whoever_lags() -> None:
    """Reading blocks the whole node; a window full of reads after each acknowledgement cost it its lead."""
    disk = StageDisk()
    one_by_one = settings(log_cache_max_bytes=0, append_size_max_bytes=1)
    raft = Raft.founder(one_by_one, draw=least, reader=disk)
    disk.entries += raft.handle(Proposed(2, 1, [(b"x", True)] * 20)).append
    raft.handle(Persisted(20, 2))
    receive(raft, B, Acknowledge(2, 20))
    assert raft.status().log_cache_bytes == 0
    held = {B: 0, C: 0}
    for peer in held:
        raft._core.progress[peer] = Progress(1)
    for event in (Proposed(2, 21, [(b"x", True)]), *[Tick()] * 3):
        before = disk.reads
        effects = raft.handle(event)
        disk.entries += effects.append
        assert disk.reads - before <= 1
        for peer in held:
            held[peer] += sum(len(message.entries) for message in sent_to(peer, effects))
    for peer in [B, C] * 30:
        before = disk.reads
        effects = receive(raft, peer, Acknowledge(2, held[peer]))
        assert disk.reads - before <= 1
        held[peer] += sum(len(message.entries) for message in sent_to(peer, effects))
    assert raft.status().match == {B: 21, C: 21}


def sent_to(peer: NodeID, effects: Effects) -> list[Append]:
    messages = [decode(send.message) for send in effects.send if send.to == peer]
    return [message for message in messages if isinstance(message, Append)]
