"""What a ledger is told by systems outside: asked once, by the primary, written down with what came of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_core.adapter import (
    BUNDLES,
    Batch,
    BatchResult,
    BundlePart,
    Committed,
    Fetch,
    Fetched,
    FetchRecord,
    LedgerAdapter,
    ReadView,
    Rejected,
    Writes,
    encode_bundle,
    read_fetch_record,
)
from coco_core.base import limits
from coco_core.errors import BusyError, FetchError
from coco_core.kv import maps
from coco_core.ledger import EntryOpener, audit, read_public
from coco_core.testing import Cluster, ClusterNode, Tally, add, quote

PLACE = "https://rates.example"
RATE = f"{PLACE}/rate"
OTHER = "https://elsewhere.example/rate"


class Allowed(Tally):
    """A tally of a service whose consortium allowed an origin at its founding."""

    origins: Sequence[str] = (PLACE,)

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> list[Writes]:
        row = json.dumps({"origins": list(self.origins), "ca_certs": None}).encode()
        return [
            *super().genesis(config, randomness),
            {maps.FETCH_ORIGINS: {self.manifest.name.encode(): row}},
        ]


class Mute(Allowed):
    """A tally whose manifest asks for no fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, fetches=False)


def found(count: int = 1, make: type[Tally] = Allowed, *beside: LedgerAdapter) -> Cluster:
    cluster = Cluster.found(count, draw=random.Random(1).randint, make=make, beside=lambda: beside)
    cluster.web.answers[RATE] = (200, b" 7\n")
    cluster.elect()
    cluster.settle()
    return cluster


def recorded(node: ClusterNode, ledger: str = "tally") -> FetchRecord | None:
    value = node.replica.chain.store.view().get(maps.FETCHED, ledger.encode())
    return None if value is None else read_fetch_record(value)


def only_fate(node: ClusterNode, ticket: int) -> Any:
    (fate,) = node.answers[ticket]
    return fate


def test_it_is_asked_once_and_every_node_has_the_answer_and_the_record_whoever_leads() -> None:
    cluster = found(3)
    backup = cluster.backups[0]
    ticket = cluster.submit(backup, quote("x", "a", RATE))
    cluster.run(3)
    fate = only_fate(backup, ticket)
    assert isinstance(fate, Committed)
    assert fate.receipt == b"7"
    assert cluster.web.asked == [RATE]
    records = {recorded(node) for node in cluster.alive}
    (record,) = records
    assert record is not None
    assert record.fetched == (Fetched(RATE, 200, b" 7\n"),)
    cluster.crash(cluster.primary)
    cluster.web.answers[RATE] = (200, b"1000")
    cluster.run(30)
    cluster.elect()
    second = cluster.submit(cluster.primary, add("y", "a", 1))
    cluster.run(3)
    assert only_fate(cluster.primary, second).receipt == b"8"
    assert cluster.web.asked == [RATE]
    assert {recorded(node) for node in cluster.alive} == records
    cluster.check_equal()


def test_the_record_is_the_last_entry_of_its_batch_and_sealed() -> None:
    cluster = found()
    node = cluster.primary
    before = node.replica.chain.head
    ticket = cluster.submit(node, quote("x", "a", RATE), add("y", "a", 1), quote("z", "a", RATE))
    cluster.settle()
    first, second, third = node.answers[ticket]
    assert [fate.txid.seqno for fate in (first, second, third)] == [before + 1, before + 2, before + 3]
    # The block, the record, the signature.
    assert node.replica.chain.head == before + 6
    raw = node.disk.entries[before + 4].data
    assert not read_public(raw).public
    assert b"rates" not in raw
    writes = EntryOpener(cluster.secrets).open(raw).writes
    assert writes.keys() == {maps.FETCHED}
    record = read_fetch_record(writes[maps.FETCHED][b"tally"] or b"")
    assert [one.url for one in record.fetched] == [RATE, RATE]
    (applied,) = [batch for batch in node.batches if maps.FETCHED in batch.writes]
    block = applied.writes["public:tally.blocks"][b"newest"] or b""
    assert record.time_ms == int(block.split()[1])
    # No ledger is told of it.
    assert maps.FETCHED not in node.adapter.batches[-1].writes  # type: ignore[attr-defined] # a Tally


def test_the_next_record_takes_the_place_of_the_last_and_a_batch_that_asks_nobody_leaves_it() -> None:
    cluster = found()
    node = cluster.primary
    for name, answer in (("x", b"1"), ("y", b"2")):
        cluster.web.answers[RATE] = (200, answer)
        cluster.submit(node, quote(name, "a", RATE))
        cluster.settle()
    cluster.submit(node, add("z", "a", 1))
    cluster.settle()
    record = recorded(node)
    assert record is not None
    assert [one.body for one in record.fetched] == [b"2"]


REFUSALS = {
    "not allowed": (OTHER, "fetch-not-allowed"),
    "another port": (f"{PLACE}:8443/rate", "fetch-not-allowed"),
    "plain": ("http://rates.example/rate", "fetch-not-allowed"),
    "who it is said to be": (f"{PLACE}@elsewhere.example/rate", "fetch-malformed-url"),
    "cannot be reached": (f"{PLACE}/nothing", "fetch-unreachable"),
    "no number": (f"{PLACE}/words", "no-number"),
    "not found": (f"{PLACE}/gone", "no-number"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_cannot_be_had_is_a_rejection_and_nothing_is_written(reason: str) -> None:
    url, code = REFUSALS[reason]
    cluster = found()
    node = cluster.primary
    cluster.web.answers |= {
        f"{PLACE}/words": (200, b"seven"),
        f"{PLACE}/gone": (404, b"7"),
        OTHER: (200, b"7"),
    }
    before, head = node.state(), node.replica.chain.head
    ticket = cluster.submit(node, quote("x", "a", url))
    cluster.settle()
    fate = only_fate(node, ticket)
    assert isinstance(fate, Rejected)
    assert fate.code == code
    assert (node.state(), node.replica.chain.head) == (before, head)
    assert OTHER not in cluster.web.asked


def test_a_failure_beside_what_is_applied_is_recorded_too() -> None:
    cluster = found()
    node = cluster.primary
    cluster.submit(node, quote("x", "a", f"{PLACE}/nothing"), quote("z", "a", OTHER), add("y", "a", 1))
    cluster.settle()
    record = recorded(node)
    assert record is not None
    assert record.fetched == (Fetched(f"{PLACE}/nothing", 0, b"", "unreachable"),)


@pytest.mark.parametrize("make", [Tally, Mute])
def test_without_a_list_or_a_manifest_that_asks_for_it_there_is_no_fetch(make: type[Tally]) -> None:
    cluster = found(1, make)
    node = cluster.primary
    ticket = cluster.submit(node, quote("x", "a", RATE))
    cluster.settle()
    assert only_fate(node, ticket).code == "fetch-not-allowed"
    assert cluster.web.asked == []


def test_more_than_one_batch_may_fetch_waits_for_the_next() -> None:
    cluster = found()
    node = cluster.primary
    most = limits.FETCHES_PER_BATCH_MAX
    ticket = cluster.submit(node, *(quote(f"n{number}", "a", RATE) for number in range(most + 3)))
    cluster.settle()
    assert [fate.receipt for fate in node.answers[ticket]] == [b"%d" % (7 * n) for n in range(1, most + 4)]
    assert len(cluster.web.asked) == most + 3
    fetching = [batch for batch in node.batches if maps.FETCHED in batch.writes]
    assert len(fetching) == 2


def test_a_duplicate_asks_nobody() -> None:
    cluster = found()
    node = cluster.primary
    ticket = cluster.submit(node, quote("x", "a", RATE), quote("x", "a", RATE))
    cluster.settle()
    _, again = node.answers[ticket]
    assert again.code == "duplicate"
    assert cluster.web.asked == [RATE]


class Hoarder(Allowed):
    """A ledger that keeps a batch's fetch, and tries to write what the core records."""

    kept: Fetch | None = None
    forged: Writes | None = None

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        Hoarder.kept = batch.fetch
        result = await super().execute(batch, view)
        return result if self.forged is None else BatchResult(result.outcomes, self.forged)


def test_a_fetch_ends_with_its_batch() -> None:
    cluster = found(1, Hoarder)
    node = cluster.primary
    cluster.submit(node, quote("x", "a", RATE))
    cluster.settle()
    assert Hoarder.kept is not None
    with pytest.raises(FetchError) as caught:
        Hoarder.kept(RATE).__await__().send(None)
    assert caught.value.code == "over"
    assert cluster.web.asked == [RATE]


def test_a_ledger_cannot_write_the_record_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = found(1, Hoarder)
    node = cluster.primary
    monkeypatch.setattr(Hoarder, "forged", {maps.FETCHED: {b"tally": b"x"}})
    ticket = cluster.submit(node, add("x", "a", 1))
    cluster.settle()
    assert only_fate(node, ticket).code == "adapter-fault"
    assert recorded(node) is None


def test_a_ledger_that_fails_after_it_asked_writes_nothing_and_others_ask_again() -> None:
    cluster = found()
    node = cluster.primary
    ticket = cluster.submit(node, quote("x", "a", RATE), b"fail f")
    cluster.settle()
    first, failed = node.answers[ticket]
    assert first.receipt == b"7"
    assert failed.code == "adapter-fault"
    assert cluster.web.asked == [RATE, RATE]


def bundle(name: str, *urls: str) -> bytes:
    parts = [BundlePart("tally", quote(f"{name}{n}", "a", url)) for n, url in enumerate(urls)]
    return encode_bundle([*parts, BundlePart("other", add(name, "b", 1))])


def test_in_a_bundle_each_ledgers_record_follows_its_block() -> None:
    cluster = found(3, Allowed, Tally(name="other"))
    node = cluster.primary
    before = node.replica.chain.head
    ticket = cluster.submit(node, bundle("x", RATE), to=BUNDLES)
    cluster.run(3)
    fate = only_fate(node, ticket)
    assert isinstance(fate, Committed)
    # Quote, block, record; addition, block; the bundle's own.
    assert fate.txid.seqno == before + 6
    opened = EntryOpener(cluster.secrets).open(node.disk.entries[before + 2].data)
    assert opened.writes.keys() == {maps.FETCHED}
    assert recorded(node) == read_fetch_record(opened.writes[maps.FETCHED][b"tally"] or b"")
    cluster.check_equal()
    audit([node.disk.file()], service_cert_pem=cluster.consortium.service.certificate)


def test_a_bundle_that_asked_ends_its_batch_so_the_next_may_ask_as_much() -> None:
    cluster = found(1, Allowed, Tally(name="other"))
    node = cluster.primary
    before = node.state()
    most = [RATE] * limits.FETCHES_PER_BATCH_MAX
    refused, beyond = bundle("r", *[f"{PLACE}/nothing"] * 2), bundle("b", *most, RATE)
    ticket = cluster.submit(node, refused, beyond, bundle("x", *most), bundle("y", *most), to=BUNDLES)
    assert node.state() == before
    cluster.settle()
    fates = node.answers[ticket]
    assert [type(fate) for fate in fates] == [Rejected, Rejected, Committed, Committed]
    assert [fate.code for fate in fates[:2]] == ["fetch-unreachable", "bundle-too-large"]
    assert len([batch for batch in node.batches if maps.BUNDLE in batch.writes]) == 2


STEPS = ("submit", "submit", "tick", "deliver", "deliver", "lose", "persist", "execute", "cut", "heal")


@settings(max_examples=40)
@given(st.lists(st.sampled_from(STEPS), min_size=20, max_size=120), st.integers(0, 2**32))
def test_whatever_happens_no_answer_is_used_without_its_record(steps: Sequence[str], seed: int) -> None:
    """Every answer is another number, so what a committed batch added tells which answers it used."""
    rng, numbers = random.Random(seed), itertools.count(1)
    cluster = found(3)
    cluster.web.answers[RATE] = lambda: (200, b"%d" % next(numbers))
    for number, step in enumerate(steps):
        node = rng.choice(cluster.alive)
        match step:
            case "submit":
                with contextlib.suppress(BusyError):
                    cluster.submit(node, quote(f"n{number}", "a", RATE), quote(f"m{number}", "a", RATE))
            case "deliver" | "lose" if cluster.pool:
                getattr(cluster, step)(rng.randrange(len(cluster.pool)))
            case "heal":
                cluster.heal()
            case "tick" | "persist" | "execute" | "cut":
                getattr(cluster, step)(node)
    cluster.heal()
    cluster.run(30)
    cluster.elect()
    cluster.submit(cluster.primary, quote("last", "a", RATE))
    cluster.run(20)
    cluster.check_equal()
    for node in cluster.alive:
        total = 0
        for batch in node.batches:
            if not batch.writes.get("tally.counters"):  # The genesis names no counters.
                assert maps.FETCHED not in batch.writes
                continue
            value = int(batch.writes["tally.counters"][b"a"] or b"")
            record = read_fetch_record(batch.writes[maps.FETCHED][b"tally"] or b"")
            assert value - total == sum(int(one.body) for one in record.fetched)
            total = value
        assert total
