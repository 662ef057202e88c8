"""A cluster of three, founded, with everything so far committed everywhere."""

from __future__ import annotations

import random

import pytest

from coco_core.testing import Cluster


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
