"""Snapshots event by event: who is sent one, who takes one, and what is kept."""

from typing import Any

import pytest

from coco_core.base import NodeID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import (
    Effects,
    EntriesCompactedError,
    Entry,
    Leadership,
    Membership,
    Persisted,
    Proposed,
    Received,
    Reconfigured,
    Role,
    SendSnapshot,
    SnapshotAvailable,
    SnapshotFailed,
    SnapshotReceived,
    Tick,
)
from coco_core.consensus.raft import LogStart, Raft, RaftSettings
from coco_core.consensus.raft.log import Log
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    Message,
    Reject,
    VoteRequest,
    decode,
    encode,
)
from coco_core.errors import IntegrityError
from coco_core.testing.stage import StageDisk

A, B, C, D = (NodeID(name) for name in "abcd")
MEMBERS = frozenset({A, B, C})


def settings(**changes: Any) -> RaftSettings:
    values: dict[str, Any] = {
        "node_id": A,
        "members": MEMBERS,
        "election_timeout_ticks_min": 4,
        "election_timeout_ticks_max": 6,
        "heartbeat_ticks": 1,
        "log_cache_max_bytes": 0,
    }
    return RaftSettings(**(values | changes))


def receive(raft: Raft, sender: NodeID, message: Message) -> Effects:
    return raft.handle(Received(sender, encode(message)))


def sent(effects: Effects) -> list[tuple[NodeID, Message]]:
    return [(send.to, decode(send.message)) for send in effects.send]


def leading(count: int, *, compacted: int, snapshot: int = 0, **changes: Any) -> Raft:
    """Return a leader whose ``count`` entries B has too, and whose disk lost the ``compacted`` first."""
    disk = StageDisk()
    raft = Raft.founder(settings(**changes), draw=min, reader=disk)
    disk.entries += raft.handle(Proposed(2, 1, [(b"x", True)] * count)).append
    raft.handle(Persisted(count, 2))
    receive(raft, B, Acknowledge(2, count))
    disk.compacted_index = compacted
    if snapshot:
        raft.handle(SnapshotAvailable(snapshot, 2))
    return raft


def following(*terms: int) -> Raft:
    """Return a node whose durable log, received from B, has these terms, every entry committable."""
    raft = Raft(settings(), draw=min, reader=StageDisk())
    entries = tuple(Entry(term, index, b"x", True) for index, term in enumerate(terms, start=1))
    receive(raft, B, Append(max(terms), 0, 0, 0, entries))
    raft.handle(Persisted(len(terms), terms[-1]))
    return raft


def offered(index: int, term: int = 2, leader_term: int = 2) -> SnapshotReceived:
    return SnapshotReceived(index, term, leader_term, Membership(0, frozenset({A, B, D})))


# ── the leader ───────────────────────────────────────────────────────────────────────────────────


def test_a_follower_that_the_log_cannot_serve_is_sent_a_snapshot_once() -> None:
    raft = leading(4, compacted=3, snapshot=3)
    effects = receive(raft, C, Reject(2, 4, 1, 2))
    assert effects.send_snapshots == (SendSnapshot(C, 3, 2, 2),)
    assert effects.send == ()
    assert raft.status().awaiting_snapshot == {C: 3}
    assert receive(raft, C, Reject(2, 4, 0, 0)) == Effects(), "it is known already"
    beat = raft.handle(Tick())
    assert (C, Append(2, 0, 0, 4, ())) in sent(beat)
    assert beat.send_snapshots == ()
    assert receive(raft, C, Acknowledge(2, 1)) == Effects(), "not there yet"
    effects = receive(raft, C, Acknowledge(2, 3))
    assert sent(effects) == [(C, Append(2, 3, 2, 4, (Entry(2, 4, b"x", True),)))]
    assert raft.status().awaiting_snapshot == {}


def test_a_transfer_that_failed_is_asked_for_again_with_a_heartbeat() -> None:
    raft = leading(4, compacted=3, snapshot=3)
    receive(raft, C, Reject(2, 4, 1, 2))
    for peer in (B, C, D):
        assert raft.handle(SnapshotFailed(peer)) == Effects()
    assert raft.status().awaiting_snapshot == {C: 0}
    assert raft.handle(Tick()).send_snapshots == (SendSnapshot(C, 3, 2, 2),)


def test_a_follower_waits_for_a_snapshot_that_is_not_there_yet() -> None:
    raft = leading(4, compacted=3)
    assert receive(raft, C, Reject(2, 4, 1, 2)) == Effects()
    assert raft.handle(Tick()).send_snapshots == ()
    raft.handle(SnapshotAvailable(2, 2))
    raft.handle(SnapshotAvailable(3, 2))
    raft.handle(SnapshotAvailable(1, 2))
    assert raft.handle(Tick()).send_snapshots == (SendSnapshot(C, 3, 2, 2),)


def test_a_heartbeat_whose_place_is_gone_asks_for_a_snapshot() -> None:
    raft = leading(4, compacted=4, snapshot=3)
    raft._core.progress[C].next_index = 2
    # The founder knows the terms of its whole log; one that began later would read them back.
    raft._core.log._run_starts = [4]
    assert raft.handle(Tick()).send_snapshots == (SendSnapshot(C, 3, 2, 2),)


def test_the_snapshots_own_place_needs_no_entry() -> None:
    disk = StageDisk()
    disk.entries = [Entry(2, index, b"x", True) for index in range(1, 5)]
    disk.compacted_index = 3
    start = LogStart(last_index=4, last_term=2, committed_index=3, committables=(4,))
    raft = Raft(settings(), draw=min, reader=disk, start=start)
    question = Append(3, 9, 1, 0, ())
    with pytest.raises(EntriesCompactedError):
        receive(raft, B, question)
    raft.handle(SnapshotAvailable(3, 2))
    assert sent(receive(raft, B, question)) == [(B, Reject(3, 9, 3, 2))]


@pytest.mark.parametrize(("lag", "snapshots"), [(3, 1), (4, 0)])
def test_a_learner_far_behind_is_sent_a_snapshot_though_the_log_would_do(lag: int, snapshots: int) -> None:
    raft = leading(5, compacted=0, snapshot=4, snapshot_lag_entries=lag)
    raft.handle(Proposed(2, 6, [(b"change", True)]))
    raft.handle(Reconfigured(Membership(6, MEMBERS, frozenset({D}))))
    assert len(receive(raft, D, Reject(2, 6, 0, 0)).send_snapshots) == snapshots
    assert receive(raft, C, Reject(2, 5, 0, 0)).send_snapshots == (), "a voter is served from the log"


def test_a_snapshot_of_what_is_not_agreed_is_a_bug_of_the_host() -> None:
    with pytest.raises(BrokenInvariantError):
        leading(4, compacted=0).handle(SnapshotAvailable(5, 2))


# ── the follower ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("terms", [(2, 2), (2, 2, 2, 2, 2, 2, 2, 2, 2)])
def test_a_snapshot_ahead_of_the_log_replaces_it(terms: tuple[int, ...]) -> None:
    raft = following(*terms)
    receive(raft, B, Append(4, 0, 0, 0, ()))
    effects = raft.handle(offered(7, 3, 4))
    assert effects.install == 7
    assert sent(effects) == [(B, Acknowledge(4, 7))]
    status = raft.status()
    assert (status.last_index, status.last_term, status.commit_index, status.persisted_index) == (7, 3, 7, 7)
    assert [m.voters for m in status.memberships] == [frozenset({A, B, D})]
    assert raft.handle(Persisted(2, 2)) == Effects()
    news = tuple(Entry(4, index, b"y", True) for index in (8, 9))
    effects = receive(raft, B, Append(4, 7, 3, 8, news))
    assert (effects.append, effects.commit) == (news, 8)
    known = (Entry(3, 6, b"x", True), Entry(3, 7, b"x", True), *news)
    assert receive(raft, B, Append(4, 5, 3, 8, known)).append == (), "what the snapshot covers is not read"


def test_a_snapshot_that_the_log_covers_keeps_what_was_acknowledged_behind_it() -> None:
    raft = following(2, 2, 2)
    effects = raft.handle(offered(2))
    assert (effects.install, effects.commit) == (None, 2)
    assert raft.status().last_index == 3
    assert raft.handle(offered(1)) == Effects(), "agreed long since"


def test_a_snapshot_that_ends_where_nothing_can_be_agreed_stops_the_node() -> None:
    raft = following(2)
    receive(raft, B, Append(2, 1, 2, 0, (Entry(2, 2, b"x", False),)))
    with pytest.raises(IntegrityError):
        raft.handle(offered(2))


def test_a_leader_takes_no_snapshot_but_of_a_later_term() -> None:
    raft = leading(2, compacted=0)
    assert raft.handle(offered(9)) == Effects()
    effects = raft.handle(offered(9, 3, 4))
    assert effects.install == 9
    assert effects.leadership == Leadership(Role.FOLLOWER, 4, None)
    assert effects.send == ()


def test_with_a_snapshot_a_node_leaves_the_leaders_of_earlier_terms() -> None:
    raft = following(2)
    raft.handle(offered(7, 2, 5))
    assert raft.status().term == 5
    receive(raft, B, Append(4, 0, 0, 0, ()))
    assert raft.status().leader is None


def test_a_candidate_that_takes_a_snapshot_stands_no_longer() -> None:
    raft = following(2)
    for _ in range(6):
        raft.handle(Tick())
    assert raft.status().role is Role.PRE_CANDIDATE
    assert raft.handle(offered(7)).leadership == Leadership(Role.FOLLOWER, 2, None)


def test_a_log_that_begins_at_a_snapshot_begins_in_a_term_that_knew_of_it() -> None:
    start = LogStart(last_index=7, last_term=2, committed_index=7, agreed_term=5)
    raft = Raft(settings(), draw=min, reader=StageDisk(), start=start)
    assert raft.status().term == 5
    assert receive(raft, B, VoteRequest(5, 7, 2, False, False)).send != ()


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(offered(7, 3, 2), id="of a later term than its leader"),
        pytest.param(SnapshotReceived(7, 2, 2, Membership(8, MEMBERS)), id="members from behind it"),
    ],
)
def test_a_snapshot_that_cannot_be_is_a_bug_of_the_host(event: SnapshotReceived) -> None:
    with pytest.raises(BrokenInvariantError):
        following(2).handle(event)


def test_what_a_snapshot_replaced_is_not_read_back_whatever_storage_still_holds() -> None:
    """The host may put its old log aside later, and that need not be what was agreed."""
    disk = StageDisk()
    disk.entries = [Entry(1, index, b"stale", committable=True) for index in (1, 2, 3)]
    log = Log(LogStart(last_index=3, last_term=1), disk, 0)
    log.install(5, 4)
    assert log.term_at(5) == 4
    with pytest.raises(EntriesCompactedError, match="replaced by the snapshot at 5"):
        log.entries_from(2, 1000, 10)
