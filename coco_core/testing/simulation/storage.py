"""What the machines of a simulated world do beside their nodes: writing ledgers, and work with snapshots.

Each machine writes one thing at a time and does one piece of work with snapshots at a time, both of which
take a while; what came of it goes back to the node as an event, as from ``node.log_writer`` and
``node.snapshotting``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import IntegrityError
from coco_core.ledger import MissingSecretsError
from coco_core.replica import make_receipt
from coco_core.replica.effects import (
    InstallSnapshot,
    LoadSnapshot,
    Persist,
    ProveSnapshot,
    StoreSnapshotPart,
    TakeSnapshot,
)
from coco_core.replica.events import (
    DiskFull,
    Event,
    LogPersisted,
    SnapshotLoaded,
    SnapshotProven,
    SnapshotTaken,
)
from coco_core.testing.simulation.host import Host, SnapshotWork
from coco_core.testing.simulation.plan import MILLISECOND_US
from coco_core.testing.violation import ViolationError

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

_FULL_RETRY_US: Final = 30 * MILLISECOND_US
_LARGE_US: Final = 900 * MILLISECOND_US


class Storage:
    """The disks of one world."""

    def __init__(self, world: World) -> None:
        """Write in ``world``."""
        self._world = world
        self._plan = world.plan
        self._rng = world.rng

    # ── ledgers ──────────────────────────────────────────────────────────────────────────────────

    def put(self, host: Host, work: Persist | InstallSnapshot) -> None:
        """Queue what is to be written next."""
        host.disk.put(work)
        self._begin_write(host)

    def _begin_write(self, host: Host) -> None:
        if not host.ended and host.disk.begin():
            self._world.at(self._duration_us(host), self._written, host)

    def _written(self, host: Host) -> None:
        if host.disk.full:
            self._world.counts["writes that found no room"] += 1
            self._world.at(_FULL_RETRY_US, self._written, host)
            if not host.replica.disk_full:
                self._world.counts["full disks"] += 1
            self._world.feed(host, DiskFull(full=True))
            return
        newest = host.disk.complete()
        self._begin_write(host)
        if host.replica.disk_full:
            self._world.feed(host, DiskFull(full=False))
        if newest is not None:
            self._world.feed(host, LogPersisted(newest.index, newest.term))

    def _duration_us(self, host: Host) -> int:
        slow = 20 if host.disk.slow else 1
        return slow * int(self._plan.disk_us * (0.5 + self._rng.random()))

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────

    def store(self, host: Host, part: StoreSnapshotPart) -> None:
        """Keep a part of a snapshot, in which a bit may change for no reason."""
        if part.offset and host.arrived != (part.seqno, part.offset):
            place = f"at {part.offset} of the snapshot {part.seqno}"
            raise ViolationError("snapshots", f"{host.label} stores a part {place}, where it does not follow")
        host.arrived = part.seqno, part.offset + len(part.data)
        spoiled_share = self._plan.spoiled_share
        if spoiled_share and not self._world.calm and self._rng.random() < spoiled_share:
            self._world.counts["parts of snapshots spoiled"] += 1
            part = attrs.evolve(part, data=spoil(part.data, self._rng.random(), self._rng.random()))
        host.shelf.store(part)

    def work(self, host: Host, effect: SnapshotWork) -> None:
        """Queue work with a snapshot."""
        host.work.append(effect)
        if len(host.work) == 1:
            self._begin_work(host)

    def _begin_work(self, host: Host) -> None:
        if not host.work:
            return
        duration_us = 2 * self._duration_us(host)
        if isinstance(host.work[0], LoadSnapshot) and not self._world.calm and self._rng.random() < 0.5:
            # As if it were a large one: meanwhile another node may come to lead.
            duration_us += _LARGE_US
            if host.fetches is not None:
                self._world.worst_moment(self._world.hosts[host.fetches[2]], 0.5)
        self._world.at(duration_us, self._worked, host)

    def _worked(self, host: Host) -> None:
        effect = host.work[0]
        if isinstance(effect, ProveSnapshot):
            needed = effect.evidence.signature_seqno
            if not host.disk.reaches(needed):
                self._begin_work(host)  # The ledger on the disk does not reach so far yet.
                return
        try:
            event = self._do(host, effect)
        except ViolationError:
            raise
        except (Exception, BrokenInvariantError) as error:
            raise ViolationError("stopped", f"{host.label} at {type(effect).__name__}: {error!r}") from error
        host.work.popleft()
        self._begin_work(host)
        if event is None:
            return
        installed = host.disk.installed_index
        self._world.feed(host, event)
        if isinstance(event, SnapshotLoaded) and event.snapshot is not None:
            self._world.counts["snapshots the log made needless"] += host.disk.installed_index == installed

    def _do(self, host: Host, effect: SnapshotWork) -> Event | None:
        match effect:
            case TakeSnapshot():
                return self._take(host, effect)
            case LoadSnapshot():
                return self._load(host, effect)
            case ProveSnapshot():
                return self._prove(host, effect)

    def _take(self, host: Host, effect: TakeSnapshot) -> Event:
        seqno = effect.place.txid.seqno
        if self._rng.random() < 0.02 and not self._world.calm:
            effect.pinned.release()
            self._world.counts["snapshots that found no room"] += 1
            return SnapshotTaken(seqno, None)
        digest = host.shelf.take(effect)
        self._world.counts["snapshots taken"] += 1
        self._world.snapshots.taken(host, seqno, digest)
        return SnapshotTaken(seqno, digest)

    def _prove(self, host: Host, effect: ProveSnapshot) -> Event | None:
        plan, disk = effect.evidence, host.disk
        if plan.seqno <= disk.compacted_index:
            # A snapshot was installed meanwhile, and the entries are no more.
            return None
        raw, signature = disk.entries[plan.seqno - 1].data, disk.entries[plan.signature_seqno - 1].data
        receipt = make_receipt(plan, raw, signature, host.replica.chain.keys.secrets, cose=False)
        host.shelf.prove(effect.seqno, plan.seqno, receipt)
        self._world.counts["snapshots proven"] += 1
        self._world.snapshots.proven(host, effect.seqno)
        for seqno in sorted(host.shelf.proven)[: -self._plan.snapshots_kept]:
            del host.shelf.proven[seqno]
        if host.archives and disk.compacted_index < effect.seqno:
            self._world.counts["entries archived"] += 1
            disk.compacted_index = effect.seqno
        return SnapshotProven(effect.seqno)

    def _load(self, host: Host, effect: LoadSnapshot) -> Event:
        try:
            snapshot = host.shelf.load(effect.seqno, effect.evidence)
        except MissingSecretsError:
            raise
        except IntegrityError:
            self._world.counts["snapshots refused"] += 1
            return SnapshotLoaded(effect.seqno, None)
        self._world.counts["snapshots received"] += 1
        self._world.snapshots.proven(host, effect.seqno)
        return SnapshotLoaded(effect.seqno, snapshot)


def spoil(data: bytes, place: float, bit: float) -> bytes:
    """Return ``data`` with one bit changed; both numbers are from 0 on, below 1."""
    at = int(place * len(data))
    return data[:at] + bytes([data[at] ^ 1 << int(bit * 8)]) + data[at + 1 :]
