"""Standard tests of three nodes: crashes and losses at every point, leadership, forwarding, snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from coco_core.adapter import Committed, Rejected
from coco_core.errors import CallerError
from coco_core.replica.events import HandOver
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.kit_execution import told
from coco_core.testing.conformance.marking import expect, standard
from coco_core.testing.conformance.pipeline import Pipeline
from coco_core.testing.lagging import compact
from coco_core.testing.stage import SafetyError

_POINTS_MAX: Final = 400
_SNAPSHOTS: Final = {"chunk_entries": 8, "log_cache_max_bytes": 1}
_TICKS: Final = 2
"""How often backups are told what is committed before everything is taken to be over."""
_FEW: Final = 4
_MANY: Final = 12
"""Enough batches for a snapshot that others can begin at."""

Harm = Callable[[Pipeline, ClusterNode], Awaitable[None]]


class ReplicationTests(KitBase):
    """Three nodes hold the same, whoever leads, whatever is lost."""

    @standard
    async def test_every_node_holds_the_same(self) -> None:
        """Transactions submitted on all nodes are committed on all, and everybody sees the same.

        Why: a client talks to any node, and believes it.

        Mend: an effect that is seen on one node alone is kept beside the maps: write it.
        """
        async with self.pipeline(3) as pipeline:
            cluster = pipeline.cluster
            numbers = range(_FEW + 2)
            tickets = []
            for number in numbers:
                node = cluster.alive[number % 3]
                payloads = self.harness.valid(number), self.harness.rejected(number)
                tickets.append((node, cluster.submit(node, *payloads)))
            await pipeline.until(lambda: all(ticket in node.answers for node, ticket in tickets))
            for node, ticket in tickets:
                fates = node.answers[ticket]
                right = isinstance(fates[0], Committed) and isinstance(fates[1], Rejected)
                expect(right, f"a valid and a rejected transaction became {told(fates)}")
            await self._expect_equal(pipeline, *map(self.harness.valid, numbers))

    @standard
    async def test_nothing_is_lost_when_the_primary_crashes(self) -> None:
        """Wherever the primary crashes, what was answered as committed stays, and nothing happens twice.

        Why: that is what a ledger is for. What was under way is sent again by its clients, and may have been
        committed.

        Mend: see the tests of duplicates and of discarded execution first. Then: the next primary's adapter
        was only told of commits, and has to go on from there.
        """
        await self._at_every_point(_crash)

    @standard
    async def test_nothing_is_lost_when_the_primary_is_cut_off(self) -> None:
        """Wherever the primary is cut off for a while, it throws away what was never agreed and follows.

        Why: it has executed, and its adapter with it, what is not part of the ledger any more.

        Mend: as for execution that is discarded: nothing but ``committed`` and the view says what happened.
        """
        await self._at_every_point(_cut_off)

    @standard
    async def test_nothing_is_lost_when_messages_are(self) -> None:
        """Wherever everything under way is lost, it is sent again and happens once.

        Why: connections break. Clients are told NotCommitted and send again.

        Mend: see the test of duplicates.
        """
        await self._at_every_point(_lose)

    @standard
    async def test_leadership_moves_and_returns(self) -> None:
        """Each node can lead, and the first one again after others did.

        Why: leadership is handed over whenever a node stops, is updated or is slow.

        Mend: what execution keeps in memory has to follow what others commit: update it in ``committed``, or
        read it from the view.
        """
        async with self.pipeline(3) as pipeline:
            sent: list[bytes] = []
            led: set[str] = set()
            for number in range(_MANY):
                primary = await pipeline.elect()
                led.add(primary.name)
                sent.append(self.harness.valid(number))
                fates = await pipeline.send(sent[-1])
                expect(isinstance(fates[0], Committed), f"under another primary valid became {told(fates)}")
                again = await pipeline.send(sent[0])
                expect(
                    isinstance(again[0], Rejected), f"under another primary a duplicate became {told(again)}"
                )
                if len(led) == len(pipeline.cluster.nodes) and number > _FEW:
                    break
                pipeline.cluster.handle(primary, HandOver())
                await pipeline.run(5)
            await self._expect_equal(pipeline, *sent)

    @standard
    async def test_backups_forward(self) -> None:
        """What is submitted on a backup is answered there as it would be on the primary, in order.

        Why: clients do not know who leads.

        Mend: keep what clients need in receipt and rejection: front ends on other nodes get nothing else.
        """
        valid, other = self.harness.valid(0), self.harness.valid(1)
        payloads = [valid, *self.refused, valid, other]
        async with self.pipeline(3) as pipeline:
            there = await pipeline.send(*payloads, at=pipeline.cluster.backups[0])
        async with self.pipeline(3) as pipeline:
            here = await pipeline.send(*payloads)
        expect(
            [type(fate) for fate in there] == [type(fate) for fate in here],
            f"on a backup they became {told(there)}, on the primary {told(here)}",
        )
        for one, two in zip(here, there, strict=True):
            if isinstance(one, Rejected) and isinstance(two, Rejected):
                expect(one.code == two.code, f"refused as {one.code} by the primary, {two.code} by a backup")
            if isinstance(one, Committed) and isinstance(two, Committed):
                # Executed at another time, it may say something else.
                expect(bool(one.receipt) == bool(two.receipt), "of backup and primary one gives no receipt")

    @standard
    async def test_a_node_goes_on_from_a_snapshot(self) -> None:
        """A node that was away too long begins at a snapshot, sees the same, and can lead.

        Why: it is never told of the batches before: ``restored`` takes their place.

        Mend: rebuild from the view in ``restored`` whatever you keep beside the maps, and forget what was.
        """
        async with self.pipeline(3, **_SNAPSHOTS) as pipeline:
            cluster = pipeline.cluster
            away = cluster.backups[0]
            sent = [self.harness.valid(0)]
            await pipeline.send(*sent)
            cluster.cut(away)
            for number in range(1, _MANY):
                sent.append(self.harness.valid(number))
                await pipeline.send(sent[-1])
            compact(cluster)
            cluster.heal()
            await pipeline.until(
                lambda: away.replica.chain.committed == cluster.primary.replica.chain.committed
            )
            expect(away.disk.compacted_index, "the kit failed to have the node begin at a snapshot")
            for _ in range(_FEW * 2):
                if cluster.primary is away:
                    break
                cluster.handle(cluster.primary, HandOver())
                await pipeline.run(5)
                await pipeline.elect()
            sent.append(self.harness.valid(_MANY))
            fates = await pipeline.send(sent[-1])
            expect(
                isinstance(fates[0], Committed), f"where state began at a snapshot valid became {told(fates)}"
            )
            again = await pipeline.send(sent[0])
            expect(
                isinstance(again[0], Rejected),
                f"where state began at a snapshot a duplicate became {told(again)}",
            )
            await self._expect_equal(pipeline, *sent)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    async def _at_every_point(self, harm: Harm) -> None:
        """Do harm after 0, 1, 2, … of the smallest steps that three nodes need for a few transactions."""
        for point in range(0, _POINTS_MAX, self.every_nth_point):
            async with self.pipeline(3) as pipeline:
                reached = await self._harmed(pipeline, point, harm)
            if not reached:
                return

    async def _harmed(self, pipeline: Pipeline, point: int, harm: Harm) -> bool:
        """Do harm once; return whether there was anything under way by then."""
        cluster, valid = pipeline.cluster, self.harness.valid
        primary, backup = cluster.primary, cluster.backups[0]
        tickets = [
            (primary, cluster.submit(primary, valid(0), self.harness.rejected(0)), [valid(0)]),
            (backup, cluster.submit(backup, valid(1), *self.harness.malformed()), [valid(1)]),
            (primary, cluster.submit(primary, valid(2)), [valid(2)]),
        ]
        steps, done = _SmallestSteps(pipeline), 0
        while done < point and await steps.step():
            done += 1
        kept = [
            payload
            for node, ticket, payloads in tickets
            for payload, fate in zip(payloads, node.answers.get(ticket, ()), strict=False)
            if isinstance(fate, Committed)
        ]
        await harm(pipeline, primary)
        await pipeline.elect()
        for payload in kept:
            fates = await pipeline.send(payload)
            expect(
                isinstance(fates[0], Rejected),
                f"at step {point}: what was answered as committed is applied again: it was lost",
            )
        await pipeline.send_surely(valid(0), valid(1), valid(2))
        await self._expect_equal(pipeline, valid(0), valid(1), valid(2), when=f"at step {point}")
        return done == point

    async def _expect_equal(self, pipeline: Pipeline, *payloads: bytes, when: str = "in the end") -> None:
        """Raise Nonconformity unless every node shows just what these transactions do."""
        wanted = await self.reference(*payloads)
        await pipeline.run(3)
        for node in pipeline.cluster.alive:
            self.expect_seen(pipeline.observe(node), wanted, f"{when}, on one of three nodes")
        try:
            pipeline.cluster.check_equal()
        except SafetyError as error:
            expect(False, f"{when}: {error}")


class _SmallestSteps:
    """Does one thing at a time, whose turn it is."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._turn = 0
        self._ticks = _TICKS

    async def step(self) -> bool:
        """Do one thing, or let a tick pass if there is none; return whether there was any left to do."""
        if await self._act():
            return True
        if not self._ticks:
            return False
        self._ticks -= 1
        for node in self._pipeline.cluster.alive:
            self._pipeline.cluster.tick(node)
        return True

    async def _act(self) -> bool:
        actions = list(_actions(self._pipeline))
        for offset in range(len(actions)):
            if await actions[(self._turn + offset) % len(actions)]():
                self._turn += offset + 1
                return True
        return False


def _actions(pipeline: Pipeline) -> Iterator[Callable[[], Awaitable[bool]]]:
    cluster = pipeline.cluster

    async def deliver() -> bool:
        if not cluster.pool:
            return False
        cluster.deliver()
        return True

    for node in cluster.alive:

        async def persist(node: ClusterNode = node) -> bool:
            return cluster.persist(node)

        async def execute(node: ClusterNode = node) -> bool:
            return await pipeline.execute(node)

        yield persist
        yield deliver
        yield execute


async def _crash(pipeline: Pipeline, primary: ClusterNode) -> None:
    pipeline.cluster.crash(primary)


async def _cut_off(pipeline: Pipeline, primary: ClusterNode) -> None:
    cluster = pipeline.cluster
    cluster.cut(primary)
    others = [node for node in cluster.alive if node is not primary]
    await pipeline.until(lambda: any(node.replica.is_primary for node in others))
    cluster.heal()


async def _lose(pipeline: Pipeline, primary: ClusterNode) -> None:
    del primary
    cluster = pipeline.cluster
    while cluster.pool:
        try:
            cluster.lose()
        except CallerError:
            continue
