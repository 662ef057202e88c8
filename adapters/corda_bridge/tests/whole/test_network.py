"""Three real nodes: notarised on one, read on another by participants only, and spent once."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from coco_corda.refs import hash_text, rehash
from coco_corda.testing import Samples
from coco_corda.testing.client import parsed

pytestmark = pytest.mark.processes


async def test_money_goes_round_and_only_participants_see_it(start: Any, samples: Samples) -> None:
    async with start(0) as network:
        status, issued = await network.submit(1, "issue", by="alice")
        assert (status, issued["status"]) == (200, "recorded"), issued
        ref = f"{issued['txId']}(0)"
        async with network.listening(0, "bob") as hear:
            status, moved = await network.submit(2, "move")
            assert (status, moved["status"]) == (200, "notarised"), moved
            heard = await hear()
        assert [(each["ref"], each["change"]) for each in heard["changes"]] == [
            (f"{moved['txId']}(0)", "unconsumed")
        ]
        assert moved["signature"]["schemeNumberID"] == 4
        own = f"{moved['txId']}(0)"
        # What is committed on one node is on its way to the others.
        while (await network.told(0, f"/status?ref={own}"))["status"][own] != "unconsumed":
            await trio.lowlevel.checkpoint()
        assert (await network.told(0, f"/status?ref={ref}"))["status"] == {ref: "consumed"}
        mine = await network.told(0, "/states", by="bob")
        assert [each["ref"] for each in mine["states"]] == [own]
        assert (await network.told(0, "/states", by="alice"))["states"] == []
        for who, expected in (("bob", 200), ("alice", 404), ("", 401)):
            status, _ = await network.ask(0, "GET", f"/states/{own}", by=who)
            assert status == expected, who
        target = f"/transactions/{moved['txId']}/filtered?groups=0"
        status, filtered = await network.ask(0, "GET", target, by="bob")
        assert status == 200
        assert 0 < len(filtered) < len(samples["move"])
        status, refused = await network.submit(0, "move-again")
        assert (status, refused["error"]["type"]) == (422, "NotaryError.Conflict")
        consumed = refused["error"]["consumedStates"][ref]["hashOfTransactionId"]
        assert consumed == hash_text(rehash(bytes.fromhex(moved["txId"])))
        status, again = await network.submit(0, "move")
        assert (status, again["signature"]) == (200, moved["signature"])
        told = await network.told(0, "/updates?after=0&wait=1", by="alice")
        assert [(each["ref"], each["change"]) for each in told["changes"]] == [
            (ref, "unconsumed"),
            (ref, "consumed"),
        ]


async def test_of_two_nodes_that_spend_a_state_at_once_one_wins(start: Any) -> None:
    states = 10
    async with start(states) as network:
        results: dict[str, tuple[int, Any]] = {}

        async def spend(node: int, name: str) -> None:
            results[name] = await network.submit(node, name)

        async with trio.open_nursery() as nursery:
            for number in range(states):
                nursery.start_soon(spend, 1, f"left-{number}")
                nursery.start_soon(spend, 2, f"right-{number}")
        for number in range(states):
            left, right = results[f"left-{number}"], results[f"right-{number}"]
            assert sorted((left[0], right[0])) == [200, 422], (left, right)
            loser = left if left[0] == 422 else right
            assert loser[1]["error"]["type"] == "NotaryError.Conflict"


async def test_an_unsigned_question_and_one_of_yesterday_are_refused(start: Any) -> None:
    async with start(1) as network:
        for method, target in (("GET", "/states"), ("GET", "/updates")):
            status, body = await network.ask(0, method, target)
            assert status == 401, body
        signed = network.signer("alice").headers("GET", "/states", 1_600_000_000_000, "0" * 16)
        assert "off" in parsed((await network.ask_with(0, "/states", signed))[1])["error"]["message"]
