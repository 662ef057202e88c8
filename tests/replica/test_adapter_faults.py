"""Whatever an adapter returns: its requests are answered, nothing is written, and the node goes on."""

from typing import Any

import pytest

from coco_core.adapter import Applied, Batch, BatchResult, Deferred, Outcome, ReadView, Rejected
from coco_core.base import limits
from coco_core.testing import Cluster, Tally, add
from coco_core.testing.tally import BLOCKS, COUNTERS

GOOD = Applied({COUNTERS: {b"x": b"1"}})
MANY_KEYS = {number.to_bytes(3): b"" for number in range(1_200_000)}


class Scripted(Tally):
    """Returns what it is told for payloads that ask for it."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        if batch.requests[0].payload == b"scripted":
            return self.result  # type: ignore[no-any-return] # an adapter that breaks its contract
        return await super().execute(batch, view)


def outcome(value: Any) -> BatchResult:
    return BatchResult([value])


FAULTS: dict[str, tuple[Any, str]] = {
    "no outcomes": (BatchResult([]), "0 outcomes for 1 requests"),
    "too many outcomes": (BatchResult([GOOD, GOOD]), "2 outcomes for 1 requests"),
    "foreign map": (outcome(Applied({"other.map": {b"x": b"1"}})), "not in its manifest: other.map"),
    "core's map": (
        outcome(Applied({"public:ccf.gov.nodes.info": {b"x": b"1"}})),
        "not in its manifest: public:ccf.gov.nodes.info",
    ),
    "too large": (
        outcome(Applied({COUNTERS: {b"x": bytes(limits.WRITE_SET_SIZE_MAX_BYTES)}})),
        "exceeds the bound",
    ),
    "too many small keys": (outcome(Applied({COUNTERS: MANY_KEYS})), "exceeds the bound"),
    "short claims": (outcome(Applied({COUNTERS: {b"x": b"1"}}, claims=b"short")), "claims digest of 5 bytes"),
    "defers the first": (outcome(Deferred()), "deferred a request before applying any"),
    "closes nothing": (
        BatchResult([Rejected("no", "no")], {BLOCKS: {b"newest": b"1"}}),
        "closed a batch in which it applied nothing",
    ),
    "closes in a foreign map": (BatchResult([GOOD], {"other.map": {b"x": b"1"}}), "not in its manifest"),
    "no result": (None, "adapter returned NoneType"),
    "outcome of no kind": (outcome(None), "NoneType is no outcome"),
    "text for a key": (outcome(Applied({COUNTERS: {"x": b"1"}})), "not bytes"),  # type: ignore[dict-item] # the fault
    "number for a value": (outcome(Applied({COUNTERS: {b"x": 1}})), "not bytes"),  # type: ignore[dict-item] # the fault
    "list for writes": (outcome(Applied([])), "list is no write set"),  # type: ignore[arg-type] # the fault
    "list for changes": (outcome(Applied({COUNTERS: []})), "list is no write set"),  # type: ignore[dict-item] # the fault
    "text for a receipt": (outcome(Applied({COUNTERS: {b"x": b"1"}}, receipt="ok")), "receipt is not bytes"),  # type: ignore[arg-type] # the fault
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_answered_and_nothing_is_written(fault: str) -> None:
    result, message = FAULTS[fault]
    cluster = Cluster.found(1, draw=lambda low, _: low, make=lambda: Scripted(result))
    cluster.settle()
    primary = cluster.primary
    ticket = cluster.submit(primary, b"scripted")
    cluster.settle()
    (fate,) = primary.answers[ticket]
    assert isinstance(fate, Rejected)
    assert fate.code == "adapter-fault"
    assert message in fate.message
    assert primary.replica.chain.head == 4
    later = cluster.submit(primary, add("a", "x", 1))
    cluster.settle()
    assert primary.answers[later][0].receipt == b"1"  # type: ignore[union-attr] # committed


def test_fault_answers_every_request_of_the_batch(cluster: Cluster) -> None:
    primary, backup = cluster.primary, cluster.backups[0]
    hold = cluster.submit(primary, add("hold", "x", 1))
    mine = cluster.submit(primary, add("a", "x", 1), b"fail now")
    forwarded = cluster.submit(backup, add("b", "x", 1))
    while cluster.pool:
        cluster.deliver()
    cluster.settle()
    cluster.run(1)
    outcomes: list[Outcome] = [*primary.answers[mine], *backup.answers[forwarded]]  # type: ignore[list-item] # rejected
    expected = Rejected("adapter-fault", "internal error: the ledger was asked to fail")
    assert outcomes == [expected] * 3
    assert primary.answers[hold][0].receipt == b"1"  # type: ignore[union-attr] # committed
    assert cluster.backups[1].state()[COUNTERS] == {b"x": b"1"}
