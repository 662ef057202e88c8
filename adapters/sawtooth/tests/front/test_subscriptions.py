"""``/subscriptions``: what a client asks for and hears, in order, also when it reads slowly."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from coco_core.adapter import HTTPRequest, WebSocketAnswer, WebSocketClosedError
from coco_sawtooth import events, records
from coco_sawtooth.testing import intkey_address, intkey_transaction


class Pipe:
    """Both ends of a conversation."""

    def __init__(self) -> None:
        self._to_node, self._from_client = trio.open_memory_channel[str](10)
        self._to_client, self._from_node = trio.open_memory_channel[str](0)

    async def receive(self) -> str:
        try:
            return await self._from_client.receive()
        except trio.EndOfChannel:
            raise WebSocketClosedError(1000, "") from None

    async def send(self, message: str) -> None:
        await self._to_client.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError("the node does not close")

    # --- the client's end

    async def ask(self, content: Any) -> None:
        await self._to_node.send(content if isinstance(content, str) else orjson.dumps(content).decode())

    async def hear(self) -> Any:
        return orjson.loads(await self._from_node.receive())

    async def silent(self) -> bool:
        await trio.testing.wait_all_tasks_blocked(0.05)
        try:
            self._from_node.receive_nowait()
        except trio.WouldBlock:
            return True
        return False


@asynccontextmanager
async def conversing(here) -> AsyncIterator[Pipe]:
    request = HTTPRequest(method="GET", target="/subscriptions", headers={}, body=b"", websocket=True)
    answer = here.front.rest.accept(request)
    assert isinstance(answer, WebSocketAnswer)
    pipe = Pipe()
    ended: list[BaseException] = []

    async def run() -> None:
        try:
            await answer.converse(pipe)
        except WebSocketClosedError as closed:
            ended.append(closed)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield pipe
        await pipe._to_node.aclose()
    assert len(ended) == 1


def sets(client, *names):
    return client.batch(*(intkey_transaction(client, "set", name, 1) for name in names))


async def test_the_newest_block_comes_at_once_and_then_every_one(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"))
        async with conversing(here) as client:
            await client.ask({"action": "subscribe", "address_prefixes": ["1cf126"]})
            first = await client.hear()
            head = records.head(here.chain.view())
            assert first == {
                "block_id": head.id,
                "block_num": "1",
                "previous_block_id": head.header.previous_block_id,
                "state_changes": [{"address": intkey_address("a"), "type": "SET", "value": "oWFhAQ=="}],
            }
            await here.commit(*(sets(here.alice, f"n{i}") for i in range(3)))
            assert [(await client.hear())["block_num"] for _ in range(3)] == ["2", "3", "4"]
            await client.ask({"action": "unsubscribe"})
            await trio.testing.wait_all_tasks_blocked(0.05)
            await here.commit(sets(here.alice, "b"))
            assert await client.silent()


async def test_only_what_is_asked_for_is_shown(world) -> None:
    async with world() as here, conversing(here) as client:
        await client.ask({"action": "subscribe", "address_prefixes": [intkey_address("a"), "000000"]})
        assert (await client.hear())["state_changes"] == []
        await here.commit(sets(here.alice, "a", "b"))
        (change,) = (await client.hear())["state_changes"]
        assert change["address"] == intkey_address("a")
        await client.ask({"action": "subscribe"})
        assert len((await client.hear())["state_changes"]) == 2


async def test_deltas_of_a_block_that_is_named(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"), sets(here.alice, "b"))
        block = records.block_by_number(here.chain.view(), 1)
        async with conversing(here) as client:
            await client.ask({"action": "get_block_deltas", "block_id": block.id})
            shown = await client.hear()
            assert (shown["block_num"], len(shown["state_changes"])) == ("1", 1)
            await client.ask(
                {"action": "get_block_deltas", "block_id": block.id, "address_prefixes": ["000000"]}
            )
            assert (await client.hear())["state_changes"] == []


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("not json", 'Invalid input: "not json"'),
        ("[1]", 'Invalid input: "[1]"'),
        ({"action": "bogus"}, 'Unknown action "bogus"'),
        ({}, 'Unknown action ""'),
        ({"action": "get_block_deltas"}, "Must specify a block id"),
        ({"action": "get_block_deltas", "block_id": "x"}, 'Unknown block "x"'),
        ({"action": "subscribe", "address_prefixes": "1cf126"}, "Address prefixes are a list of strings"),
        ({"action": "subscribe", "address_prefixes": [1]}, "Address prefixes are a list of strings"),
    ],
)
async def test_errors(world, said, error) -> None:
    async with world() as here, conversing(here) as client:
        await client.ask(said)
        assert await client.hear() == {"error": error}


async def test_who_reads_slowly_reads_on_from_where_it_is(world) -> None:
    async with world() as here, conversing(here) as client:
        await client.ask({"action": "subscribe"})
        assert (await client.hear())["block_num"] == "0"
        await here.commit(*(sets(here.alice, f"n{i}") for i in range(10)))
        assert [(await client.hear())["block_num"] for _ in range(10)] == [str(i) for i in range(1, 11)]


async def test_what_many_hear_is_read_once(world, monkeypatch) -> None:
    async with world() as here:
        reads: list[int] = []
        of_block = events.of_block

        def counted(view: Any, block: records.Block) -> Any:
            reads.append(block.number)
            return of_block(view, block)

        monkeypatch.setattr(events, "of_block", counted)
        async with conversing(here) as one, conversing(here) as other:
            for client in (one, other):
                await client.ask({"action": "subscribe"})
                await client.hear()
            await here.commit(sets(here.alice, "a"))
            assert [(await client.hear())["block_num"] for client in (one, other)] == ["1", "1"]
        assert reads == [0, 1]
        here.front.restored()
        async with conversing(here) as client:
            await client.ask({"action": "subscribe"})
            await client.hear()
        assert reads == [0, 1, 1], "after a snapshot it is looked at again"


async def test_an_idle_client_costs_nothing_of_what_it_said(world) -> None:
    size = 4_000_000
    async with world() as here, conversing(here) as pipe:
        tracemalloc.start()
        try:
            await pipe.ask({"action": "subscribe", "address_prefixes": ["ab" * size]})
            assert (await pipe.hear())["state_changes"] == []
            await pipe.ask("x" * size)
            assert "Invalid input" in (await pipe.hear())["error"]
            await trio.testing.wait_all_tasks_blocked()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < size / 2
