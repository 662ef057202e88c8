"""Nodes that die or hang in the middle of a load: nothing acknowledged is lost, nothing is there twice.

Real processes and signals; what happens when is decided by the load's own progress, never by a clock.

Recorded transactions depend on each other, so they are sent one request after the other, and their order
must hold. Generated ones are pipelined: then a client may have sent the next request before it reads that
an earlier one was not committed, and no node can know which of them it would rather have first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
import trio
from eth_hash.auto import keccak

from coco_core.adapter import HTTPRequest, HTTPResponse, Workload, WorkloadOptions
from coco_core.cli.network import SERVICE_FILE, LocalNetwork, NetworkSpec, open_network
from coco_core.client import (
    Connection,
    LoadResult,
    LoadSettings,
    NodeClient,
    Progress,
    pinned_context,
    run_load,
)
from coco_core.node import load

pytestmark = pytest.mark.processes

NODES = 3
PER_REQUEST = 20
PIPELINED = 200
"""Transactions sent and not answered by a client that pipelines."""
FIRST_VIEW = 2
"""The view in which the founder of a network is its primary."""
ELECTION_TIMEOUT_MS = [2_000, 3_000]
"""Long enough that nobody loses the lead because the machine is busy: who leads is read before the load."""
PATIENCE_S = 120
"""How long a run may take on a busy machine before the test says it hangs."""


def workload_of(options: WorkloadOptions) -> Workload:
    return load("ethereum").workload(options)


@pytest.fixture
def recorded(shared: Path) -> Workload:
    return workload_of(WorkloadOptions(data=str(shared / "data" / "mainnet")))


@pytest.fixture
def generated() -> Workload:
    return workload_of(WorkloadOptions(kind="mixed", transactions=3_000, seed=7))


def hashes(workload: Workload) -> list[str]:
    """The hash of every transaction of a workload, in the order they are sent."""
    return [
        "0x" + keccak(bytes.fromhex(call["params"][0][2:])).hex()
        for each in workload.loads(PER_REQUEST)
        for call in orjson.loads(each.request.body)
    ]


@attrs.frozen(eq=False)
class Network:
    """A network under test: its processes, and open connections to each node's two interfaces."""

    local: LocalNetwork
    rpc: list[Connection]
    admin: list[NodeClient]

    async def ask(self, node: int, body: bytes) -> bytes:
        return (await self.rpc[node].request("POST", "/", body)).body

    async def call(self, node: int, method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return orjson.loads(await self.ask(node, orjson.dumps(body)))["result"]

    async def primary(self) -> int:
        """Return the index of the primary, as soon as one node says that it is it."""
        while True:
            for index, client in enumerate(self.admin):
                if (await client.health())["role"] == "primary":
                    return index

    async def reached(self, node: int, seqno: int) -> None:
        """Wait until a node has committed ``seqno``."""
        committed = 0
        while committed < seqno:
            _, committed = await self.admin[node].committed_after(seqno - 1)

    async def blocks(self, node: int) -> list[dict[str, Any]]:
        head = int(await self.call(node, "eth_blockNumber"), 16)
        return [
            await self.call(node, "eth_getBlockByNumber", hex(number), False) for number in range(head + 1)
        ]


@asynccontextmanager
async def running(folder: Path, workload: Workload) -> AsyncIterator[Network]:
    spec = NetworkSpec(
        folder=folder,
        nodes=NODES,
        ledger="ethereum",
        engine="",
        config=workload.config,
        settings={"election_timeout_ms": ELECTION_TIMEOUT_MS},
    )
    async with open_network(spec) as local, AsyncExitStack() as stack:
        tls = pinned_context(local.service_certificate)
        network = Network(local, [], [])
        for endpoint in local.endpoints:
            network.rpc.append(await stack.enter_async_context(await Connection.open(endpoint.rpc, tls)))
            connection = await stack.enter_async_context(await Connection.open(endpoint.admin, tls))
            network.admin.append(NodeClient(connection))
        with trio.fail_after(PATIENCE_S):
            yield network


async def send(
    network: Network, workload: Workload, first: int, progress: Progress, *, outstanding: int = PIPELINED
) -> LoadResult:
    settings = LoadSettings(
        endpoints=network.local.endpoints,
        service_certificate=network.local.service_certificate,
        outstanding=outstanding,
        per_request=PER_REQUEST,
        first=first,
    )
    return await run_load(settings, workload.loads(PER_REQUEST), workload.told, progress)


def at(*steps: tuple[int, Callable[[], None]]) -> Progress:
    """Take each step once so many transactions were answered."""
    remaining: Iterator[tuple[int, Callable[[], None]]] = iter(steps)
    due = next(remaining, None)

    def progress(answered: int, refused: int) -> None:
        nonlocal due
        while due is not None and answered >= due[0]:
            due[1]()
            due = next(remaining, None)

    return progress


async def check_nodes(
    network: Network, workload: Workload, nodes: Sequence[int], *, ordered: bool = False
) -> None:
    """Check state, receipts and blocks on ``nodes``, which must show the same chain."""

    async def ask(index: int, request: HTTPRequest) -> HTTPResponse:
        return HTTPResponse(body=await network.ask(nodes[index], request.body))

    chains = [await network.blocks(node) for node in nodes]
    assert all(chain == chains[0] for chain in chains)
    included = [each for block in chains[0] for each in block["transactions"]]
    sent = hashes(workload)
    assert sorted(included) == sorted(sent), "each transaction once"
    if ordered:
        assert included == sent
    assert list(await workload.verify(ask, len(nodes))) == []


def check_result(result: LoadResult, workload: Workload) -> int:
    """Check that all was accepted, and return the last place anything got."""
    assert result.refused == []
    assert len(result.places) == workload.transactions
    # Without an own place is only what was sent again and known by then.
    assert sum(place is None for place in result.places) <= PIPELINED
    return max(place.seqno for place in result.places if place is not None)


def check_offline(network: Network, nodes: Sequence[int], result: LoadResult, offline_ledger) -> None:
    """Check that what was acknowledged is in the ledger files of ``nodes``, and signed."""
    places = {str(place) for place in result.places if place is not None}
    ledgers = [
        offline_ledger(network.local.nodes[node].ledger_folder, network.local.service_certificate)
        for node in nodes
    ]
    for ledger in ledgers:
        assert places <= ledger.txids
        assert ledger.report.last_verified.seqno >= max(int(place.partition(".")[2]) for place in places)
        assert ledger.report.torn_tail_bytes == 0
        common = min(ledger.report.last_verified.seqno, ledgers[0].report.last_verified.seqno)
        assert ledger.entries[:common] == ledgers[0].entries[:common]


async def _kill_the_primary(
    folder: Path, workload: Workload, offline_ledger, *, through_primary: bool, pipelined: bool
) -> None:
    async with running(folder, workload) as network:
        primary = await network.primary()
        survivors = [node for node in range(NODES) if node != primary]
        first = primary if through_primary else survivors[0]
        middle = workload.transactions // 2
        kill = at((middle, lambda: network.local.kill(primary)))
        outstanding = PIPELINED if pipelined else PER_REQUEST
        result = await send(network, workload, first, kill, outstanding=outstanding)
        last = check_result(result, workload)
        assert result.resent_requests > 0
        assert result.lost == {primary}
        for node in survivors:
            await network.reached(node, last)
        await check_nodes(network, workload, survivors, ordered=not pipelined)
        assert (await network.admin[survivors[0]].health())["view"] > FIRST_VIEW
    check_offline(network, survivors, result, offline_ledger)
    # The dead node's ledger ends earlier.
    dead = offline_ledger(network.local.nodes[primary].ledger_folder, network.local.service_certificate)
    alive = offline_ledger(network.local.nodes[survivors[0]].ledger_folder, network.local.service_certificate)
    signed = dead.report.last_verified
    placed = [place.seqno for place in result.places if place is not None and place.view <= signed.view]
    # The others are a quorum without its disk, which is behind by no more than what was under way.
    assert sum(seqno > signed.seqno for seqno in placed) <= PIPELINED
    # What it signed and was acknowledged, the others have; what it signed last, nobody may have got.
    agreed = min(signed.seqno, max(placed))
    assert len(dead.entries[:agreed]) == agreed
    assert dead.entries[:agreed] == alive.entries[:agreed]


WAYS = pytest.mark.parametrize(
    "through_primary", [True, False], ids=["through the primary", "through a backup"]
)


@pytest.mark.shared
@WAYS
async def test_the_primary_is_killed_in_the_middle(recorded, tmp_path, offline_ledger, through_primary):
    await _kill_the_primary(
        tmp_path, recorded, offline_ledger, through_primary=through_primary, pipelined=False
    )


@WAYS
async def test_the_primary_is_killed_under_pipelined_load(
    generated, tmp_path, offline_ledger, through_primary
):
    await _kill_the_primary(
        tmp_path, generated, offline_ledger, through_primary=through_primary, pipelined=True
    )


async def test_the_independent_reader_accepts_ledgers_of_two_views(
    tmp_path, offline_ledger, read_independently
):
    workload = workload_of(WorkloadOptions(kind="transfers", transactions=600, seed=8))
    await _kill_the_primary(tmp_path, workload, offline_ledger, through_primary=True, pipelined=True)
    views = []
    for folder in sorted(tmp_path.glob("node-*/ledger")):
        report = offline_ledger(folder, (tmp_path / SERVICE_FILE).read_text()).report
        views.append(len(report.views))
        if report.torn_tail_bytes:
            continue  # A file the dead node was writing to, which the reader takes for damaged.
        found = read_independently(folder)
        assert found["last_verified_txid"] == str(report.last_verified)
        assert found["signatures"] == report.signatures
    dead, *survivors = sorted(views)
    assert all(dead < each for each in survivors), "both survivors went on into a later view"


async def test_a_backup_that_hung_catches_up(generated, tmp_path, offline_ledger):
    async with running(tmp_path, generated) as network:
        primary = await network.primary()
        hung = (primary + 1) % NODES
        steps = at(
            (600, lambda: network.local.pause(hung)),
            (2_400, lambda: network.local.resume(hung)),
        )
        result = await send(network, generated, primary, steps)
        last = check_result(result, generated)
        placed = [place for place in result.places if place is not None]
        assert len(result.latencies(NODES)) == len(placed), "also the one that hung committed everything"
        for node in range(NODES):
            await network.reached(node, last)
        await check_nodes(network, generated, range(NODES))
    check_offline(network, range(NODES), result, offline_ledger)


async def test_a_primary_that_hung_gives_up_what_nobody_else_has(generated, tmp_path, offline_ledger):
    async with running(tmp_path, generated) as network:
        primary = await network.primary()
        steps = at(
            (600, lambda: network.local.pause(primary)),
            (1_800, lambda: network.local.resume(primary)),
        )
        result = await send(network, generated, (primary + 1) % NODES, steps)
        last = check_result(result, generated)
        assert result.resent_requests > 0
        for node in range(NODES):
            await network.reached(node, last)
        await check_nodes(network, generated, range(NODES))
        views = [(await client.health())["view"] for client in network.admin]
        assert min(views) > FIRST_VIEW, "also the one that hung follows a later primary"
    check_offline(network, range(NODES), result, offline_ledger)
