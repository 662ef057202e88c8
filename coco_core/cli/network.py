"""A whole network as processes of this machine: start, watch, stop, leave nothing behind."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from coco_core.cli.local_node import LocalNode, reached
from coco_core.client import Endpoint
from coco_core.errors import OperatorError
from coco_core.node import BUNDLES_FRONT_END

Result = TypeVar("Result")

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
GENESIS_FILE, SERVICE_FILE = "genesis.json", "service_cert.pem"
OPERATOR_FILE, OPERATOR_KEY_FILE = "operator.pem", "operator_key.pem"


@attrs.frozen(kw_only=True)
class LedgerSpec:
    """One more ledger on the same network."""

    engine: str = ""
    config: Mapping[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class NodePlace:
    """Where and how one node runs; by default on loopback, as a plain child of this process."""

    host: str = "127.0.0.1"
    """Where it listens."""
    published: str = ""
    """The host other nodes dial; empty for the one it listens on."""
    peer_port: int = 0
    command: Sequence[str] = ()
    """What its command line is put behind, for example to run it in a namespace."""
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Variables set beside those of this process."""


@attrs.frozen(kw_only=True)
class NetworkSpec:
    """What to start."""

    folder: Path
    nodes: int
    ledger: str
    engine: str
    config: Mapping[str, Any] = attrs.field(repr=False)
    beside: Mapping[str, LedgerSpec] = attrs.field(factory=dict, repr=False)
    """Further ledgers by name."""
    rpc_port: int = 0
    """Port of the first node's front end, counted up from there; 0 = any free ports."""
    admin_port: int = 0
    peer_port: int = 0
    places: Sequence[NodePlace] = ()
    """One for each node; none for loopback."""
    operators: Sequence[Path] = ()
    """Certificates of those who may change the nodes later."""
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    """Further settings of every node."""
    node_settings: Mapping[str, Callable[[int], Mapping[str, Any]]] = attrs.field(factory=dict)
    """By ledger: what its adapter is told on the node of an index, counted from 0."""
    platforms: Sequence[str | Mapping[str, Any]] = ()
    """What each node runs on, as its settings say it; none for the virtual platform."""
    policy: Path | None = None
    """Which evidence the founder lets join, and every other node believes; None on the virtual platform."""

    @property
    def ledgers(self) -> Mapping[str, LedgerSpec]:
        """Every ledger by name, the first one first."""
        return {self.ledger: LedgerSpec(engine=self.engine, config=self.config), **self.beside}


class LocalNetwork:
    """Node processes on this machine that form one service."""

    node_class: type[LocalNode] = LocalNode

    def __init__(self, spec: NetworkSpec) -> None:
        """Describe the network; ``open_network`` starts it."""
        self.spec = spec
        self.worth_keeping = False
        """Whether the folder holds a network, or what tells why one did not start in time."""
        self.service_certificate = ""
        """PEM of the service identity."""
        self.nodes = [self.node_class(index, spec.folder / f"node-{index}") for index in range(spec.nodes)]

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where clients of the first ledger reach each node."""
        return self.endpoints_of(self.spec.ledger)

    def endpoints_of(self, ledger: str) -> list[Endpoint]:
        """Where clients of ``ledger`` reach each node."""
        return [Endpoint(rpc=node.info["rpc"][ledger], admin=node.info["admin"]) for node in self.nodes]

    def leader(self, dead: Collection[int] = ()) -> int | None:
        """Return the node that leads, of those that run and are not ``dead``; None when none is known to.

        It is that of the greatest view, for one that led before may not know it yet. Who founded the service
        leads first, and announces only when that ends.
        """
        leaders = [
            node
            for node in self.nodes
            if node.index not in dead
            and not node.ended.is_set()
            and (node.role == "leader" or (not node.role and not node.index))
        ]
        return max(leaders, key=lambda node: node.view).index if leaders else None

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all nodes and wait until every one is open; raises OperatorError with a node's reason."""
        folder = self.spec.folder
        self._nursery = nursery
        with trio.move_on_after(START_TIMEOUT_S) as deadline:
            for path, ledger in zip(self._genesis_files, self.spec.ledgers.values(), strict=True):
                path.write_text(json.dumps(dict(ledger.config)))
            founder, *joiners = self.nodes
            await self._spawn(founder, self._settings(founder, self._founding()))
            await reached(self.nodes, founder.listening)
            self.service_certificate = str(founder.info["service_certificate"])
            (folder / SERVICE_FILE).write_text(self.service_certificate)
            for node in joiners:
                await self._spawn(node, self._settings(node, self._joining([founder])))
            for node in self.nodes:
                await reached(self.nodes, node.opened)
        self.worth_keeping = True
        if deadline.cancelled_caught:
            raise OperatorError(f"the network did not start within {START_TIMEOUT_S:.0f} s; logs in {folder}")
        for path in self._genesis_files:
            path.unlink()

    def remove(self) -> None:
        """Remove what starting wrote, so that the same command finds the folder empty again."""
        for node in self.nodes:
            shutil.rmtree(node.folder, ignore_errors=True)
        made = [self.spec.folder / name for name in (SERVICE_FILE, OPERATOR_FILE, OPERATOR_KEY_FILE)]
        for path in (*self._genesis_files, *made):
            path.unlink(missing_ok=True)

    def kill(self, index: int) -> None:
        """End one node at once, as a crash would (SIGKILL)."""
        process = self.nodes[index].process
        if process is not None:
            process.kill()

    def pause(self, index: int) -> None:
        """Stop one node from running, as a host that hangs would; its connections stay open (POSIX only)."""
        self._signal(index, signal.SIGSTOP)

    def resume(self, index: int) -> None:
        """Let a paused node run on (POSIX only)."""
        self._signal(index, signal.SIGCONT)

    async def replace(self, index: int, through: Sequence[int]) -> LocalNode:
        """Start a process in the place of one that ended: a new node, which asks ``through`` to be let in.

        It listens where the old one did, and finds what that left on its disk. Returns when it waits for an
        operator; raises OperatorError with its reason when it ends instead.
        """
        old = self.nodes[index]
        await old.ended.wait()
        node = self.nodes[index] = self.node_class(index, old.folder)
        settings = self._settings(node, self._joining([self.nodes[other] for other in through]))
        peer_port = old.info["peer"].rpartition(":")[2]
        settings |= {"admin": old.info["admin"], "rpc": old.info["rpc"]}
        settings |= {"peer": f"{self._place(node).host}:{peer_port}"}
        await self._spawn(node, settings)
        await reached([node], node.waiting)
        return node

    async def stop(self) -> None:
        """End every node, kindly first; joiners before the founder.

        One after the other, so that nobody takes over from a primary only to be stopped too: with
        its peers gone, the last primary's ledger ends where theirs do.
        """
        running = [node.process for node in reversed(self.nodes) if node.process is not None]
        with trio.CancelScope(shield=True):
            with trio.move_on_after(STOP_TIMEOUT_S):
                for process in running:
                    if process.returncode is None:
                        process.terminate()
                        await process.wait()
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    def _signal(self, index: int, number: signal.Signals) -> None:
        process = self.nodes[index].process
        if process is not None:
            process.send_signal(number)

    @property
    def _genesis_files(self) -> list[Path]:
        """One for each ledger, in their order; they exist only while the network starts."""
        others = [f"{name}-{GENESIS_FILE}" for name in self.spec.beside]
        return [self.spec.folder / name for name in (GENESIS_FILE, *others)]

    def _place(self, node: LocalNode) -> NodePlace:
        return self.spec.places[node.index] if self.spec.places else NodePlace()

    def _settings(self, node: LocalNode, role: Mapping[str, Any]) -> dict[str, Any]:
        spec, place = self.spec, self._place(node)
        ports = {spec.ledger: _port(spec.rpc_port, node.index)} | dict.fromkeys(spec.beside, 0)
        if spec.beside:
            ports[BUNDLES_FRONT_END] = 0
        settings = {
            "folder": ".",
            "admin": f"{place.host}:{_port(spec.admin_port, node.index)}",
            "peer": f"{place.host}:{place.peer_port or _port(spec.peer_port, node.index)}",
            "rpc": {name: f"{place.host}:{port}" for name, port in ports.items()},
            "adapters": {name: dict(told(node.index)) for name, told in spec.node_settings.items()},
            **spec.settings,
            **role,
        }
        if spec.platforms:
            settings["platform"] = spec.platforms[node.index]
        return settings | ({"published": place.published} if place.published else {})

    async def _spawn(self, node: LocalNode, settings: Mapping[str, Any]) -> None:
        place = self._place(node)
        await node.start(self._nursery, settings, before=place.command, environment=place.environment)

    def _founding(self) -> dict[str, Any]:
        ledgers = {
            name: {"engine": ledger.engine, "genesis": f"../{path.name}"}
            for (name, ledger), path in zip(self.spec.ledgers.items(), self._genesis_files, strict=True)
        }
        operators = [str(path) for path in self.spec.operators]
        found = {"nodes": self.spec.nodes, "ledgers": ledgers, "operators": operators}
        return {"found": found | self._policy}

    def _joining(self, through: Sequence[LocalNode]) -> dict[str, Any]:
        targets = [node.info["admin"] for node in through]
        target = targets if len(targets) > 1 else targets[0]
        return {"join": {"target": target, "service_certificate": f"../{SERVICE_FILE}"} | self._policy}

    @property
    def _policy(self) -> dict[str, str]:
        return {"policy": str(self.spec.policy)} if self.spec.policy is not None else {}


@asynccontextmanager
async def open_network(spec: NetworkSpec) -> AsyncIterator[LocalNetwork]:
    """Start a network, hand it out, and stop it on the way out, whatever happened."""
    network = LocalNetwork(spec)
    async with running(network):
        yield network


@asynccontextmanager
async def running(network: LocalNetwork) -> AsyncIterator[None]:
    """Start ``network`` and stop it on the way out, whatever happened."""
    async with trio.open_nursery() as nursery:
        try:
            await network.start(nursery)
            yield
        finally:
            await network.stop()
            if not network.worth_keeping:
                network.remove()
        nursery.cancel_scope.cancel()


def prepare_folder(folder: Path) -> None:
    """Create a folder for a network; raises OperatorError when it cannot be made or is not empty."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OperatorError(f"{folder} is not empty: a new network needs an empty folder")
    except OSError as error:
        raise OperatorError(f"folder {folder}: {error.strerror or error}") from error


async def until_interrupted(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return what ``work`` returns; on Ctrl-C, SIGTERM or SIGHUP cancel it, and raise KeyboardInterrupt.

    Cancelled, it ends in order, which is waited for: nodes are stopped and temporary folders removed.
    """
    results: list[Result] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        results.append(await work())
        nursery.cancel_scope.cancel()
    if not results:
        raise KeyboardInterrupt
    return results[0]


async def cancel_on_signal(scope: trio.CancelScope) -> None:
    """Cancel ``scope`` at the first SIGINT, SIGTERM, or (its terminal is gone) SIGHUP."""
    with trio.open_signal_receiver(*_ending_signals()) as signals:
        async for _ in signals:
            scope.cancel()
            return


def _ending_signals() -> list[signal.Signals]:
    ending = [signal.SIGINT, signal.SIGTERM]
    # Started by nohup, this process goes on without a terminal.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    return ending


def _port(first: int, index: int) -> int:
    return first + index if first else 0
