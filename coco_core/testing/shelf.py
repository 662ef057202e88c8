"""A node's folder of snapshots, in memory: for nodes on a table and in simulated worlds.

It makes, proves, receives and judges snapshots with the code that ships; only files are missing.
"""

from __future__ import annotations

import io

from coco_core.errors import OperatorError
from coco_core.ledger import Snapshot, SnapshotName, read_snapshot, write_snapshot
from coco_core.replica import LedgerKeys
from coco_core.replica.effects import StoreSnapshotPart, TakeSnapshot


class SnapshotShelf:
    """The snapshots of one node; meets ``replica.SnapshotReader``."""

    def __init__(self, keys: LedgerKeys, service_certificate: str) -> None:
        """Hold none; the node they are of seals and opens with ``keys``."""
        self._keys = keys
        self._service_certificate = service_certificate
        self._unproven: dict[int, bytes] = {}
        self._received: dict[int, bytearray] = {}
        self.proven: dict[int, tuple[int, bytes]] = {}
        """By seqno: where the evidence stands, and the file's bytes."""

    def look(self, seqno: int) -> tuple[int, int]:
        """Return evidence and size of a proven snapshot (see SnapshotReader)."""
        if seqno not in self.proven:
            raise OperatorError(f"no snapshot at {seqno}")
        evidence, data = self.proven[seqno]
        return evidence, len(data)

    def read(self, seqno: int, offset: int, max_bytes: int) -> bytes:
        """Return a part of a proven snapshot (see SnapshotReader)."""
        self.look(seqno)
        return self.proven[seqno][1][offset : offset + max_bytes]

    def take(self, effect: TakeSnapshot) -> bytes:
        """Write down the pinned state and let go of it; return the digest."""
        file = io.BytesIO()
        digest = write_snapshot(file, effect.place, effect.pinned, self._keys.secrets)
        effect.pinned.release()
        self._unproven[effect.place.txid.seqno] = file.getvalue()
        return digest

    def prove(self, seqno: int, evidence: int, receipt: bytes) -> None:
        """Attach the proof."""
        self.proven[seqno] = evidence, self._unproven.pop(seqno) + receipt

    def store(self, part: StoreSnapshotPart) -> None:
        """Keep a part that a peer sent."""
        if part.offset == 0:
            self._received = {part.seqno: bytearray()}
        self._received[part.seqno] += part.data

    def load(self, seqno: int, evidence: int) -> Snapshot:
        """Judge what arrived, and keep it; raises IntegrityError when it is not sound."""
        data = bytes(self._received.pop(seqno))
        name = str(SnapshotName(seqno, evidence))
        snapshot = read_snapshot(name, data, self._keys.as_of, self._service_certificate)
        self.proven[seqno] = evidence, data
        return snapshot

    def newest(self) -> Snapshot | None:
        """Return the newest proven snapshot, as a node that starts again would find it."""
        if not self.proven:
            return None
        seqno = max(self.proven)
        evidence, data = self.proven[seqno]
        name = str(SnapshotName(seqno, evidence))
        return read_snapshot(name, data, self._keys.as_of, self._service_certificate)
