"""Three real nodes: what is changed over REST on one of them is read on the others, by every door."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
import trio
import zmq
from websockets.sync.client import ClientConnection, connect

from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network
from coco_core.client import pinned_context
from coco_sawtooth import messages
from coco_sawtooth.authoring import proposed_setting
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.messages import MessageType
from coco_sawtooth.settings_family import setting_address
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import Client, ask_rest

pytestmark = pytest.mark.processes

NODES = 3
PATIENCE_S = 120
PAUSE_S = 0.05
"""Before a node is asked again."""
T = TypeVar("T")


def proposal(admin: Client, setting: str, value: str) -> messages.Batch:
    return admin.batch(proposed_setting(admin.signer, setting, value, nonce="n"))


@attrs.frozen
class Network:
    """A network of nodes, and how to ask them."""

    local: LocalNetwork
    folder: Path

    async def ask(self, node: int, method: str, target: str, body: bytes = b"") -> Any:
        """Return the JSON of an answer, over TLS."""
        address = self.local.nodes[node].info["rpc"]["sawtooth"]
        tls = pinned_context(self.local.service_certificate)
        status, content = await in_thread(lambda: ask_rest(address, method, target, body, tls=tls))
        assert status < 300, content
        return content

    async def commit(self, node: int, batch: messages.Batch) -> None:
        """Have a batch committed that one node takes."""
        body = messages.BatchList(batches=[batch]).SerializeToString()
        link = (await self.ask(node, "POST", "/batches", body))["link"]
        assert link.startswith(f"https://{self.local.nodes[node].info['rpc']['sawtooth']}/")
        target = link[link.index("/batch_statuses") :]
        (status,) = (await self.ask(node, "GET", f"{target}&wait=60"))["data"]
        assert status["status"] == "COMMITTED", status


def endpoint(folder: Path, index: int) -> str:
    return f"ipc://{folder}/p{index}"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Network]:
    spec = NetworkSpec(
        folder=folder,
        nodes=NODES,
        ledger="sawtooth",
        engine="",
        config=development_ledger().config,
        node_settings={"sawtooth": lambda index: {"processors": endpoint(folder, index)}},
    )
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as local:
            yield Network(local, folder)


async def in_thread(call: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(call)


class SocketClient:
    """A client on a node's component socket, as Sawtooth's SDK connects."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, b"client")
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, 30_000)
        self._socket.connect(address)

    def send(self, kind: MessageType, request: Any) -> None:
        envelope = messages.Message(
            message_type=kind, correlation_id="c", content=request.SerializeToString()
        )
        self._socket.send(envelope.SerializeToString())

    def receive(self, kind: MessageType, response: Any) -> Any:
        """Return the next message of a kind; a node may ask in between whether the client is there."""
        while True:
            envelope = messages.Message.FromString(self._socket.recv())
            if envelope.message_type == kind:
                return response.FromString(envelope.content)
            assert envelope.message_type == MessageType.PING_REQUEST

    def close(self) -> None:
        self._socket.close()


async def test_settings_are_changed_on_any_node_and_read_on_all(tmp_path: Path) -> None:
    admin = Client(Signer(development_key(0)))
    async with running(tmp_path) as network:
        genesis = (await network.ask(0, "GET", "/blocks?limit=1"))["head"]
        for node in range(NODES):
            await network.commit(node, proposal(admin, f"sawtooth.example{node}", f"by node {node}"))
        chains = set()
        for node in range(NODES):
            # What is committed on one node is on its way to the others.
            blocks: list[Any] = []
            while len(blocks) < NODES + 1:
                await trio.sleep(PAUSE_S)
                blocks = (await network.ask(node, "GET", "/blocks"))["data"]
            chains.add(tuple(each["header_signature"] for each in blocks))
            for by in range(NODES):
                shown = await network.ask(node, "GET", f"/state/{setting_address(f'sawtooth.example{by}')}")
                setting = messages.Setting.FromString(base64.b64decode(shown["data"]))
                assert [each.value for each in setting.entries] == [f"by node {by}"]
        (chain,) = chains
        assert chain[-1] == genesis, "every node answers the same blocks"


async def test_whoever_listens_hears_of_a_block_that_another_node_took(tmp_path: Path) -> None:
    admin = Client(Signer(development_key(0)))
    async with running(tmp_path) as network:
        address = network.local.nodes[1].info["rpc"]["sawtooth"]
        context: zmq.Context[Any] = zmq.Context()
        asking = await in_thread(lambda: SocketClient(context, endpoint(network.folder, 2)))
        opening = connect(f"ws://{address}/subscriptions", proxy=None)
        try:
            listening = await in_thread(opening.__enter__)
            assert isinstance(listening, ClientConnection)

            def subscribe() -> tuple[Any, Any]:
                listening.send(json.dumps({"action": "subscribe", "address_prefixes": ["000000"]}))
                first = json.loads(listening.recv(timeout=30))
                subscription = messages.EventSubscription(event_type="sawtooth/block-commit")
                asking.send(
                    MessageType.CLIENT_EVENTS_SUBSCRIBE_REQUEST,
                    messages.ClientEventsSubscribeRequest(
                        subscriptions=[subscription], last_known_block_ids=["0" * 16]
                    ),
                )
                answer = asking.receive(
                    MessageType.CLIENT_EVENTS_SUBSCRIBE_RESPONSE, messages.ClientEventsSubscribeResponse
                )
                return first, answer.status

            first, status = await in_thread(subscribe)
            assert (first["block_num"], status) == ("0", messages.ClientEventsSubscribeResponse.OK)
            await network.commit(0, proposal(admin, "sawtooth.example", "x"))

            def hear() -> tuple[Any, list[str]]:
                lists = [asking.receive(MessageType.CLIENT_EVENTS, messages.EventList) for _ in range(2)]
                heard = [
                    each.value
                    for told in lists
                    for each in told.events[0].attributes
                    if each.key == "block_num"
                ]
                return json.loads(listening.recv(timeout=30)), heard

            delta, heard = await in_thread(hear)
            assert heard == ["0", "1"]
            changed = [each["address"] for each in delta["state_changes"]]
            assert (delta["block_num"], setting_address("sawtooth.example") in changed) == ("1", True)
        finally:
            await in_thread(lambda: opening.__exit__(None, None, None))
            asking.close()
            context.term()
