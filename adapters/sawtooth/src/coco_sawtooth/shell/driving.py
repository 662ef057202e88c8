"""Carrying rounds' transactions to processors and their results back, many at one time. Knows trio.

A processor that has nothing to do while the node places a round's blocks and begins the next is time lost:
most do one transaction after the other, and decide by that what a ledger does in a second. So a round is
handed over a little before it is done. What its last requests have at processors goes on, and is taken up by
the next round when that begins with these requests over the state that the first left; any other begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import attrs
import trio

from coco_sawtooth.execution import GiveUp, Processed, Processors
from coco_sawtooth.round import Job, Prepared, Round
from coco_sawtooth.shell.tasks import run_in_worker


class Requests(Protocol):
    """A round's requests, part by part."""

    @property
    def are_left(self) -> bool:
        """Whether there is a next part."""
        ...

    def at_hand(self) -> Sequence[Prepared]:
        """Return the next part if that is no work, nothing when it is."""
        ...

    def take(self) -> Sequence[Prepared]:
        """Return the next part. Called in a thread."""
        ...


@attrs.frozen
class Place:
    """What a round's results depend on."""

    head: str
    """The block before its first one."""
    payloads: Sequence[bytes] = attrs.field(repr=False)
    """Its requests, in order."""


@attrs.define(eq=False)
class _Errand:
    """A transaction that was given to processors."""

    job: Job
    request: int
    """Of the round that waits for it, or of the next."""
    wanted: Job | None
    """For whom its result is: the same transaction, in the round that waits for it."""
    processed: Processed | None = None
    give_up: GiveUp | None = None
    """Gives up its result, which is on its way."""

    @property
    def key(self) -> tuple[int, int]:
        return self.request, self.job.node.position


class _Running:
    """A round under way."""

    def __init__(self, round_: Round, left: Sequence[_Errand]) -> None:
        self.round = round_
        self.left = {errand.key: errand for errand in left}
        """Of the round before, not asked for yet."""
        self.errands: list[_Errand] = []
        self.lingers = False
        self.ended = trio.Event()
        self.fault: Exception | None = None

    def look(self) -> None:
        """End it when it is done, or may be handed over."""
        if self.lingers and self.round.may_be_put_off:
            self.round.put_off()
        if self.round.is_done:
            self.ended.set()


class Driver:
    """Drives one round after the other."""

    def __init__(self, processors: Processors) -> None:
        """Have ``processors`` execute."""
        self._processors = processors
        self._running: _Running | None = None
        self._left: list[_Errand] = []
        self._place: Place | None = None

    def forget(self) -> None:
        """Give up what goes on between rounds: the state is another one."""
        for errand in self._left:
            _give_up(errand)
        self._left, self._place = [], None

    async def drive(self, round_: Round, requests: Requests, place: Place, *, whole: bool) -> None:
        """Run a round at ``place`` until it is done; ``whole``: it must not be handed over before.

        Results that nobody waits for any more are not waited for here either.
        """
        running = self._running = _Running(round_, self._take_left(place))
        try:
            await self._feed(running, requests)
            running.lingers = not whole
            running.look()
            await running.ended.wait()
            if running.fault is not None:
                raise running.fault
        finally:
            self._running = None
            self._keep(running, place)

    async def _feed(self, running: _Running, requests: Requests) -> None:
        while requests.are_left and not running.ended.is_set():
            prepared = requests.at_hand() or await run_in_worker(requests.take)
            self._start(running, running.round.add(prepared))
            # What is at hand is no work, but many transactions to start: others have their turn between.
            await trio.lowlevel.checkpoint()
        running.round.close()

    # --- transactions ---------------------------------------------------------------------------------

    def _start(self, running: _Running, jobs: list[Job]) -> None:
        """Give transactions, and what follows on those whose results are there, to processors."""
        while jobs:
            job = jobs.pop(0)
            errand = running.left.pop((job.request, job.node.position), None)
            if errand is None:
                errand = _Errand(job, job.request, job)
                started = self._processors.start(job.transaction, job.context, partial(self._done, errand))
                if callable(started):
                    errand.give_up = started
                else:
                    errand.processed = started
            errand.wanted = job
            running.errands.append(errand)
            if errand.processed is not None:
                jobs += _result(running, errand)
        running.look()

    def _done(self, errand: _Errand, processed: Processed) -> None:
        """Take a result, and start what follows."""
        errand.processed = processed
        running = self._running
        if running is None or errand.wanted is None:
            return
        try:
            self._start(running, _result(running, errand))
        except Exception as fault:  # noqa: BLE001 - raised where the round is driven
            running.fault = running.fault or fault
            running.ended.set()

    # --- from one round to the next -----------------------------------------------------------------------

    def _keep(self, running: _Running, place: Place) -> None:
        """Let go on what the rest of a round that was handed over has at processors, and nothing else."""
        first = running.round.put_off_at
        for errand in (*running.errands, *running.left.values()):
            if first is None or running.fault is not None or errand.request < first:
                _give_up(errand)
                continue
            errand.request -= first
            errand.wanted = None
            self._left.append(errand)
        if first is not None:
            self._place = Place(running.round.head, place.payloads[first:])

    def _take_left(self, place: Place) -> list[_Errand]:
        """Return what goes on of requests that the round before left and that ``place`` begins with."""
        before, left = self._place, self._left
        self._left, self._place = [], None
        same = 0
        if before is not None and before.head == place.head:
            pairs = zip(before.payloads, place.payloads, strict=False)
            same = next(
                (number for number, (one, other) in enumerate(pairs) if one != other),
                min(len(before.payloads), len(place.payloads)),
            )
        for errand in left:
            if errand.request >= same:
                _give_up(errand)
        return [errand for errand in left if errand.request < same]


def _result(running: _Running, errand: _Errand) -> list[Job]:
    """Tell the round of a result; return what to execute next."""
    job, processed = errand.wanted, errand.processed
    if job is None or processed is None:
        raise RuntimeError("a result is told of that nobody waits for, or that is not there")
    if job is not errand.job:
        job.context.adopt(errand.job.context)
    return running.round.finished(job, processed)


def _give_up(errand: _Errand) -> None:
    """Do not wait for a result any longer, if there is none yet."""
    errand.wanted = None
    if errand.processed is None and errand.give_up is not None:
        errand.give_up()
