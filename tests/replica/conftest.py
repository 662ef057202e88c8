"""Clusters, founded, with everything so far committed everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.base import limits
from coco_core.replica import upkeep
from coco_core.testing import Cluster, Consortium
from coco_core.testing.lagging import PART_BYTES, Lagging
from coco_core.testing.operating import Operating


def founded(count: int = 3) -> Cluster:
    cluster = Cluster.found(count, draw=random.Random(7).randint)
    cluster.settle()
    cluster.run(2)
    return cluster


@pytest.fixture
def cluster() -> Cluster:
    return founded()


@pytest.fixture
def single() -> Cluster:
    return founded(1)


@pytest.fixture
def operating() -> Operating:
    """Three nodes of a service that knows more on paper, and their operators."""
    return operated(3)


def operated(count: int, **bounds: Any) -> Operating:
    consortium = Consortium.of(8)
    cluster = Cluster.found(count, draw=random.Random(7).randint, consortium=consortium, **bounds)
    cluster.settle()
    cluster.run(2)
    return Operating(cluster)


@pytest.fixture
def operate() -> Callable[..., Operating]:
    """Found a service of ``count`` nodes, and of Parts with ``bounds``."""
    return operated


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other epoch begin: for nodes that are put on the table before any node would welcome them."""
    monkeypatch.setattr(upkeep, "rekey_due", lambda *_: None)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let snapshots of tests have several parts."""
    monkeypatch.setattr(limits, "SNAPSHOT_PART_MAX_BYTES", PART_BYTES)


@pytest.fixture
def lagging() -> Lagging:
    """A backup of three nodes that only a snapshot helps."""
    return Lagging.found(3, draw=random.Random(7).randint)
