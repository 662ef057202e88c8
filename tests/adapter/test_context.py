"""A ledger sees its own maps and nothing else."""

import pytest

from coco_core.adapter import ScopedView
from coco_core.errors import AdapterError
from coco_core.kv import Store


def scoped() -> ScopedView:
    store = Store()
    store.append(1, {"mine": {b"a": b"1", b"ab": b"2"}, "theirs": {b"a": b"secret"}})
    store.commit(1)
    return ScopedView(store.head(), frozenset({"mine"}))


def test_own_maps_read_through() -> None:
    view = scoped()
    assert view.version == 1
    assert view.get("mine", b"a") == b"1"
    assert list(view.items("mine", b"ab")) == [(b"ab", b"2")]
    assert view.chain("mine")[-1] == {b"a": b"1", b"ab": b"2"}


def test_foreign_maps_are_refused_under_layers_too() -> None:
    for view in (scoped(), scoped().over({"theirs": {b"a": b"mine now"}})):
        with pytest.raises(AdapterError, match="'theirs' is not in the adapter's manifest"):
            view.get("theirs", b"a")
        with pytest.raises(AdapterError, match="theirs"):
            view.chain("theirs")
        with pytest.raises(AdapterError, match="theirs"):
            view.items("theirs")


def test_layers_may_grow_while_they_are_read() -> None:
    pending: dict[str, dict[bytes, bytes | None]] = {}
    view = scoped().over(pending)
    pending["mine"] = {b"a": None, b"c": b"3"}
    assert view.get("mine", b"a") is None
    assert list(view.items("mine")) == [(b"ab", b"2"), (b"c", b"3")]
