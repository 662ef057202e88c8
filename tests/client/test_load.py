"""The load generator against nodes that break, refuse for a while or are gone: over real TLS sockets."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import attrs
import pytest
import trio

from coco_core.adapter import (
    RETRY_PREFIX,
    TRANSACTION_IDS_HEADER,
    HTTPRequest,
    HTTPResponse,
    Load,
    Told,
)
from coco_core.client import ConnectionLostError, Endpoint, LoadResult, LoadSettings, run_load
from coco_core.client import load as load_module
from coco_core.client.load import Reader
from coco_core.crypto import Curve, PrivateKey, self_signed
from coco_core.node.http import HTTPServer
from coco_core.node.tls import frontend_context

KEY = PrivateKey.generate(Curve.P256)
CERTIFICATE = self_signed(
    KEY,
    "Coco Service",
    not_before=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    not_after=datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC),
    ca=True,
    sans=("127.0.0.1",),
)
PATIENCE_S = 20
"""Far below the time after which the generator gives up a silent node."""


@attrs.define(eq=False)
class Ledger:
    """What every node of this small network accepts into, in order, each request once."""

    accepted: list[bytes] = attrs.field(factory=list)
    grown: trio.Event = attrs.field(factory=trio.Event)

    def take(self, body: bytes) -> HTTPResponse:
        if body in self.accepted:
            return HTTPResponse(body=b"")
        self.accepted.append(body)
        self.grown.set()
        self.grown = trio.Event()
        return HTTPResponse(body=b"", headers={TRANSACTION_IDS_HEADER: f"2.{len(self.accepted)}"})


BUSY = HTTPResponse(body=RETRY_PREFIX.encode() + b"no primary")


@attrs.define(eq=False)
class Node:
    """One node: ``answer`` decides what a request to its front end gets."""

    ledger: Ledger
    answer: Callable[[Node, bytes], HTTPResponse]
    asked: list[bytes] = attrs.field(factory=list)

    def accept(self, request: HTTPRequest):
        if request.method == "POST":
            self.asked.append(request.body)
            return self.answer(self, request.body)

        async def committed() -> HTTPResponse:
            after = int(request.target.rpartition("=")[2])
            while len(self.ledger.accepted) <= after:
                await self.ledger.grown.wait()
            return HTTPResponse(body=json.dumps({"view": 2, "seqno": len(self.ledger.accepted)}).encode())

        return committed


def accepting(node: Node, body: bytes) -> HTTPResponse:
    return node.ledger.take(body)


def loads(count: int) -> Iterator[Load]:
    return (Load(HTTPRequest.post("/", b"transaction %d" % number), 1) for number in range(count))


def told(load: Load, answer: HTTPResponse) -> Told:
    return Told(refused=[answer.body.decode()] if answer.body else [])


async def never_speaks(stream: trio.SocketStream) -> None:
    """Hold a connection as a node does that hangs."""
    await trio.sleep_forever()


async def run(
    nodes: Sequence[Node | str], count: int, *, outstanding: int = 4, reader: Reader = told
) -> LoadResult:
    """Send ``count`` requests to nodes; ``gone``: nobody listens there, ``hung``: nobody speaks."""
    async with trio.open_nursery() as nursery:
        endpoints = []
        for node in nodes:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            endpoints.append(Endpoint(rpc=address, admin=address))
            if node == "gone":
                await listeners[0].aclose()
            elif node == "hung":
                nursery.start_soon(trio.serve_listeners, never_speaks, listeners)
            else:
                nursery.start_soon(
                    HTTPServer(handler=node, tls=frontend_context(CERTIFICATE, KEY)).serve, listeners
                )
        settings = LoadSettings(
            endpoints=endpoints, service_certificate=CERTIFICATE, outstanding=outstanding, per_request=1
        )
        with trio.fail_after(PATIENCE_S):
            result = await run_load(settings, loads(count), reader)
        nursery.cancel_scope.cancel()
    return result


TAKEN = HTTPResponse(status=202, body=b"taken")


def told_later(load: Load, answer: HTTPResponse) -> Told:
    """Read an answer of a ledger that takes transactions and tells their fates when it is asked."""
    number = load.request.body.rpartition(b" ")[2].decode()
    if answer.status == 202 or answer.body == b"pending":
        return Told(ask=HTTPRequest.post("/", b"what became of %s" % number.encode()))
    return told(load, answer)


@attrs.define(eq=False)
class Taking:
    """Takes transactions at once, and tells what became of one when it is asked a second time."""

    ledger: Ledger
    broken: set[bytes] = attrs.field(factory=set)
    """What it answers once that it cannot."""
    asked: dict[bytes, int] = attrs.field(factory=dict)

    def __call__(self, node: Node, body: bytes) -> HTTPResponse:
        if body in self.broken:
            self.broken.remove(body)
            return HTTPResponse(status=503)
        if not body.startswith(b"what"):
            return TAKEN
        self.asked[body] = self.asked.get(body, 0) + 1
        if self.asked[body] < 2:
            return HTTPResponse(body=b"pending")
        return self.ledger.take(b"transaction " + body.rpartition(b" ")[2])


def in_order(count: int) -> list[bytes]:
    return [load.request.body for load in loads(count)]


async def test_everything_is_sent_in_order_and_placed():
    ledger = Ledger()
    result = await run([Node(ledger, accepting)] * 3, 50)
    assert ledger.accepted == in_order(50)
    assert [place.seqno for place in result.places if place] == list(range(1, 51))
    assert result.resent_requests == 0
    assert len(result.latencies(3)) == 50


async def test_a_transaction_waiting_for_room_survives_a_broken_connection():
    ledger = Ledger()

    def once(node: Node, body: bytes) -> HTTPResponse:
        return HTTPResponse(status=503) if len(node.asked) == 3 else ledger.take(body)

    # With one outstanding, the next transaction is already taken from the workload when the answer comes.
    result = await run([Node(ledger, once), Node(ledger, accepting)], 10, outstanding=1)
    assert ledger.accepted == in_order(10)
    assert result.resent_requests == 1
    assert result.refused == []


async def test_order_is_kept_by_a_node_that_finds_a_primary_halfway():
    ledger = Ledger()

    def no_primary(node: Node, body: bytes) -> HTTPResponse:
        return BUSY

    def finds_a_primary(node: Node, body: bytes) -> HTTPResponse:
        # The first request it gets is refused; an impatient client's next ones would be taken first.
        return BUSY if len(node.asked) == 1 else ledger.take(body)

    result = await run([Node(ledger, no_primary), Node(ledger, finds_a_primary), Node(ledger, accepting)], 20)
    assert ledger.accepted == in_order(20)
    assert result.refused == []
    assert all(place is not None for place in result.places)


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_a_node_that_is_gone_is_not_waited_for(gone):
    ledger = Ledger()
    nodes: list[Node | str] = [Node(ledger, accepting) for _ in range(3)]
    nodes[gone] = "gone"
    result = await run(nodes, 20)
    assert ledger.accepted == in_order(20)
    assert result.lost == {gone}
    assert len(result.latencies(2)) == 20
    assert result.latencies(3) == []
    assert result.started_at < result.ended_at


async def test_places_known_before_a_request_is_sent_again_are_kept():
    ledger = Ledger()

    def half(node: Node, body: bytes) -> HTTPResponse:
        answer = ledger.take(body)
        return attrs.evolve(answer, body=BUSY.body) if len(node.asked) == 2 else answer

    result = await run([Node(ledger, half), Node(ledger, accepting)], 5, outstanding=1)
    assert ledger.accepted == in_order(5)
    assert [place and place.seqno for place in result.places] == [1, 2, 3, 4, 5]


async def test_a_node_that_hangs_is_passed_over(monkeypatch):
    monkeypatch.setattr(load_module, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(load_module, "COMMITS_TIMEOUT_S", 0.2)
    ledger = Ledger()
    result = await run(["hung", Node(ledger, accepting), Node(ledger, accepting)], 20)
    assert ledger.accepted == in_order(20)
    assert result.refused == []
    assert len(result.latencies(2)) == 20


async def test_what_became_of_transactions_that_are_taken_is_asked():
    ledger = Ledger()
    node = Node(ledger, Taking(ledger))
    result = await run([node] * 3, 20, reader=told_later)
    assert ledger.accepted == in_order(20)
    assert [place and place.seqno for place in result.places] == list(range(1, 21))
    assert len(result.answers()) == len(result.latencies(3)) == 20
    posted = [body for body in node.asked if not body.startswith(b"what")]
    assert posted == in_order(20), "nothing is held up by what is asked about those before"


@pytest.mark.parametrize("broken", [b"what became of 7", b"transaction 7"])
async def test_taken_transactions_are_sent_again_when_their_fate_cannot_be_had(broken):
    ledger = Ledger()
    taking = Taking(ledger, {broken})
    result = await run([Node(ledger, taking)], 20, reader=told_later)
    assert sorted(ledger.accepted) == sorted(in_order(20))
    assert 0 < result.resent_requests <= 4
    assert result.all_committed


async def test_a_ledger_that_tells_no_places_is_measured_by_its_answers():
    def placeless(node: Node, body: bytes) -> HTTPResponse:
        return HTTPResponse(body=node.ledger.take(body).body)

    result = await run([Node(Ledger(), placeless)], 20)
    assert len(result.answers()) == 20
    assert result.latencies(1) == []
    assert result.ended_at == max(result.answered_at)


async def test_throughput_counts_until_the_last_answer_where_only_some_tell_places():
    def known_again(node: Node, body: bytes) -> HTTPResponse:
        # What is known already when it is sent again, after a failover, has no place.
        told = ledger.take(body)
        return told if len(ledger.accepted) == 1 else HTTPResponse(body=told.body)

    ledger = Ledger()
    result = await run([Node(ledger, known_again)], 20, outstanding=1)
    assert [place is not None for place in result.places] == [True] + [False] * 19
    assert result.ended_at >= max(result.answered_at)


async def test_the_clock_starts_at_the_first_send_not_at_connecting():
    ledger = Ledger()
    result = await run(["gone", Node(ledger, accepting)], 5)
    assert result.started_at == result.sent_at[0]


@attrs.define(eq=False)
class Undecided:
    """Takes transactions, and answers at once, for ever, that their fates are not known yet."""

    questions: list[float] = attrs.field(factory=list)

    def __call__(self, node: Node, body: bytes) -> HTTPResponse:
        if not body.startswith(b"what"):
            return TAKEN
        self.questions.append(trio.current_time())
        return HTTPResponse(body=b"pending")


async def test_a_fate_that_is_never_told_is_asked_with_pauses_and_given_up(monkeypatch):
    monkeypatch.setattr(load_module, "FATE_TIMEOUT_S", 0.5)
    undecided = Undecided()
    with pytest.raises(BaseExceptionGroup) as raised:
        await run([Node(Ledger(), undecided)] * 2, 3, reader=told_later)
    assert raised.group_contains(ConnectionLostError, match="became of", depth=2)
    times = undecided.questions
    assert len(times) > 1
    assert all(later - sooner >= load_module.RETRY_PAUSE_S * 0.9 for sooner, later in pairwise(times))
