"""The loop: events into the replica, effects carried out in order.

``feed`` is synchronous and never re-entered, so the replica sees one event after the other and
nothing happens between an event and its effects. Persisting and executing go on beside it, in
threads and adapters, and come back as events.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog
import trio

from coco_core.adapter import (
    BatchResult,
    Committed,
    CommittedBatch,
    Fetched,
    LedgerAdapter,
    NotCommitted,
    Rejected,
    ScopedView,
)
from coco_core.base import NodeID, TxID, invariant
from coco_core.consensus import Entry, Leadership
from coco_core.errors import AdapterError
from coco_core.governance import ADMINISTRATION, Fetching
from coco_core.node.clock import unix_ms
from coco_core.node.disk import LedgerFiles
from coco_core.node.entropy import random_bytes
from coco_core.node.fetching import OutsideGet
from coco_core.node.log_writer import LogWriter
from coco_core.node.snapshotting import SnapshotKeeper
from coco_core.replica import Replica
from coco_core.replica.effects import (
    AdapterFailed,
    Answer,
    BatchCommitted,
    Channel,
    Effect,
    Execute,
    InstallSnapshot,
    LoadSnapshot,
    PeersChanged,
    Persist,
    ProveSnapshot,
    Retired,
    RoleChanged,
    SendToPeer,
    StoreSnapshotPart,
    TakeSnapshot,
)
from coco_core.replica.events import (
    BatchExecuted,
    DiskFull,
    Event,
    LogPersisted,
    PeerLost,
    PeerSent,
    Submitted,
    Ticked,
)

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
        on_peers: Callable[[Mapping[NodeID, Channel]], None],
        snapshots: SnapshotKeeper,
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
        self._on_peers = on_peers
        self.retired = trio.Event()
        """Set once this node was removed and nobody needs it any more."""
        self._tick_s = tick_ms / 1000
        self._feeding = False
        self._failed: dict[str, str] = {}
        self._writer = LogWriter(disk, on_persisted=self._on_persisted, on_full=self._on_disk_full)
        self._snapshots = snapshots
        snapshots.connect(self.feed, self._writer.wait_persisted, self._writer.between_writes)
        self._execute_wake = trio.Event()
        self._to_execute: Execute | None = None
        self._fetching = Fetching(OutsideGet)
        self._commit_wake = trio.Event()
        self._watchers: list[tuple[frozenset[str], Callable[[], None]]] = []

    def watch(self, names: frozenset[str], told: Callable[[], None]) -> None:
        """Call ``told`` now, and whenever committed state of one of the maps ``names`` may have changed."""
        self._watchers.append((names, told))
        told()

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
                    self._writer.put(effect)
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
                case _:
                    self._carry_out_rare(effect)

    def _carry_out_rare(self, effect: Effect) -> None:
        match effect:
            case PeersChanged():
                self._on_peers(effect.peers)
            case InstallSnapshot():
                self._writer.put(effect)
                self.restored()
            case Retired():
                self.retired.set()
            case TakeSnapshot() | ProveSnapshot() | StoreSnapshotPart() | LoadSnapshot():
                self._snapshots.put(effect)

    def restored(self) -> None:
        """Tell every adapter that the state now begins where it is."""
        view = self._replica.chain.store.view()
        for name, adapter in self._adapters.items():
            with self._adapter_fault(name, "restored"):
                adapter.restored(ScopedView(view, self._owned[name]))
        for _, told in self._watchers:
            told()
        self._wake_commits()

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
        await self._writer.wait_persisted(seqno)

    def _on_committed(self, effect: BatchCommitted) -> None:
        self._writer.put(effect.txid)
        for names, told in self._watchers:
            if not names.isdisjoint(effect.writes):
                told()
        for name, adapter in self._adapters.items():
            owned = self._owned[name]
            writes = {map_name: changes for map_name, changes in effect.writes.items() if map_name in owned}
            if writes:
                self._tell_committed(name, adapter, CommittedBatch(effect.txid, writes))
        self._wake_commits()

    def _wake_commits(self) -> None:
        self._commit_wake.set()
        self._commit_wake = trio.Event()

    def _tell_committed(self, name: str, adapter: LedgerAdapter, batch: CommittedBatch) -> None:
        with self._adapter_fault(name, f"committed {batch.txid}"):
            adapter.committed(batch)

    @contextlib.contextmanager
    def _adapter_fault(self, name: str, what: str) -> Iterator[None]:
        """Note whatever an adapter raises: its own fault, which every node would meet at the same place."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a fault here must not take the whole network with it
            _log.exception("adapter failed on what was committed", adapter=name, told=what)
            self._failed[name] = f"{what}: {error!r}"[:200]

    def _on_persisted(self, newest: Entry) -> None:
        self.feed(LogPersisted(newest.index, newest.term))

    def _on_disk_full(self, full: bool) -> None:
        self.feed(DiskFull(full))

    @property
    def disk_fault(self) -> str:
        """Why this node stores nothing at the moment; empty when it does."""
        return self._writer.full

    # ── what goes on beside the loop ─────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Tick, persist and execute until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tick)
            nursery.start_soon(self._writer.run)
            nursery.start_soon(self._snapshots.run)
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

    async def _execute(self) -> None:
        while True:
            await self._execute_wake.wait()
            self._execute_wake = trio.Event()
            effect, self._to_execute = self._to_execute, None
            if effect is None:
                continue
            fetched: tuple[Fetched, ...] = ()
            result: BatchResult | Exception
            try:
                result, fetched = await self._executed(effect)
            except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its own fault
                _log.exception("adapter failed", adapter=effect.adapter)
                result = error
            self.feed(BatchExecuted(effect.number, result, unix_ms(), random_bytes(), fetched))

    async def _executed(self, effect: Execute) -> tuple[BatchResult, tuple[Fetched, ...]]:
        if effect.adapter == ADMINISTRATION:
            return await self._replica.administration.execute(effect.batch, effect.view), ()
        adapter = self._adapters[effect.adapter]
        view = ScopedView(effect.view, self._owned[effect.adapter])
        with self._fetching.during(effect.number, effect.batch, effect.view, adapter.manifest) as given:
            batch, fetched = given
            result = await adapter.execute(batch, view)
        return result, tuple(fetched)
