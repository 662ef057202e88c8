"""The log against a plain list of entries, and its edges one by one."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import Entry
from coco_core.consensus.raft.log import Log, LogStart
from coco_core.errors import IntegrityError
from coco_core.testing.stage import StageDisk


def entry(term: int, index: int, data: bytes = b"x", *, committable: bool = False) -> Entry:
    return Entry(term, index, data, committable)


def filled(*terms: int, cache: int = 1000, signed: tuple[int, ...] = ()) -> tuple[Log, StageDisk]:
    disk = StageDisk()
    log = Log(LogStart(), disk, cache)
    disk.entries = [entry(term, i, committable=i in signed) for i, term in enumerate(terms, start=1)]
    log.append(disk.entries)
    return log, disk


def reopened(disk: StageDisk, committed: int, committables: tuple[int, ...] = (), cache: int = 0) -> Log:
    last = disk.entries[-1]
    start = LogStart(
        last_index=last.index, last_term=last.term, committed_index=committed, committables=committables
    )
    return Log(start, disk, cache)


class LogAgainstList(RuleBasedStateMachine):
    """Whatever is done to the log, it answers like the list, and keeps its laws."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = StageDisk()
        self.cache = 25
        self.log = Log(LogStart(), self.disk, self.cache)
        self.commit = 0
        self.persisted = 0

    @property
    def entries(self) -> list[Entry]:
        return self.disk.entries

    @rule(step=st.integers(0, 2), sizes=st.lists(st.integers(0, 9), max_size=5), sign=st.booleans())
    def append(self, step: int, sizes: list[int], *, sign: bool) -> None:
        term = max(1, (self.entries[-1].term if self.entries else 0) + step)
        start = len(self.entries) + 1
        new = [
            entry(term, start + at, bytes(size), committable=sign and at == len(sizes) - 1)
            for at, size in enumerate(sizes)
        ]
        self.entries.extend(new)
        self.log.append(new)

    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(self.commit, len(self.entries)))
        del self.entries[index:]
        self.persisted = min(self.persisted, index)
        self.log.truncate_after(index)

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), wrong_term=st.booleans())
    def persist(self, data: st.DataObject, *, wrong_term: bool) -> None:
        index = data.draw(st.integers(1, len(self.entries)))
        news = index > self.persisted and not wrong_term
        assert self.log.persisted(index, self.entries[index - 1].term + wrong_term) is news
        if news:
            self.persisted = index

    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        at_most = data.draw(st.integers(0, len(self.entries)))
        index = self.log.last_committable(at_most)
        signed = [e.index for e in self.entries if e.committable and self.commit < e.index <= at_most]
        assert index == max(signed, default=self.commit)
        assert self.log.commit(index) is (index > self.commit)
        self.commit = index

    @rule(data=st.data(), max_bytes=st.integers(1, 30), max_count=st.integers(1, 6))
    @precondition(lambda self: self.entries)
    def read(self, data: st.DataObject, max_bytes: int, max_count: int) -> None:
        first = data.draw(st.integers(1, len(self.entries)))
        read = self.log.entries_from(first, max_bytes, max_count)
        assert 1 <= len(read) <= max_count
        assert list(read) == self.entries[first - 1 : first - 1 + len(read)]
        assert len(read) == 1 or sum(len(e.data) for e in read) <= max_bytes

    @rule(index=st.integers(0, 40), term=st.integers(0, 20))
    def hint(self, index: int, term: int) -> None:
        places = [e.index for e in self.entries if e.index <= index and e.term <= term]
        assert self.log.hint(index, term) == max(places, default=0)

    @invariant()
    def answers_like_the_list(self) -> None:
        log = self.log
        assert [log.term_at(e.index) for e in self.entries] == [e.term for e in self.entries]
        assert log.term_at(0) == 0
        assert log.term_at(len(self.entries) + 1) is None
        assert log.last_index == len(self.entries)
        assert log.last_term == (self.entries[-1].term if self.entries else 0)
        assert (log.commit_index, log.persisted_index) == (self.commit, self.persisted)

    @invariant()
    def only_what_is_agreed_and_durable_leaves_memory(self) -> None:
        kept = self.entries[min(self.commit, self.persisted) :]
        assert self.log.cache_bytes <= max(self.cache, 0) + sum(len(e.data) for e in kept)
        reads = self.disk.reads
        for e in kept:
            assert self.log.entries_from(e.index, 1, 1) == (e,)
        assert self.disk.reads == reads


LogAgainstList.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLogAgainstList = LogAgainstList.TestCase


def test_what_is_agreed_is_never_truncated() -> None:
    log, _ = filled(2, 2, 2, signed=(2,))
    log.commit(2)
    with pytest.raises(IntegrityError):
        log.truncate_after(1)
    assert log.last_index == 3


def test_only_a_committable_entry_is_agreed_last() -> None:
    log, _ = filled(2, 2, signed=(2,))
    with pytest.raises(BrokenInvariantError):
        log.commit(1)


def test_entries_continue_the_log() -> None:
    log, _ = filled(2)
    with pytest.raises(BrokenInvariantError):
        log.append([entry(2, 3)])


def test_agreed_places_are_held_whatever_is_asked() -> None:
    log, _ = filled(2, 2, signed=(1,))
    assert log.holds(2, 2)
    assert not log.holds(2, 3)
    log.commit(1)
    assert log.holds(1, 9)


def test_a_log_from_a_start_reads_older_places_back() -> None:
    _, disk = filled(2, 2, 3, 3)
    log = reopened(disk, 4)
    assert [log.term_at(i) for i in range(6)] == [0, 2, 2, 3, 3, None]
    assert log.entries_from(2, 100, 2) == tuple(disk.entries[1:3])
    assert log.persisted_index == 4
    assert log.hint(4, 2) == 3, "terms below the start are not looked up"


def test_a_log_from_a_start_may_be_cut_below_it() -> None:
    _, disk = filled(2, 2, 3, 3, signed=(2, 4))
    log = reopened(disk, 0, committables=(2, 4))
    assert log.last_committable(4) == 4
    log.truncate_after(2)
    assert (log.last_index, log.last_term, log.persisted_index, log.last_committable(9)) == (2, 2, 2, 2)
    replacement = entry(5, 3, committable=True)
    log.append([replacement])
    assert log.entries_from(3, 1, 1) == (replacement,)
    assert log.term_at(1) == 2
    assert log.commit(3)


@pytest.mark.parametrize(
    "start",
    [
        LogStart(last_index=3, last_term=2, committed_index=4),
        LogStart(last_index=3, last_term=2, committed_index=2, committables=(2,)),
        LogStart(last_index=3, last_term=2, committables=(3, 2)),
        LogStart(last_index=3, last_term=2, committables=(4,)),
    ],
)
def test_a_start_that_contradicts_itself_is_a_bug_of_the_host(start: LogStart) -> None:
    with pytest.raises(BrokenInvariantError):
        Log(start, StageDisk(), 0)


class WrongDisk(StageDisk):
    """A disk that gives back other places than those asked for."""

    def __init__(self, *indexes: int) -> None:
        super().__init__()
        self.indexes = indexes

    def read(self, first_index: int, last_index: int, max_bytes: int) -> list[Entry]:
        return [entry(2, index) for index in self.indexes]


@pytest.mark.parametrize("indexes", [(), (2,), (1, 3), (1, 2, 3)])
def test_storage_that_answers_wrongly_stops_the_node(indexes: tuple[int, ...]) -> None:
    log = Log(LogStart(last_index=9, last_term=2, committed_index=9), WrongDisk(*indexes), 0)
    with pytest.raises(IntegrityError):
        log.entries_from(1, 100, 2)
