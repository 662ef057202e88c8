"""The standard test of real node processes: found by entry point, killed, still in agreement."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from coco_core.adapter import HTTPRequest
from coco_core.cli.network import LocalNetwork, NetworkSpec, NodePlace, open_network
from coco_core.client import (
    BundleClient,
    BundlePart,
    Connection,
    ConnectionLostError,
    NodeClient,
    pinned_context,
)
from coco_core.errors import BusyError, CallerError, RejectedError
from coco_core.node import BUNDLES_FRONT_END
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.marking import Nonconformity, expect, standard

NODES: Final = 3
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.05
_BUSY: Final = 503
_TRIES: Final = 400


class ProcessTests(KitBase):
    """Real nodes, as ``coco up`` starts them."""

    @pytest.mark.processes
    @standard
    async def test_three_processes_agree_and_survive_a_crash(self) -> None:
        """Three node processes find the installed adapter, agree, and go on when the primary is killed.

        Why: it is what runs in the end: entry point, settings, threads, sockets and all.

        Mend: see the nodes' logs, which the message names; most often the distribution is not installed, or
        the adapter works only in the process that founded the service.
        """
        with tempfile.TemporaryDirectory(prefix="coco-kit-") as folder:
            network = _network(self.harness, Path(folder))
            async with open_network(network) as local:
                await _Story(self.harness, local).run()


def _network(harness: LedgerHarness, folder: Path) -> NetworkSpec:
    (folder / "network").mkdir()
    return NetworkSpec(
        folder=folder / "network",
        nodes=NODES,
        ledger=harness.name,
        engine="",
        config=harness.genesis(),
        places=[NodePlace(environment={**os.environ, **harness.environment(folder)})] * NODES,
        node_settings={harness.name: lambda _: harness.settings()},
        settings={"rpc": {harness.name: "127.0.0.1:0", BUNDLES_FRONT_END: "127.0.0.1:0"}},
    )


class _Story:
    """A network from its first transaction to the death of its primary."""

    def __init__(self, harness: LedgerHarness, local: LocalNetwork) -> None:
        self.harness = harness
        self.local = local
        self.tls = pinned_context(local.service_certificate)
        self.alive = list(range(NODES))

    async def run(self) -> None:
        """Tell it; raises Nonconformity where it takes another turn."""
        valid = self.harness.valid
        await self._shown_everywhere(None)
        for node in self.alive:
            await self._commit(node, valid(node))
        await self._refused(1, valid(0), "a transaction that another node committed")
        await self._refused(2, self.harness.rejected(0), "rejected(0)")
        await self._refused(0, self.harness.malformed()[0], "a malformed payload")
        shown = await self._shown_everywhere(None)
        request = self.harness.submission(valid(3))
        if request is not None:
            status, body = _BUSY, b""
            for _ in range(_TRIES):
                status, body = await self._http(1, request)
                if status != _BUSY:
                    break
                await trio.sleep(_PAUSE_S)
            expect(status < 400, f"the front end answered {status}: {body!r:.200}")
        else:
            await self._commit(1, valid(3))
        shown = await self._shown_everywhere(shown)
        await self._kill_primary()
        for node in self.alive:
            await self._commit(node, valid(4 + node))
        await self._refused(self.alive[0], valid(0), "a transaction from before the crash")
        await self._shown_everywhere(shown)

    async def _kill_primary(self) -> None:
        for node in self.alive:
            async with await Connection.open(self.local.nodes[node].info["admin"], self.tls) as connection:
                leads = (await NodeClient(connection).health())["role"] == "primary"
            if leads:
                self.local.kill(node)
                await self.local.nodes[node].ended.wait()
                self.alive.remove(node)
                return
        raise Nonconformity("no node says that it leads")

    async def _bundle(self, node: int, payload: bytes) -> None:
        address = self.local.nodes[node].info["rpc"][BUNDLES_FRONT_END]
        async with await Connection.open(address, self.tls) as connection:
            bundle = await BundleClient(connection).submit([BundlePart(self.harness.name, payload)])
        for other in self.alive:
            await self._committed(other, bundle.txid.seqno)

    async def _commit(self, node: int, payload: bytes) -> None:
        """Commit a transaction through ``node``, whoever leads, and wait until every node has it."""
        with trio.move_on_after(_PATIENCE_S):
            unknown = False
            while True:
                try:
                    await self._bundle(node, payload)
                except RejectedError as error:
                    expect(unknown, f"node {node} refused a valid transaction: {error}")
                    return
                except (BusyError, ConnectionLostError):
                    unknown = True
                except CallerError as error:
                    raise Nonconformity(f"node {node} answered {error}") from error
                else:
                    return
                await trio.sleep(_PAUSE_S)
        raise Nonconformity(f"node {node} committed nothing within {_PATIENCE_S:.0f} s; logs in {self._logs}")

    async def _refused(self, node: int, payload: bytes, what: str) -> None:
        with trio.move_on_after(_PATIENCE_S):
            while True:
                try:
                    await self._bundle(node, payload)
                except RejectedError:
                    return
                except (BusyError, ConnectionLostError):
                    await trio.sleep(_PAUSE_S)
                    continue
                raise Nonconformity(f"node {node} committed {what}")
        raise Nonconformity(f"node {node} was busy for {_PATIENCE_S:.0f} s; logs in {self._logs}")

    async def _committed(self, node: int, seqno: int) -> None:
        address = self.local.nodes[node].info["admin"]
        async with await Connection.open(address, self.tls) as connection:
            while (await NodeClient(connection).committed_after(seqno - 1))[1] < seqno:
                pass

    async def _shown_everywhere(self, before: Sequence[Any] | None) -> Sequence[Any]:
        """Return what all nodes show; raises Nonconformity if they differ, or show what was ``before``."""
        shown: list[list[Any]] = []
        with trio.move_on_after(_PATIENCE_S):
            while True:
                shown = [await self._shown(node) for node in self.alive]
                if all(one == shown[0] for one in shown) and (not shown[0] or shown[0] != before):
                    return shown[0]
                await trio.sleep(_PAUSE_S)
        raise Nonconformity(f"nodes show {shown!r:.400}; before it was {before!r:.200}")

    async def _shown(self, node: int) -> list[Any]:
        questions = self.harness.questions()
        return [self.harness.read(*await self._http(node, one)) for one in questions]

    async def _http(self, node: int, request: HTTPRequest) -> tuple[int, bytes]:
        address = self.local.nodes[node].info["rpc"][self.harness.name]
        kind = request.headers.get("content-type", "application/json")
        async with await Connection.open(address, None) as connection:
            await connection.send(request.method, request.target, request.body, kind)
            answer = await connection.receive()
            return answer.status, answer.body

    @property
    def _logs(self) -> str:
        return str(self.local.spec.folder)
