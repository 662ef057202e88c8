"""Load of integer keys: it runs, its judge agrees with the ledger, and sees one that is wrong."""

from __future__ import annotations

import base64
import sys
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest

from coco_core.adapter import RETRY_PREFIX, HTTPRequest, HTTPResponse, Load, Told, WorkloadOptions
from coco_core.errors import OperatorError
from coco_sawtooth.batches import read
from coco_sawtooth.messages import BatchList
from coco_sawtooth.plugin import SawtoothPlugin
from coco_sawtooth.shell.processes import ENDPOINT
from coco_sawtooth.workloads import intkey_address, make_workload

SELF = f"{sys.executable} processor.py {ENDPOINT}"
"""A command that exists; nothing here starts it."""


def workload(**options: Any):
    arguments = {"processor": SELF, **options.pop("arguments", {})}
    return make_workload(WorkloadOptions(arguments=arguments, **options))


def answer(content: object, status: int = 200) -> HTTPResponse:
    return HTTPResponse(status=status, body=content if isinstance(content, bytes) else orjson.dumps(content))


LOAD = Load(HTTPRequest.post("/batches", b""), 2)


def test_batches_hold_the_transactions_asked_for():
    made = workload(transactions=25, warm_up=5)
    assert (made.transactions, made.warm_up, made.classes()) == (30, 5, {"set": 5})
    loads = list(made.loads(10, 5))
    assert [load.count for load in loads] == [10, 10, 5]
    assert [load.count for load in made.loads(10, 5, 12)] == [10, 2]
    assert {load.request.target for load in loads} == {"/batches"}
    listed = [BatchList.FromString(load.request.body).batches for load in loads]
    found = [read(batch.SerializeToString()) for (batch,) in listed]
    assert [len(batch.transactions) for batch in found] == [10, 10, 5]
    names = [each.payload for batch in found for each in batch.transactions]
    assert len(set(names)) == 25
    assert list(workload(transactions=25, warm_up=5).loads(10, 5)) == loads
    assert list(workload(transactions=25, warm_up=5, seed=2).loads(10, 5)) != loads


def test_answers_are_read():
    link = "https://node:8008/batch_statuses?id=ab"
    told = workload(transactions=1).told
    ask = Told(ask=HTTPRequest.get("/batch_statuses?id=ab&wait=30"))
    assert told(LOAD, answer({"link": link}, 202)) == ask
    assert told(LOAD, answer({"data": [{"id": "ab", "status": "PENDING"}]})) == ask
    assert told(LOAD, answer({"data": [{"id": "ab", "status": "COMMITTED"}]})) == Told()
    invalid = {"id": "ab", "status": "INVALID", "invalid_transactions": [{"message": "already set"}]}
    assert told(LOAD, answer({"data": [invalid]})).refused == ("already set", "already set")
    (first, _) = told(LOAD, answer({"data": [{"id": "ab", "status": "UNKNOWN"}]})).refused
    assert first.startswith(RETRY_PREFIX)
    poor = {"error": {"code": 30, "message": "poorly formed"}}
    assert told(LOAD, answer(poor, 400)).refused == ("poorly formed", "poorly formed")
    for strange in (b"<html>", {}, {"data": []}, []):
        assert told(LOAD, answer(strange)).refused[0].startswith("no answer of this interface")


def test_each_node_has_processors_of_its_own():
    made = workload(transactions=1, arguments={"processors": "2"})
    endpoints = [made.node_settings(index)["processors"] for index in range(3)]
    assert len(set(endpoints)) == 3
    for index, endpoint in enumerate(endpoints):
        one, other = made.companions(index)
        assert one == other
        assert list(one.command) == [sys.executable, "processor.py", endpoint]
        assert not any(name.startswith("PYTHON") for name in one.environment or {})
        SawtoothPlugin().create("", made.node_settings(index))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "xo"}, "no workload of sawtooth is called 'xo'"),
        ({"data": "folder"}, "reads no folder"),
        ({"transactions": -1}, "a workload of -1"),
        ({"arguments": {"colour": "red"}}, "no argument 'colour'; processor, processors, sdk"),
        ({"arguments": {"processors": "0"}}, "whole number to 64"),
        ({"arguments": {"processors": "65"}}, "whole number to 64"),
        ({"arguments": {"processors": "0000000019999"}}, "processors=0000000019999: expected a whole number"),
        ({"arguments": {"processors": "9" * 5_000}}, "whole number to 64"),
        ({"arguments": {"processors": "²"}}, "whole number to 64"),
        (
            {"arguments": {"processor": f"{sys.executable} ' {ENDPOINT}"}},
            "processor=.*: No closing quotation",
        ),
        ({"arguments": {"sdk": "python"}}, "sdk=python beside processor=.*: one of the two"),
        ({"arguments": {"processor": "intkey-tp"}}, "expected {endpoint} where"),
        ({"arguments": {"processor": "no-such-tp {endpoint}"}}, "there is no program 'no-such-tp'"),
        ({"arguments": {"processor": "", "sdk": "cobol"}}, "expected python or javascript"),
    ],
)
def test_what_cannot_be_is_said(options, said):
    with pytest.raises(OperatorError, match=said):
        workload(**options)


def test_a_missing_sdk_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("coco_sawtooth.shell.processes._PYTHON_SDK", tmp_path)
    with pytest.raises(OperatorError, match="no Sawtooth SDK for Python here: make sawtooth-clients"):
        workload(arguments={"processor": ""})


def asking(world: Any):
    """Return what asks a node of a network, all of which are ``world``."""

    def ask(node: int, request: HTTPRequest) -> Awaitable[HTTPResponse]:
        content_type = request.headers.get("content-type", "")
        return world.request(request.method, request.target, request.body, content_type)

    return ask


async def play(made: Any, ask: Any) -> list[str]:
    """Send everything as a harness does; return the places of batches."""
    places = []
    for load in made.loads(400):
        told, found = Told(ask=load.request), HTTPResponse()
        while told.ask is not None:
            found = await ask(0, told.ask)
            told = made.told(load, found)
        assert told == Told()
        places.append(found.headers["coco-transaction-ids"])
    return places


async def test_the_judge_agrees_with_a_ledger_and_sees_one_that_is_wrong(world, autojump_clock):
    async with world() as here:
        ask, made = asking(here), workload(transactions=1_100, warm_up=0, seed=7)
        places = await play(made, ask)
        assert len(set(places)) == 3
        # More than one page.
        assert await made.verify(ask, 2) == []
        other = workload(transactions=1_101, warm_up=0, seed=7)
        (difference,) = await other.verify(ask, 1)
        assert difference.startswith(f"node 0: {intkey_address('7-1100')} holds nothing, expected")
        differences = await workload(transactions=30, warm_up=0, seed=8).verify(ask, 1)
        assert differences[-1] == "… and 1110 more"


async def test_the_judge_reads_numbers_however_a_processor_encodes_them():
    made = workload(transactions=3, warm_up=0, seed=7)
    held = {  # 0 as Python's SDK writes it, 1 in two bytes as Go's does for some; and what is no CBOR.
        "7-0": b"\xa1\x637-0\x00",
        "7-1": b"\xa1\x637-1\x19\x00\x01",
        "7-2": b"\xff",
    }

    async def ask(node, request):
        del node, request
        data = [
            {"address": intkey_address(name), "data": base64.b64encode(value).decode()}
            for name, value in held.items()
        ]
        return HTTPResponse(body=orjson.dumps({"data": data}))

    (difference,) = await made.verify(ask, 1)
    assert difference == f"node 0: {intkey_address('7-2')} holds ff, expected {{'7-2': 2}}"
