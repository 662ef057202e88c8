"""How long a network takes to commit again when its primary is killed, measured where clients stand.

Networks on loopback, without proxies, under a constant small load: one client a node, which sends one
addition after the other. The primary is killed (SIGKILL) at a moment drawn from the seed. The time runs from
the kill to the first answer, by a node that is left, that an addition *sent after the kill* is committed:
what was under way already proves nothing. A network gives as many kills as leave a majority.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import attrs
import trio

from coco_core.base import TxID
from coco_core.cli.network import LocalNetwork, NetworkSpec, NodePlace, running
from coco_core.client import Connection, ConnectionLostError, pinned_context
from coco_core.testing.nemesis.injected import environment, write_modules
from coco_core.testing.nemesis.ledgers import shortened, try_read
from coco_core.testing.tally import add

STEADY_S = (1.0, 2.0)
"""How long a network runs undisturbed before a kill."""
TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 5.0
PAUSE_S = 0.01
"""Between two additions of a client, and before it asks again."""
LOOK_S = 0.005


@attrs.frozen(kw_only=True)
class Failover:
    """One kill."""

    elected_s: float
    """Until a node said that it leads."""
    committed_s: float
    """Until a client read that something sent after the kill is committed."""


@attrs.define
class _Probe:
    """What clients of one network were told."""

    counter: int = 0
    commits: list[tuple[float, float]] = attrs.field(factory=list)
    """When it was sent and when its client knew."""
    places: list[TxID] = attrs.field(factory=list)


async def measure_failover(
    folder: Path, kills: int, nodes: int, seed: str, say: Callable[[str], None]
) -> tuple[list[Failover], list[str]]:
    """Return how long each of ``kills`` kills took to get over, and what was violated."""
    chance = Random(seed)  # noqa: S311 - chance from a seed, not a secret
    found: list[Failover] = []
    violations: list[str] = []
    spare = (nodes - 1) // 2
    while len(found) < kills and not violations:
        target = folder / f"network-{len(found)}"
        count = min(spare, kills - len(found))
        measured, wrong = await _one_network(target, nodes, count, chance)
        found += measured
        violations += wrong
        for each in measured:
            say(f"commits again after {each.committed_s:.3f} s (a primary after {each.elected_s:.3f} s)")
    return found, violations


async def _one_network(
    folder: Path, nodes: int, kills: int, chance: Random
) -> tuple[list[Failover], list[str]]:
    write_modules(folder / "modules")
    network = LocalNetwork(
        NetworkSpec(
            folder=folder,
            nodes=nodes,
            ledger="tally",
            engine="",
            config={"counters": {}},
            places=[
                NodePlace(environment=environment(folder / "modules", folder / f"node-{index}"))
                for index in range(nodes)
            ],
        )
    )
    found: list[Failover] = []
    late: list[str] = []
    dead: set[int] = set()
    probe = _Probe()
    async with running(network), trio.open_nursery() as nursery:
        tls = pinned_context(network.service_certificate)
        for each in network.endpoints:
            nursery.start_soon(_send, each.rpc, tls, probe)
        for _ in range(kills):
            await trio.sleep(chance.uniform(*STEADY_S))
            with trio.move_on_after(TIMEOUT_S) as patience:
                found.append(await _kill_primary(network, dead, probe))
            if patience.cancelled_caught:
                late.append(f"no commit within {TIMEOUT_S:.0f} s after a primary was killed")
                nursery.cancel_scope.cancel()
                break
        await trio.sleep(STEADY_S[0])
        nursery.cancel_scope.cancel()
    lost = await trio.to_thread.run_sync(_lost, network, dead, probe)
    return found, late + lost


async def _kill_primary(network: LocalNetwork, dead: set[int], probe: _Probe) -> Failover:
    primary = await _leader(network, dead)
    began = trio.current_time()
    network.kill(primary)
    dead.add(primary)
    await _leader(network, dead)
    elected = trio.current_time()
    while not (after := [known for sent, known in probe.commits if sent > began]):  # noqa: ASYNC110 - told by other processes
        await trio.sleep(LOOK_S)
    return Failover(elected_s=elected - began, committed_s=min(after) - began)


async def _leader(network: LocalNetwork, dead: set[int]) -> int:
    """Return the living node that leads, as soon as there is one."""
    while (leader := network.leader(dead)) is None:  # noqa: ASYNC110
        await trio.sleep(LOOK_S)
    return leader


async def _send(address: str, tls: ssl.SSLContext, probe: _Probe) -> None:
    """Send one addition after the other through one node, until cancelled."""
    while True:
        try:
            async with await Connection.open(address, tls) as connection:
                while True:
                    await _add(connection, probe)
                    await trio.sleep(PAUSE_S)
        except ConnectionLostError:
            await trio.sleep(PAUSE_S)


async def _add(connection: Connection, probe: _Probe) -> None:
    probe.counter += 1
    sent = trio.current_time()
    await connection.send("POST", "/", add(f"n-{probe.counter}", "n", 1))
    with trio.move_on_after(ANSWER_TIMEOUT_S) as patience:
        answer = await connection.receive()
    if patience.cancelled_caught:
        raise ConnectionLostError("no answer")
    if answer.status == 200:
        ((kind, place, *_),) = json.loads(answer.body)
        if kind == "committed":
            probe.commits.append((sent, trio.current_time()))
            probe.places.append(TxID.parse(place))


def _lost(network: LocalNetwork, dead: set[int], probe: _Probe) -> list[str]:
    """Return what was acknowledged and is not in the ledgers of the nodes that are left."""
    found: list[str] = []
    for node in network.nodes:
        if node.index in dead:
            continue
        ledger = try_read(f"node {node.index}", node.ledger_folder, network.service_certificate)
        if isinstance(ledger, str):
            found.append(ledger)
        else:
            lost = [place for place in probe.places if ledger.lacks(place)]
            found += shortened(
                [f"{place} was acknowledged, {ledger.name} does not hold it" for place in lost]
            )
    return found


def describe_failover(found: Sequence[Failover]) -> list[str]:
    """Return the figures as lines to show to a person."""
    rows = (
        ("kill to the next commit a client sees", [each.committed_s for each in found]),
        ("of it until a node says that it leads", [each.elected_s for each in found]),
    )
    return [
        f"{title}: "
        + ", ".join(f"p{share} {percentile(values, share):.3f} s" for share in (50, 90, 99))
        + f", max {max(values):.3f} s"
        for title, values in rows
        if values
    ]


def percentile(values: Sequence[float], share: int) -> float:
    """Return the smallest value that at least ``share`` percent are not above (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]
