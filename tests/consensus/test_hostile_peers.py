"""Well-formed messages that no honest peer would send: refused without a trace, or harmless.

Every state of a node meets every message with small numbers, where edges are. The node may stop
(IntegrityError) only for a leader or a snapshot that contradicts what is agreed; nothing else escapes
``handle``.
"""

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from coco_core.base import NodeID
from coco_core.consensus import (
    Entry,
    Event,
    Membership,
    Persisted,
    Proposed,
    Received,
    Role,
    SnapshotFailed,
    SnapshotReceived,
    Tick,
)
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    Reject,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    encode,
)
from coco_core.errors import IntegrityError, PeerError
from coco_core.testing.stage import StageDisk

A, B, C, D = (NodeID(name) for name in "abcd")
numbers = st.integers(0, 6)


@st.composite
def appends(draw: st.DrawFn) -> Append:
    previous_index = draw(st.integers(0, 5))
    previous_term = draw(st.integers(1, 4)) if previous_index else 0
    steps = draw(st.lists(st.integers(0, 2), max_size=4))
    terms = [max(1, term) for term in accumulate(steps, initial=previous_term)][1:]
    entries = tuple(
        Entry(term, index, b"x", draw(st.booleans()))
        for index, term in enumerate(terms, start=previous_index + 1)
    )
    term = max([previous_term, *terms]) + draw(st.integers(0, 1))
    return Append(term, previous_index, previous_term, draw(numbers), entries)


messages: st.SearchStrategy[Message] = st.one_of(
    appends(),
    st.builds(CommitNotice, numbers, numbers),
    st.builds(Acknowledge, numbers, numbers),
    st.builds(Reject, numbers, numbers, numbers, numbers),
    st.builds(StaleTerm, numbers),
    st.builds(VoteRequest, numbers, numbers, numbers, st.booleans(), st.booleans()),
    st.builds(VoteReply, numbers, st.booleans(), st.booleans()),
    st.builds(TimeoutNow, numbers),
)
received = st.builds(Received, st.sampled_from((A, B, C, D)), messages.map(encode))


@st.composite
def offers(draw: st.DrawFn) -> SnapshotReceived:
    term = draw(st.integers(1, 4))
    members = Membership(0, draw(st.sampled_from((frozenset({A, B}), frozenset({B, C})))))
    return SnapshotReceived(draw(st.integers(1, 6)), term, term + draw(st.integers(0, 2)), members)


events: st.SearchStrategy[Event] = st.one_of(
    received,
    received,
    received,
    st.builds(Tick),
    st.builds(Persisted, numbers, numbers),
    st.builds(SnapshotFailed, st.sampled_from((B, C, D))),
    offers(),
)


@settings(max_examples=400)
@given(st.booleans(), st.lists(events, max_size=40))
def test_nothing_but_the_errors_of_the_contract_escapes(founding: bool, script: list[Event]) -> None:
    members = RaftSettings(
        node_id=A,
        members=frozenset({A, B, C}),
        election_timeout_ticks_min=2,
        election_timeout_ticks_max=3,
        heartbeat_ticks=1,
    )
    disk = StageDisk()
    raft = (Raft.founder if founding else Raft)(members, draw=min, reader=disk)
    for event in script:
        before = raft.status()
        try:
            effects = raft.handle(event)
        except PeerError:
            assert raft.status() == before
            continue
        except IntegrityError:
            assert isinstance(event, (Received, SnapshotReceived))
            return
        after = raft.status()
        if effects.truncate_after is not None:
            assert effects.truncate_after >= before.commit_index
            del disk.entries[effects.truncate_after :]
        if effects.install is not None:
            assert effects.install > before.commit_index
            disk.compacted_index = effects.install
            disk.entries = [Entry(after.last_term, i, b"", True) for i in range(1, effects.install + 1)]
        disk.entries += effects.append
        assert [entry.index for entry in disk.entries] == list(range(1, after.last_index + 1))
        assert after.term >= before.term
        assert before.commit_index <= after.commit_index <= after.last_index
        assert after.persisted_index <= after.last_index
        assert effects.commit in (None, after.commit_index)
        if after.role is Role.LEADER and len(disk.entries) < 5:
            place = after.last_index + 1
            disk.entries += raft.handle(Proposed(after.term, place, [(b"y", place % 2 == 0)])).append
