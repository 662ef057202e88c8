"""The store against a model: every version is a plain dictionary, kept for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coco_core.base.invariants import BrokenInvariantError
from coco_core.base.limits import HISTORY_VERSIONS_MIN
from coco_core.errors import CallerError
from coco_core.kv import Store, View, Writes

NAMES = st.sampled_from(["a", "public:b"])
KEYS = st.sampled_from([b"", b"k", b"key", b"other"])
WRITES = st.dictionaries(NAMES, st.dictionaries(KEYS, st.none() | st.binary(max_size=3), max_size=3))

State = dict[str, dict[bytes, bytes]]


def applied(state: State, writes: Writes) -> State:
    result = {name: dict(values) for name, values in state.items()}
    for name, changes in writes.items():
        values = result.setdefault(name, {})
        for key, value in changes.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
    return result


def check(view: View, state: State) -> None:
    """Compare everything a view can be asked for with the model."""
    for name in ("a", "public:b", "never written"):
        values = state.get(name, {})
        assert list(view.items(name)) == sorted(values.items())
        assert list(view.items(name, b"k")) == sorted((k, v) for k, v in values.items() if k.startswith(b"k"))
        chain = view.chain(name)
        for key in (b"", b"k", b"key", b"other", b"never"):
            assert view.get(name, key) == values.get(key)
            hits = [layer[key] for layer in chain if key in layer]
            assert (hits[0] if hits else None) == values.get(key)


class StoreAgainstModel(RuleBasedStateMachine):
    """Appends, commits and rollbacks in any order; old views are read again after each step."""

    HISTORY = 3

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(history_versions_max=self.HISTORY)
        self.committed: list[tuple[int, State]] = [(0, {})]
        self.pending: list[tuple[int, State]] = []
        self.held: list[tuple[View, State]] = []

    @rule(step=st.integers(1, 3), writes=WRITES)
    def append(self, step: int, writes: Writes) -> None:
        _, state = (self.committed + self.pending)[-1]
        seqno = self.store.head_version + step
        self.store.append(seqno, writes)
        self.pending.append((seqno, applied(state, writes)))

    @rule(offset=st.integers(0, 8))
    def commit(self, offset: int) -> None:
        upto = self.store.committed_version + offset
        self.store.commit(upto)
        self.committed += [(seqno, state) for seqno, state in self.pending if seqno <= upto]
        self.pending = [(seqno, state) for seqno, state in self.pending if seqno > upto]

    @rule(offset=st.integers(0, 8))
    def rollback(self, offset: int) -> None:
        downto = self.store.committed_version + offset
        self.store.rollback(downto)
        self.pending = [(seqno, state) for seqno, state in self.pending if seqno <= downto]

    @rule()
    def hold_the_head(self) -> None:
        self.held.append((self.store.head(), (self.committed + self.pending)[-1][1]))

    @rule(writes=WRITES)
    def hold_the_head_under_own_writes(self, writes: Writes) -> None:
        state = (self.committed + self.pending)[-1][1]
        self.held.append((self.store.head().over(writes), applied(state, writes)))

    @rule(data=st.data())
    def hold_a_committed_version(self, data: st.DataObject) -> None:
        seqno = data.draw(st.integers(self.store.oldest_version, self.store.committed_version))
        state = [state for version, state in self.committed if version <= seqno][-1]
        self.held.append((self.store.view(seqno), state))

    @precondition(lambda self: self.store.oldest_version > 0)
    @rule(data=st.data())
    def ask_for_a_forgotten_version(self, data: st.DataObject) -> None:
        seqno = data.draw(st.integers(0, self.store.oldest_version - 1))
        with pytest.raises(CallerError, match="no longer in memory"):
            self.store.view(seqno)

    @invariant()
    def versions_are_those_of_the_model(self) -> None:
        assert self.store.committed_version == self.committed[-1][0]
        assert self.store.head_version == (self.committed + self.pending)[-1][0]
        kept = self.committed[-self.HISTORY - 1 :]
        assert self.store.oldest_version == kept[0][0]
        check(self.store.view(), self.committed[-1][1])
        check(self.store.head(), (self.committed + self.pending)[-1][1])

    @invariant()
    def held_views_stay_as_they_were_or_say_so(self) -> None:
        for view, state in self.held:
            if view.version >= self.store.oldest_version:
                check(view, state)
            else:
                with pytest.raises(CallerError, match="no longer in memory"):
                    view.get("a", b"never written by an overlay")

    @invariant()
    def sizes_count_the_base(self) -> None:
        state = self.committed[-1][1]
        expected = {
            name: (len(values), sum(len(key) + len(value) for key, value in values.items()))
            for name, values in state.items()
        }
        counted = {name: size for name, size in self.store.sizes().items() if size != (0, 0)}
        assert counted == {name: size for name, size in expected.items() if size != (0, 0)}


StoreAgainstModel.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestStoreAgainstModel = StoreAgainstModel.TestCase


def test_layers_go_up() -> None:
    store = Store()
    store.append(5, {})
    with pytest.raises(BrokenInvariantError, match="layer 5 is not above 5"):
        store.append(5, {})


def test_committed_versions_cannot_be_dropped() -> None:
    store = Store()
    store.append(5, {})
    store.commit(5)
    with pytest.raises(BrokenInvariantError, match="below committed 5"):
        store.rollback(4)


def test_future_versions_are_the_callers_fault() -> None:
    store = Store()
    store.append(5, {})
    with pytest.raises(CallerError, match="not committed yet; the newest is 0"):
        store.view(5)


def test_a_batch_is_folded_whole_or_not_at_all() -> None:
    store = Store()
    store.append(5, {"a": {b"k": b"v"}})
    store.commit(4)
    assert store.committed_version == 0
    assert store.view().get("a", b"k") is None


class Interrupting(bytes):
    """A key that lets the store commit while a view is looking at it, as another thread would."""

    store: Store
    armed = True

    def startswith(self, *args: object) -> bool:  # type: ignore[override] # passed through unchanged
        if self.armed:
            type(self).armed = False
            self.store.commit(2)
        return super().startswith(*args)  # type: ignore[arg-type] # passed through unchanged


def test_listing_keys_survives_a_commit_in_between() -> None:
    store = Store()
    key = Interrupting(b"a")
    key.store = store
    store.append(1, {"m": {key: b"old", b"b": b"old"}})
    store.commit(1)
    view = store.view()
    store.append(2, {"m": {b"b": b"new", b"c": b"new", b"a": None}})
    assert list(view.items("m")) == [(b"a", b"old"), (b"b", b"old")]
    assert store.committed_version == 2


def test_a_view_that_misses_a_dropped_diff_says_so() -> None:
    store = Store(history_versions_max=1)
    store.append(1, {"m": {b"k": b"1"}})
    store.commit(1)
    view = store.view(1)
    refused: list[str] = []

    class Watched(list[Any]):
        """Reads just before the oldest diff goes, as another thread would."""

        reading = False

        def __getitem__(self, index: Any) -> Any:
            if not isinstance(index, slice) or self.reading:
                return super().__getitem__(index)
            self.reading = True
            try:
                view.get("m", b"k")
            except CallerError as error:
                refused.append(str(error))
            return Watched(super().__getitem__(index))

    store._history = Watched(store._history)
    for seqno in (2, 3):
        store.append(seqno, {"m": {b"k": b"%d" % seqno}})
        store.commit(seqno)
    # Dropping the diff of version 1 leaves the view readable; that of version 2 does not.
    assert refused == ["version 1 is no longer in memory; the oldest is 2"]


def test_reading_sizes_does_not_pass_over_the_state() -> None:
    class Counted(dict[bytes, bytes]):
        passes = 0

        def items(self) -> Any:
            Counted.passes += 1
            return super().items()

    store = Store()
    store._base["a"] = Counted()
    store.append(1, {"a": {b"k": b"value", b"l": b""}})
    store.commit(1)
    assert store.sizes() == {"a": (2, 7)}
    assert Counted.passes == 0


def filled(size_max: int, commits: int) -> Store:
    store = Store(history_size_max=size_max)
    for seqno in range(1, commits + 1):
        store.append(seqno, {"m": {b"k": bytes(1_000)}})
        store.commit(seqno)
    return store


def test_history_is_bounded_by_its_bytes() -> None:
    commits = 100
    store = filled(40_000, commits)
    kept = commits - store.oldest_version
    assert kept * 1_000 < 40_000 < (kept + 1) * 1_200
    assert store.view(store.oldest_version).get("m", b"k") == bytes(1_000)


def test_some_versions_stay_however_large() -> None:
    store = filled(10, 100)
    assert store.committed_version - store.oldest_version == HISTORY_VERSIONS_MIN


def test_a_view_of_long_ago_takes_no_copy_of_the_history() -> None:
    store = filled(1 << 30, 50)

    class Counted(list[Any]):
        """Counts how often an entry is looked at."""

        looked = 0

        def __getitem__(self, index: Any) -> Any:
            type(self).looked += 1
            return super().__getitem__(index)

    store._history = Counted(store._history)
    assert store.view(49).get("m", b"k") == bytes(1_000)
    assert 0 < Counted.looked < 10
