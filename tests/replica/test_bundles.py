"""Bundles over two ledgers: together or not at all, whatever happens meanwhile."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import (
    BUNDLES,
    Applied,
    Batch,
    BatchResult,
    BundlePart,
    Committed,
    Deferred,
    LedgerAdapter,
    ReadView,
    Rejected,
    bundle_claims,
    encode_bundle,
    read_bundle_receipt,
)
from coco_core.base import limits
from coco_core.errors import BusyError
from coco_core.kv import maps
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.tally import Tally, TallyMaps, add

FIRST, SECOND = "tally", "other"
THERE = TallyMaps.of(SECOND)


def two_ledgers(count: int, seed: int = 1, **bounds: object) -> Cluster:
    return Cluster.found(
        count, draw=random.Random(seed).randint, beside=lambda: (Tally(name=SECOND),), **bounds
    )


def pay(name: str, amount: int = 1, *, broken: bool = False) -> bytes:
    """Take from a counter of one ledger and give to one of the other."""
    gives = b"nonsense" if broken else add(name, "b", amount)
    return encode_bundle([BundlePart(FIRST, add(name, "a", -amount)), BundlePart(SECOND, gives)])


def balance(node: ClusterNode) -> tuple[int, int]:
    view = node.replica.chain.store.view()
    taken = view.get(TallyMaps().counters, b"a") or b"0"
    return int(taken), int(view.get(THERE.counters, b"b") or b"0")


def only_fate(node: ClusterNode, ticket: int) -> object:
    (fate,) = node.answers[ticket]
    return fate


def test_both_sides_are_committed_with_one_receipt() -> None:
    cluster = two_ledgers(3)
    cluster.elect()
    ticket = cluster.submit(cluster.backups[0], pay("x", 5), to=BUNDLES)
    cluster.run(3)
    fate = only_fate(cluster.backups[0], ticket)
    assert isinstance(fate, Committed)
    for node in cluster.alive:
        assert balance(node) == (-5, 5)
    receipt = read_bundle_receipt(fate.receipt)
    assert receipt.receipts == (b"-5", b"5")
    # Each ledger's entry, then its block, then the bundle's own.
    first, second = receipt.transactions
    assert (first.ledger, second.ledger) == (FIRST, SECOND)
    assert [first.seqno, second.seqno] == [fate.txid.seqno - 4, fate.txid.seqno - 2]
    view = cluster.primary.replica.chain.store.view()
    assert view.get(maps.BUNDLE, maps.SINGLETON_KEY) == receipt.record
    assert view.get(TallyMaps().seen, b"x") == b"%d" % first.seqno
    assert len(bundle_claims(receipt.record)) == 32
    cluster.check_equal()


def test_one_refused_refuses_all_and_writes_nothing() -> None:
    cluster = two_ledgers(1)
    node = cluster.elect()
    cluster.settle()
    before, head = node.state(), node.replica.chain.head
    ticket = cluster.submit(node, pay("x", broken=True), to=BUNDLES)
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Rejected)
    assert (fate.code, fate.message.split(":")[0]) == (
        "malformed",
        "transaction 2 of the bundle, for other",
    )
    assert (node.state(), node.replica.chain.head) == (before, head)


def test_bundles_of_one_batch_see_each_other_and_fail_alone() -> None:
    cluster = two_ledgers(1)
    node = cluster.elect()
    ticket = cluster.submit(node, pay("x"), pay("x"), pay("y", broken=True), pay("y", 2), to=BUNDLES)
    cluster.settle()
    first, again, broken, last = node.answers[ticket]
    assert isinstance(first, Committed)
    assert isinstance(again, Rejected)
    assert again.code == "duplicate"
    assert isinstance(broken, Rejected)
    assert isinstance(last, Committed)
    assert balance(node) == (-3, 3)


def test_later_transactions_see_what_earlier_ones_wrote() -> None:
    cluster = two_ledgers(1)
    node = cluster.elect()
    parts = [
        BundlePart(FIRST, add("x", "a", 1)),
        BundlePart(FIRST, add("y", "a", 1)),
        BundlePart(SECOND, add("x", "b", 1)),
        BundlePart(FIRST, add("z", "a", 1)),
    ]
    ticket = cluster.submit(node, encode_bundle(parts), to=BUNDLES)
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Committed)
    receipt = read_bundle_receipt(fate.receipt)
    assert receipt.receipts == (b"1", b"2", b"1", b"3")
    assert [one.seqno - receipt.transactions[0].seqno for one in receipt.transactions] == [0, 1, 3, 5]
    # A block for each time a ledger's turn came.
    assert (node.replica.chain.store.view().get(TallyMaps().blocks, b"newest") or b"").startswith(b"2 ")


MALFORMED = {
    "not CBOR": (b"\xff", "malformed"),
    "no list": (b"\xa0", "malformed"),
    "empty": (encode_bundle([]), "malformed"),
    "too many": (
        encode_bundle([BundlePart(FIRST, add(f"n{n}", "a", 1)) for n in range(limits.BUNDLE_PARTS_MAX + 1)]),
        "malformed",
    ),
    "no ledger": (encode_bundle([BundlePart("none", b"")]), "unknown-adapter"),
    "administration": (encode_bundle([BundlePart("coco", b"{}")]), "unknown-adapter"),
    "a bundle within": (encode_bundle([BundlePart(BUNDLES, pay("x"))]), "unknown-adapter"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_no_bundle(fault: str) -> None:
    payload, code = MALFORMED[fault]
    cluster = two_ledgers(1)
    node = cluster.elect()
    cluster.settle()
    before = node.state()
    ticket = cluster.submit(node, payload, to=BUNDLES)
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Rejected)
    assert fate.code == code
    assert node.state() == before


def test_a_ledger_that_takes_fewer_at_once_refuses_the_bundle() -> None:
    cluster = Cluster.found(1, draw=random.Random(1).randint, make=lambda: Tally(batch_max=1))
    node = cluster.elect()
    parts = [BundlePart(FIRST, add("x", "a", 1)), BundlePart(FIRST, add("y", "a", 1))]
    ticket = cluster.submit(node, encode_bundle(parts), to=BUNDLES)
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Rejected)
    assert fate.code == "bundle-too-large"


class OneByOne(Tally):
    """A ledger that puts off all but the first request where it may."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        taken = batch.requests if batch.together else batch.requests[:1]
        result = await super().execute(attrs.evolve(batch, requests=taken), view)
        put_off = [Deferred()] * (len(batch.requests) - len(taken))
        return BatchResult([*result.outcomes, *put_off], result.closing)


def test_a_ledger_that_puts_off_is_told_where_it_may_not() -> None:
    cluster = Cluster.found(1, draw=random.Random(1).randint, make=OneByOne)
    node = cluster.elect()
    parts = [BundlePart(FIRST, add("x", "a", 1)), BundlePart(FIRST, add("y", "a", 1))]
    bundle = cluster.submit(node, encode_bundle(parts), to=BUNDLES)
    singly = cluster.submit(node, add("v", "a", 1), add("w", "a", 1))
    cluster.settle()
    assert isinstance(only_fate(node, bundle), Committed)
    first, second = node.answers[singly]
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    # Its block and a signature are between them.
    assert second.txid.seqno - first.txid.seqno == 3


def test_a_ledger_that_fails_costs_only_its_own_bundle() -> None:
    cluster = two_ledgers(1)
    node = cluster.elect()
    fails = encode_bundle([BundlePart(FIRST, add("f", "a", 1)), BundlePart(SECOND, b"fail f")])
    ticket = cluster.submit(node, pay("x"), fails, pay("y"), to=BUNDLES)
    cluster.settle()
    first, failed, last = node.answers[ticket]
    assert isinstance(first, Committed)
    assert isinstance(last, Committed)
    assert isinstance(failed, Rejected)
    assert failed.code == "adapter-fault"
    assert {one.adapter for one in node.faults} == {BUNDLES}
    assert all(one.reason.startswith(f"ledger {SECOND}: adapter raised ValueError") for one in node.faults), (
        node.faults
    )
    assert balance(node) == (-2, 2)


class Doomed(Tally):
    """A ledger that records what concerns one counter as failed."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        result = await super().execute(batch, view)
        failed = [
            attrs.evolve(one, failure="the counter is doomed")
            if isinstance(one, Applied) and b"doomed" in one.writes[self.maps.counters]
            else one
            for one in result.outcomes
        ]
        return BatchResult(failed, result.closing)


def test_a_transaction_that_its_ledger_records_as_failed_refuses_the_bundle() -> None:
    cluster = Cluster.found(1, draw=random.Random(1).randint, beside=lambda: (Doomed(name=SECOND),))
    node = cluster.elect()
    cluster.settle()
    before = node.state()
    parts = [BundlePart(FIRST, add("x", "a", 1)), BundlePart(SECOND, add("x", "doomed", 1))]
    ticket = cluster.submit(node, encode_bundle(parts), to=BUNDLES)
    alone = cluster.submit(node, add("x", "doomed", 1), to=SECOND)
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Rejected)
    assert fate.code == "transaction-failed"
    assert fate.message == "transaction 2 of the bundle would fail on other: the counter is doomed"
    assert isinstance(only_fate(node, alone), Committed)
    assert node.state()[TallyMaps().blocks] == before[TallyMaps().blocks]


class Greedy(Tally):
    """A ledger whose every transaction writes a lot."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        result = await super().execute(batch, view)
        large = {self.maps.seen: {b"large": bytes(limits.WRITE_SET_SIZE_MAX_BYTES - limits.KIB)}}
        grown = [
            Applied({**one.writes, **large}) if isinstance(one, Applied) else one for one in result.outcomes
        ]
        return BatchResult(grown, result.closing)


def test_bundles_together_beyond_one_batch_wait_for_the_next_and_one_alone_is_refused() -> None:
    cluster = Cluster.found(
        1, draw=random.Random(1).randint, make=Greedy, beside=lambda: (Greedy(name=SECOND),)
    )
    node = cluster.elect()

    def bundle(name: str, *ledgers: str) -> bytes:
        return encode_bundle([BundlePart(one, add(f"{name}{n}", "a", 1)) for n, one in enumerate(ledgers)])

    three, six = [FIRST] * 3, [FIRST] * 3 + [SECOND] * 3
    ticket = cluster.submit(node, bundle("x", *three), bundle("y", *three), bundle("z", *six), to=BUNDLES)
    cluster.settle()
    first, second, third = node.answers[ticket]
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert isinstance(third, Rejected)
    assert third.code == "bundle-too-large"
    assert len([batch for batch in node.batches if maps.BUNDLE in batch.writes]) == 2


def test_a_batch_of_bundles_has_no_more_entries_than_nodes_may_lag_behind() -> None:
    """Else whoever sends large bundles keeps everybody far behind, and no change of members is made."""
    cluster = two_ledgers(1)
    node = cluster.elect()
    most = limits.BUNDLE_PARTS_MAX
    payloads = [
        encode_bundle([BundlePart((FIRST, SECOND)[n % 2], add(f"{bundle}-{n}", "a", 1)) for n in range(most)])
        for bundle in range(30)
    ]
    before = node.replica.chain.head
    ticket = cluster.submit(node, *payloads, to=BUNDLES)
    cluster.settle()
    assert all(isinstance(fate, Committed) for fate in node.answers[ticket])
    ends = [before, *(batch.txid.seqno for batch in node.batches if maps.BUNDLE in batch.writes)]
    sizes = [later - one for one, later in itertools.pairwise(ends)]
    assert sum(sizes) >= 30 * most
    assert max(sizes) * (limits.PIPELINE_BATCHES_MAX - 1) < limits.CAUGHT_UP_ENTRIES_MAX


@attrs.define
class Faults:
    """Three nodes, two ledgers, and whatever may happen to them, drawn from one seed."""

    cluster: Cluster
    rng: random.Random
    sent: int = 0
    refused_busy: int = 0

    def submit(self, node: ClusterNode) -> None:
        self.sent += 1
        payloads = [
            pay(f"n{self.sent}-{n}", self.rng.randint(1, 9), broken=self.rng.random() < 0.2) for n in range(3)
        ]
        try:
            self.cluster.submit(node, *payloads, to=BUNDLES)
        except BusyError:
            self.refused_busy += 1

    def tick(self, _node: ClusterNode) -> None:
        for one in self.cluster.alive:
            self.cluster.tick(one)

    def deliver(self, _node: ClusterNode) -> None:
        if self.cluster.pool:
            self.cluster.deliver(self.rng.randrange(len(self.cluster.pool)))

    def lose(self, _node: ClusterNode) -> None:
        if self.cluster.pool:
            self.cluster.lose(self.rng.randrange(len(self.cluster.pool)))

    def persist(self, node: ClusterNode) -> None:
        self.cluster.persist(node)

    def execute(self, node: ClusterNode) -> None:
        self.cluster.execute(node)

    def crash(self, node: ClusterNode) -> None:
        if len(self.cluster.alive) == 3:
            self.cluster.crash(node)

    def cut(self, node: ClusterNode) -> None:
        self.cluster.cut(node)

    def heal(self, _node: ClusterNode) -> None:
        self.cluster.heal()


STEPS = (
    "submit",
    "submit",
    "tick",
    "deliver",
    "deliver",
    "lose",
    "persist",
    "execute",
    "crash",
    "cut",
    "heal",
)


@given(st.lists(st.sampled_from(STEPS), min_size=20, max_size=200), st.integers(0, 2**32))
def test_no_faults_leave_one_side_applied(steps: Sequence[str], seed: int) -> None:
    """Whatever order things happen in, no node ever holds one half of a bundle."""
    faults = Faults(two_ledgers(3, seed), random.Random(seed))
    cluster = faults.cluster
    cluster.elect()
    for step in steps:
        getattr(faults, step)(faults.rng.choice(cluster.alive))
        assert all(sum(balance(one)) == 0 for one in cluster.nodes.values())
    cluster.heal()
    cluster.run(30)
    cluster.elect()
    ticket = cluster.submit(cluster.primary, pay("last"), to=BUNDLES)
    cluster.run(20)
    cluster.check_equal()
    assert isinstance(only_fate(cluster.primary, ticket), Committed)
    assert sum(balance(cluster.primary)) == 0
    assert balance(cluster.primary) != (0, 0)


def test_every_ledger_is_an_adapter() -> None:
    adapter: LedgerAdapter = Tally(name=SECOND)
    assert adapter.manifest.maps == (THERE.blocks, THERE.counters, THERE.seen)
