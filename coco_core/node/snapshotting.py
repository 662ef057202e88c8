"""Snapshots beside the event loop: writing, proving, receiving and judging them, and archiving chunks.

One piece of work at a time, in threads; what came of it goes back as an event. A snapshot that cannot be
written (no room, state beyond the bounds) costs that snapshot and nothing else. Must not know consensus.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
import trio

from coco_core.consensus import EntriesCompactedError
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.ledger import MissingSecretsError, Snapshot, SnapshotName, read_snapshot, write_snapshot
from coco_core.node.disk import LedgerFiles
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.replica import LedgerKeys, make_receipt
from coco_core.replica.effects import LoadSnapshot, ProveSnapshot, StoreSnapshotPart, TakeSnapshot
from coco_core.replica.events import Event, SnapshotLoaded, SnapshotProven, SnapshotTaken

SnapshotWork = TakeSnapshot | ProveSnapshot | LoadSnapshot

_WORK_MAX = 64

_log = structlog.get_logger("coco.snapshots")


class SnapshotKeeper:
    """Does what the replica asks for with snapshots."""

    def __init__(
        self,
        files: SnapshotFiles,
        disk: LedgerFiles,
        keys: LedgerKeys,
        service_certificate: str,
        *,
        endorsements: Sequence[str] = (),
        kept: int,
        archive: Path | None,
    ) -> None:
        """Keep the newest ``kept`` in ``files``; move chunks they make superfluous to ``archive``.

        ``endorsements`` are of the identities the service had before.
        """
        self._files = files
        self._disk = disk
        self._keys = keys
        self._service_certificate = service_certificate
        self._endorsements = endorsements
        self._kept = kept
        self._archive = archive
        self._thread = trio.CapacityLimiter(1)
        self._send, self._work = trio.open_memory_channel[SnapshotWork](_WORK_MAX)
        self._feed: Callable[[Event], None]
        self._wait_persisted: Callable[[int], Awaitable[None]]
        self._on_disk_thread: Callable[[Callable[[], bool]], Awaitable[bool]]
        self._unproven = 0

    def connect(
        self,
        feed: Callable[[Event], None],
        wait_persisted: Callable[[int], Awaitable[None]],
        on_disk_thread: Callable[[Callable[[], bool]], Awaitable[bool]],
    ) -> None:
        """Feed events to ``feed``; ``wait_persisted`` returns once the ledger on disk reaches so far.

        ``on_disk_thread`` runs what changes the ledger's files between two writes.
        """
        self._feed = feed
        self._wait_persisted = wait_persisted
        self._on_disk_thread = on_disk_thread

    def put(self, effect: SnapshotWork | StoreSnapshotPart) -> None:
        """Take an effect of the replica."""
        if isinstance(effect, StoreSnapshotPart):
            try:
                self._files.receive(effect.seqno, effect.offset, effect.data)
            except (OperatorError, PeerError) as error:
                # Judged as a whole when it is complete: then something is missing.
                _log.warning("cannot keep a part of a snapshot", seqno=effect.seqno, reason=str(error))
            return
        self._send.send_nowait(effect)

    async def run(self) -> None:
        """Work until cancelled; raises IntegrityError when this node's own state is not what it should be.

        Also when it can read no snapshot, however often it is sent one: it has no secret for it.
        """
        async for work in self._work:
            match work:
                case TakeSnapshot():
                    await self._take(work)
                case ProveSnapshot():
                    await self._prove(work)
                case LoadSnapshot():
                    await self._load(work)

    async def _take(self, work: TakeSnapshot) -> None:
        seqno = work.place.txid.seqno
        digest: bytes | None = None
        try:
            digest = await trio.to_thread.run_sync(self._write, work, limiter=self._thread)
        except OperatorError as error:
            _log.error("no snapshot was made", seqno=seqno, reason=str(error))
        finally:
            work.pinned.release()
        self._feed(SnapshotTaken(seqno, digest))

    def _write(self, work: TakeSnapshot) -> bytes:
        seqno = work.place.txid.seqno
        # One that was never proven will not be any more: its evidence would have come first.
        self._files.discard(self._unproven)
        self._unproven = seqno
        with self._files.create(seqno) as file:
            return write_snapshot(file, work.place, work.pinned, self._keys.secrets)

    async def _prove(self, work: ProveSnapshot) -> None:
        await self._wait_persisted(work.evidence.signature_seqno)
        try:
            await trio.to_thread.run_sync(self._attach, work, limiter=self._thread)
        except (EntriesCompactedError, OperatorError) as error:
            # Its evidence is behind a later snapshot by now, or there is no room.
            _log.error("a snapshot was not proven", seqno=work.seqno, reason=str(error))
            return
        _log.info("snapshot", seqno=work.seqno)
        self._feed(SnapshotProven(work.seqno))
        await self._put_away(work.seqno)

    async def _put_away(self, seqno: int) -> None:
        """Drop older snapshots and move chunks that this one makes superfluous, as far as that works out."""
        try:
            await trio.to_thread.run_sync(self._files.prune, self._kept, limiter=self._thread)
            while self._archive is not None and await self._on_disk_thread(
                partial(self._disk.archive, seqno, self._archive)
            ):
                pass
        except OperatorError as error:
            _log.error("what a snapshot makes superfluous stays", seqno=seqno, reason=str(error))

    def _attach(self, work: ProveSnapshot) -> None:
        plan = work.evidence
        entry, signature = self._disk.read_raw(plan.seqno), self._disk.read_raw(plan.signature_seqno)
        receipt = make_receipt(plan, entry, signature, self._keys.secrets, cose=False)
        self._files.prove(work.seqno, plan.seqno, receipt)

    async def _load(self, work: LoadSnapshot) -> None:
        snapshot: Snapshot | None = None
        try:
            snapshot = await trio.to_thread.run_sync(self._judge, work, limiter=self._thread)
        except MissingSecretsError:
            raise  # Later ones are of the same epochs, and more.
        except (IntegrityError, OperatorError) as error:
            _log.error("a snapshot from a peer is not used", seqno=work.seqno, reason=str(error))
        self._feed(SnapshotLoaded(work.seqno, snapshot))

    def _judge(self, work: LoadSnapshot) -> Snapshot:
        name = str(SnapshotName(work.seqno, work.evidence))
        data = self._files.received(work.seqno)
        snapshot = read_snapshot(name, data, self._keys.as_of, self._service_certificate, self._endorsements)
        self._files.accept(work.seqno, work.evidence)
        return snapshot
