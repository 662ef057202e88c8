"""The judge of the stage: what it would catch if an engine broke a promise."""

import pytest

from coco_core.base import NodeID
from coco_core.consensus import Effects, EntriesCompactedError, Entry, Leadership, Membership, Role
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.errors import IntegrityError
from coco_core.testing.scenarios import run_transcript
from coco_core.testing.stage import (
    Judge,
    SafetyError,
    Stage,
    StageDisk,
    StageNode,
    read_members,
    write_members,
)

A, B = NodeID("a"), NodeID("b")


def engine(node_id: NodeID, disk: StageDisk) -> Raft:
    settings = RaftSettings(node_id=node_id, members=frozenset({A, B}))
    return Raft(settings, draw=min, reader=disk)


def node(node_id: NodeID, *entries: Entry) -> StageNode:
    disk = StageDisk()
    disk.entries = list(entries)
    return StageNode(node_id, engine(node_id, disk), disk)


def entry(term: int, index: int, data: bytes = b"x", *, committable: bool = True) -> Entry:
    return Entry(term, index, data, committable)


def test_two_leaders_of_one_term() -> None:
    judge = Judge()
    judge.judge(node(A), Effects(leadership=Leadership(Role.LEADER, 2, A)))
    judge.judge(node(B), Effects(leadership=Leadership(Role.FOLLOWER, 2, A)))
    judge.judge(node(B), Effects(leadership=Leadership(Role.FOLLOWER, 3, None)))
    with pytest.raises(SafetyError, match="leaders"):
        judge.judge(node(B), Effects(leadership=Leadership(Role.LEADER, 2, B)))


def test_an_agreed_entry_that_differs() -> None:
    judge = Judge()
    judge.judge(node(A, entry(2, 1)), Effects(commit=1))
    judge.judge(node(B, entry(2, 1)), Effects(commit=1))
    with pytest.raises(SafetyError, match="another"):
        judge.judge(node(B, entry(3, 1)), Effects(commit=1))


def test_an_agreed_entry_that_is_not_committable() -> None:
    with pytest.raises(SafetyError, match="not committable"):
        Judge().judge(node(A, entry(2, 1, committable=False)), Effects(commit=1))


def test_an_agreed_entry_that_is_not_durable_on_a_majority() -> None:
    one, other = node(A, entry(2, 1)), node(B, entry(2, 1))
    one.persisted_index = 1
    with pytest.raises(SafetyError, match="durable on 1 of 2"):
        Judge().durability([one, other], entry(2, 1))
    other.persisted_index = 1
    Judge().durability([one, other], entry(2, 1))


def test_logs_that_differ_below_a_common_entry() -> None:
    one = node(A, entry(2, 1), entry(3, 2))
    with pytest.raises(SafetyError, match="differ"):
        Judge().log_matching([one, node(B, entry(1, 1), entry(3, 2))])
    with pytest.raises(SafetyError, match="differ"):
        Judge().log_matching([one, node(B, entry(2, 1), entry(3, 2, b"y"))])
    Judge().log_matching([one, node(B, entry(2, 1), entry(4, 2))])


class Forgetful(Raft):
    """An engine that, asked anything, drops its whole log."""

    def handle(self, event: object) -> Effects:
        return Effects(truncate_after=0)


def test_an_engine_that_drops_what_is_agreed() -> None:
    stage = Stage()
    settings = RaftSettings(node_id=A, members=frozenset({A}))
    stage.add(A, lambda disk: Forgetful(settings, draw=min, reader=disk))
    stage.nodes[A].commit_index = 1
    with pytest.raises(SafetyError, match="dropped agreed"):
        stage.tick(A)


class Installer(Raft):
    """An engine that, asked anything, begins anew at a snapshot nobody made."""

    def handle(self, event: object) -> Effects:
        return Effects(install=1)


def test_an_engine_that_begins_at_what_was_never_agreed() -> None:
    stage = Stage()
    settings = RaftSettings(node_id=A, members=frozenset({A}))
    stage.add(A, lambda disk: Installer(settings, draw=min, reader=disk))
    with pytest.raises(SafetyError, match="snapshot"):
        stage.tick(A)


def test_what_is_agreed_is_durable_by_every_set_that_had_a_say() -> None:
    stage = Stage()
    for node_id in (A, B):
        stage.add(node_id, lambda disk, n=node_id: engine(n, disk), founding=node_id == A)
    log = [entry(2, 1), entry(2, 2, write_members([B])), entry(2, 3)]
    stage.judge.agreed = log
    stage.nodes[A].disk.entries, stage.nodes[A].persisted_index = log[:2], 2
    stage.nodes[B].disk.entries, stage.nodes[B].persisted_index = log, 3
    stage._check_durable(0, 3)
    stage.nodes[A].persisted_index = 1
    with pytest.raises(SafetyError, match="durable on 0 of 1"):
        stage._check_durable(0, 3)


def test_an_entry_can_carry_members() -> None:
    assert read_members(entry(2, 1)) is None
    for learners in ((), (B,)):
        data = write_members([A], learners)
        assert read_members(entry(2, 7, data)) == Membership(7, frozenset({A}), frozenset(learners))


def test_a_disk_reads_nothing_that_is_compacted() -> None:
    disk = StageDisk()
    disk.entries = [entry(2, 1), entry(2, 2)]
    disk.compacted_index = 1
    with pytest.raises(EntriesCompactedError):
        disk.read(1, 2, 9)
    assert disk.read(2, 2, 9) == [entry(2, 2)]


def test_nodes_that_do_not_come_to_rest() -> None:
    stage = Stage()
    for node_id in (A, B):
        stage.add(node_id, lambda disk, n=node_id: engine(n, disk))
    for _ in range(10):
        stage.tick(A)
    with pytest.raises(SafetyError, match="rest"):
        stage.settle(steps_max=2)


def test_a_disk_gives_back_only_what_it_holds() -> None:
    disk = StageDisk()
    disk.entries = [entry(2, 1), entry(2, 2)]
    assert disk.read(1, 2, 1) == [entry(2, 1)]
    assert disk.read(1, 2, 2) == [entry(2, 1), entry(2, 2)]
    with pytest.raises(IntegrityError):
        disk.read(2, 3, 1)


def test_a_transcript_shows_what_really_happened() -> None:
    played = run_transcript("# one\nnodes a founder=a\nlog\n----\nsomething else\n\npersist a\n")
    assert played == "# one\nnodes a founder=a\nlog\n----\na: !|\n\npersist a\n----\na: nothing new\n"
