"""Wrong adapters whose results look right one by one: what is wrong is what they mean together."""

from __future__ import annotations

import hashlib
import random
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from coco_core.adapter import Applied, Batch, BatchResult, Fetched, Outcome, ReadView, Rejected, Writes, merge
from coco_core.testing.conformance.wrong.catalogue import Altered, fails
from coco_core.testing.tally import BLOCKS, COUNTERS, SEEN, Tally, add

_AT_EVERY_POINT = (
    "nothing_is_lost_when_the_primary_crashes",
    "nothing_is_lost_when_the_primary_is_cut_off",
    "nothing_is_lost_when_messages_are",
)
_ON_ANOTHER_NODE = ("leadership_moves_and_returns", "a_node_goes_on_from_a_snapshot")


@fails("valid_transactions_take_effect", "front_end_shows_what_is_committed")
class LosesEffects(Altered):
    """Says that it applied what it did not write."""

    def __init__(self) -> None:
        """Say that nobody need replay this."""
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, deterministic=False)

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Write that it was seen, and no more."""
        if isinstance(outcome, Applied):
            return attrs.evolve(outcome, writes={SEEN: outcome.writes[SEEN]})
        return outcome


@fails(
    "rules_are_enforced",
    "what_is_refused_leaves_no_trace",
    "bundles_are_whole",
    "every_node_holds_the_same",
    "front_end_takes_transactions",
    *_AT_EVERY_POINT,
)
class KnowsNoRules(Altered):
    """Takes counters with any name."""

    def __init__(self) -> None:
        """Say that nobody need replay this."""
        super().__init__()
        self.manifest = attrs.evolve(self.manifest, deterministic=False)

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Apply what the rules refuse."""
        if isinstance(outcome, Rejected) and payload.startswith(b"add rejected-"):
            return Applied({COUNTERS: {payload.split()[2]: b"1"}, SEEN: {payload.split()[1]: b"1"}})
        return outcome


@fails("what_is_refused_leaves_no_trace", "every_node_holds_the_same", *_AT_EVERY_POINT)
class ForgetsRollback(Tally):
    """What is refused late has been added already, for those behind it in the batch."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute over what refused requests left behind."""
        left: Writes = {}
        for request in batch.requests:
            if request.payload.startswith(b"add rejected-"):
                total = int(view.over(left).get(COUNTERS, b"shared") or b"0") + 1
                merge(left, {COUNTERS: {b"shared": b"%d" % total}})
        return await super().execute(batch, view.over(left))


class _Once(Tally, ABC):
    """Tally with another opinion of what is a duplicate."""

    @abstractmethod
    def fresh(self, payload: bytes, number: int) -> bytes:
        """Return a payload that Tally takes for a new one, if this is to be applied again."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute with IDs changed."""
        requests = tuple(
            attrs.evolve(request, payload=self.fresh(request.payload, batch.first_seqno * 1_000 + number))
            for number, request in enumerate(batch.requests)
        )
        return await super().execute(attrs.evolve(batch, requests=requests), view)


@fails(
    "nothing_is_applied_twice",
    "of_two_that_conflict_one_is_applied",
    "what_is_refused_leaves_no_trace",
    "bundles_are_whole",
    "front_end_takes_transactions",
    *_AT_EVERY_POINT,
    *_ON_ANOTHER_NODE,
)
class AppliesDuplicates(_Once):
    """Does not look whether an ID was used."""

    def fresh(self, payload: bytes, number: int) -> bytes:
        """Give every transaction an ID of its own."""
        words = payload.split(b" ")
        return b" ".join([words[0], b"%d" % number, *words[2:]]) if len(words) == 4 else payload


@fails("nothing_is_applied_twice", "of_two_that_conflict_one_is_applied", "what_is_refused_leaves_no_trace")
class ForgetsItsOwnBatch(Tally):
    """Looks for duplicates in the state before the batch only."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute one by one, each knowing the counters of those before it, but not their IDs."""
        written: Writes = {}
        outcomes: list[Outcome] = []
        closing: Writes = {}
        applied = 0
        for request in batch.requests:
            one = attrs.evolve(batch, requests=(request,), first_seqno=batch.first_seqno + applied)
            result = await super().execute(one, view.over({COUNTERS: written.get(COUNTERS, {})}))
            outcomes += result.outcomes
            for outcome in result.outcomes:
                if isinstance(outcome, Applied):
                    applied += 1
                    merge(written, outcome.writes)
            closing = result.closing or closing
        return BatchResult(outcomes, closing)


@fails("malformed_bytes_are_refused", "what_is_refused_leaves_no_trace")
class AppliesWhatItCannotRead(Altered):
    """Keeps what it cannot read, in case somebody can."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Apply without effect."""
        if isinstance(outcome, Rejected) and payload == b"nonsense":
            return Applied({SEEN: {b"unread-%d" % len(payload): b"0"}})
        return outcome

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Take what it kept for good."""
        again = iter(await super().replay([entry for entry in entries if set(entry) != {SEEN}], view))
        return [entry if set(entry) == {SEEN} else next(again) for entry in entries]


@fails(
    "execution_may_be_discarded",
    "bundles_are_whole",
    "what_is_refused_leaves_no_trace",
    "every_node_executes_alike",
    "what_systems_outside_say_tells",
    "systems_outside_may_fail",
)
class RemembersWhatItExecuted(Tally):
    """Keeps used IDs in memory, also of what was thrown away."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._used: set[bytes] = set()

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Refuse what this instance has executed before."""
        result = await super().execute(batch, view)
        outcomes: list[Outcome] = []
        for request, outcome in zip(batch.requests, result.outcomes, strict=True):
            if isinstance(outcome, Applied) and request.payload in self._used:
                outcomes.append(Rejected("duplicate", "executed before"))
            else:
                outcomes.append(outcome)
            if isinstance(outcome, Applied):
                self._used.add(request.payload)
        applied = any(isinstance(one, Applied) for one in outcomes)
        return BatchResult(outcomes, result.closing if applied else {})


@fails("every_node_executes_alike", *_AT_EVERY_POINT[:2], *_ON_ANOTHER_NODE)
class KeepsGenesisInMemory(Tally):
    """Knows from genesis by how much to multiply; the founder alone was told."""

    def __init__(self) -> None:
        """Begin without having heard of genesis."""
        super().__init__()
        self._factor = 1

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Remember."""
        self._factor = 2
        return super().genesis(config, randomness)

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Multiply, then execute."""
        requests = tuple(
            attrs.evolve(request, payload=self._multiplied(request.payload)) for request in batch.requests
        )
        return await super().execute(attrs.evolve(batch, requests=requests), view)

    def _multiplied(self, payload: bytes) -> bytes:
        words = payload.split(b" ")
        if len(words) != 4 or not words[3][1:].isdigit():
            return payload
        name, counter = words[1].decode(), words[2].decode()
        return add(name, counter, int(words[3]) * self._factor)


@fails("another_process_executes_alike")
class ReadsTheClock(Altered):
    """Writes the day into its blocks, by its own clock."""

    def closed(self, result: BatchResult, batch: Batch, view: ReadView) -> BatchResult:
        """Close with the day."""
        if not result.closing:
            return result
        number = (result.closing[BLOCKS][b"newest"] or b"").split()[0]
        day = int(time.time() // 86_400)
        return BatchResult(result.outcomes, {BLOCKS: {b"newest": b"%s %d" % (number, day)}})


@fails("another_process_executes_alike")
class NamesItsHost(Altered):
    """Claims where it ran."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Claim a digest of the host's name."""
        if isinstance(outcome, Applied):
            return attrs.evolve(outcome, claims=hashlib.sha256(socket.gethostname().encode()).digest())
        return outcome


@fails("another_process_executes_alike")
class EncodesASet(Altered):
    """Claims the digest of a set, in whatever order it comes."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Claim what the order of a set happens to be."""
        if isinstance(outcome, Applied):
            digest = hashlib.sha256(b" ".join({b"a", b"b", b"c", b"d", b"e", b"f", b"g", *payload.split()}))
            return attrs.evolve(outcome, claims=digest.digest())
        return outcome


@fails("another_process_executes_alike", "every_node_executes_alike", "backups_forward")
class DrawsAtRandom(Altered):
    """Numbers its receipts, and what it refuses, at random."""

    def altered(self, outcome: Outcome, payload: bytes) -> Any:
        """Draw a number."""
        number = random.randbytes(8).hex()  # noqa: S311 - the fault
        if isinstance(outcome, Applied):
            return attrs.evolve(outcome, receipt=number.encode())
        return attrs.evolve(outcome, code=f"refused-{number}") if isinstance(outcome, Rejected) else outcome


@fails("replay_gives_what_was_written")
class ReplaysInAnotherOrder(Tally):
    """Returns entries sorted."""

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Execute anew, and sort."""
        return sorted(await super().replay(entries, view), key=repr)[::-1]


@fails("replay_gives_what_was_written", "what_systems_outside_say_tells")
class ReplaysItsOwnEntriesOnly(Tally):
    """Does not replay what closes a batch."""

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Leave blocks out."""
        return [one for one in await super().replay(entries, view) if set(one) != {BLOCKS}]


@fails("replay_executes_anew")
class ReplaysByCopying(Tally):
    """Returns what it was given."""

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Copy."""
        del view
        return [dict(entry) for entry in entries]


@fails("replay_executes_anew")
class StumblesOverForgeries(Tally):
    """Raises whatever its parser raises."""

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Fail on what it never wrote."""
        for entry in entries:
            if not {*entry} & {SEEN, BLOCKS} or any(key == b"no such key" for key in entry.get(BLOCKS, {})):
                raise KeyError("seen")
        return await super().replay(entries, view)


@fails("systems_outside_may_fail")
class BelievesOthersAnswer(Tally):
    """Does not catch what comes of asking in vain."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Ask before anything else."""
        for request in batch.requests:
            if request.payload.startswith(b"quote ") and batch.fetch is not None:
                await batch.fetch(request.payload.split()[3].decode())
        return await super().execute(batch, view)


@fails("systems_outside_may_fail")
class NeedsOthers(Tally):
    """Does not look whether anybody may be asked."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Ask whom it may not."""
        for request in batch.requests:
            if request.payload.startswith(b"quote "):
                fetch: Any = batch.fetch
                vars(fetch)
        return await super().execute(batch, view)


@fails("what_systems_outside_say_tells")
class HasAnOpinion(Tally):
    """Asks, and writes what it thought before."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Take one for the answer, whatever it was."""
        fetch = batch.fetch
        if fetch is None:
            return await super().execute(batch, view)

        async def believed(url: str) -> Fetched:
            return attrs.evolve(await fetch(url), status=200, body=b"1")

        return await super().execute(attrs.evolve(batch, fetch=believed), view)


@fails("configuration_is_obeyed")
class IgnoresConfiguration(Tally):
    """Names something to set, and does not look."""

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute as if nothing was set."""
        return await super().execute(attrs.evolve(batch, configuration={}), view)
