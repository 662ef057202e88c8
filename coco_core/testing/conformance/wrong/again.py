"""Wrong adapters that take the same transaction for another one, or for another one's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import attrs

from coco_core.adapter import (
    ANONYMOUS,
    Batch,
    BatchResult,
    Changes,
    CommittedBatch,
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    PendingResponse,
    ReadView,
    Request,
)
from coco_core.testing.conformance.wrong.catalogue import Altered, fails
from coco_core.testing.tally import SEEN, Tally, TallyFrontEnd, add


@attrs.frozen
class _Knowing:
    """A view in which the IDs of an index stand for those of the map; what is laid over it counts."""

    view: ReadView
    known: frozenset[bytes]
    laid: tuple[Mapping[str, Changes], ...] = ()

    @property
    def version(self) -> int:
        return self.view.version

    def get(self, name: str, key: bytes) -> bytes | None:
        if name != SEEN:
            return self.view.get(name, key)
        here = any(key in writes.get(SEEN, ()) for writes in self.laid)
        return b"1" if here or key in self.known else None

    def chain(self, name: str) -> tuple[Changes, ...]:
        return self.view.chain(name)

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return self.view.items(name, prefix)

    def over(self, writes: Mapping[str, Changes]) -> _Knowing:
        return _Knowing(self.view.over(writes), self.known, (*self.laid, writes))


@fails("nothing_is_applied_twice", "nothing_is_lost_when_messages_are")
class KnowsWhatIsCommitted(Tally):
    """Looks for duplicates in an index of what is committed: what is under way is not in it yet."""

    def __init__(self) -> None:
        """Begin with an empty index."""
        super().__init__()
        self._known: set[bytes] = set()

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute by the index."""
        return await super().execute(batch, _Knowing(view, frozenset(self._known)))

    def committed(self, batch: CommittedBatch) -> None:
        """Index."""
        super().committed(batch)
        self._known.update(batch.writes.get(SEEN, ()))

    def restored(self, view: ReadView) -> None:
        """Rebuild the index."""
        super().restored(view)
        self._known = {name for name, _ in view.items(SEEN)}


@fails("nothing_is_applied_twice")
class ForgetsOldTransactions(Altered):
    """Keeps the IDs of the last few transactions only."""

    def __init__(self) -> None:
        """Say that nobody need replay this."""
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, deterministic=False)

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Remove what is old."""
        if not result.closing:
            return result
        known = sorted(view.items(SEEN), key=lambda row: int(row[1]))
        old: dict[bytes, bytes | None] = {name: None for name, _ in known[:-30]}
        return BatchResult(result.outcomes, {**result.closing, SEEN: old} if old else result.closing)


@fails("a_transaction_has_one_encoding")
class TakesBytesForTheTransaction(Tally):
    """Reads over blanks, and takes the digest of all bytes for the ID."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute with IDs of its own."""
        requests = [attrs.evolve(one, payload=_renamed(one.payload)) for one in batch.requests]
        return await super().execute(attrs.evolve(batch, requests=tuple(requests)), view)


def _renamed(payload: bytes) -> bytes:
    words = payload.split()
    if len(words) != 4 or words[0] != b"add" or words[1].startswith(b"conflict"):
        return payload
    digest = hashlib.sha256(payload).hexdigest()[:32].encode()
    return b" ".join([words[0], digest, *words[2:]])


@fails("bundles_are_whole")
class TrustsBundles(Tally):
    """Believes that what comes in a bundle was looked at by somebody."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Give what is known already another ID when it comes in a bundle."""
        if batch.together:
            requests = tuple(_once_more(one, view, batch.first_seqno) for one in batch.requests)
            batch = attrs.evolve(batch, requests=requests)
        return await super().execute(batch, view)


def _once_more(request: Request, view: ReadView, seqno: int) -> Request:
    words = request.payload.decode(errors="replace").split()
    if len(words) == 4 and view.get(SEEN, words[1].encode()) is not None:
        return attrs.evolve(request, payload=add(f"{words[1]}-{seqno}", words[2], int(words[3])))
    return request


@fails("front_end_says_who_asks")
class ForgetsWhoAsks(Tally):
    """Submits everything for nobody."""

    async def serve(self, service: LedgerService) -> None:
        """Serve whoever asks as if nobody did."""

        class Forgetful(TallyFrontEnd):
            def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
                return super().accept(attrs.evolve(request, caller=ANONYMOUS))

        await service.serve_http(Forgetful(service, self.maps))
