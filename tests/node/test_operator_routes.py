"""What operators ask wrongly is answered as their mistake, and a fault that comes late as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from coco_core.adapter import ANONYMOUS, HTTPRequest, HTTPResponse
from coco_core.base import limits
from coco_core.errors import OperatorError
from coco_core.governance import JoinRequest, encode_challenge_request
from coco_core.ledger import LedgerSecrets
from coco_core.node.admission import RunningAdmissions
from coco_core.node.operator_routes import OperatorRoutes
from coco_core.replica import Welcome
from coco_core.testing import Consortium, add
from coco_core.testing.doors import Door, Showing, settled


async def get(routes: OperatorRoutes, target: str) -> tuple[int, Any]:
    answer = routes.accept(HTTPRequest(method="GET", target=target, headers={}, body=b""))
    response = answer if isinstance(answer, HTTPResponse) else await answer()
    return response.status, json.loads(response.body)


def no_certificate(request: JoinRequest) -> str:
    raise AssertionError(f"nobody asks, but {request.node_id} does")


def no_welcome(certificate: str) -> Welcome:
    raise AssertionError(f"nobody is welcomed, but who holds {certificate}")


def opened(node, door: Door | None = None) -> OperatorRoutes:
    door = door or Door(Consortium.of(1))
    routes = OperatorRoutes("node", None, door.refusals)
    secrets = LedgerSecrets([(1, bytes(range(32)))])
    admissions = RunningAdmissions(node.driver, node.tickets, door.keeper, no_certificate, no_welcome)
    routes.open(node.driver, node.files, secrets, dict, Showing("", "certificate"), admissions, node.tickets)
    return routes


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("//[", 400),
        ("/node/commit?after=²", 400),
        ("/node/commit?after=%C2%B2", 400),
        ("/node/commit?after=" + "9" * 5000, 400),
        ("/node/commit?after=--1", 400),
        ("/node/commit?after=", 200),
        ("/node/commit?after=-1", 200),
        ("/node/tx?transaction_id=2.²", 400),
        ("/node/tx?transaction_id=" + "9" * 5000 + ".1", 400),
        ("/node/receipt?transaction_id=2.1&format=xml", 400),
        ("/node/receipt?transaction_id=2.999", 404),
        ("/nowhere", 404),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_mistakes(running, tmp_path: Path, target: str, status: int) -> None:
    async with running(tmp_path) as node:
        found, body = await get(opened(node), target)
        assert found == status
        assert status == 200 or body["error"]


async def test_fault_that_comes_late(running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as node:
        routes = opened(node)
        (fate,) = await node.tickets.submit(node.driver, "tally", [add("a", "x", 1)], ANONYMOUS).wait()
        target = f"/node/receipt?transaction_id={fate.txid}"
        assert (await get(routes, target))[0] == 200

        def fail(_: int) -> bytes:
            raise OperatorError("the disk is gone")

        monkeypatch.setattr(node.files, "read_raw", fail)
        assert await get(routes, target) == (500, {"error": "the disk is gone"})


async def test_disk_that_lags_is_not_waited_for_without_end(
    running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMMIT_POLL_MAX_MS", 10)
    async with running(tmp_path) as node:

        async def never(_: int) -> None:
            await trio.sleep_forever()

        monkeypatch.setattr(node.driver, "wait_persisted", never)
        status, body = await get(opened(node), "/node/receipt?transaction_id=2.1")
        assert (status, body["error"]) == (
            503,
            "this node's disk is behind: ask again later, or another node",
        )


async def test_health_names_ledgers_that_failed(running, tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        routes = opened(node)
        assert (await get(routes, "/node/health"))[1]["failed_ledgers"] == {}

        def fail() -> None:
            raise KeyError("its own")

        node.adapter.whim = fail
        await node.tickets.submit(node.driver, "tally", [add("a", "x", 1)], ANONYMOUS).wait()
        assert "its own" in (await get(routes, "/node/health"))[1]["failed_ledgers"]["tally"]


async def post(routes: OperatorRoutes, target: str, body: bytes) -> HTTPResponse:
    return await settled(routes.accept(HTTPRequest(method="POST", target=target, headers={}, body=body)))


@pytest.mark.parametrize(("number", "status"), [(0, 200), (1, 503)])
async def test_who_wants_to_join_is_judged_by_nodes_that_know_by_what(
    running, tmp_path: Path, number: int, status: int
) -> None:
    """A node that has not caught up has no tables, and by none everybody would be refused for good."""
    door = Door(Consortium.of(3), number)
    async with running(tmp_path) as node:
        routes = opened(node, door)
        question = encode_challenge_request(door.question(2))
        assert (await post(routes, "/node/join/challenge", question)).status == status
        if status == 503:
            answer = await post(routes, "/node/join", door.request(2, await door.nonce(2)))
            assert (answer.status, answer.body) == (503, b"this node takes no part yet: ask another\n")
            assert door.refusals.to_json() == []


async def test_refusals_are_told_before_and_after_the_service_opens(running, tmp_path: Path) -> None:
    door = Door(Consortium.of(2))
    forming = OperatorRoutes("node", None, door.refusals)
    assert await get(forming, "/node/refusals") == (200, {"refusals": []})
    door.keeper.judge(b"{")
    assert [one["code"] for one in (await get(forming, "/node/refusals"))[1]["refusals"]] == ["malformed"]
    async with running(tmp_path) as node:
        routes = opened(node)
        routes.refusals.note("measurement", "not listed", None)
        status, body = await get(routes, "/node/refusals")
        assert (status, [one["code"] for one in body["refusals"]]) == (200, ["measurement"])
