"""Three real nodes with real JVMs, and clients of theirs."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from websockets.sync.client import ClientConnection, connect

from coco_corda.development import development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.shell import find_launch
from coco_corda.testing import Samples, Signer, nonce_of
from coco_corda.testing.client import parsed
from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network

NODES = 3
PATIENCE_S = 400
TRIES = 60


@attrs.frozen
class Network:
    """A network of nodes, and how to ask them."""

    local: LocalNetwork
    samples: Samples
    _numbers: itertools.count[int] = attrs.field(factory=itertools.count)

    def signer(self, name: str) -> Signer:
        """Return a participant of the samples."""
        notary = NotaryKey(development_seed()).public_key
        return Signer.read(self.samples[f"{name}-private"], notary)

    async def ask(
        self, node: int, method: str, target: str, body: bytes = b"", by: str = ""
    ) -> tuple[int, bytes]:
        """Return status and body of an answer, to a request that ``by`` signed."""
        headers: dict[str, str] = {}
        if by:
            nonce = nonce_of(next(self._numbers), target)
            headers = self.signer(by).headers(method, target, time.time_ns() // 10**6, nonce, body)
        return await self.ask_with(node, target, headers, method, body)

    async def ask_with(
        self, node: int, target: str, headers: dict[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, bytes]:
        """Return status and body of an answer to a request with these headers."""
        host, port = self.local.nodes[node].info["rpc"]["corda"].rsplit(":", 1)
        octets = {"Content-Type": "application/octet-stream", **headers}

        def exchange() -> tuple[int, bytes]:
            with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=90)) as connection:
                connection.request(method, target, body, octets)
                answer = connection.getresponse()
                return answer.status, answer.read()

        return await trio.to_thread.run_sync(exchange)

    @asynccontextmanager
    async def listening(self, node: int, by: str) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
        """Open a WebSocket, by a client nobody here wrote; call what it gives for the next message."""
        target = "/updates"
        nonce = nonce_of(next(self._numbers), target)
        headers = self.signer(by).headers("GET", target, time.time_ns() // 10**6, nonce)
        address = self.local.nodes[node].info["rpc"]["corda"]
        opening = connect(f"ws://{address}{target}", additional_headers=headers, proxy=None)
        websocket: ClientConnection = await trio.to_thread.run_sync(opening.__enter__)

        async def hear() -> Any:
            return parsed(await trio.to_thread.run_sync(websocket.recv, PATIENCE_S))

        try:
            yield hear
        finally:
            await trio.to_thread.run_sync(opening.__exit__, None, None, None)

    async def submit(self, node: int, name: str, by: str = "") -> tuple[int, Any]:
        """Submit a sample until its fate is known: without a primary a node says to send it again."""
        for _ in range(TRIES):
            try:
                status, body = await self.ask(node, "POST", "/transactions", self.samples[name], by)
            except OSError:
                await trio.sleep(0.5)
                continue
            if status != 503:
                return status, parsed(body)
            await trio.sleep(0.5)
        raise AssertionError(f"{name} was not decided")

    async def told(self, node: int, target: str, by: str = "") -> Any:
        """Return the JSON of what is read."""
        status, body = await self.ask(node, "GET", target, by=by)
        assert status == 200, body
        return parsed(body)


@asynccontextmanager
async def running(folder: Path, samples: Samples, states: int) -> AsyncIterator[Network]:
    spec = NetworkSpec(
        folder=folder,
        nodes=NODES,
        ledger="corda",
        engine="",
        config=samples.genesis(states),
        node_settings={"corda": lambda index: {"verify_seconds": 60}},
    )
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec) as local:
            yield Network(local, samples)


@pytest.fixture(autouse=True)
def jvm() -> None:
    """Skip where there is no JVM worker."""
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)


@pytest.fixture
def start(tmp_path: Path, samples: Samples) -> Any:
    """Start a network whose genesis has so many states."""
    return lambda states: running(tmp_path, samples, states)
