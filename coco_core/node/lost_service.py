"""A service all of whose nodes are lost, as one of their folders tells without any secret.

The ledger is audited as whoever finds it would: it must lead from its beginning (or the snapshot it follows)
to its last signature. What is behind that, nobody signed; it is put aside before anything is cut. Knows
files and proofs; who may recover the service is for others to say.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import structlog

from coco_core.base import TxID
from coco_core.crypto import Certificate, read_certificate
from coco_core.errors import IntegrityError, OperatorError
from coco_core.governance import read_service_info, service_endorsements
from coco_core.kv import Store, View, Writes, merge
from coco_core.ledger import (
    CHUNK_HEADER_SIZE_BYTES,
    AuditedEntry,
    AuditReport,
    LedgerAuditor,
    ParsedChunk,
    Snapshot,
    SnapshotName,
    is_signature,
    parse_chunk,
    read_public,
    read_public_snapshot,
)
from coco_core.node.disk import LedgerFiles
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.replica import Agreed

_log = structlog.get_logger("coco.recovery")


@attrs.frozen(kw_only=True)
class LostService:
    """What was found, up to the ledger's last signature."""

    tables: View
    """The public ones."""
    certificate: Certificate
    """Of the service identity in force there."""
    endorsements: Sequence[str]
    """Of the identities before that, oldest first, as PEM."""
    report: AuditReport
    newest_view: int
    """The newest view of any entry, signed or not."""
    signed_at_ms: int
    """When the last signature says it was made, at the latest."""
    unsigned_bytes: int
    """How much stands behind the last signature."""

    @property
    def until(self) -> TxID:
        """The place of the last signature."""
        return self.report.last_verified

    def agreed(self, view: int) -> Agreed:
        """Return all that is signed as what is agreed, known in ``view``."""
        seqno = self.until.seqno
        runs = tuple(run for run in self.report.views if run[1] <= seqno)
        return Agreed(committed=self.until, views=runs, view=view)


def find_lost(disk: LedgerFiles, snapshots: SnapshotFiles) -> LostService:
    """Audit what is on the disk and return what it tells. Blocks: for a thread.

    Raises IntegrityError naming file and offset, and OperatorError when there is no ledger, or it does not
    go back to its beginning or a snapshot.
    """
    if not disk.has_ledger:
        raise OperatorError("there is no ledger in this node's folder to recover a service from")
    tables = _PublicTables()
    auditor = LedgerAuditor(watch=tables.note)
    if disk.first_index > 1:
        start = _snapshot_before(disk, snapshots)
        auditor.begin(start)
        tables.begin(start)
    newest_view = unsigned_bytes = 0
    for name, data in disk.chunks():
        chunk = parse_chunk(name, data)
        end = len(data)
        if not chunk.complete:
            end, newest_view = _end_of_signed(chunk)
            unsigned_bytes = len(data) - end
        if end > CHUNK_HEADER_SIZE_BYTES:
            auditor.read_chunk(name, data[:end])
    report = auditor.finish(None)
    view = tables.view
    found = LostService(
        tables=view,
        certificate=read_certificate(str(read_service_info(view)["cert"])),
        endorsements=service_endorsements(view),
        report=report,
        newest_view=max(newest_view, report.last_verified.view),
        signed_at_ms=tables.signed_at_ms,
        unsigned_bytes=unsigned_bytes,
    )
    _log.info("found the ledger of a lost service", last=str(found.until), unsigned_bytes=unsigned_bytes)
    return found


def _end_of_signed(chunk: ParsedChunk) -> tuple[int, int]:
    """Return where the last signature in a chunk ends, and the newest view of any entry in it.

    What stands behind may be half of anything: not even that it is well formed is asked of it.
    """
    end, newest_view = CHUNK_HEADER_SIZE_BYTES, 0
    for offset, raw in chunk.entries():
        try:
            entry = read_public(bytes(raw))
        except IntegrityError:
            break
        newest_view = max(newest_view, entry.txid.view)
        if is_signature(entry.public):
            end = offset + len(raw)
    return end, newest_view


def _snapshot_before(disk: LedgerFiles, snapshots: SnapshotFiles) -> Snapshot:
    """Return the snapshot behind which the ledger goes on; older chunks that are left of it are skipped."""
    before, newest = disk.first_index - 1, snapshots.newest()
    try:
        evidence, _ = snapshots.look(before)
    except OperatorError as error:
        if newest is None or not disk.skip_to(newest[0]):
            raise OperatorError(
                f"the ledger begins at {before + 1}, and there is no snapshot at {before}: put older chunks "
                "back, from this node's archive or another one's"
            ) from error
        before = newest[0]
        evidence, _ = snapshots.look(before)
    # By whatever identity: it must be the one that the entries behind go on under, or take over from.
    return read_public_snapshot(str(SnapshotName(before, evidence)), snapshots.contents(before), None)


class _PublicTables:
    """The public maps as of the last signature read."""

    def __init__(self) -> None:
        self._store = Store(history_versions_max=1)
        self._unsigned: Writes = {}
        self.signed_at_ms = 0

    @property
    def view(self) -> View:
        return self._store.view()

    def begin(self, snapshot: Snapshot) -> None:
        self._store.restore(snapshot.place.txid.seqno, dict(snapshot.maps))

    def note(self, entry: AuditedEntry) -> None:
        merge(self._unsigned, {name: dict(changes) for name, changes in entry.writes.items()})
        if entry.signed_at_s is not None:
            self._store.append(entry.txid.seqno, self._unsigned)
            self._store.commit(entry.txid.seqno)
            self._unsigned = {}
            self.signed_at_ms = entry.signed_at_s * 1000 + 999
