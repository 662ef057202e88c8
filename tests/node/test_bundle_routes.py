"""The front end for bundles: what it takes, from whom, and what it says of the rest."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from coco_core.adapter import HTTPRequest, HTTPResponse, read_committed_bundle
from coco_core.base import limits
from coco_core.kv import maps
from coco_core.node.admitting import Gate
from coco_core.node.bundle_routes import BundleRoutes
from coco_core.testing.tally import COUNTERS, add


def request(*rows: tuple[str, str], method: str = "POST", target: str = "/bundles") -> HTTPRequest:
    value = {"transactions": [{"ledger": ledger, "payload": payload} for ledger, payload in rows]}
    return HTTPRequest(method=method, target=target, headers={}, body=json.dumps(value).encode())


def encoded(name: str, *, as_hex: bool = False) -> str:
    data = add(name, "a", 1)
    return "0x" + data.hex() if as_hex else base64.b64encode(data).decode()


async def answer(routes: BundleRoutes, asked: HTTPRequest) -> tuple[int, Any]:
    accepted = routes.accept(asked)
    response = accepted if isinstance(accepted, HTTPResponse) else await accepted()
    return response.status, json.loads(response.body)


def routes_of(node: Any) -> BundleRoutes:
    return BundleRoutes(node.driver, node.tickets, Gate(node.driver))


async def test_payloads_in_either_form_are_committed_together(running, tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        routes = routes_of(node)
        rows = ("tally", encoded("x")), ("tally", encoded("y", as_hex=True))
        status, value = await answer(routes, request(*rows))
        assert status == 200
        bundle = read_committed_bundle(value)
        assert bundle.receipt.receipts == (b"1", b"2")
        assert node.driver.replica.chain.store.view().get(COUNTERS, b"a") == b"2"
        status, value = await answer(routes, request(*rows))
        assert (status, value["error"]["code"]) == (422, "duplicate")


MALFORMED = {
    "no JSON": b"{",
    "no object": b"[]",
    "no list": b'{"transactions": 1}',
    "no transaction": b'{"transactions": []}',
    "no ledger": b'{"transactions": [{"payload": "0x00"}]}',
    "a number for a ledger": b'{"transactions": [{"ledger": 1, "payload": "0x00"}]}',
    "a number for a payload": b'{"transactions": [{"ledger": "tally", "payload": 1}]}',
    "half a byte": b'{"transactions": [{"ledger": "tally", "payload": "0x0"}]}',
    "no base64": b'{"transactions": [{"ledger": "tally", "payload": "?"}]}',
    "another ledger": b'{"transactions": [{"ledger": "other", "payload": "0x00"}]}',
    "administration": b'{"transactions": [{"ledger": "coco", "payload": "0x00"}]}',
    "too many": json.dumps(
        {"transactions": [{"ledger": "tally", "payload": "0x00"}] * (limits.BUNDLE_PARTS_MAX + 1)}
    ).encode(),
    "too large": json.dumps(
        {"transactions": [{"ledger": "tally", "payload": "0x" + "00" * limits.PAYLOAD_SIZE_MAX_BYTES}]}
    ).encode(),
}


@pytest.mark.parametrize("fault", MALFORMED)
async def test_what_is_no_bundle(running, tmp_path: Path, fault: str) -> None:
    async with running(tmp_path) as node:
        asked = HTTPRequest(method="POST", target="/bundles", headers={}, body=MALFORMED[fault])
        status, value = await answer(routes_of(node), asked)
        assert (status, value["error"]["code"]) == (400, "malformed")


async def test_other_targets_and_methods(running, tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        routes = routes_of(node)
        assert (await answer(routes, request(target="/other")))[0] == 404
        assert (await answer(routes, request(target="//[")))[0] == 404
        assert (await answer(routes, request(method="GET")))[0] == 405


async def test_a_ledger_for_participants_takes_no_bundle_of_anybody(running, tmp_path: Path) -> None:
    access = {maps.ACCESS: {b"tally": b'{"callers": "participants"}'}}
    async with running(tmp_path, [access]) as node:
        status, value = await answer(routes_of(node), request(("tally", encoded("x"))))
        assert status == 401
        assert "only participants" in value["error"]
        assert node.driver.replica.chain.store.view().get(COUNTERS, b"a") is None


async def test_a_disabled_ledger_takes_no_bundle(running, tmp_path: Path) -> None:
    async with running(tmp_path, [{maps.DISABLED_ADAPTERS: {b"tally": b"{}"}}]) as node:
        status, value = await answer(routes_of(node), request(("tally", encoded("x"))))
        assert status == 503
        assert "disabled by the consortium" in value["error"]
