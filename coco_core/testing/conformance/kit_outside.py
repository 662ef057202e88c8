"""Standard tests of asking systems outside: they may fail in every way, and what they say tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from coco_core.adapter import Applied, Deferred, Fetch, Fetched, Rejected
from coco_core.base import limits
from coco_core.errors import FetchError
from coco_core.testing.conformance.harness import Asking
from coco_core.testing.conformance.kit_base import KitBase, same_results
from coco_core.testing.conformance.kit_execution import told
from coco_core.testing.conformance.marking import Nonconformity, expect, standard
from coco_core.testing.conformance.pipeline import written

_CODES: Final = (
    "malformed-url",
    "not-allowed",
    "exhausted",
    "over",
    "unreachable",
    "tls",
    "timeout",
    "too-large",
    "protocol",
)
_ODD_ANSWERS: Final = (
    (200, b""),
    (200, b"\xff\x00 nonsense"),
    (200, b"9" * limits.FETCH_BODY_MAX_BYTES),
    (302, b""),
    (404, b"not here"),
    (500, b"<html>"),
)


class OutsideTests(KitBase):
    """Whoever asks others copes with what they say."""

    @standard
    async def test_systems_outside_may_fail(self) -> None:
        """Whatever a system outside does, and if none may be asked, the request has an outcome.

        Why: what others do is not in the consortium's hands. A FetchError that leaves ``execute`` costs the
        batch of everybody.

        Mend: see whether ``batch.fetch`` is None; catch FetchError; look at status and body before you use
        them. Refuse with what is missing as the reason; ``exhausted`` may be deferred behind an applied
        request.
        """
        asking = self._asking()
        if asking is None:
            return
        async with self.pipeline(1) as pipeline:
            for what, fetch in _failures():
                result = await pipeline.aside(asking.payload, fetch=fetch)
                expect(
                    isinstance(result.outcomes[0], Applied | Rejected),
                    f"asked in vain ({what}), it became {told(result.outcomes)}",
                )
                behind = await pipeline.aside(self.harness.valid(0), asking.payload, fetch=fetch)
                expect(
                    isinstance(behind.outcomes[1], Applied | Rejected | Deferred),
                    f"asked in vain ({what}), it became {told(behind.outcomes)}",
                )

    @standard
    async def test_what_systems_outside_say_tells(self) -> None:
        """What is written depends on what was answered, and a deterministic ledger replays it without asking.

        Why: an auditor asks nobody; the answers were of then.

        Mend: write down what you took from an answer, as you do with the time, and replay from there.
        """
        asking = self._asking()
        if asking is None:
            return
        async with self.pipeline(1) as pipeline:
            one = await pipeline.aside(asking.payload, fetch=_answers(200, asking.answer))
            other = await pipeline.aside(asking.payload, fetch=_answers(200, asking.another))
            for result in (one, other):
                right = isinstance(result.outcomes[0], Applied)
                expect(right, f"with a good answer it became {told(result.outcomes)}")
            expect(same_results(one, other), "two answers make no difference")
            if pipeline.cluster.primary.adapter.manifest.deterministic:
                head = pipeline.scoped(pipeline.cluster.primary.replica.chain.store.head())
                try:
                    again = await self.harness.make().replay(written(one), head)
                except Exception as error:
                    raise Nonconformity(f"replay of what asked others raised {error!r:.300}") from error
                expect(list(again) == written(one), "what asked others is not replayed as it was written")

    def _asking(self) -> Asking | None:
        fetches, asking = self.harness.make().manifest.fetches, self.harness.asks()
        expect(not fetches or asking, "the manifest says that it asks others, the harness gives no asks()")
        return asking if fetches else None


def _failures() -> Iterator[tuple[str, Fetch | None]]:
    yield "nobody may be asked", None
    for code in _CODES:
        yield code, _raises(code)
    for status, body in _ODD_ANSWERS:
        yield f"status {status}, {body[:12]!r}", _answers(status, body)


def _raises(code: str) -> Fetch:
    async def fetch(url: str) -> Fetched:
        raise FetchError(code, f"{url} was not answered")

    return fetch


def _answers(status: int, body: bytes) -> Fetch:
    async def fetch(url: str) -> Fetched:
        return Fetched(url, status, body)

    return fetch
