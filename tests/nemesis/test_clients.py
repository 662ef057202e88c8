"""Clients send until they are certain, whatever nodes answer; scripted nodes on loopback."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import TypeVar

import pytest
import trio

from coco_core.adapter import TRANSACTION_IDS_HEADER
from coco_core.base import TxID
from coco_core.testing.linearizability import check_linearizable
from coco_core.testing.nemesis import clients
from coco_core.testing.nemesis.clients import Doors, Record
from coco_core.testing.nemesis.ethereum_load import EthereumClient, ethereum_ledger
from coco_core.testing.nemesis.tally_load import TallyClient, counter_name, histories
from coco_core.wire.http import MessageReader

Client = TypeVar("Client", TallyClient, EthereumClient)

TIMEOUT_S = 30
SILENCE = b""


CLOSING = b"connection: close\r\n"


def http(status: int, body: bytes, placed: str = "", more: bytes = b"") -> bytes:
    place = f"{TRANSACTION_IDS_HEADER}: {placed}\r\n".encode() if placed else b""
    return b"HTTP/1.1 %d X\r\n%b%bcontent-length: %d\r\n\r\n%b" % (status, place, more, len(body), body)


def fates(*each: list[str]) -> bytes:
    return http(200, json.dumps(each).encode())


class ScriptedNode:
    """Answers each request with the next piece of a script; SILENCE closes the connection instead.

    What says CLOSING is the last answer there.
    """

    def __init__(self, script: Iterator) -> None:
        self.requests: list[list[str]] = []
        self._script = script

    async def serve(self, stream: trio.SocketStream) -> None:
        reader = MessageReader(requests=True, body_max_bytes=100_000)
        async with stream:
            while data := await stream.receive_some(10_000):
                for message in reader.feed(bytes(data)):
                    lines = message.body.decode().splitlines()
                    self.requests.append(lines)
                    answer = next(self._script)(lines)
                    if answer == SILENCE:
                        return
                    await stream.send_all(answer)
                    if CLOSING in answer:
                        return


async def played(script, rounds: int) -> tuple[ScriptedNode, TallyClient, Record]:
    """Run a client against a node with this script until it has been through ``rounds`` groups."""
    record = Record()

    def steps() -> Iterator:
        yield from script
        record.sending = False
        while True:
            yield committed

    def client(doors: Doors) -> TallyClient:
        return TallyClient("t0", doors, record, Random(2), 0.0)

    node, tally = await served(steps(), client)
    return node, tally, record


async def served(steps: Iterator, client_of: Callable[[Doors], Client]) -> tuple[ScriptedNode, Client]:
    """Run a client against a node that takes these steps, until the client has enough."""
    (node,), client = await served_by([steps], client_of)
    return node, client


async def served_by(
    scripts: Sequence[Iterator], client_of: Callable[[Doors], Client]
) -> tuple[list[ScriptedNode], Client]:
    """Run a client against a node for each of these scripts, until the client has enough."""
    async with AsyncExitStack() as stack:
        stack.enter_context(trio.fail_after(TIMEOUT_S))
        nursery = await stack.enter_async_context(trio.open_nursery())
        nodes, addresses = [ScriptedNode(steps) for steps in scripts], []
        for node in nodes:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, node.serve, [listener])
            addresses.append(f"127.0.0.1:{listener.socket.getsockname()[1]}")
        client = client_of(Doors(addresses, None, Random(1)))
        await client.run()
        nursery.cancel_scope.cancel()
    return nodes, client


TOTALS: dict[str, int] = {}


def committed(lines: list[str]) -> bytes:
    """Commit every line."""
    answers = []
    for line in lines:
        _, _, counter, amount = line.split()
        TOTALS[counter] = TOTALS.get(counter, 0) + int(amount)
        answers.append(["committed", f"2.{len(TOTALS)}", str(TOTALS[counter])])
    return fates(*answers)


def refused_as_known(lines: list[str]) -> bytes:
    return fates(*(["rejected", "duplicate", "was applied already"] for _ in lines))


def not_committed(lines: list[str]) -> bytes:
    return fates(*(["not committed", "leadership moved"] for _ in lines))


def busy(lines: list[str]) -> bytes:
    return http(503, b"no primary is known")


def closing(lines: list[str]) -> bytes:
    return http(503, b"this node has not caught up", more=CLOSING)


def silent(lines: list[str]) -> bytes:
    return SILENCE


async def test_a_client_sends_the_same_names_until_it_is_certain() -> None:
    TOTALS.clear()
    node, client, record = await played([silent, busy, not_committed, committed], 1)
    assert record.violations == []
    first = node.requests[0]
    assert node.requests[:4] == [first] * 4
    assert all(one.returned is not None for one in client.history)
    assert client.history[0].attempts == 4
    assert record.attempts == len(node.requests)
    assert len({one.name for one in client.history}) == len(client.history)


@pytest.mark.parametrize("answer", [busy, closing, silent])
async def test_a_node_that_is_not_ready_is_not_asked_for_a_while(monkeypatch, answer) -> None:
    TOTALS.clear()
    # On this clock, however slow the machine.
    monkeypatch.setattr(clients, "AVOIDED_S", 1_000.0)
    record = Record()

    def steps() -> Iterator:
        yield from [committed] * 20
        record.sending = False
        while True:
            yield committed

    def client(doors: Doors) -> TallyClient:
        return TallyClient("t0", doors, record, Random(2), 0.0)

    (not_ready, ready), tally = await served_by([itertools.repeat(answer), steps()], client)
    assert record.violations == []
    assert len(not_ready.requests) == 1
    assert not_ready.requests[0] in ready.requests
    assert all(one.returned is not None for one in tally.history)


async def test_a_connection_that_its_node_closes_is_not_used_again() -> None:
    TOTALS.clear()
    node, client, record = await played([closing, committed], 1)
    assert record.violations == []
    assert client.history[0].unsure == "this node has not caught up"
    assert client.history[0].attempts == 2
    assert record.attempts == len(node.requests)


async def test_a_transfer_is_sent_again_when_a_node_has_not_caught_up() -> None:
    record, ledger = Record(), ethereum_ledger()

    def taken(lines: list[str]) -> bytes:
        record.sending = False
        (raw,) = json.loads(lines[0])["params"]
        name = ledger.digest(bytes.fromhex(raw[2:])).hex()
        return http(200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x" + name}).encode(), "2.9")

    def client(doors: Doors) -> EthereumClient:
        return EthereumClient(ledger, 0, doors, record, Random(2), 0.0)

    node, sender = await served(iter([busy, taken]), client)
    assert record.violations == []
    assert node.requests[0] == node.requests[1]
    assert [one.attempts for one in sender.history] == [2]
    assert sender.history[0].place == TxID(2, 9)


async def test_what_is_refused_as_known_is_certain_without_a_total() -> None:
    TOTALS.clear()
    _, client, record = await played([silent, refused_as_known], 1)
    assert record.violations == []
    assert client.history[0].total is None
    assert client.history[0].place is None
    assert client.history[0].returned is not None


async def test_a_refusal_as_known_of_what_was_sent_once_is_a_violation() -> None:
    _, _, record = await played([refused_as_known], 1)
    assert "was sent once and refused as known" in record.violations[0]


async def test_an_answer_nobody_should_get_is_a_violation() -> None:
    def wrong(lines: list[str]) -> bytes:
        return http(500, b"oh")

    _, _, record = await played([wrong, committed], 1)
    assert record.violations == ["tally answered 500: b'oh'"]


async def test_histories_are_by_counter_and_linearizable_as_served() -> None:
    TOTALS.clear()
    _, client, _ = await played([committed] * 5, 5)
    found = histories(client.history, {})
    assert sum(len(operations) for operations in found.values()) == len(client.history)
    for counter, operations in found.items():
        check_linearizable(operations, 0, counter)


def test_counters_have_different_names_of_letters() -> None:
    names = [counter_name(number) for number in range(2_000)]
    assert names[:3] == ["a", "b", "c"]
    assert names[25:28] == ["z", "aa", "ab"]
    assert len(set(names)) == len(names)
    assert all(name.isalpha() and name.islower() for name in names)
