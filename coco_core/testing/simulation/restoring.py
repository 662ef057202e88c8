"""What a new node takes over from the disk of an earlier one on its machine, as ``node.restoring`` does.

The disk is the host's: sometimes it is empty, sometimes a bit of it is not what was written. A ledger that
contradicts itself is not used at all: the operator moves the folder away, and everything is fetched anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coco_core.consensus import Entry
from coco_core.errors import IntegrityError
from coco_core.ledger import Snapshot, SnapshotName, read_snapshot
from coco_core.replica import Agreed, LedgerKeys, Restoration
from coco_core.testing.simulation.epochs import begins_epoch
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.storage import spoil
from coco_core.testing.violation import ViolationError

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

_NEW_DISK_SHARE: Final = 0.15
_SNAPSHOTS_ONLY_SHARE: Final = 0.1
_SPOILED_SHARE: Final = 0.15


def restore(world: World, host: Host, old: Host, agreed: Agreed, keys: LedgerKeys) -> Restoration | None:
    """Return what ``host`` keeps of the disk of ``old``, and put it on its own; None for nothing."""
    if world.rng.random() < _NEW_DISK_SHARE:
        world.counts["restarts with an empty disk"] += 1
        return None
    spoils = world.rng.random() < _SPOILED_SHARE
    found = _OldDisk(world, old, agreed, keys, spoils=spoils)
    try:
        restored = found.read()
    except IntegrityError as error:
        if not spoils:
            raise ViolationError("restoring", f"{host.label} cannot read the old ledger: {error}") from error
        world.counts["old ledgers found spoiled"] += 1
        return None
    if restored is None:
        return None
    _adopt(world, host, old, restored, found)
    return restored


def _adopt(world: World, host: Host, old: Host, restored: Restoration, found: _OldDisk) -> None:
    last = restored.finish().last_index
    expected = world.judge.agreed[:last]
    # What a snapshot stands for is there for whoever judges.
    kept = [*expected[: found.begins], *old.disk.entries[found.begins : last]]
    if kept != expected or found.begins < found.spoiled_index <= last:
        raise ViolationError("restoring", f"{host.label} keeps other entries up to {last} than are agreed")
    host.disk.entries = kept
    host.disk.compacted_index = found.begins
    host.shelf.proven = dict(old.shelf.proven)
    newest = max(old.shelf.proven, default=0)
    if newest and newest <= last:
        restored.snapshot_seqno = newest
    world.counts["torn tails dropped at a restart"] += bool(old.disk.torn)
    world.counts["uncommitted tails dropped at a restart"] += last < len(old.disk.entries)
    if last > found.begins:
        world.counts["old ledgers read back across epochs"] += any(map(begins_epoch, kept[found.begins :]))
        name = "restarts from snapshot and ledger" if found.begins else "restarts from own ledger"
        world.counts[name] += 1
    elif last:
        world.counts["restarts from a snapshot alone"] += 1


class _OldDisk:
    """The folders that an earlier node left."""

    def __init__(self, world: World, old: Host, agreed: Agreed, keys: LedgerKeys, *, spoils: bool) -> None:
        self._world = world
        self._old = old
        self._agreed = agreed
        self._keys = keys
        self._service_certificate = world.consortium.service.certificate
        self.begins = 0
        """The snapshot behind which the ledger kept begins."""
        self.spoiled_index = 0
        """The entry with a changed bit."""
        held = len(old.disk.entries) - old.disk.compacted_index
        if spoils and held:
            self.spoiled_index = old.disk.compacted_index + 1 + int(world.rng.random() * held)

    def read(self) -> Restoration | None:
        """Return what is kept; raises IntegrityError for what contradicts its proof."""
        disk, shelf = self._old.disk, self._old.shelf
        restored = Restoration(self._keys, self._service_certificate, self._agreed)
        before, entries = disk.compacted_index, disk.entries[disk.compacted_index :]
        if self._world.rng.random() < _SNAPSHOTS_ONLY_SHARE:
            before, entries = 0, []
        if before or not entries:
            start = before if before in shelf.proven else max(shelf.proven, default=0)
            agreed = start <= self._agreed.committed.seqno
            if not (start and agreed and restored.begin_at(self._snapshot(start))):
                self._world.counts["old ledgers without a beginning"] += 1
                return None
            self.begins = start
            if start != before:
                entries = []
        for entry in entries:
            if restored.read_back(self._raw(entry)) is None:
                break
        return restored

    def _raw(self, entry: Entry) -> bytes:
        if entry.index != self.spoiled_index:
            return entry.data
        return spoil(entry.data, self._world.rng.random(), self._world.rng.random())

    def _snapshot(self, seqno: int) -> Snapshot:
        evidence, data = self._old.shelf.proven[seqno]
        name = str(SnapshotName(seqno, evidence))
        return read_snapshot(name, data, self._keys.secrets, self._service_certificate)
