"""The real pipeline for one adapter: replicas on a table, adapters that may wait, front ends that serve.

A :class:`Cluster` executes at once and so cannot wait. Here every step is the cluster's own, but execution is
awaited and ``serve`` runs beside it, so that adapters with threads or processes of their own are judged too.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    Fetch,
    Fetched,
    HTTPHandler,
    HTTPRequest,
    HTTPResponse,
    LedgerAdapter,
    NotCommitted,
    Outcome,
    ReadView,
    Rejected,
    Request,
    ScopedView,
    WebSocketAnswer,
    Writes,
    merge,
)
from coco_core.errors import CallerError
from coco_core.kv import View
from coco_core.replica.events import BatchExecuted
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.marking import Nonconformity
from coco_core.testing.conformance.notes import Notes
from coco_core.testing.conformance.serving import Beside, Fate, NodeService
from coco_core.testing.conformance.watching import Watched

_ANSWER_S: Final = 20.0
_BEGIN_S: Final = 10.0
_STEPS_MAX: Final = 20_000
_PAUSE_S: Final = 0.002


class Pipeline:
    """Nodes that run the adapter under test as their first ledger."""

    def __init__(self, cluster: Cluster, harness: LedgerHarness, notes: Notes, nursery: trio.Nursery) -> None:
        """Drive ``cluster`` and serve in ``nursery``; what its adapters do is noted in ``notes``."""
        self.cluster = cluster
        self.harness = harness
        self.notes = notes
        self.services: dict[str, NodeService] = {}
        self._nursery = nursery
        for node in cluster.nodes.values():
            self._serve(node)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        harness: LedgerHarness,
        nodes: int,
        *,
        notes: Notes | None = None,
        beside: bool = False,
        **bounds: Any,
    ) -> AsyncIterator[Pipeline]:
        """Found a service of ``nodes`` nodes with a leader, and serve on each of them."""
        noted = notes if notes is not None else Notes()
        cluster = Cluster.found(
            nodes,
            draw=random.Random(7).randint,  # noqa: S311 - a simulation is repeatable
            make=lambda: Watched(harness.make(), noted, harness.execute_max_s),
            beside=lambda: (Beside(),) if beside else (),
            config=harness.genesis(),
            **bounds,
        )
        async with trio.open_nursery() as nursery:
            pipeline = cls(cluster, harness, noted, nursery)
            await pipeline.settle()
            await pipeline.run(2)
            yield pipeline
            nursery.cancel_scope.cancel()

    # ── readings ─────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def watched(node: ClusterNode) -> Watched:
        """Return the adapter under test on ``node``."""
        adapter = node.adapter
        if not isinstance(adapter, Watched):
            raise TypeError("the first ledger of a pipeline is the one under test")
        return adapter

    @property
    def maps(self) -> frozenset[str]:
        """Those of the adapter under test."""
        return frozenset(self.cluster.alive[0].adapter.manifest.maps)

    def scoped(self, view: View) -> ScopedView:
        """Return what the adapter under test may see of ``view``."""
        return ScopedView(view, self.maps)

    def observe(self, node: ClusterNode | None = None) -> Any:
        """Return what users see on ``node``, or on the primary."""
        asked = node if node is not None else self.cluster.primary
        return self.harness.observe(self.scoped(asked.replica.chain.store.view()))

    def state(self, node: ClusterNode) -> dict[str, dict[bytes, bytes]]:
        """Return the adapter's committed maps on ``node``."""
        view = node.replica.chain.store.view()
        return {name: dict(view.items(name)) for name in sorted(self.maps)}

    def restart(self, node: ClusterNode) -> None:
        """Have ``node`` begin anew with a new adapter, which is told ``restored`` and nothing else."""
        adapter = Watched(self.harness.make(), self.notes, self.harness.execute_max_s)
        node.adapters = (adapter, *node.adapters[1:])
        adapter.restored(self.scoped(node.replica.chain.store.view()))
        self._serve(node)

    def _serve(self, node: ClusterNode) -> None:
        adapter = self.watched(node)
        service = self.services[node.name] = NodeService(self.cluster, node, adapter)
        self._nursery.start_soon(adapter.serve, service)

    # ── steps ────────────────────────────────────────────────────────────────────────────────────

    async def execute(self, node: ClusterNode) -> bool:
        """Let ``node`` execute the batch it was given; return whether there was one."""
        running, node.running = node.running, None
        if node.crashed or running is None:
            return False
        adapter = node.ledger(running.adapter)
        result: BatchResult | Exception
        number, given, fetched = running.number, running.batch, list[Fetched]()
        try:
            view = ScopedView(running.view, frozenset(adapter.manifest.maps))
            with node.fetching.during(number, given, running.view, adapter.manifest) as (batch, fetched):
                result = await adapter.execute(batch, view)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its own fault
            result = error
        if not node.crashed:
            now_ms, randomness = self.cluster.now_ms, number.to_bytes(32)
            self.cluster.handle(node, BatchExecuted(number, result, now_ms, randomness, tuple(fetched)))
        return True

    async def step(self) -> bool:
        """Let each node do one thing and one letter arrive; return whether anything happened."""
        cluster, busy = self.cluster, False
        for node in cluster.alive:
            busy = cluster.persist(node) or await self.execute(node) or cluster.work(node) or busy
        if cluster.pool:
            cluster.deliver()
            busy = True
        for service in self.services.values():
            service.settle()
        return busy

    async def settle(self) -> None:
        """Step until nothing is left to do."""
        for _ in range(_STEPS_MAX):
            if not await self.step():
                await trio.lowlevel.checkpoint()
                return
        raise Nonconformity(f"the nodes did not come to rest in {_STEPS_MAX} steps")

    async def run(self, ticks: int) -> None:
        """Let time pass on every node and everything happen in between."""
        for _ in range(ticks):
            for node in self.cluster.alive:
                self.cluster.tick(node)
            await self.settle()

    async def until(self, done: Callable[[], bool], ticks_max: int = 400) -> None:
        """Let time pass until ``done``."""
        for _ in range(ticks_max):
            if done():
                return
            await self.run(1)
        raise Nonconformity(f"it did not come about in {ticks_max} ticks")

    async def elect(self) -> ClusterNode:
        """Let time pass until one node leads all the living; return it."""
        cluster = self.cluster

        def led() -> bool:
            leading = [node for node in cluster.alive if node.replica.is_primary]
            return len(leading) == 1 and all(node.replica.leader == leading[0].name for node in cluster.alive)

        await self.until(led)
        return cluster.primary

    # ── clients ──────────────────────────────────────────────────────────────────────────────────

    async def send(self, *payloads: bytes, at: ClusterNode | None = None, to: str = "") -> list[Fate]:
        """Submit at the primary, or at ``at``, and return the fates once they are known there."""
        node = at if at is not None else self.cluster.primary
        ticket = self.cluster.submit(node, *payloads, to=to)
        await self.until(lambda: ticket in node.answers)
        return list(node.answers[ticket])

    async def send_surely(self, *payloads: bytes) -> None:
        """Submit one by one, again and again, until each is committed or refused, whoever leads."""
        for payload in payloads:
            for _ in range(20):
                await self.elect()
                try:
                    (fate,) = await self.send(payload)
                except CallerError:
                    await self.run(1)
                    continue
                if not isinstance(fate, NotCommitted):
                    break
            else:
                raise Nonconformity(f"{payload[:80]!r}… was never answered for certain")
        await self.run(2)

    async def ask(self, node: ClusterNode, request: HTTPRequest) -> HTTPResponse:
        """Return what the front end on ``node`` answers, 500 if it raised."""
        handler = await self._handler(node)
        if handler is None:
            raise Nonconformity("the front end serves no HTTP: give no questions, and say why")
        try:
            answer = handler.accept(request)
            if isinstance(answer, HTTPResponse):
                return answer
            if isinstance(answer, WebSocketAnswer):
                return HTTPResponse(status=426)
            return await self._answered(answer)
        except Nonconformity:
            raise
        except Exception as error:  # noqa: BLE001 - a node answers with 500 whatever a handler raises
            return HTTPResponse(status=500, body=repr(error).encode())

    async def _handler(self, node: ClusterNode) -> HTTPHandler | None:
        """Return what answers on ``node``, once it is there."""
        service = self.services[node.name]
        with trio.move_on_after(_BEGIN_S):
            await service.serving.wait()
        return service.handler

    async def _answered(self, answer: Callable[[], Any]) -> HTTPResponse:
        answers: list[HTTPResponse | Exception] = []
        done = trio.Event()

        async def wait() -> None:
            try:
                answers.append(await answer())
            except Exception as error:  # noqa: BLE001 - told below
                answers.append(error)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            deadline = trio.current_time() + _ANSWER_S
            while not done.is_set():
                await self.run(1)
                with trio.move_on_after(_PAUSE_S):
                    await done.wait()
                if trio.current_time() > deadline:
                    raise Nonconformity(f"the front end did not answer within {_ANSWER_S:.0f} s")
        (found,) = answers
        if isinstance(found, Exception):
            raise found
        return found

    # ── executing aside ──────────────────────────────────────────────────────────────────────────

    async def aside(
        self,
        *payloads: bytes,
        at: ClusterNode | None = None,
        adapter: LedgerAdapter | None = None,
        configuration: Mapping[str, Any] | None = None,
        over: Mapping[str, Mapping[bytes, bytes | None]] | None = None,
        fetch: Fetch | None = None,
    ) -> BatchResult:
        """Have a batch executed over the head of ``at``'s state that nobody will ever commit."""
        node = at if at is not None else self.cluster.primary
        chain = node.replica.chain
        batch = Batch(
            requests=tuple(map(Request, payloads)),
            view=2,
            first_seqno=chain.head + 1,
            time_ms=self.cluster.now_ms + 1_000,
            randomness=bytes(range(32)),
            configuration=configuration or {},
            fetch=fetch,
        )
        view = self.scoped(chain.store.head())
        return await _whatever_it_raises(adapter or node.adapter, batch, view.over(over) if over else view)


async def _whatever_it_raises(adapter: LedgerAdapter, batch: Batch, view: ReadView) -> BatchResult:
    """Execute a batch; when the adapter raises, request by request, as the core does."""
    try:
        return await adapter.execute(batch, view)
    except Exception:  # noqa: BLE001 - noted where it was raised
        if len(batch.requests) == 1:
            return BatchResult([Rejected("adapter-fault", "the adapter raised")])
    outcomes: list[Outcome] = []
    laid: Writes = {}
    closing: Writes = {}
    for request in batch.requests:
        alone = await _whatever_it_raises(adapter, attrs.evolve(batch, requests=(request,)), view.over(laid))
        outcomes += alone.outcomes
        for one in alone.outcomes:
            merge(laid, one.writes if isinstance(one, Applied) else {})
        closing = alone.closing or closing
    return BatchResult(outcomes, closing)


def written(result: BatchResult) -> list[Writes]:
    """Return the entries that a result would become."""
    entries = [one.writes for one in result.outcomes if isinstance(one, Applied)]
    return [*entries, result.closing] if result.closing else entries
