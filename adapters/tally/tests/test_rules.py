"""What only the tally promises, on three nodes on the table; the kit tests what all ledgers promise."""

from __future__ import annotations

import pytest
from coco_core.adapter import Committed, Rejected
from coco_core.testing import Cluster

from coco_tally import TallyAdapter
from coco_tally.adapter import BLOCKS, COUNTERS, SEEN
from coco_tally.transactions import Addition, add, read


@pytest.fixture
def cluster() -> Cluster:
    """Three nodes, one of which leads."""
    cluster = Cluster.found(3, draw=min, make=TallyAdapter, config={"counters": {"x": 5}})
    cluster.run(1)
    return cluster


def submit(cluster: Cluster, *payloads: bytes) -> list[str]:
    """Return the receipt of each payload, of a refused one its code."""
    ticket = cluster.submit(cluster.primary, *payloads)
    cluster.settle()
    cluster.run(1)
    fates = cluster.primary.answers[ticket]
    assert isinstance(fates, list | tuple)
    assert all(isinstance(fate, Committed | Rejected) for fate in fates)
    return [fate.code if isinstance(fate, Rejected) else fate.receipt.decode() for fate in fates]


def test_additions_of_one_batch_see_each_other(cluster: Cluster) -> None:
    assert submit(cluster, add("a", "x", 1), add("b", "x", -2), add("c", "y", 3)) == ["6", "4", "3"]
    for node in cluster.nodes.values():
        assert node.state()[COUNTERS] == {b"x": b"4", b"y": b"3"}


def test_an_id_is_used_once(cluster: Cluster) -> None:
    assert submit(cluster, add("a", "x", 1), add("a", "x", 1)) == ["6", "duplicate"]
    assert submit(cluster, add("a", "y", 7)) == ["duplicate"]
    assert list(cluster.primary.state()[SEEN]) == [b"a"]


def test_a_batch_that_wrote_something_has_a_block(cluster: Cluster) -> None:
    submit(cluster, add("a", "x", 1), add("b", "x", 1))
    assert submit(cluster, b"nonsense") == ["malformed"]
    number, time_ms = cluster.primary.state()[BLOCKS][b"newest"].split()
    assert number == b"1"
    assert 0 < int(time_ms) <= cluster.now_ms


@pytest.mark.parametrize("number", [0, 1, -1, 999_999_999])
def test_a_transaction_is_read_as_it_was_written(number: int) -> None:
    assert read(add("a-1", "x", number)) == Addition(b"a-1", b"x", number)
