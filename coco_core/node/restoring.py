"""Reading back what an earlier node left in this folder: all of it is verified before any of it is used.

A file that contradicts itself or its proof is told with name and offset, and the node does not start:
whether to look for what happened to the disk, or to move the folder away and fetch everything anew,
is the operator's decision. Only the rules of ``replica.Restoration`` decide what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from coco_core.errors import IntegrityError, OperatorError
from coco_core.ledger import Snapshot, SnapshotName, read_snapshot
from coco_core.node.disk import LedgerFiles
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.replica import Agreed, LedgerKeys, Restoration

_log = structlog.get_logger("coco.restoring")


class OldLedger:
    """The folders of a node that was here before."""

    def __init__(
        self,
        disk: LedgerFiles,
        snapshots: SnapshotFiles,
        keys: LedgerKeys,
        service_certificate: str,
        endorsements: Sequence[str] = (),
    ) -> None:
        """Read ``disk`` and ``snapshots`` with the secrets the node was welcomed with.

        ``endorsements`` are of the identities it had before.
        """
        self._disk = disk
        self._snapshots = snapshots
        self._keys = keys
        self._service_certificate = service_certificate
        self._endorsements = endorsements

    @property
    def exists(self) -> bool:
        """Whether there is anything to read back."""
        return self._disk.has_ledger or self._snapshots.newest() is not None

    def restore(self, agreed: Agreed) -> Restoration:
        """Return what is kept of it, adopted by the disk. Blocks: for a thread.

        Raises IntegrityError, naming file and offset, for anything that is not what it should be, and
        OperatorError when its parts do not belong together.
        """
        restored = Restoration(self._keys, self._service_certificate, agreed, self._endorsements)
        newest = self._snapshots.newest()
        snapshot = None
        if newest is not None and newest[0] <= agreed.committed.seqno:
            # One from behind that is of no use yet, and of an epoch perhaps whose secret is not known here.
            snapshot = self._read_snapshot(*newest)
        first = self._disk.first_index
        if not self._disk.has_ledger or first > 1:
            if newest is None:
                raise OperatorError(
                    f"the ledger in this folder begins at {first}, and there is no snapshot at {first - 1}: "
                    "move the folder away to fetch everything anew"
                )
            self._begin(restored, newest, snapshot, first - 1)
        committable = self._read_back(restored)
        log_start = restored.finish()
        if self._disk.has_ledger:
            self._disk.adopt(max(log_start.last_index, self._disk.first_index - 1), committable)
        if snapshot is not None and snapshot.place.txid.seqno <= log_start.last_index:
            restored.snapshot_seqno = snapshot.place.txid.seqno
        _log.info(
            "took over the ledger in this folder",
            entries=log_start.last_index - self._disk.first_index + 1,
            last=f"{log_start.last_term}.{log_start.last_index}",
            torn_tail_bytes=self._disk.torn_tail_bytes,
        )
        return restored

    def _begin(
        self, restored: Restoration, newest: tuple[int, int], read: Snapshot | None, before: int
    ) -> None:
        """Begin at the snapshot behind which the ledger goes on, or at the newest without the ledger.

        ``read`` is the newest one, if it may be agreed.
        """
        seqno, start = newest[0], read
        if self._disk.has_ledger and seqno != before:
            try:
                evidence, _ = self._snapshots.look(before)
            except OperatorError:
                _log.warning(
                    "the old ledger has a gap before its snapshot: it is put aside", begins=before + 1
                )
            else:
                seqno, start = before, self._read_snapshot(before, evidence)
        if start is None or not restored.begin_at(start):
            place = start.place.txid if start is not None else seqno
            raise OperatorError(
                f"snapshot {place} is not of what this service agreed on: move the folder away"
            )
        if seqno != before:
            self._disk.begin_after(seqno)

    def _read_back(self, restored: Restoration) -> list[int]:
        """Feed every entry that may be kept; return the seqnos of signatures among them."""
        committable: list[int] = []
        for file, offset, raw in self._disk.replay():
            try:
                place = restored.read_back(raw)
            except IntegrityError as error:
                raise IntegrityError(f"{file} offset {offset}: {error}") from error
            if place is None:
                break
            if restored.chain.committed == place:
                committable.append(place.seqno)
        return committable

    def _read_snapshot(self, seqno: int, evidence: int) -> Snapshot:
        data = self._snapshots.contents(seqno)
        name = str(SnapshotName(seqno, evidence))
        return read_snapshot(name, data, self._keys.secrets, self._service_certificate, self._endorsements)
