"""Standard tests of front ends: what they show is the same everywhere, what they take is answered."""

from __future__ import annotations

from typing import Any, Final

import attrs

from coco_core.adapter import Caller, HTTPRequest
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.conformance.harness import get, post
from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.marking import expect, standard
from coco_core.testing.conformance.pipeline import Pipeline

_ODD_TARGETS: Final = ("/", "/nonsense", "/../..", "/%00", "/?a=b&a=c", "*", "/" + "x" * 2_000)
_ODD_BODIES: Final = (b"", b"nonsense", b"\xff\x00", b"{", b"[" * 1_000, b'{"a": 1e999}', b"null")

_SOMEBODY: Final = Caller(kind="user", identity="a" * 64)

_SHOWN: Final = 6
"""So many of ``valid`` are committed before every question must be answered in another way than before."""

Answer = tuple[int, bytes]


class FrontEndTests(KitBase):
    """Clients see the same on every node, and get an answer to whatever they ask."""

    @standard
    async def test_front_end_shows_what_is_committed(self) -> None:
        """The answers to ``questions`` change with what is committed, and are the same on all nodes.

        Why: a client reads on one node what it wrote on another.

        Mend: answer from ``service.view()``; what you answer from an index has to be kept in ``committed``. A
        question whose answer none of ``valid(0)`` to ``valid(5)`` changes is no question for the harness.
        """
        if not self._speaks_http():
            return
        async with self.pipeline(3) as pipeline:
            cluster = pipeline.cluster
            before = await self._shown(pipeline, cluster.primary)
            await pipeline.send(*map(self.harness.valid, range(_SHOWN)), at=cluster.backups[0])
            await pipeline.run(3)
            after = await self._shown(pipeline, cluster.primary)
            for request, one, other in zip(self.harness.questions(), before, after, strict=True):
                told = (
                    f"valid(0) to valid({_SHOWN - 1}) were committed, and {request.target} is still answered"
                )
                expect(one != other, f"{told} {other!r:.200}: ask what at least one of them changes")
            for node in cluster.backups:
                shown = await self._shown(pipeline, node)
                expect(
                    shown == after, f"a backup shows {shown!r:.300} where the primary shows {after!r:.300}"
                )

    @standard
    async def test_front_end_shows_the_same_after_a_restart(self) -> None:
        """A node that is told ``restored``, its adapter new or running, shows the same, and goes on to.

        Why: a node that starts again, or begins at a snapshot, was never told of the batches before. One that
        lagged behind is handed a snapshot while it runs: its adapter knows the beginning already.

        Mend: rebuild in ``restored`` what front ends show and you keep beside the maps; begin empty.
        """
        if not self._speaks_http():
            return
        async with self.pipeline(3) as pipeline:
            cluster = pipeline.cluster
            for number in range(3):
                await pipeline.send(self.harness.valid(number))
            await pipeline.run(3)
            new, running = cluster.backups
            pipeline.restart(new)
            pipeline.watched(running).restored(pipeline.scoped(running.replica.chain.store.view()))
            for moment in ("at once", "after more was committed"):
                wanted = await self._shown(pipeline, cluster.primary)
                for which, node in (("new", new), ("running", running)):
                    mine = await self._shown(pipeline, node)
                    expect(
                        mine == wanted,
                        f"{moment} a {which} adapter shows {mine!r:.300} where others show {wanted!r:.300}",
                    )
                await pipeline.send(self.harness.valid(3))
                await pipeline.run(3)

    @standard
    async def test_front_end_takes_transactions(self) -> None:
        """A transaction that a client submits on a backup is committed once, also if it comes again.

        Why: it is how the ledger's own clients use it.

        Mend: hand payloads to ``service.submit`` and answer from its fates; catch BusyError and
        MalformedError.
        """
        request = self.harness.submission(self.harness.valid(0))
        if request is None:
            expect(
                self.harness.no_front_end,
                "the harness gives no submission; if the ledger does not speak HTTP, set no_front_end to why",
            )
            return
        async with self.pipeline(3) as pipeline:
            wanted = await self.reference(self.harness.valid(0))
            for moment in ("valid(0)", "valid(0) again"):
                status, body = await self._asked(pipeline, pipeline.cluster.backups[0], request)
                limit = 400 if moment == "valid(0)" else 500
                expect(status < limit, f"{moment} submitted was answered with {status}: {body!r:.200}")
                await pipeline.run(3)
                self.expect_seen(pipeline.observe(), wanted, f"after a client submitted {moment}")
            for payload in self.refused:
                refused = self.harness.submission(payload)
                if refused is not None:
                    status, body = await self._asked(pipeline, pipeline.cluster.backups[0], refused)
                    expect(
                        status < 500, f"{payload[:60]!r} submitted was answered with {status}: {body!r:.200}"
                    )
            self.expect_seen(pipeline.observe(), wanted, "after clients submitted what must be refused")

    @standard
    async def test_front_end_says_who_asks(self) -> None:
        """What a client submits is executed as that client's.

        Why: the consortium's tables say who it is; a rule about who may do what has nothing else to go by.

        Mend: hand ``request.caller`` to ``service.submit``, also when you submit later or again.
        """
        request = self.harness.submission(self.harness.valid(0))
        if request is None:
            return
        async with self.pipeline(1) as pipeline:
            primary = pipeline.cluster.primary
            await self._asked(pipeline, primary, attrs.evolve(request, caller=_SOMEBODY))
            await pipeline.run(3)
            asked = [each for batch, _ in pipeline.watched(primary).executed for each in batch.requests]
            callers = {each.caller for each in asked}
            expect(callers <= {_SOMEBODY}, f"what {_SOMEBODY} submitted was executed for {callers}")

    @standard
    async def test_front_end_answers_anything(self) -> None:
        """Whatever is asked, the answer is no server error.

        Why: an exception in a handler is a 500 and a line in the log for whoever wants to fill it.

        Mend: check method, target and body before you use them; answer 400, 404 or 405.
        """
        if not self._speaks_http():
            return
        requests = [get(target) for target in _ODD_TARGETS]
        requests += [post("/", body) for body in _ODD_BODIES]
        requests += [HTTPRequest(method="BREW", target="/", headers={}, body=b"")]
        async with self.pipeline(1) as pipeline:
            before = pipeline.observe()
            for request in requests:
                status, body = await self._asked(pipeline, pipeline.cluster.primary, request)
                asked = f"{request.method} {request.target[:60]} {request.body[:30]!r}"
                expect(100 <= status < 500, f"{asked} was answered with {status}: {body!r:.200}")
            self.expect_seen(pipeline.observe(), before, "after nonsense was asked")

    def _speaks_http(self) -> bool:
        asks = bool(self.harness.questions())
        expect(
            asks or self.harness.no_front_end,
            "the harness gives no questions; if the ledger does not speak HTTP, set no_front_end to why",
        )
        return asks

    async def _shown(self, pipeline: Pipeline, node: ClusterNode) -> list[Any]:
        """Return what the answers to all questions say; raises Nonconformity for a server error."""
        said = []
        for request in self.harness.questions():
            status, body = await self._asked(pipeline, node, request)
            expect(status < 500, f"{request.target} was answered with {status}: {body!r:.200}")
            said.append(self.harness.read(status, body))
        return said

    async def _asked(self, pipeline: Pipeline, node: ClusterNode, request: HTTPRequest) -> Answer:
        answer = await pipeline.ask(node, request)
        return answer.status, answer.body
