"""The loop: events into the replica, effects carried out in order.

``feed`` is synchronous and never re-entered, so the replica sees one event after the other and
nothing happens between an event and its effects. Persisting and executing go on beside it, in
threads and adapters, and come back as events.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog
import trio

from coco_core.adapter import Committed, CommittedBatch, LedgerAdapter, NotCommitted, Rejected, ScopedView
from coco_core.base import NodeID, TxID, invariant
from coco_core.consensus import Entry, Leadership
from coco_core.errors import AdapterError
from coco_core.node.clock import unix_ms
from coco_core.node.disk import LedgerFiles
from coco_core.node.entropy import random_bytes
from coco_core.replica import Replica
from coco_core.replica.effects import (
    AdapterFailed,
    Answer,
    BatchCommitted,
    Effect,
    Execute,
    Persist,
    RoleChanged,
    SendToPeer,
)
from coco_core.replica.events import BatchExecuted, Event, LogPersisted, PeerLost, PeerSent, Submitted, Ticked

_log = structlog.get_logger("coco.driver")

STALL_REPORTED_S = 0.25

Fates = Sequence[Committed | Rejected | NotCommitted]


class Driver:
    """Carries out one replica's effects."""

    def __init__(
        self,
        replica: Replica,
        disk: LedgerFiles,
        adapters: Mapping[str, LedgerAdapter],
        *,
        send: Callable[[NodeID, bytes], None],
        on_answer: Callable[[int, Fates], None],
        on_role: Callable[[Leadership], None],
        tick_ms: int,
    ) -> None:
        """Connect ``replica`` to this node's disk, adapters, peers (``send``) and front ends."""
        self._replica = replica
        self._disk = disk
        self._adapters = adapters
        self._owned = {name: frozenset(adapter.manifest.maps) for name, adapter in adapters.items()}
        self._send = send
        self._on_answer = on_answer
        self._on_role = on_role
        self._tick_s = tick_ms / 1000
        self._feeding = False
        self._failed: dict[str, str] = {}
        self._to_disk: deque[Persist | TxID] = deque()
        self._disk_wake = trio.Event()
        # Its own, so that no commit waits in line behind what adapters do in threads.
        self._disk_thread = trio.CapacityLimiter(1)
        self._persisted = 0
        self._persist_wake = trio.Event()
        self._execute_wake = trio.Event()
        self._to_execute: Execute | None = None
        self._commit_wake = trio.Event()

    @property
    def replica(self) -> Replica:
        """The state machine; for reading."""
        return self._replica

    @property
    def failed_adapters(self) -> Mapping[str, str]:
        """Adapters that failed on a committed batch, and how: what they keep of their own may be wrong."""
        return self._failed

    # ── events in, effects out ───────────────────────────────────────────────────────────────────

    def feed(self, event: Event) -> None:
        """Advance the replica by one event. Raises what Replica.handle raises; then nothing changed."""
        if self._feeding and isinstance(event, Submitted):
            raise AdapterError("a ledger submitted synchronously, while it was told of a commit")
        with self._alone():
            self._carry_out(self._replica.handle(event))

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what the replica asks, in order."""
        with self._alone():
            self._carry_out(effects)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off events until the effects of this one are carried out."""
        invariant(not self._feeding, "an effect fed an event back synchronously")
        self._feeding = True
        try:
            yield
        finally:
            self._feeding = False

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendToPeer():
                    self._send(effect.to, effect.message)
                case Persist():
                    self._to_disk.append(effect)
                    self._disk_wake.set()
                case Answer():
                    self._on_answer(effect.ticket, effect.outcomes)
                case BatchCommitted():
                    self._on_committed(effect)
                case Execute():
                    self._to_execute = effect
                    self._execute_wake.set()
                case AdapterFailed():
                    _log.error(
                        "a batch failed in its adapter",
                        adapter=effect.adapter,
                        requests=effect.requests,
                        reason=effect.reason,
                    )
                case RoleChanged():
                    self._on_role(effect.leadership)

    def receive(self, sender: NodeID, message: bytes) -> None:
        """Take a message from the node channel; a malformed one is raised as PeerError to the channel."""
        self.feed(PeerSent(sender, message))

    def peer_lost(self, peer: NodeID) -> None:
        """Take note that the channel to ``peer`` broke."""
        self.feed(PeerLost(peer))

    # ── waiting for commits ──────────────────────────────────────────────────────────────────────

    async def wait_committed_after(self, seqno: int) -> TxID:
        """Return the committed position as soon as it is beyond ``seqno``."""
        while self._replica.chain.committed.seqno <= seqno:
            await self._commit_wake.wait()
        return self._replica.chain.committed

    async def wait_persisted(self, seqno: int) -> None:
        """Return once this node's own disk holds everything up to ``seqno``."""
        while self._persisted < seqno:
            await self._persist_wake.wait()

    def _on_committed(self, effect: BatchCommitted) -> None:
        self._to_disk.append(effect.txid)  # Renames finished chunks; it can wait for the next write.
        for name, adapter in self._adapters.items():
            owned = self._owned[name]
            writes = {map_name: changes for map_name, changes in effect.writes.items() if map_name in owned}
            if writes:
                self._tell_committed(name, adapter, CommittedBatch(effect.txid, writes))
        self._commit_wake.set()
        self._commit_wake = trio.Event()

    def _tell_committed(self, name: str, adapter: LedgerAdapter, batch: CommittedBatch) -> None:
        try:
            adapter.committed(batch)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its own fault
            # Every node commits this batch: a fault here must not take the whole network with it.
            _log.exception("adapter failed on what was committed", adapter=name, transaction=str(batch.txid))
            self._failed[name] = f"committed {batch.txid}: {error!r}"[:200]

    # ── what goes on beside the loop ─────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Tick, persist and execute until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            nursery.start_soon(self._persist)
            nursery.start_soon(self._execute)

    async def _tick(self) -> None:
        """Tick at a steady pace; ticks missed while the process stood still are not made up for.

        A stall says nothing about the primary, so it must not count towards an election.
        """
        while True:
            due = trio.current_time() + self._tick_s
            await trio.sleep_until(due)
            stalled_s = trio.current_time() - due
            if stalled_s > STALL_REPORTED_S:
                _log.warning("the event loop stood still", stalled_ms=round(stalled_s * 1000))
            self.feed(Ticked(unix_ms()))

    async def _persist(self) -> None:
        """Write what queued up since the last write in one go: one fsync however many batches."""
        while True:
            await self._disk_wake.wait()
            self._disk_wake = trio.Event()
            work = list(self._to_disk)
            self._to_disk.clear()
            await trio.to_thread.run_sync(_write, self._disk, work, limiter=self._disk_thread)
            newest = _newest_kept(work, self._to_disk)
            if newest is not None:
                self._persisted = newest.index
                self._persist_wake.set()
                self._persist_wake = trio.Event()
                self.feed(LogPersisted(newest.index, newest.term))

    async def _execute(self) -> None:
        while True:
            await self._execute_wake.wait()
            self._execute_wake = trio.Event()
            effect, self._to_execute = self._to_execute, None
            if effect is None:
                continue
            view = ScopedView(effect.view, self._owned[effect.adapter])
            try:
                result = await self._adapters[effect.adapter].execute(effect.batch, view)
            except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its own fault
                _log.exception("adapter failed", adapter=effect.adapter)
                self.feed(BatchExecuted(effect.number, error, unix_ms(), random_bytes()))
            else:
                self.feed(BatchExecuted(effect.number, result, unix_ms(), random_bytes()))


def _newest_kept(written: Sequence[Persist | TxID], queued: Iterable[Persist | TxID]) -> Entry | None:
    """Return the newest entry just written that no truncation waiting for the disk will drop again.

    Reporting one that will be dropped would count a copy that a crash in between loses.
    """
    cuts = [item.truncate_after for item in queued if isinstance(item, Persist)]
    keep = min((cut for cut in cuts if cut is not None), default=None)
    for item in reversed(written):
        if isinstance(item, Persist):
            for entry in reversed(item.entries):
                if keep is None or entry.index <= keep:
                    return entry
            if item.truncate_after is not None:
                return None  # What was written before this cut may have been dropped by it.
    return None


def _write(disk: LedgerFiles, work: Sequence[Persist | TxID]) -> None:
    """Carry out disk work in order, joining appends that follow each other."""
    entries: list[Entry] = []
    for item in work:
        if isinstance(item, TxID):
            continue
        if item.truncate_after is not None:
            disk.append(entries)
            entries = []
            disk.truncate(item.truncate_after)
        entries += item.entries
    disk.append(entries)
    committed = [item.seqno for item in work if isinstance(item, TxID)]
    if committed:
        disk.mark_committed(committed[-1])
