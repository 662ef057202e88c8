"""Logs and filters: what is found, what is refused, what polling reports once."""

from __future__ import annotations

import tarfile

import orjson
import pytest

from coco_ethereum.limits import FILTERS_MAX, FILTERS_SIZE_MAX_BYTES
from coco_ethereum.rpc import logs, polling, server
from coco_ethereum.rpc.filters import Filter, Filters
from coco_ethereum.testing.assembly import assemble, initcode

A, B, C = (f"0x{number:064x}" for number in (0xA, 0xB, 0xC))


@pytest.fixture
async def emitting(any_ledger):
    """Three blocks: a contract that logs topic A and the caller's word, then B twice, then C."""
    ledger = any_ledger
    code = assemble(32, "CALLDATALOAD", 0, "CALLDATALOAD", 0, 0, "LOG2 STOP")
    ledger.first = await ledger.deploy(ledger.alice, initcode(code))
    ledger.second = await ledger.deploy(ledger.alice, initcode(code))
    for topics in ((A, A), (B, A), (B, C)):
        data = bytes.fromhex(topics[0][2:] + topics[1][2:])
        await ledger.send(ledger.alice, to=bytes.fromhex(ledger.first[2:]), data=data)
    await ledger.send(ledger.alice, to=bytes.fromhex(ledger.second[2:]), data=bytes.fromhex(C[2:] + A[2:]))
    return ledger


async def found(ledger, **criteria):
    criteria = {"fromBlock": "earliest"} | criteria
    return [(int(log["blockNumber"], 16), *log["topics"]) for log in await ledger.ok("eth_getLogs", criteria)]


async def test_topics_match_by_position(emitting):
    ledger = emitting
    everything = [(3, A, A), (4, B, A), (5, B, C), (6, C, A)]
    assert await found(ledger) == everything
    assert await found(ledger, topics=[]) == everything
    assert await found(ledger, topics=[B]) == everything[1:3]
    assert await found(ledger, topics=[[A, C]]) == [everything[0], everything[3]]
    assert await found(ledger, topics=[None, A]) == [everything[0], everything[1], everything[3]]
    assert await found(ledger, topics=[[], [A, C], None]) == []
    assert await found(ledger, topics=[[None], C]) == [everything[2]]
    assert await found(ledger, topics=[A, B]) == []


async def test_addresses_and_ranges(emitting):
    ledger = emitting
    assert await found(ledger, address=ledger.second) == [(6, C, A)]
    assert len(await found(ledger, address=[ledger.first, ledger.second])) == 4
    assert await found(ledger, address="0x" + "12" * 20) == []
    assert await found(ledger, fromBlock="0x4", toBlock="0x5") == [(4, B, A), (5, B, C)]
    assert await found(ledger, fromBlock="0x6") == [(6, C, A)]
    assert await found(ledger, fromBlock="latest", toBlock="latest") == [(6, C, A)]
    assert await ledger.ok("eth_getLogs", {}) == await ledger.ok("eth_getLogs", {"fromBlock": "0x6"})
    block = await ledger.ok("eth_getBlockByNumber", "0x4", False)
    [log] = await ledger.ok("eth_getLogs", {"blockHash": block["hash"], "topics": [B]})
    receipt = await ledger.ok("eth_getTransactionReceipt", log["transactionHash"])
    assert receipt["logs"] == [log]


@pytest.mark.parametrize("name", [
    "filter-error-future-block-range",
    "filter-error-invalid-blockHash-and-range",
    "filter-error-reversed-block-range",
])  # fmt: skip
@pytest.mark.shared
async def test_recorded_errors(ledger, shared, name):
    with tarfile.open(shared / "data/conformance/execution-apis-tests.tar.xz") as archive:
        lines = archive.extractfile(f"tests/eth_getLogs/{name}.io").read().splitlines()
    request, answer = (orjson.loads(line[3:]) for line in lines if line[:2] in (b">>", b"<<"))
    assert (await ledger.rpc(request["method"], *request["params"]))["error"] == answer["error"]


BAD_CRITERIA = [
    5,
    {"address": 5},
    {"address": ["0x12"]},
    {"topics": A},
    {"topics": ["0x12"]},
    {"topics": [A] * 5},
    {"topics": [[A] * 1_001]},
    {"topics": [[A] * 500, [A] * 500], "address": "0x" + "12" * 20},
    {"address": ["0x" + "12" * 20] * 1_001},
    {"fromBlock": "never"},
    {"fromBlock": A},
]


@pytest.mark.parametrize("criteria", BAD_CRITERIA, ids=repr)
async def test_bad_criteria(ledger, criteria):
    assert (await ledger.error("eth_getLogs", criteria))[0] == -32602
    assert (await ledger.error("eth_newFilter", criteria))[0] == -32602


async def test_unknown_blocks(ledger):
    assert await ledger.error("eth_getLogs", {"blockHash": A}) == (-32000, "unknown block")


async def test_polling_from_the_next_block_finds_nothing_yet(emitting):
    assert await found(emitting, fromBlock="0x7") == []
    assert await found(emitting, fromBlock="0x7", toBlock="latest") == []
    assert (await emitting.error("eth_getLogs", {"fromBlock": "0x7", "toBlock": "0x7"}))[0] == -32602


@pytest.mark.parametrize(
    ("bound", "value", "message"),
    [
        ("LOGS_RESULTS_MAX", 3, "query returned more than 3 results"),
        ("LOGS_RESULTS_SIZE_MAX_BYTES", 2_000, "query returned more than 2000 bytes"),
        ("LOGS_WORK_MAX", 80, "query takes too much work, ask for fewer blocks"),
    ],
)
async def test_bounds(emitting, monkeypatch, bound, value, message):
    monkeypatch.setattr(logs, bound, value)
    assert await emitting.error("eth_getLogs", {"fromBlock": "0x0"}) == (-32602, message)
    assert len(await emitting.ok("eth_getLogs", {"fromBlock": "0x5"})) == 2
    monkeypatch.setattr(logs, bound, 0)
    assert len(await emitting.ok("eth_getLogs", {"fromBlock": "0x6"})) == 1, "one block is never too much"


async def test_a_long_range_costs_only_what_it_holds(emitting, monkeypatch):
    monkeypatch.setattr(logs, "LOGS_WORK_MAX", 10)
    assert await found(emitting, topics=["0x" + "77" * 32]) == []


# ── filters ──────────────────────────────────────────────────────────────────────────────────────


async def test_block_filter_reports_each_block_once(ledger):
    name = await ledger.ok("eth_newBlockFilter")
    assert await ledger.ok("eth_getFilterChanges", name) == []
    await ledger.send(ledger.alice)
    await ledger.send(ledger.alice)
    hashes = [(await ledger.ok("eth_getBlockByNumber", number, False))["hash"] for number in ("0x1", "0x2")]
    assert await ledger.ok("eth_getFilterChanges", name) == hashes
    assert await ledger.ok("eth_getFilterChanges", name) == []


async def test_log_filter_reports_what_is_new(emitting):
    ledger = emitting
    name = await ledger.ok("eth_newFilter", {"topics": [A], "fromBlock": "0x0"})
    assert await ledger.ok("eth_getFilterChanges", name) == []
    assert len(await ledger.ok("eth_getFilterLogs", name)) == 1
    data = bytes.fromhex(A[2:] + B[2:])
    await ledger.send(ledger.alice, to=bytes.fromhex(ledger.first[2:]), data=data)
    [log] = await ledger.ok("eth_getFilterChanges", name)
    assert log["topics"] == [A, B]
    assert await ledger.ok("eth_getFilterChanges", name) == []
    assert len(await ledger.ok("eth_getFilterLogs", name)) == 2


async def test_pending_filter_has_nothing_to_say(ledger):
    name = await ledger.ok("eth_newPendingTransactionFilter")
    await ledger.send(ledger.alice)
    assert await ledger.ok("eth_getFilterChanges", name) == []


async def test_uninstalled_and_unknown_filters(ledger):
    name = await ledger.ok("eth_newBlockFilter")
    assert await ledger.error("eth_getFilterLogs", name) == (-32000, "filter not found")
    assert await ledger.ok("eth_uninstallFilter", name) is True
    assert await ledger.ok("eth_uninstallFilter", name) is False
    for method in ("eth_getFilterChanges", "eth_getFilterLogs"):
        assert await ledger.error(method, name) == (-32000, "filter not found")


def test_filters_are_bounded_and_the_one_polled_longest_ago_goes():
    filters = Filters("node")
    names = [filters.add(Filter("blocks", None, 0)) for _ in range(FILTERS_MAX)]
    assert filters.get(names[0]) is not None
    filters.add(Filter("blocks", None, 0))
    assert filters.get(names[1]) is None
    assert filters.get(names[0]) is not None


def test_identifiers_of_another_node_are_unknown():
    here, there = Filters("a"), Filters("b")
    assert there.get(here.add(Filter("blocks", None, 0))) is None
    assert hex(int(here.add(Filter("blocks", None, 0)), 16)), "an identifier reads as a quantity"


def test_filters_are_bounded_by_their_bytes_too():
    filters = Filters("node")
    names = [filters.add(Filter("logs", None, 0, size=FILTERS_SIZE_MAX_BYTES // 2)) for _ in range(3)]
    assert [filters.get(name) is not None for name in names] == [False, True, True]
    assert filters.remove(names[1])
    filters.add(Filter("logs", None, 0, size=FILTERS_SIZE_MAX_BYTES // 2))
    assert filters.get(names[2]) is not None


async def test_the_more_a_filter_asks_for_the_more_it_weighs(ledger, monkeypatch):
    added = []
    monkeypatch.setattr(Filters, "add", lambda self, new: added.append(new) or "0x1")
    for count in (1, 1_000):
        await ledger.ok("eth_newFilter", {"topics": [[f"0x{number:064x}" for number in range(count)]]})
    assert added[1].size > 100 * added[0].size


async def emit(ledger, count):
    for _ in range(count):
        data = bytes.fromhex(A[2:] + A[2:])
        await ledger.send(ledger.alice, to=bytes.fromhex(ledger.first[2:]), data=data)


async def test_a_poll_that_would_be_too_long_goes_on_at_the_next(emitting, monkeypatch):
    ledger = emitting
    names = [await ledger.ok("eth_newFilter", {}), await ledger.ok("eth_newBlockFilter")]
    await emit(ledger, 5)
    monkeypatch.setattr(logs, "LOGS_RESULTS_MAX", 1)
    monkeypatch.setattr(polling, "FILTER_BLOCKS_MAX", 2)
    for name in names:
        polls = [await ledger.ok("eth_getFilterChanges", name) for _ in range(4)]
        assert [len(poll) for poll in polls] == [2, 2, 1, 0]


async def test_what_did_not_fit_an_answer_is_reported_by_the_next(emitting, monkeypatch):
    ledger = emitting
    names = [await ledger.ok("eth_newFilter", {}), await ledger.ok("eth_newBlockFilter")]
    await emit(ledger, 1)
    for name in names:
        poll = {"jsonrpc": "2.0", "id": 1, "method": "eth_getFilterChanges", "params": [name]}
        with monkeypatch.context() as patch:
            patch.setattr(server, "RPC_RESPONSE_SIZE_MAX_BYTES", 10)
            [answer] = orjson.loads((await ledger.post(orjson.dumps([poll]))).body)
            assert "error" in answer
        assert len(await ledger.ok("eth_getFilterChanges", name)) == 1


async def test_a_filter_reports_its_own_blocks_only(emitting):
    ledger = emitting
    block = await ledger.ok("eth_getBlockByNumber", "latest", False)
    name = await ledger.ok("eth_newFilter", {"fromBlock": "0x8", "toBlock": "0x9"})
    of_a_block = await ledger.ok("eth_newFilter", {"blockHash": block["hash"]})
    await emit(ledger, 4)
    reported = await ledger.ok("eth_getFilterChanges", name)
    assert [log["blockNumber"] for log in reported] == ["0x8", "0x9"]
    assert await ledger.ok("eth_getFilterChanges", name) == []
    assert await ledger.ok("eth_getFilterChanges", of_a_block) == []
    assert len(await ledger.ok("eth_getFilterLogs", of_a_block)) == 1
    assert (await ledger.error("eth_newFilter", {"fromBlock": "0x2", "toBlock": "0x1"}))[0] == -32602
