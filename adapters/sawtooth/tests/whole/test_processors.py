"""Unmodified processors of the published SDKs on three real nodes: two families, two languages."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import cbor2
import pytest
import trio

from coco_core.cli.network import LocalNetwork, NetworkSpec, open_network
from coco_sawtooth import messages
from coco_sawtooth.development import development_ledger
from coco_sawtooth.testing import Client, ask_rest, intkey_address, intkey_transaction

pytestmark = pytest.mark.processes

NODES = 3
PATIENCE_S = 150
PAUSE_S = 0.05
"""Before a node is asked again."""
BATCH = 60
T = TypeVar("T")


def exchange(local: LocalNetwork, node: int, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
    """Return status and JSON of what a node's REST API answers."""
    return ask_rest(local.nodes[node].info["rpc"]["sawtooth"], method, target, body)


def submit(local: LocalNetwork, node: int, batch: messages.Batch) -> dict[str, Any]:
    """Send a batch until its end is known, as any client may: it is executed once."""
    body = messages.BatchList(batches=[batch]).SerializeToString()
    while True:
        status, _ = exchange(local, node, "POST", "/batches", body)
        if status == 202:
            target = f"/batch_statuses?id={batch.header_signature}&wait=20"
            (found,) = exchange(local, node, "GET", target)[1]["data"]
            if found["status"] in ("COMMITTED", "INVALID"):
                return dict(found)
        trio.from_thread.run(trio.sleep, PAUSE_S)


def data(local: LocalNetwork, node: int, address: str) -> bytes:
    """Return what a node tells is kept at an address, empty for nothing."""
    status, answer = exchange(local, node, "GET", f"/state/{address}")
    return base64.b64decode(answer["data"]) if status == 200 else b""


def xo_address(name: str) -> str:
    return "5b7349" + hashlib.sha512(name.encode()).hexdigest()[:64]


def move(client: Client, text: str) -> messages.Transaction:
    address = xo_address(text.partition(",")[0])
    return client.transaction(
        family=("xo", "1.0"), payload=text.encode(), inputs=[address], outputs=[address]
    )


def start(processors: Any, folder: Path) -> dict[int, list[subprocess.Popen[bytes]]]:
    """Start two integer-key processors and one of noughts and crosses at every node."""
    started = {}
    for node in range(NODES):
        endpoint = f"ipc://{folder}/p{node}"
        intkey, xo = (processors.python(script, endpoint) for script in ("intkey.py", "xo.py"))
        if processors.has_javascript:
            other = processors.javascript("intkey.js", endpoint)
        else:
            other = processors.python("intkey.py", endpoint)
        started[node] = [intkey, other, xo]
    return started


def spec(folder: Path) -> NetworkSpec:
    """Return a network whose nodes wait for processors at sockets in ``folder``."""
    return NetworkSpec(
        folder=folder / "network",
        nodes=NODES,
        ledger="sawtooth",
        engine="",
        config=development_ledger().config,
        node_settings={"sawtooth": lambda index: {"processors": f"ipc://{folder}/p{index}"}},
    )


async def in_thread(call: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(call)


async def until(done: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again; the test's deadline bounds it."""
    while True:
        if await done():
            return
        await trio.sleep(PAUSE_S)


async def leader(local: LocalNetwork) -> int:
    """Return the node that leads, as soon as one does."""
    while True:
        for node in local.nodes:
            if node.role == "leader":
                return node.index
        await trio.sleep(PAUSE_S)


async def told_by_all(local: LocalNetwork, address: str, expected: Callable[[bytes], bool]) -> None:
    """Wait until every node that runs tells what is expected."""
    for node in [one.index for one in local.nodes if not one.ended.is_set()]:

        async def told(node: int = node) -> bool:
            return expected(await in_thread(lambda: data(local, node, address)))

        await until(told)


async def test_families_and_languages_on_three_nodes_whatever_is_killed(
    tmp_path: Path, processors: Any
) -> None:
    running = start(processors, tmp_path)
    (tmp_path / "network").mkdir()
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec(tmp_path)) as local:
            await games_are_played(local)
            await a_processor_and_the_primary_are_killed(local, running)


@pytest.mark.parametrize("language", ["go", "rust"])
async def test_what_sawtooth_published_itself_serves_three_nodes(
    language: str, tmp_path: Path, processors: Any
) -> None:
    """Nothing of ours is in these processors: families, SDK and messages are Sawtooth's."""
    for node in range(NODES):
        for family in ("intkey", "xo"):
            processors.published(family, language, f"ipc://{tmp_path}/p{node}")
    (tmp_path / "network").mkdir()
    with trio.fail_after(PATIENCE_S):
        async with open_network(spec(tmp_path)) as local:
            await games_are_played(local)
            client = Client.named("counting")
            first = intkey_transaction(client, "set", "count", 1)
            others = [intkey_transaction(client, "inc", "count", 2) for _ in range(BATCH)]
            batch = client.batch(first, *others)
            ended = await in_thread(lambda: submit(local, 0, batch))
            assert ended["status"] == "COMMITTED", ended
            counted = 1 + 2 * BATCH
            await told_by_all(
                local, intkey_address("count"), lambda kept: cbor2.loads(kept) == {"count": counted}
            )
            low = client.batch(intkey_transaction(client, "dec", "count", counted + 1))
            ended = await in_thread(lambda: submit(local, 1, low))
            assert ended["status"] == "INVALID"
            assert ended["invalid_transactions"][0]["message"]


async def games_are_played(local: LocalNetwork) -> None:
    """Two players on two nodes; a move out of turn is refused with the processor's own words."""
    first, second = Client.named("first"), Client.named("second")
    moves = ((first, "create,"), (first, "take,5"), (second, "take,1"), (first, "take,2"), (second, "take,3"))
    for number, (player, action) in enumerate(moves):
        batch = player.batch(move(player, f"game,{action}"))
        ended = await in_thread(lambda node=number % NODES, batch=batch: submit(local, node, batch))
        assert ended["status"] == "COMMITTED", ended
    wrong = second.batch(move(second, "game,take,9"))
    ended = await in_thread(lambda: submit(local, 0, wrong))
    assert ended["status"] == "INVALID"
    assert ended["invalid_transactions"][0]["message"]
    await told_by_all(local, xo_address("game"), lambda kept: kept.startswith(b"game,OXO-X----,P1-NEXT"))


async def a_processor_and_the_primary_are_killed(
    local: LocalNetwork, running: dict[int, list[subprocess.Popen[bytes]]]
) -> None:
    """Batches are under way through every node meanwhile: each ends, none half, none twice."""
    client = Client.named("counting")
    counts = client.batch(intkey_transaction(client, "set", "count", 0))
    ended = await in_thread(lambda: submit(local, 0, counts))
    assert ended["status"] == "COMMITTED", ended
    primary = await leader(local)
    others = [index for index in range(NODES) if index != primary]

    async def begun() -> bool:
        kept = await in_thread(lambda: data(local, primary, intkey_address("count")))
        return bool(cbor2.loads(kept)["count"])

    ends: list[str] = []
    some = trio.Event()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            wanted = [intkey_transaction(client, "inc", "count", 1) for _ in range(BATCH)]
            batch, node = client.batch(*wanted), others[number % 2]

            async def one(node: int = node, batch: messages.Batch = batch) -> None:
                ends.append((await in_thread(lambda: submit(local, node, batch)))["status"])
                if len(ends) == 2:
                    some.set()

            nursery.start_soon(one)
        await until(begun)
        running[primary][0].kill()
        await some.wait()
        local.kill(primary)
    await local.nodes[primary].ended.wait()
    assert ends == ["COMMITTED"] * 6
    await told_by_all(local, intkey_address("count"), lambda kept: cbor2.loads(kept) == {"count": 6 * BATCH})
