"""Load of cash: it runs, its judge agrees with the ledger, and sees one that is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio

from coco_corda.development import development_seed
from coco_corda.front.answers import text64
from coco_corda.notary_key import NotaryKey
from coco_corda.plugin import CordaPlugin, adapter
from coco_corda.refs import hash_text
from coco_corda.testing import Ledger, Samples
from coco_corda.workloads import CASH, CashWorkload, make_workload
from coco_corda.workloads.cash import ISSUED_BEFORE, _names
from coco_core.adapter import RETRY_PREFIX, Ask, HTTPRequest, HTTPResponse, Load, Told, WorkloadOptions
from coco_core.errors import OperatorError

LOAD = Load(HTTPRequest.post("/transactions/many", b""), 2)
COUNT = 8


@pytest.fixture(scope="module", params=["moves", "cash"])
def workload(request, samples):
    return make_workload(WorkloadOptions(kind=request.param, transactions=COUNT, warm_up=4))


def answer(content: object) -> HTTPResponse:
    return HTTPResponse(body=content if isinstance(content, bytes) else orjson.dumps(content))


@asynccontextmanager
async def served(ledger: Ledger) -> AsyncIterator[Ask]:
    """Serve and hand out what asks a node of a network, all of which are ``ledger``."""

    async def ask(node: int, request: HTTPRequest) -> HTTPResponse:
        return await ledger.request(request)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.adapter.serve, ledger)
        while ledger.handler is None:
            await trio.lowlevel.checkpoint()
        yield ask
        nursery.cancel_scope.cancel()


def test_requests_hold_the_transactions_asked_for(workload):
    assert (workload.transactions, workload.warm_up) == (COUNT + 4, 4)
    loads = list(workload.loads(5))
    assert [load.count for load in loads] == [5, 5, 2]
    whole = [load.request.body for load in workload.loads(1)]
    assert b"".join(whole) == b"".join(load.request.body for load in loads)
    assert [load.request.body for load in workload.loads(1, 4, 3)] == whole[4:7]
    assert len(set(whole)) == COUNT + 4
    assert workload.companions(0) == []
    CordaPlugin().create("", workload.node_settings(0))


async def test_the_judge_agrees_with_a_ledger_and_sees_one_that_is_wrong(workers, workload):
    ledger = Ledger(adapter(workers, keeps=False), workload.config)
    *loads, last = workload.loads(3)
    async with served(ledger) as ask:
        for load in loads:
            found = await ask(0, load.request)
            assert workload.told(load, found) == Told()
            assert len(found.headers["coco-transaction-ids"].split(",")) == load.count
        assert await workload.verify(ask, 1) != []
        assert workload.told(last, await ask(0, last.request)) == Told()
        assert await workload.verify(ask, 2) == []
        assert workload.told(last, await ask(0, last.request)) == Told(), "a retry counts as accepted"
    assert all(index < workload.transactions for index in workload.classes().values())


def notarised(samples: Samples, name: str, **other: str) -> dict[str, Any]:
    """Return what a node answers of a move."""
    key, tx_id = NotaryKey(development_seed()), samples[f"id of {name}"]
    signature = {"bytes": text64(key.sign(samples.signable, tx_id)), "by": text64(key.public_key)}
    return {"code": 200, "status": "notarised", "txId": hash_text(tx_id), "signature": {**signature, **other}}


@pytest.fixture(scope="module")
def cash(samples: Samples) -> CashWorkload:
    """Four issuances, and two moves of what the first of them issue."""
    return CashWorkload(samples, CASH, 6, 2, {})


def issued(samples: Samples, number: int) -> dict[str, Any]:
    """Return what a node answers of an issuance, which needs no notary."""
    return {"code": 200, "status": "recorded", "txId": hash_text(samples.ref(number).tx_id)}


def test_answers_are_read(cash: CashWorkload, samples: Samples):
    move, issuance = notarised(samples, "left-0"), issued(samples, 0)
    assert cash.told(LOAD, answer([issuance, move])) == Told()
    conflict = {"code": 422, "error": {"type": "NotaryError.Conflict", "message": "spent"}}
    assert cash.told(LOAD, answer([conflict, move])).refused == ("NotaryError.Conflict spent",)
    busy = {"code": 503, "error": {"message": "no commit in time"}, "retry": True}
    (reason,) = cash.told(LOAD, answer([move, busy])).refused
    assert reason == f"{RETRY_PREFIX}no commit in time"


def test_a_move_counts_when_the_notary_signed_it(cash: CashWorkload, samples: Samples):
    move, issuance = notarised(samples, "left-0"), issued(samples, 0)
    stranger = notarised(samples, "left-1", by="AAAA")
    assert cash.told(LOAD, answer([move, stranger])).refused == ("the signature is not that of the notary",)
    other = notarised(samples, "left-1")["signature"]["bytes"]
    for wrong in (other, text64(bytes(64)), text64(b"short")):
        forged = notarised(samples, "left-0", bytes=wrong)
        refused = cash.told(LOAD, answer([issuance, forged])).refused
        assert refused == (f"the notary's signature on {move['txId']} is wrong",)
    recorded = {"code": 200, "status": "recorded", "txId": move["txId"]}
    assert cash.told(LOAD, answer([issuance, recorded])).refused == (
        "left-0 moves a state, and was not notarised but recorded",
    )
    elsewhere = notarised(samples, "left-7")
    (reason,) = cash.told(LOAD, answer([move, elsewhere])).refused
    assert reason.endswith("is no transaction of this load")


def test_what_is_said_of_a_whole_request_is_said_of_each_of_its_transactions(
    cash: CashWorkload, samples: Samples
):
    malformed = {"error": {"message": "there is no transaction in it"}}
    assert cash.told(LOAD, answer(malformed)).refused == ("there is no transaction in it",) * 2
    move = notarised(samples, "left-0")
    unsigned = {"code": 200, "status": "notarised", "txId": move["txId"]}
    for strange in (b"<html>", [], [move], [move] * 3, move, [{}, {}], [1, move], [unsigned] * 2, None, 1):
        refused = cash.told(LOAD, answer(strange)).refused
        assert len(refused) == 2, strange
        assert all(each.startswith("no answer of this interface") for each in refused), strange


@pytest.mark.parametrize(("count", "warm_up"), [(8_000, 5_000), (4_500, 1_500), (900, 300), (40, 10)])
def test_rounds_of_issuances_and_moves_are_the_same_load(count: int, warm_up: int):
    names = _names(CASH, count, warm_up)
    assert len(names) == count
    third = (count - warm_up) // 3
    rounds = [names[at : at + third] for at in range(warm_up, count - third + 1, third)]
    assert {sum(name.startswith("left") for name in each) for each in rounds} == {third // 2}
    place = {name: at for at, name in enumerate(names)}
    behind = min(ISSUED_BEFORE, warm_up)
    moved = [name for name in names if name.startswith("left")]
    assert all(place[name] - place[name.replace("left", "issued")] > behind for name in moved)
    assert set(place) >= {f"issued-{number}" for number in range(CashWorkload.numbered(CASH, count, warm_up))}


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_a_small_load_without_a_warm_up_has_moves(count: int):
    names = _names(CASH, count, 0)
    assert len(names) == count
    assert any(name.startswith("left") for name in names) == (count > 1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "bonds"}, "no workload of corda is called 'bonds'; known are moves, cash"),
        ({"data": "folder"}, "reads no folder"),
        ({"transactions": -1}, "a workload of -1"),
        ({"transactions": 36_000}, "takes 41000 states, 40000 at most"),
        ({"transactions": 75_000, "kind": "cash"}, "takes 40500 states, 40000 at most"),
        ({"arguments": {"colour": "red"}}, r"corda\.colour: not known"),
        ({"arguments": {"verify_seconds": "soon"}}, "verify_seconds: expected a whole number"),
        ({"arguments": {"java": "/no/such/java"}}, r"corda\.java: not a file"),
    ],
)
def test_what_cannot_be_is_said(options, said):
    with pytest.raises(OperatorError, match=said):
        make_workload(WorkloadOptions(**options))


def test_missing_parts_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr("coco_corda.shell.samples.LIBRARY", tmp_path / "none")
    monkeypatch.setattr("coco_corda.workloads.choice.find_launch", lambda settings: {})
    with pytest.raises(OperatorError, match=r"no (Corda|Java) here"):
        make_workload(WorkloadOptions(transactions=77))
    monkeypatch.setattr(
        "coco_corda.workloads.choice.find_launch", lambda settings: "no JVM worker here: make"
    )
    with pytest.raises(OperatorError, match="no JVM worker here"):
        make_workload(WorkloadOptions(transactions=77))
