"""A ledger obeys what the consortium set of it, alone and in bundles; an auditor executes it anew."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from coco_core.adapter import BUNDLES, BundlePart, Committed, Rejected, ScopedView, Writes, encode_bundle
from coco_core.errors import IntegrityError
from coco_core.kv import maps
from coco_core.testing.at_once import finish
from coco_core.testing.cluster import Cluster
from coco_core.testing.tally import Tally, add


class Configured(Tally):
    """A tally of a service whose consortium set something at its founding."""

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> list[Writes]:
        value = json.dumps({"largest": 5}).encode()
        return [*super().genesis(config, randomness), {maps.ADAPTER_CONFIGURATION: {b"tally": value}}]


def test_what_is_set_comes_with_every_batch() -> None:
    cluster = Cluster.found(1, draw=random.Random(1).randint, make=Configured)
    node = cluster.elect()
    alone = cluster.submit(node, add("x", "a", 5), add("y", "a", 6))
    bundle = encode_bundle([BundlePart("tally", add("z", "a", 6))])
    together = cluster.submit(node, bundle, to=BUNDLES)
    cluster.settle()
    first, second = node.answers[alone]
    assert isinstance(first, Committed)
    assert isinstance(second, Rejected)
    assert second.code == "too-large"
    (third,) = node.answers[together]
    assert isinstance(third, Rejected)
    assert third.code == "too-large"


def test_a_tally_is_executed_anew() -> None:
    cluster = Cluster.found(1, draw=random.Random(1).randint)
    node = cluster.elect()
    cluster.settle()
    adapter = node.adapter
    view = ScopedView(node.replica.chain.store.view(), frozenset(adapter.manifest.maps))
    entries: list[Writes] = [
        {"tally.counters": {b"a": b"3"}, "public:tally.seen": {b"x": b"8"}},
        {"tally.counters": {b"a": b"1"}, "public:tally.seen": {b"y": b"9"}},
        {"public:tally.blocks": {b"newest": b"1 77"}},
    ]
    assert finish(adapter.replay(entries, view)) == entries
    twice = [entries[0], {"tally.counters": {b"a": b"6"}, "public:tally.seen": {b"x": b"9"}}]
    with pytest.raises(IntegrityError, match="refuses"):
        finish(adapter.replay(twice, view))
    with pytest.raises(IntegrityError, match="no entry of a tally"):
        finish(adapter.replay([{"tally.counters": {}}], view))
    late = [*entries[:2], {"public:tally.blocks": {b"newest": b"7 77"}}]
    assert finish(adapter.replay(late, view)) != late
