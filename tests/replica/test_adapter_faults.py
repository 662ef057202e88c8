"""Whatever an adapter returns: its requests are answered, nothing is written, and the node goes on."""

from typing import Any

import pytest

from coco_core.adapter import Applied, Batch, BatchResult, Committed, Deferred, ReadView, Rejected
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
    "outcomes that are none": (BatchResult(None), "NoneType, neither list nor tuple"),  # type: ignore[arg-type] # the fault
    "no claims": (outcome(Applied({COUNTERS: {b"x": b"1"}}, claims=None)), "claims digest is a NoneType"),  # type: ignore[arg-type] # the fault
    "text for claims": (
        outcome(Applied({COUNTERS: {b"x": b"1"}}, claims="c" * 32)),  # type: ignore[arg-type] # the fault
        "claims digest is a str",
    ),
    "number for a code": (outcome(Rejected(5, "no")), "is not text"),  # type: ignore[arg-type] # the fault
    "nothing for a message": (outcome(Rejected("no", None)), "is not text"),  # type: ignore[arg-type] # the fault
    "text for data": (outcome(Rejected("no", "no", "data")), "is not bytes"),  # type: ignore[arg-type] # the fault
    "text that is no Unicode": (outcome(Rejected("no", "\ud800")), "is not Unicode text"),
    "large rejection": (
        outcome(Rejected("no", "no", bytes(limits.REJECTION_SIZE_MAX_BYTES))),
        f"exceeds {limits.REJECTION_SIZE_MAX_BYTES}",
    ),
    "large receipt": (
        outcome(Applied({COUNTERS: {b"x": b"1"}}, bytes(limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES + 1))),
        f"exceeds the bound of {limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES}",
    ),
    "large key": (
        outcome(Applied({COUNTERS: {bytes(limits.KEY_SIZE_MAX_BYTES + 1): b"1"}})),
        f"a key in {COUNTERS} exceeds the bound",
    ),
    "closes with nothing of the kind": (BatchResult([GOOD], None), "NoneType is no write set"),  # type: ignore[arg-type] # the fault
    "text for a receipt": (outcome(Applied({COUNTERS: {b"x": b"1"}}, receipt="ok")), "receipt is not bytes"),  # type: ignore[arg-type] # the fault
}


FINAL = Rejected("adapter-fault", "the ledger adapter failed on this transaction")
"""All that a client learns: what went wrong may quote what other clients sent."""


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_answered_and_nothing_is_written(fault: str) -> None:
    result, message = FAULTS[fault]
    cluster = Cluster.found(1, draw=lambda low, _: low, make=lambda: Scripted(result))
    cluster.settle()
    primary = cluster.primary
    ticket = cluster.submit(primary, b"scripted")
    cluster.settle()
    assert primary.answers[ticket] == [FINAL]
    assert [(one.adapter, one.requests) for one in primary.faults] == [("tally", 1)]
    assert message in primary.faults[0].reason
    assert primary.replica.chain.head == 4
    later = cluster.submit(primary, add("a", "x", 1))
    cluster.settle()
    assert primary.answers[later][0].receipt == b"1"  # type: ignore[union-attr] # committed


def test_fault_costs_only_the_request_at_fault(cluster: Cluster) -> None:
    primary, backup = cluster.primary, cluster.backups[0]
    hold = cluster.submit(primary, add("hold", "x", 1))
    mine = cluster.submit(primary, add("a", "x", 1), b"fail now", add("c", "x", 1))
    forwarded = cluster.submit(backup, add("b", "x", 1))
    while cluster.pool:
        cluster.deliver()
    cluster.settle()
    cluster.run(1)
    assert [primary.answers[mine][1], *(type(fate) for fate in primary.answers[mine][::2])] == [
        FINAL,
        Committed,
        Committed,
    ]
    fates = [primary.answers[hold][0], *primary.answers[mine][::2], *backup.answers[forwarded]]
    assert [fate.receipt for fate in fates] == [b"1", b"2", b"3", b"4"]  # type: ignore[union-attr] # all committed, in order
    assert [one.requests for one in primary.faults] == [4, 1]
    assert cluster.backups[1].state()[COUNTERS] == {b"x": b"4"}
    assert primary.replica.statistics()["queue_requests"] == 0


def test_requests_queued_behind_a_fault_are_batched_again(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, add("hold", "x", 1))
    cluster.submit(primary, add("a", "x", 1), b"fail now")
    cluster.execute(primary)
    cluster.submit(primary, *[add(f"t{n}", "x", 1) for n in range(5)])
    sizes = []
    for _ in range(4):
        assert primary.running is not None
        sizes.append(len(primary.running.batch.requests))
        cluster.execute(primary)
    assert sizes == [2, 1, 1, 5]


def test_what_is_executed_singly_is_refused_when_leadership_moves(cluster: Cluster) -> None:
    primary = cluster.primary
    cluster.submit(primary, add("hold", "x", 1))
    ticket = cluster.submit(primary, add("a", "x", 1), b"fail now", add("b", "x", 1))
    cluster.execute(primary)
    cluster.execute(primary)
    cluster.cut(primary)
    cluster.run(60)
    cluster.heal()
    cluster.elect()
    cluster.settle()
    cluster.run(2)
    assert len(primary.answers[ticket]) == 3
    assert primary.replica.statistics()["queue_requests"] == 0


class Wasteful(Tally):
    """Every transaction writes as much as one may."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        value = bytes(limits.WRITE_SET_SIZE_MAX_BYTES - limits.KIB)
        return BatchResult([Applied({COUNTERS: {request.payload: value}}) for request in batch.requests])


def test_what_a_batch_writes_is_bounded_and_each_request_still_gets_through() -> None:
    cluster = Cluster.found(1, draw=lambda low, _: low, make=Wasteful)
    cluster.settle()
    primary = cluster.primary
    cluster.submit(primary, b"hold")
    ticket = cluster.submit(primary, *(b"%d" % number for number in range(5)))
    cluster.settle()
    assert [type(fate) for fate in primary.answers[ticket]] == [Committed] * 5
    assert "exceed a batch's bound" in primary.faults[0].reason
    assert len(primary.faults) == 1
