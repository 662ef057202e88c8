"""What is decided around a benchmark's load: its parts, where it goes, of what receipts are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from coco_core.adapter import TxID, WorkloadOptions
from coco_core.cli.local_node import LocalNode
from coco_core.cli.measuring import Bench, Run, network_for
from coco_core.cli.network import LocalNetwork
from coco_core.errors import OperatorError
from coco_core.node import load


def bench_of(folder: Path, *, rounds: int = 1, transactions: int = 7, warm_up: int = 0) -> Bench:
    """Return a bench whose network is not started."""
    plugin = load("ethereum")
    workload = plugin.workload(
        WorkloadOptions(kind="mixed", transactions=transactions - warm_up, warm_up=warm_up)
    )
    spec = network_for(workload, folder=folder, nodes=3, ledger="ethereum", engine="")
    adapter = plugin.create("", {})
    run = Run(spec=spec, workload=workload, adapter=adapter, outstanding=10, per_request=5, rounds=rounds)
    return Bench(run, LocalNetwork(spec), None)


def test_rounds_share_what_the_warm_up_leaves(tmp_path: Path) -> None:
    assert bench_of(tmp_path, transactions=9, warm_up=2, rounds=3).run.parts == [3, 2, 2]


def test_rounds_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match="7 transactions, 5 of them to warm up: none is left for each of 3"
    ):
        _ = bench_of(tmp_path, warm_up=5, rounds=3).run.parts


@pytest.mark.shared
def test_a_warm_up_of_more_than_was_recorded_is_refused(tmp_path: Path, shared: Path) -> None:
    options = WorkloadOptions(data=str(shared / "data" / "mainnet"), warm_up=5_000)
    plugin = load("ethereum")
    workload = plugin.workload(options)
    spec = network_for(workload, folder=tmp_path, nodes=3, ledger="ethereum", engine="")
    adapter = plugin.create("", {})
    run = Run(spec=spec, workload=workload, adapter=adapter, outstanding=10, per_request=5, rounds=2)
    with pytest.raises(OperatorError, match="5000 of them to warm up"):
        _ = run.parts


def leading(node: LocalNode, view: int, role: str = "leader") -> None:
    node.note({"event": "role", "role": role, "view": view})


def test_load_goes_to_the_newest_leader_that_still_runs(tmp_path: Path) -> None:
    network = bench_of(tmp_path).network
    assert network.leader() == 0, "who founds leads, and announces only the end of that"
    leading(network.nodes[2], 2)
    assert network.leader() == 2
    leading(network.nodes[0], 4)
    assert network.leader() == 0, "who led before may not know it yet"
    leading(network.nodes[1], 5)
    network.nodes[1].ended.set()
    assert network.leader() == 0, "a process that ended says nothing any more"
    leading(network.nodes[0], 6, "follower")
    assert network.leader([1]) == 2
    assert network.leader([1, 2]) is None
    network.nodes[2].ended.set()
    assert network.leader() is None


def test_classes_without_a_place_are_named(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, transactions=30)
    first, second, *others = bench.run.workload.classes().items()
    bench.places = [TxID(2, index + 1) for index in range(second[1] + 1)]
    bench.places[first[1]] = None
    examples, missing = bench.examples()
    assert examples[second[0]] == TxID(2, second[1] + 1)
    assert first[0] in missing
    assert {*examples, *missing} == {name for name, _ in (first, second, *others)}
