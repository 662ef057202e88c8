"""What waits for the disk, in order: entries, cuts, snapshots that replace them, marks of what is committed.

Everything that queued up while one write was under way is the next: one fsync however many batches. A full
disk does not end the node: the write is tried again until there is room, nothing is lost, and whoever
asks is told. Must not know consensus; the order of things and what they promise is the replica's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog
import trio

from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.node.disk import LedgerFiles
from coco_core.node.durable import DiskFullError
from coco_core.replica.effects import InstallSnapshot, Persist

DiskWork = Persist | InstallSnapshot | TxID
"""A TxID tells that everything up to it is committed."""

_RETRY_S = 0.5
_EVERYTHING = 2**63

_log = structlog.get_logger("coco.disk")


class LogWriter:
    """Writes one node's ledger beside its event loop."""

    def __init__(
        self, disk: LedgerFiles, *, on_persisted: Callable[[Entry], None], on_full: Callable[[bool], None]
    ) -> None:
        """Write to ``disk``; tell what is durable, and when the disk is full (again and again) or no more."""
        self._disk = disk
        self._on_persisted = on_persisted
        self._on_full = on_full
        self._queue: deque[DiskWork] = deque()
        self._wake = trio.Event()
        # Its own, so that no commit waits in line behind what adapters do in threads.
        self._thread = trio.CapacityLimiter(1)
        self._persisted = disk.last_index
        self._progress = trio.Event()
        self.full = ""
        """Why nothing can be written at the moment; empty when it can."""

    def put(self, work: DiskWork) -> None:
        """Queue what is to be done next; marks can wait for the next write."""
        self._queue.append(work)
        self._persisted = min(self._persisted, _kept([work]))
        if not isinstance(work, TxID):
            self._wake.set()

    async def wait_persisted(self, seqno: int) -> None:
        """Return once the disk holds everything up to ``seqno``."""
        while self._persisted < seqno:
            await self._progress.wait()

    async def between_writes(self, work: Callable[[], bool]) -> bool:
        """Run what changes the ledger's files in the thread that writes them; return what it returns."""
        return await trio.to_thread.run_sync(work, limiter=self._thread)

    async def run(self) -> None:
        """Write until cancelled. Raises OperatorError for any fault but a full disk."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            work = list(self._queue)
            self._queue.clear()
            await self._write(work)
            self._persisted = min(self._disk.last_index, _kept(self._queue))
            self._progress.set()
            self._progress = trio.Event()
            newest = _newest_kept(work, self._queue)
            if newest is not None:
                self._on_persisted(newest)

    async def _write(self, work: Sequence[DiskWork]) -> None:
        steps = _steps(self._disk, work)
        while True:
            try:
                await trio.to_thread.run_sync(_carry_out, steps, limiter=self._thread)
            except DiskFullError as error:
                if not self.full:
                    _log.error("the disk is full: this node takes no requests", reason=str(error))
                self.full = str(error)
                self._on_full(True)
                await trio.sleep(_RETRY_S)
                continue
            if self.full:
                _log.warning("there is room on the disk again")
                self.full = ""
                self._on_full(False)
            return


def _steps(disk: LedgerFiles, work: Sequence[DiskWork]) -> deque[Callable[[], None]]:
    """Return what to call for ``work``, in order, joining appends that follow each other."""
    steps: deque[Callable[[], None]] = deque()
    entries: list[Entry] = []
    committed: int | None = None
    for item in work:
        if isinstance(item, TxID):
            committed = item.seqno
            continue
        cut = item.truncate_after if isinstance(item, Persist) else None
        if cut is not None or isinstance(item, InstallSnapshot):
            steps.append(partial(disk.append, entries))
            entries = []
        if isinstance(item, InstallSnapshot):
            # What was committed before is not in these files any more.
            committed = None
            steps.append(partial(disk.begin_after, item.snapshot.place.txid.seqno))
            continue
        if cut is not None:
            steps.append(partial(disk.truncate, cut))
        entries += item.entries
    steps.append(partial(disk.append, entries))
    if committed is not None:
        steps.append(partial(disk.mark_committed, committed))
    return steps


def _carry_out(steps: deque[Callable[[], None]]) -> None:
    """Take every step; one that fails, and those behind it, are left to be taken again."""
    while steps:
        steps[0]()
        steps.popleft()


def _newest_kept(written: Sequence[DiskWork], queued: Iterable[DiskWork]) -> Entry | None:
    """Return the newest entry just written that nothing waiting for the disk will drop again.

    Reporting one that will be dropped would count a copy that a crash in between loses.
    """
    keep = _kept(queued)
    for item in reversed(written):
        if isinstance(item, InstallSnapshot):
            return None
        if isinstance(item, Persist):
            for entry in reversed(item.entries):
                if entry.index <= keep:
                    return entry
            if item.truncate_after is not None:
                return None  # What was written before this cut may have been dropped by it.
    return None


def _kept(queued: Iterable[DiskWork]) -> int:
    """Return up to where the disk holds what it should, as far as what waits for it does not change that."""
    keep = _EVERYTHING
    for item in queued:
        if isinstance(item, InstallSnapshot):
            return 0
        if isinstance(item, Persist) and item.truncate_after is not None:
            keep = min(keep, item.truncate_after)
    return keep
