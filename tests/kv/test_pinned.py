"""A pin is read while the store moves on, step by step and from another thread, and never shows it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import CallerError
from coco_core.kv import Pinned, Store, Writes

KEYS = st.sampled_from([b"", b"a", b"b", b"c", b"d"])
WRITES = st.dictionaries(
    st.sampled_from(["m", "n"]), st.dictionaries(KEYS, st.none() | st.binary(max_size=2))
)


def commit(store: Store, writes: Writes) -> int:
    seqno = store.head_version + 1
    store.append(seqno, writes)
    store.commit(seqno)
    return seqno


def state(store: Store, seqno: int) -> dict[str, dict[bytes, bytes]]:
    view = store.view(seqno)
    return {name: found for name in ("m", "n") if (found := dict(view.items(name)))}


def read(pinned: Pinned) -> dict[str, dict[bytes, bytes]]:
    return {name: dict(pinned.items(name)) for name in pinned.names()}


@given(st.lists(WRITES, min_size=1, max_size=6), st.lists(WRITES, max_size=6), st.data())
def test_a_pin_shows_its_version_whatever_is_committed_between_two_keys(
    before: list[Writes], after: list[Writes], data: st.DataObject
) -> None:
    store = Store()
    for writes in before:
        commit(store, writes)
    seqno = data.draw(st.integers(0, store.committed_version))
    expected = state(store, seqno)
    pinned, other = store.pin(seqno), store.pin(store.committed_version)
    other.release()
    assert pinned.names() == tuple(sorted(expected))
    later = iter(after)
    for name in ("m", "n", "never written"):
        found = []
        items = pinned.items(name)
        while True:
            if data.draw(st.booleans()) and (writes := next(later, None)) is not None:
                commit(store, writes)
            item = next(items, None)
            if item is None:
                break
            found.append(item)
        assert found == sorted(expected.get(name, {}).items())
    assert state(store, seqno) == expected


class Steering(dict[bytes, bytes]):
    """A map that lets the store commit in the middle of a reader's step, as another thread would."""

    between: list[Writes]
    store: Store

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override] # dict has overloads
        value = super().get(key, default)
        self.step()
        return value

    def __iter__(self):
        keys = list(super().__iter__())
        self.step()
        return iter(keys)

    def step(self) -> None:
        if self.between:
            writes, *later = self.between
            self.between = []  # The commit reads this map too.
            commit(self.store, writes)
            self.between = later


def test_a_commit_between_two_readings_of_one_step_is_not_seen() -> None:
    store = Store()
    base = Steering({b"a": b"old", b"b": b"old"})
    base.store, base.between = store, []
    store.restore(5, {"m": base})
    pinned = store.pin(5)
    base.between = [{"m": {b"b": None, b"c": b"new"}}, {"m": {b"a": b"new"}}, {"m": {b"b": b"new"}}]
    assert list(pinned.items("m")) == [(b"a", b"old"), (b"b", b"old")]
    assert not base.between
    assert dict(store.view().items("m")) == {b"a": b"new", b"b": b"new", b"c": b"new"}


def test_a_thread_reads_a_pin_while_the_store_commits() -> None:
    store = Store(history_versions_max=2)
    commit(store, {"m": {b"%d" % number: b"old" for number in range(20_000)}})
    expected = sorted((b"%d" % number, b"old") for number in range(20_000))
    pinned = store.pin(store.committed_version)
    found: list[list[tuple[bytes, bytes]]] = []
    started = threading.Event()

    def reading() -> None:
        started.set()
        found.append(list(pinned.items("m")))

    reader = threading.Thread(target=reading)
    reader.start()
    assert started.wait(10)
    number = 0
    while reader.is_alive():
        number += 7
        commit(store, {"m": {b"%d" % (number % 20_000): None, b"new %d" % number: b"new"}})
    reader.join()
    assert found == [expected]


def test_a_released_pin_says_so_and_costs_nothing_more() -> None:
    store = Store()
    commit(store, {"m": {b"a": b"1", b"b": b"1"}})
    pinned = store.pin(1)
    reading = pinned.items("m")
    assert next(reading) == (b"a", b"1")
    pinned.release()
    pinned.release()
    for ask in (lambda: next(reading), pinned.names, lambda: list(pinned.items("m"))):
        with pytest.raises(CallerError, match="version 1 was pinned, but is released"):
            ask()
    commit(store, {"m": {b"a": b"2"}})
    assert store._pins == []


def test_only_kept_versions_can_be_pinned() -> None:
    store = Store(history_versions_max=1)
    for number in range(4):
        commit(store, {"m": {b"a": b"%d" % number}})
    assert read(store.pin(3)) == {"m": {b"a": b"2"}}
    with pytest.raises(CallerError, match="version 2 is no longer in memory"):
        store.pin(2)
    with pytest.raises(CallerError, match="version 5 is not committed yet"):
        store.pin(5)


def test_a_restored_store_is_at_the_snapshot() -> None:
    store = Store()
    commit(store, {"m": {b"a": b"1"}, "n": {b"long": b"value"}})
    assert store.state_size_bytes == 11
    pinned, view = store.pin(1), store.view()
    store.append(2, {"m": {b"a": b"2"}})
    head = store.head()
    store.restore(9, {"m": {b"x": b"9", b"y": b""}, "empty": {}})
    assert (store.oldest_version, store.committed_version, store.head_version) == (9, 9, 9)
    assert store.sizes() == {"m": (2, 3), "empty": (0, 0)}
    assert store.state_size_bytes == 3
    for old in (view, head):
        for ask in (lambda v: v.get("m", b"a!"), lambda v: v.chain("m"), lambda v: list(v.items("m"))):
            with pytest.raises(CallerError, match="version 1 is no longer in memory; the oldest is 9"):
                ask(old)
    assert read(pinned) == {"m": {b"a": b"1"}, "n": {b"long": b"value"}}
    commit(store, {"m": {b"x": None}})
    assert read(store.pin(9)) == {"m": {b"x": b"9", b"y": b""}}
    assert dict(store.view().items("m")) == {b"y": b""}
    assert read(pinned) == {"m": {b"a": b"1"}, "n": {b"long": b"value"}}


def test_a_view_never_mixes_the_state_before_and_after_a_snapshot() -> None:
    """Every point at which restore can be interrupted: the old state, the new one, or a refusal."""

    readings: list[tuple[int, bytes | None] | None] = []

    class Interrupted(Store):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            for view in (self.old, self.view()) if "old" in vars(self) else ():
                for ask in (lambda v: v.get("m", b"k"), lambda v: dict(v.items("m")).get(b"k")):
                    try:
                        readings.append((view.version, ask(view)))
                    except CallerError:
                        readings.append(None)

    store = Interrupted()
    commit(store, {"m": {b"k": b"old"}})
    store.old = store.view()  # type: ignore[attr-defined] # this test's own
    store.restore(9, {"m": {b"k": b"new"}})
    assert set(readings) == {(1, b"old"), (9, b"new"), None}


def test_a_snapshot_is_never_older_than_the_state() -> None:
    store = Store()
    commit(store, {"m": {b"a": b"1"}})
    with pytest.raises(BrokenInvariantError, match="snapshot 1 is not after 1"):
        store.restore(1, {})
