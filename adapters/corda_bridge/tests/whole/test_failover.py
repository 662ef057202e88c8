"""A primary is killed while moves run: none that was notarised is lost, and no state is spent twice."""

from __future__ import annotations

from typing import Any

import pytest
import trio

pytestmark = pytest.mark.processes

MOVES, KILLED_AFTER = 40, 10
FOUNDER = 0
"""The primary until something happens to it."""


async def test_no_move_is_lost_or_made_twice(start: Any) -> None:
    async with start(MOVES) as network:
        results: dict[str, tuple[int, Any]] = {}

        async def spend(node: int, name: str) -> None:
            results[name] = await network.submit(node, name)
            if sum(status == 200 for status, _ in results.values()) == KILLED_AFTER:
                network.local.kill(FOUNDER)

        async with trio.open_nursery() as nursery:
            for number in range(MOVES):
                # Half of the states are wanted twice, through two nodes.
                nursery.start_soon(spend, 1, f"left-{number}")
                if number % 2:
                    nursery.start_soon(spend, 2, f"right-{number}")
        winners = {name: told for name, (status, told) in results.items() if status == 200}
        losers = {name: told for name, (status, told) in results.items() if status != 200}
        assert len(winners) == MOVES, "each state is spent"
        assert len({name.split("-")[1] for name in winners}) == MOVES, "and once"
        assert all(told["error"]["type"] == "NotaryError.Conflict" for told in losers.values())
        for node in (1, 2):
            for name, told in winners.items():
                receipt = await network.told(node, f"/transactions/{told['txId']}")
                assert receipt["signature"] == told["signature"], name
