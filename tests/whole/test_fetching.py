"""A ledger of a real network asks a server outside, as members allow: once, and all nodes know the answer."""

from __future__ import annotations

import datetime
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from coco_core.adapter import Fetched, read_fetch_record
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, NodePlace, running
from coco_core.client import Connection, NodeClient, pinned_context
from coco_core.crypto import Curve, PrivateKey, endorse, self_signed
from coco_core.errors import OperatorError
from coco_core.governance import read_epochs
from coco_core.node import utc_now
from coco_core.testing import quote
from coco_core.testing.nemesis.injected import write_modules

pytestmark = pytest.mark.processes

PATIENCE_S = 150
NODES = 3
HOUR = datetime.timedelta(hours=1)


@attrs.define
class Outside:
    """A server of somebody else: what it answers, and how often it was asked."""

    port: int = 0
    issuer: str = ""
    number: int = 7
    asked: int = 0

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def answer(self, stream: trio.SocketStream, tls: ssl.SSLContext) -> None:
        encrypted = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = await encrypted.receive_some()
                if not piece:
                    return
                request += bytes(piece)
            self.asked += 1
            body = b"%d" % self.number
            await encrypted.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(encrypted)


@asynccontextmanager
async def outside(folder: Path) -> AsyncIterator[Outside]:
    """Serve on loopback, with a certificate of an issuer that no system knows."""
    now = utc_now().replace(microsecond=0)
    during = {"not_before": now - HOUR, "not_after": now + 24 * HOUR}
    issuer, key = PrivateKey.generate(Curve.P256), PrivateKey.generate(Curve.P256)
    pem = self_signed(issuer, "Issuer", ca=True, **during)
    own = endorse(key.public, "Server", issuer, pem, sans=("127.0.0.1",), **during)
    (folder / "server.pem").write_text(own + key.to_pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Outside(listeners[0].socket.getsockname()[1], pem)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, lambda stream: server.answer(stream, tls), listeners)
        yield server
        nursery.cancel_scope.cancel()


@attrs.frozen
class Governed:
    """A network of one organisation, and what its clients ask it."""

    network: GovernedNetwork
    member: Organisation

    async def send(self, node: int, payload: bytes) -> list[str]:
        address = self.network.nodes[node].info["rpc"]["tally"]
        async with await Connection.open(address, None) as connection:
            answer = await connection.request("POST", "/", payload)
        (told,) = json.loads(answer.body)
        return list(told)

    async def counter(self, node: int, txid: str) -> int:
        """Return the counter on a node, as soon as that has what ``txid`` names."""
        info, seqno = self.network.nodes[node].info, int(txid.partition(".")[2])
        tls = pinned_context(self.network.service_certificate)
        async with await Connection.open(info["admin"], tls) as connection:
            while (await NodeClient(connection).committed_after(seqno - 1))[1] < seqno:
                pass
        async with await Connection.open(info["rpc"]["tally"], None) as connection:
            return int((await connection.request("GET", "/a")).body)

    async def allow(self, ledger: str, server: Outside) -> None:
        change = action("set_fetch_origins", name=ledger, origins=[server.origin], ca_certs=server.issuer)
        await self.network.decide([self.member], change)

    async def primary(self) -> int:
        """Return who leads, as soon as somebody does."""
        tls = pinned_context(self.network.service_certificate)
        while True:
            for node in self.network.nodes:
                if node.ended.is_set():
                    continue
                async with await Connection.open(node.info["admin"], tls) as connection:
                    if (await NodeClient(connection).health())["role"] == "primary":
                        return node.index

    async def records(self, node: int, out: Path) -> list[tuple[Fetched, ...]]:
        """Open every epoch with the member's share, as an auditor may; return what was fetched."""
        service = ("--service-cert", self.network.spec.folder / SERVICE_FILE)
        keys = ("--cert", self.member.files.certificate, "--enc-key", self.member.files.encryption_key)
        admin = ("--admin", self.network.nodes[node].info["admin"])
        ledger = ("--ledger", self.network.nodes[node].ledger_folder)
        async with self.network.client(node) as client:
            epochs = [one.number for one in read_epochs(await client.recovery_state())]
        found = []
        for epoch in epochs:
            partial = out / f"{epoch}.partial"
            await coco("member", "partial", epoch, *admin, *service, *keys, "--out", partial)
            opened = await coco("auditor", "open", epoch, partial, *ledger, *service)
            for line in opened.splitlines():
                values = json.loads(line)["writes"].get("coco.fetched", {})
                assert values.keys() <= {b"tally".hex()}
                found += [read_fetch_record(bytes.fromhex(value)).fetched for value in values.values()]
        return found


async def coco(*words: object) -> bytes:
    command = [sys.executable, "-m", "coco_core", *map(str, words)]
    done: subprocess.CompletedProcess[bytes] = await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@asynccontextmanager
async def governed(folder: Path) -> AsyncIterator[Governed]:
    write_modules(folder / "modules")
    path = os.pathsep.join([str(folder / "modules"), *filter(None, [os.environ.get("PYTHONPATH")])])
    place = NodePlace(environment={"PYTHONPATH": path})
    config: dict[str, Any] = {"counters": {}}
    spec = NetworkSpec(
        folder=folder / "network", nodes=1, ledger="tally", engine="", config=config, places=[place] * NODES
    )
    spec.folder.mkdir()
    member = Organisation.make("A", folder / "members")
    network = GovernedNetwork(spec, [member], "majority", 1)
    async with running(network):
        await network.acknowledge(member)
        await network.open_service([member])
        for _ in range(NODES - 1):
            await network.admit_node([member], member)
        await network.until_open()
        yield Governed(network, member)


async def test_members_allow_a_server_and_every_node_knows_what_it_said(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE_S):
        async with outside(tmp_path) as server, governed(tmp_path) as ledger:
            url = f"{server.origin}/rate"
            assert (await ledger.send(0, quote("w", "a", url)))[:2] == ["rejected", "fetch-not-allowed"]
            with pytest.raises(OperatorError, match="runs no ledger"):
                await ledger.allow("other", server)
            await ledger.allow("tally", server)

            first = await ledger.send((await ledger.primary() + 1) % NODES, quote("x", "a", url))
            assert first[::2] == ["committed", "7"]
            assert [await ledger.counter(node, first[1]) for node in range(NODES)] == [7] * NODES
            assert server.asked == 1

            elsewhere = await ledger.send(0, quote("y", "a", f"https://localhost:{server.port}/rate"))
            assert elsewhere[:2] == ["rejected", "fetch-not-allowed"]
            assert server.asked == 1

            lost = await ledger.primary()
            ledger.network.kill(lost)
            await ledger.network.nodes[lost].ended.wait()
            left = [node for node in range(NODES) if node != lost]
            server.number = 100
            last = await ledger.send(await ledger.primary(), quote("z", "a", url))
            assert last[::2] == ["committed", "107"]
            assert [await ledger.counter(node, last[1]) for node in left] == [107, 107]
            assert server.asked == 2

            records = await ledger.records(left[0], tmp_path)
            assert records == [(Fetched(url, 200, b"7"),), (Fetched(url, 200, b"100"),)]
