"""A recorded session on ``/subscriptions``, held again with ours over a real WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from websockets.sync.client import ClientConnection, connect

from coco_core.node.http import HTTPServer
from coco_core.node.tls import frontend_context
from coco_core.testing import Consortium
from coco_sawtooth import messages, records
from coco_sawtooth.testing import intkey_transaction

pytestmark = pytest.mark.shared


@asynccontextmanager
async def connected(here) -> AsyncIterator[Callable[[Callable[[ClientConnection], Any]], Any]]:
    """Serve ``here``, and yield what does something with a client's connection in a thread."""
    identity = Consortium.of(1).identities[0]
    tls = frontend_context(identity.certificate, identity.key)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/subscriptions"
    async with trio.open_nursery() as nursery:
        server = HTTPServer(handler=here.front.rest, tls=tls, plain_allowed=True)
        nursery.start_soon(server.serve, listeners)

        def enter() -> tuple[Any, ClientConnection]:
            connecting = connect(url, proxy=None)
            return connecting, connecting.__enter__()

        connecting, client = await trio.to_thread.run_sync(enter)
        yield lambda call: trio.to_thread.run_sync(lambda: call(client))
        await trio.to_thread.run_sync(lambda: connecting.__exit__(None, None, None))
        nursery.cancel_scope.cancel()


def spoken(said: Any, here) -> str:
    """Return what the client said, about the newest block where it named one."""
    if isinstance(said, str):
        return said
    return json.dumps(
        said | {"block_id": records.head(here.service.view()).id} if "block_id" in said else said
    )


async def test_the_recorded_session(shared, world, masked) -> None:
    text = (shared / "data" / "sawtooth" / "websocket_1.2.6.json").read_text(encoding="utf-8")
    async with world() as here, connected(here) as client:
        batch = here.alice.batch(intkey_transaction(here.alice, "set", "w", 12))
        received = 0
        for kind, said in json.loads(text):
            if kind == "recv":
                heard = json.loads(await client(lambda peer: peer.recv(timeout=10)))
                assert masked(heard) == masked(said)
                received += 1
                if received == 1:
                    # What made the next block is no part of the session.
                    raw = messages.BatchList(batches=[batch]).SerializeToString()
                    await here.ask("POST", "/batches", raw, "application/octet-stream")
            else:
                sent = spoken(said, here)
                await client(lambda peer, sent=sent: peer.send(sent))
        assert received == 6
