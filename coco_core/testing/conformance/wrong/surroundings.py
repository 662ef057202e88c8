"""Wrong adapters that execute well: what is wrong is how they begin, what they show, and being told."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from coco_core.adapter import (
    Batch,
    BatchResult,
    CommittedBatch,
    HTTPRequest,
    HTTPResponse,
    LedgerAdapter,
    LedgerService,
    ReadView,
    Writes,
)
from coco_core.errors import AdapterError, OperatorError
from coco_core.testing.conformance.wrong.catalogue import fails
from coco_core.testing.nemesis.tally_plugin import TallyPlugin
from coco_core.testing.tally import BLOCKS, COUNTERS, SEEN, Tally, TallyFrontEnd, TallyMaps, add

# ── told of commits ──────────────────────────────────────────────────────────────────────────────────


@fails("committed_submits_nothing")
class SubmitsWhenTold(Tally):
    """Answers every commit with a transaction."""

    service: LedgerService | None = None

    async def serve(self, service: LedgerService) -> None:
        """Keep the way to submit."""
        self.service = service
        await super().serve(service)

    def committed(self, batch: CommittedBatch) -> None:
        """Submit."""
        super().committed(batch)
        if self.service is not None:
            try:
                self.service.submit([add(f"seen-{batch.txid.seqno}", "told", 1)])
            except AdapterError:
                return


@fails("being_told_raises_nothing")
class RaisesWhenTold(Tally):
    """Indexes what is not in every batch."""

    def committed(self, batch: CommittedBatch) -> None:
        """Look for a counter."""
        super().committed(batch)
        _ = batch.writes[COUNTERS][b"no such counter"]


@fails("being_told_raises_nothing")
class RaisesWhenRestored(Tally):
    """Expects its index to be there before it is rebuilt."""

    def restored(self, view: ReadView) -> None:
        """Look for what is not there."""
        super().restored(view)
        _ = self.batches[0]


@fails("committed_is_fast")
class TakesItsTime(Tally):
    """Works through every batch while the node waits; through so many only, for we have no time either."""

    left = 40

    def committed(self, batch: CommittedBatch) -> None:
        """Take a while."""
        super().committed(batch)
        TakesItsTime.left -= 1
        until = time.perf_counter() + 0.02
        while TakesItsTime.left >= 0 and time.perf_counter() < until:
            pass


# ── front ends ───────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class _Counting(TallyFrontEnd):
    """Shows how many batches an adapter has in its index, whatever is asked for."""

    ledger: Tally = attrs.field(factory=Tally)

    def accept(self, request: HTTPRequest) -> Any:
        if request.method == "GET":
            shown = len({batch.txid.seqno for batch in self.ledger.batches})
            return HTTPResponse(body=json.dumps({"batches": shown}).encode())
        return super().accept(request)


@fails("front_end_shows_the_same_after_a_restart")
class ForgetsItsIndex(Tally):
    """Shows what it was told, and rebuilds nothing in ``restored``."""

    async def serve(self, service: LedgerService) -> None:
        """Show the index."""
        await service.serve_http(_Counting(service, TallyMaps(), self))


@attrs.frozen
class _Numbering(TallyFrontEnd):
    """Shows how many transactions an adapter has counted, whatever is asked for."""

    ledger: AddsToItsIndex = attrs.field(kw_only=True)

    def accept(self, request: HTTPRequest) -> Any:
        if request.method == "GET":
            return HTTPResponse(body=b"%d" % self.ledger.counted)
        return super().accept(request)


@fails("front_end_shows_the_same_after_a_restart")
class AddsToItsIndex(Tally):
    """Adds what there is to what it counted before, whenever it is restored."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        super().__init__()
        self.counted = 0

    async def serve(self, service: LedgerService) -> None:
        """Show the count."""
        await service.serve_http(_Numbering(service, ledger=self))

    def committed(self, batch: CommittedBatch) -> None:
        """Count."""
        super().committed(batch)
        self.counted += len(batch.writes.get(SEEN, ()))

    def restored(self, view: ReadView) -> None:
        """Count all there are."""
        super().restored(view)
        self.counted += sum(1 for _ in view.items(SEEN))


@fails("front_end_shows_what_is_committed", "front_end_shows_the_same_after_a_restart")
class ShowsWhatItExecuted(Tally):
    """Shows what this node executed, so that no two nodes show the same."""

    def __init__(self) -> None:
        """Begin with nothing executed."""
        super().__init__()
        self.mine: list[Any] = []

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute, and note it."""
        result = await super().execute(batch, view)
        if result.closing:
            self.mine.append(result)
        return result

    async def serve(self, service: LedgerService) -> None:
        """Show what was executed here."""
        executed = self

        class Shows(TallyFrontEnd):
            def accept(self, request: HTTPRequest) -> Any:
                if request.method == "GET":
                    return HTTPResponse(body=b"%d" % len(executed.mine))
                return super().accept(request)

        await service.serve_http(Shows(service, TallyMaps()))


@fails("front_end_answers_anything")
class StumblesOverRequests(Tally):
    """Believes what clients say."""

    async def serve(self, service: LedgerService) -> None:
        """Take whatever begins with a brace for JSON."""

        class Trusting(TallyFrontEnd):
            def accept(self, request: HTTPRequest) -> Any:
                if request.body.startswith(b"{"):
                    json.loads(request.body)
                return super().accept(request)

        await service.serve_http(Trusting(service, TallyMaps()))


@fails("front_end_takes_transactions")
class LosesTransactions(Tally):
    """Says yes and submits nothing."""

    async def serve(self, service: LedgerService) -> None:
        """Answer at once."""

        class Polite(TallyFrontEnd):
            def accept(self, request: HTTPRequest) -> Any:
                return super().accept(request) if request.method == "GET" else HTTPResponse(body=b"[]")

        await service.serve_http(Polite(service, TallyMaps()))


@fails("serve_runs_until_cancelled")
class StopsServing(Tally):
    """Returns from serve as soon as all is set up."""

    async def serve(self, service: LedgerService) -> None:
        """Set up and return."""
        with trio.move_on_after(0.001):
            await super().serve(service)


# ── beginning ────────────────────────────────────────────────────────────────────────────────────────


class _TakesAnySetting(TallyPlugin):
    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        del settings
        return super().create(engine, {})


class _TakesAnyEngine(TallyPlugin):
    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        del engine
        return super().create("", settings)


class _RefusesVaguely(TallyPlugin):
    def create(self, engine: str, settings: Mapping[str, Any]) -> LedgerAdapter:
        if settings:
            raise OperatorError("bad settings")
        return super().create(engine, settings)


class _CannotListEngines(TallyPlugin):
    def engines(self) -> Any:
        raise ImportError("no such engine here")


@fails("unknown_engines_and_settings_are_refused", plugin=_TakesAnySetting)
class TakesAnySetting(Tally):
    """Ignores settings that it does not know."""


@fails("unknown_engines_and_settings_are_refused", plugin=_TakesAnyEngine)
class TakesAnyEngine(Tally):
    """Executes with what it has, whatever was asked for."""


@fails("unknown_engines_and_settings_are_refused", plugin=_RefusesVaguely)
class RefusesVaguely(Tally):
    """Does not say which setting is wrong."""


@fails("plugin_says_what_is_installed", plugin=_CannotListEngines)
class CannotListEngines(Tally):
    """Raises where an engine is missing."""


@fails("manifest_is_sound")
class ClaimsForeignMaps(Tally):
    """Names a map of another ledger's as its own."""

    def __init__(self) -> None:
        """Claim one more."""
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, maps=(*self.manifest.maps, "other.counters"))


@fails("manifest_is_sound")
class NamesItsBirth(Tally):
    """Has another version on every node."""

    def __init__(self) -> None:
        """Name the version after this object."""
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, version=str(time.perf_counter_ns()))


@fails("bad_genesis_is_refused_by_name")
class TakesAnyGenesis(Tally):
    """Begins without what it does not understand."""

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Leave out what is wrong."""
        try:
            return super().genesis(config, randomness)
        except OperatorError:
            return super().genesis({"counters": {}}, randomness)


@fails("bad_genesis_is_refused_by_name")
class RefusesGenesisVaguely(Tally):
    """Does not say which field is wrong."""

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Say that something is."""
        try:
            return super().genesis(config, randomness)
        except OperatorError:
            raise OperatorError("the genesis is not right") from None


@fails("odd_genesis_raises_nothing_else")
class StumblesOverGenesis(Tally):
    """Believes that fields are of the right type."""

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Look into what may be no table."""
        sorted(config["counters"].items())
        return super().genesis(config, randomness)


@fails("genesis_is_within_maps_and_bounds")
class BeginsInAnotherMap(Tally):
    """Puts its genesis where it does not belong."""

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Write one map too many."""
        return [*super().genesis(config, randomness), {"other.genesis": {b"newest": b"1"}, BLOCKS: {}}]
