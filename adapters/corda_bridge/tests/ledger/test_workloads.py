"""Load of cash: it runs, its judge agrees with the ledger, and sees one that is wrong."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio

from coco_corda.development import development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.plugin import CordaPlugin, adapter
from coco_corda.testing import Ledger
from coco_corda.workloads import make_workload
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


def test_answers_are_read(workload):
    notary = base64.b64encode(NotaryKey(development_seed()).public_key).decode()
    signed: dict[str, Any] = {"code": 200, "status": "notarised", "signature": {"by": notary}}
    recorded = {"code": 200, "status": "recorded"}
    assert workload.told(LOAD, answer([signed, recorded])) == Told()
    forged = {**signed, "signature": {"by": "AAAA"}}
    assert workload.told(LOAD, answer([signed, forged])).refused == (
        "the signature is not that of the notary",
    )
    conflict = {"code": 422, "error": {"type": "NotaryError.Conflict", "message": "spent"}}
    assert workload.told(LOAD, answer([conflict, signed])).refused == ("NotaryError.Conflict spent",)
    busy = {"code": 503, "error": {"message": "no commit in time"}, "retry": True}
    (reason,) = workload.told(LOAD, answer([signed, busy])).refused
    assert reason == f"{RETRY_PREFIX}no commit in time"
    malformed = {"error": {"message": "there is no transaction in it"}}
    assert workload.told(LOAD, answer(malformed)).refused == ("there is no transaction in it",) * 2
    for strange in (b"<html>", [{}], [1], {"code": 200, "status": "notarised"}):
        assert workload.told(LOAD, answer(strange)).refused[0].startswith("no answer of this interface")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "bonds"}, "no workload of corda is called 'bonds'; known are moves, cash"),
        ({"data": "folder"}, "reads no folder"),
        ({"transactions": -1}, "a workload of -1"),
        ({"transactions": 100_001}, "100000 at most"),
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
