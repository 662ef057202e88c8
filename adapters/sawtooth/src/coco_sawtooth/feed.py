"""What happens from now on, block by block, for whoever listens.

Nobody is queued for: each listener has a place in the chain and reads on from there, so that catching up and
listening are one thing, and a slow listener costs no memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from coco_core.adapter import CommittedBatch, LedgerService, ReadView
from coco_core.errors import CallerError, IntegrityError
from coco_sawtooth import events, records
from coco_sawtooth.limits import RECENT_BLOCKS_MAX, SUBMIT_AGAIN_S
from coco_sawtooth.messages import Event
from coco_sawtooth.outside import Outside

T = TypeVar("T")
_HEAD: Final = b"head"
"""The key of the pulse for new blocks; batches' are longer."""

BEFORE_FIRST: Final = -1
"""The place of a listener who wants to hear of every block."""


class Feed:
    """New blocks of one node's chain."""

    def __init__(self, service: LedgerService, outside: Outside) -> None:
        """Read the chain of ``service``."""
        self._service = service
        self._outside = outside
        self._recent: dict[int, tuple[records.Block, list[Event]]] = {}
        self._reading: set[int] = set()

    def committed(self, committed: CommittedBatch) -> None:
        """Wake the listeners when there is a new block."""
        if records.BLOCKS in committed.writes:
            self._outside.pulse.beat([_HEAD])

    def head(self) -> int:
        """Return the place of a listener who wants to hear of what comes."""
        number = records.head_number(self._service.view())
        return BEFORE_FIRST if number is None else number

    def place_of(self, block_ids: Sequence[str]) -> int | None:
        """Return the place behind the newest block that is known among those; None when none is."""
        view = self._service.view()
        known = [
            BEFORE_FIRST if each == records.NO_BLOCK else records.number_of_block(view, each)
            for each in block_ids
        ]
        return max((each for each in known if each is not None), default=None)

    async def next(self, place: int, until: float = math.inf) -> tuple[records.Block, list[Event]] | None:
        """Return the block behind a place and its events once it is there, None when ``until`` is first."""
        while place >= self.head():
            if not await self._outside.pulse.wait([_HEAD], until):
                return None
        return await self.told(place + 1)

    async def told(self, number: int) -> tuple[records.Block, list[Event]]:
        """Return a block and its events; what many listeners ask for at one time is read once."""
        key = b"block %d" % number
        while number in self._reading:
            await self._outside.pulse.wait([key], math.inf)
        found = self._recent.get(number)
        if found is not None:
            return found
        self._reading.add(number)
        try:
            found = await self.away(lambda: _read(self._service.view(), number))
        finally:
            self._reading.discard(number)
            self._outside.pulse.beat([key])
        self._recent[number] = found
        while len(self._recent) > RECENT_BLOCKS_MAX:
            del self._recent[next(iter(self._recent))]
        return found

    def forget(self) -> None:
        """Forget what was read: the chain may be another one."""
        self._recent.clear()

    async def away(self, work: Callable[[], T]) -> T:
        """Do work away from the event loop, later when there is too much of it, on what is kept by then."""
        while True:
            try:
                return await self._outside.worker(work)
            except CallerError:
                await self._outside.pulse.wait((), self._outside.pulse.now() + SUBMIT_AGAIN_S)


def _read(view: ReadView, number: int) -> tuple[records.Block, list[Event]]:
    block = records.block_by_number(view, number)
    if block is None:
        raise IntegrityError(f"the chain has no block {number}")
    return block, events.of_block(view, block)
