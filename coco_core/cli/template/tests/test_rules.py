"""What only this ledger promises, on three nodes on the table; the kit tests what all ledgers promise."""

from __future__ import annotations

import pytest
from coco_core.adapter import Committed, Rejected
from coco_core.testing import Cluster

from coco_untitled import UntitledAdapter
from coco_untitled.adapter import RECORDS


@pytest.fixture
def cluster() -> Cluster:
    """Three nodes, one of which leads."""
    config = {"records": {"root": "x"}}
    cluster = Cluster.found(3, draw=min, make=UntitledAdapter, config=config)
    cluster.run(1)
    return cluster


def submit(cluster: Cluster, *payloads: bytes) -> list[Committed | str]:
    """Return the fate of each payload, of a refused one its code."""
    ticket = cluster.submit(cluster.primary, *payloads)
    cluster.settle()
    cluster.run(1)
    fates = cluster.primary.answers[ticket]
    assert isinstance(fates, list | tuple)
    return [fate.code if isinstance(fate, Rejected) else fate for fate in fates]


def test_a_name_is_registered_once(cluster: Cluster) -> None:
    first, second = submit(cluster, b"ada 1", b"ada 2")
    assert isinstance(first, Committed)
    assert second == "registered"
    assert submit(cluster, b"ada 1", b"root y") == ["registered", "registered"]


def test_every_node_has_the_records(cluster: Cluster) -> None:
    (fate,) = submit(cluster, b"ada first programmer")
    assert isinstance(fate, Committed)
    assert fate.receipt.endswith(b" first programmer")
    for node in cluster.nodes.values():
        assert node.state()[RECORDS] == {b"ada": fate.receipt, b"root": b"0 x"}


@pytest.mark.parametrize("payload", [b"", b"ada", b"Ada 1", b" ada 1", b"x" * 65 + b" 1", b"ada \xff"])
def test_no_transaction(cluster: Cluster, payload: bytes) -> None:
    assert submit(cluster, payload) == ["malformed"]
