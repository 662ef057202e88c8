"""What participants are told of changes: by long poll and by WebSocket, in order, once, and nobody else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coco_corda import records
from coco_corda.adapter import CordaAdapter
from coco_corda.front import FrontEnd
from coco_corda.front import updates as updates_module
from coco_corda.limits import PAGE_SIZE_MAX_BYTES
from coco_corda.notary_key import NotaryKey
from coco_corda.records import State
from coco_corda.refs import StateRef, sha256
from coco_corda.shell import Clock, Workers
from coco_corda.testing import Signer, nonce_of
from coco_core.adapter import (
    HTTPRequest,
    HTTPResponse,
    WebSocketAnswer,
    WebSocketClosedError,
    Writes,
)
from coco_core.errors import IntegrityError
from coco_core.testing import Sandbox

NOTARY = NotaryKey(bytes(32)).public_key
GENESIS = {"notary_name": "O=Notary, L=London, C=GB", "notary_seed": "00" * 32}


def signer(number: int) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), NOTARY)


ALICE, BOB = signer(1), signer(2)


def ref(number: int) -> StateRef:
    return StateRef(hashlib.sha256(b"%d" % number).digest(), number)


class Node(Sandbox):
    """A node's front end on a ledger that grows as a test says."""

    def __init__(self) -> None:
        front = FrontEnd(Workers("no JVM is needed here"), Clock(), runs="nothing")
        self._front = front
        self._asked = 0
        super().__init__(CordaAdapter(Workers("nor here"), [front]), GENESIS)

    async def serve(self) -> None:
        await self._front.serve(self)

    def write(self, writes: Writes) -> None:
        self.put([writes])
        self.commit()

    def make(self, number: int, owner: Signer, output: bytes = b"") -> None:
        output = output or b"output %d" % number
        state = State(params_hash=bytes(32), participants=(sha256(owner.key),), output=output)
        self.write({records.STATE: {ref(number).key: state.pack()}})

    def use_up(self, number: int) -> None:
        self.write({records.CONSUMED: {ref(number).key: bytes(32)}})

    def ask(
        self, target: str, who: Signer | None, *, websocket: bool = False
    ) -> HTTPResponse | WebSocketAnswer | Any:
        self._asked += 1
        headers = {}
        if who is not None:
            now_ms = Clock().now_ms()
            headers = who.headers("GET", target, now_ms, nonce_of(self._asked, target))
        assert self.handler is not None
        return self.handler.accept(
            HTTPRequest(method="GET", target=target, headers=headers, body=b"", websocket=websocket)
        )

    async def poll(self, target: str, who: Signer) -> Any:
        accepted = self.ask(target, who)
        told = accepted if isinstance(accepted, HTTPResponse) else await accepted()
        return orjson.loads(told.body)

    @asynccontextmanager
    async def conversation(self, target: str, who: Signer) -> AsyncIterator[Pipe]:
        accepted = self.ask(target, who, websocket=True)
        assert isinstance(accepted, WebSocketAnswer), accepted
        pipe = Pipe()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accepted.converse, pipe)
            yield pipe
            pipe.leave()


class Pipe:
    """Both ends of a conversation."""

    def __init__(self) -> None:
        self._to_node, self._from_client = trio.open_memory_channel[str](0)
        self._to_client, self._from_node = trio.open_memory_channel[str](0)

    async def receive(self) -> str:
        try:
            return await self._from_client.receive()
        except trio.EndOfChannel:
            raise WebSocketClosedError(1000, "") from None

    async def send(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        await self._to_client.send(message)

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        raise AssertionError("the node does not close")

    # --- the client's end

    async def say(self, message: str) -> None:
        await self._to_node.send(message)

    async def hear(self) -> list[tuple[str, str, str]]:
        told = orjson.loads(await self._from_node.receive())
        return changes(told)

    def leave(self) -> None:
        self._to_node.close()


def changes(told: Any) -> list[tuple[str, str, str]]:
    return [(each["ref"], each["change"], each.get("state", "")) for each in told["changes"]]


def new(number: int) -> tuple[str, str, str]:
    return str(ref(number)), "unconsumed", base64.b64encode(b"output %d" % number).decode()


def used(number: int) -> tuple[str, str, str]:
    return str(ref(number)), "consumed", ""


@pytest.fixture
async def node() -> Node:
    made = Node()
    await made.serve()
    return made


async def test_a_poll_waits_for_what_concerns_who_asks(node: Node) -> None:
    told: list[Any] = []

    async def poll() -> None:
        told.append(await node.poll(f"/updates?after={node.seqno}&wait=60", ALICE))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        node.make(1, BOB)
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        node.make(2, ALICE)
    assert [changes(each) for each in told] == [[new(2)]]
    assert told[0]["seqno"] == node.seqno


async def test_a_conversation_tells_each_change_once_and_in_order(node: Node) -> None:
    node.make(1, ALICE)
    async with node.conversation("/updates?after=0", ALICE) as pipe:
        assert await pipe.hear() == [new(1)]
        node.make(2, BOB)
        node.make(3, ALICE)
        assert await pipe.hear() == [new(3)]
        node.use_up(1)
        node.use_up(2)
        assert await pipe.hear() == [used(1)]
        node.make(4, ALICE)
        await trio.testing.wait_all_tasks_blocked()
        node.use_up(4)
        node.make(5, ALICE)
        heard = [*await pipe.hear(), *await pipe.hear()]
        assert heard == [new(4), used(4), new(5)], "who reads slowly is told more at a time"


async def test_who_was_told_everything_goes_on_elsewhere(node: Node) -> None:
    node.make(1, ALICE)
    told = await node.poll("/updates?after=0", ALICE)
    node.make(2, ALICE)
    async with node.conversation(f"/updates?after={told['seqno']}", ALICE) as pipe:
        assert await pipe.hear() == [new(2)]


async def test_whoever_talks_and_leaves_is_not_listened_to_any_more(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's words are read, so that its good-bye behind them is: it would keep a place for ever."""
    monkeypatch.setattr(updates_module, "LISTENERS_MAX", 1)
    for _ in range(3):
        async with node.conversation("/updates", BOB) as pipe:
            for _ in range(20):
                await pipe.say("hello")
    async with node.conversation("/updates", ALICE):
        await trio.testing.wait_all_tasks_blocked()
        refused = node.ask("/updates?wait=1", ALICE)
        assert isinstance(refused, HTTPResponse)
        assert refused.status == 503
        assert (await node.poll("/updates", ALICE))["changes"] == [], "who does not wait takes no place"
    assert (await node.poll("/updates", ALICE))["changes"] == []


async def test_an_answer_is_bounded_by_what_it_says_and_not_by_what_is_kept_for_it(node: Node) -> None:
    """Rows are packed, so that a few bytes of the ledger may be many of an answer."""
    large = bytes(PAGE_SIZE_MAX_BYTES // 2)
    for number in range(4):
        node.make(number, ALICE, large)
    told = await node.poll("/updates?after=0", ALICE)
    assert [(ref, bool(state)) for ref, _, state in changes(told)] == [
        (str(ref(number)), number < 2) for number in range(4)
    ]
    found: list[str] = []
    after = ""
    while True:
        page = node.ask("/states" + after, ALICE)
        assert isinstance(page, HTTPResponse)
        read = orjson.loads(page.body)
        assert len(read["states"]) <= 3
        found += [each["ref"] for each in read["states"]]
        if "next" not in read:
            break
        after = f"?after={read['next']}"
    assert sorted(found) == sorted(str(ref(number)) for number in range(4))


async def test_nobody_listens_unsigned(node: Node) -> None:
    for websocket in (False, True):
        refused = node.ask("/updates", None, websocket=websocket)
        assert isinstance(refused, HTTPResponse)
        assert refused.status == 401


async def test_what_is_not_theirs_is_not_even_read_for_strangers(node: Node) -> None:
    """How long that takes would tell them how much it is: here it could not be read at all."""
    whole = State(params_hash=bytes(32), participants=(sha256(ALICE.key),), output=b"").pack()
    kept = records.Kept(participants=[sha256(ALICE.key)], stx=b"").pack()
    node.write({records.STATE: {ref(1).key: whole + b"?"}, records.TX: {ref(1).tx_id: kept + b"?"}})
    for target in (f"/states/{ref(1)}", f"/transactions/{ref(1).tx_id.hex().upper()}/signed"):
        assert node.ask(target, BOB).status == 404
        with pytest.raises(IntegrityError):
            node.ask(target, ALICE)
