"""Whole clusters under faults, with clients that retry: what was acknowledged is there, once, everywhere.

Each seed is one world; a seed beyond the range below that ever failed is added to ``SEEDS`` for good.
"""

from __future__ import annotations

import random

import attrs
import pytest

from coco_core.adapter import Committed, Rejected
from coco_core.errors import BusyError
from coco_core.ledger import audit
from coco_core.replica.events import HandOver
from coco_core.testing import Cluster, ClusterNode, Consortium, Tally, add
from coco_core.testing.tally import COUNTERS, SEEN

BLOCKS = 10
SEEDS = tuple(range(300))
STEPS = 250
CONSORTIA = {count: Consortium.of(count) for count in (3, 5)}


@attrs.define
class Client:
    """Sends its transactions one after the other, each until it is certain of it."""

    name: str
    rng: random.Random
    total: int = 0
    number: int = 0
    payload: bytes = b""
    node: ClusterNode | None = None
    ticket: int = 0

    def step(self, cluster: Cluster, *, more: bool = True) -> None:
        if self.node is not None and not self.node.crashed:
            if self.ticket not in self.node.answers:
                return
            (fate,) = self.node.answers[self.ticket]
            match fate:
                case Committed() | Rejected(code="duplicate"):
                    self.payload = b""
                case Rejected():
                    raise AssertionError(f"refused: {fate}")
        if not self.payload:
            if not more:
                return
            self.number += 1
            amount = self.rng.randint(-9, 9)
            self.total += amount
            self.payload = add(f"{self.name}-{self.number}", self.name, amount)
        self.node = self.rng.choice(cluster.alive)
        try:
            self.ticket = cluster.submit(self.node, self.payload)
        except BusyError:
            self.node = None


def step(cluster: Cluster, clients: list[Client], rng: random.Random) -> None:
    roll = rng.random()
    node = rng.choice(cluster.alive)
    if roll < 0.5 and cluster.pool:
        at = 0 if rng.random() < 0.8 else rng.randrange(len(cluster.pool))
        if rng.random() < 0.03:
            cluster.lose(at)
        else:
            cluster.deliver(at, keep=rng.random() < 0.05)
    elif roll < 0.62:
        for _ in range(rng.choice((1, 1, 1, 1, 4, 9))):
            cluster.tick(node)
    elif roll < 0.76:
        cluster.persist(node)
    elif roll < 0.86:
        cluster.execute(rng.choice([one for one in cluster.alive if one.running] or [node]))
    elif roll < 0.97:
        rng.choice(clients).step(cluster)
    elif roll < 0.975:
        cluster.handle(node, HandOver())
    elif roll < 0.98:
        cluster.cut(node)
    elif roll < 0.982 and 2 * (len(cluster.alive) - 1) > len(cluster.nodes):
        cluster.crash(node)
    else:
        cluster.heal()


def finish(cluster: Cluster, clients: list[Client]) -> None:
    """Heal the world and let every client become certain of what it sent."""
    cluster.heal()
    cluster.elect()
    for _ in range(60):
        cluster.run(2)
        unsure = [client for client in clients if client.payload]
        for client in unsure:
            client.step(cluster, more=False)
        if not unsure:
            break
    cluster.run(20)


def run_world(seed: int) -> None:
    rng = random.Random(seed)
    count = rng.choice((3, 3, 5))
    batch_max = rng.choice((1, 2, 100))
    cluster = Cluster.found(
        count,
        draw=rng.randint,
        make=lambda: Tally(batch_max=batch_max),
        consortium=CONSORTIA[count],
        chunk_size_bytes=rng.choice((1, 5000, 100_000)),
    )
    cluster.settle()
    clients = [Client(name, rng) for name in "abcd"]
    for _ in range(STEPS):
        step(cluster, clients, rng)
    finish(cluster, clients)
    cluster.check_equal()
    state = cluster.primary.state()
    for client in clients:
        used = {key for key in state.get(SEEN, {}) if key.startswith(f"{client.name}-".encode())}
        assert used == {f"{client.name}-{one}".encode() for one in range(1, client.number + 1)}
    report = audit(
        [cluster.primary.disk.file()],
        service_cert_pem=cluster.consortium.service.certificate,
        secrets=cluster.consortium.secrets,
    )
    assert report.entries == cluster.primary.replica.chain.head
    expected = {client.name.encode(): b"%d" % client.total for client in clients if client.number}
    assert state.get(COUNTERS, {}) == expected


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_acknowledged_is_lost_or_doubled(block: int) -> None:
    for seed in SEEDS[block::BLOCKS]:
        run_world(seed)
