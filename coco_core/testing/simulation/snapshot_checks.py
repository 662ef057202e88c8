"""What must hold of snapshots: one state at one place is one sequence of bytes, and says what the model says.

Violations are reported under "snapshots".
"""

from __future__ import annotations

from collections.abc import Sequence

from coco_core.ledger import LedgerSecrets, SnapshotName, read_snapshot
from coco_core.replica.effects import BatchCommitted, Effect, TakeSnapshot
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.model import Model
from coco_core.testing.violation import ViolationError


class SnapshotJudge:
    """Remembers every snapshot of one world."""

    def __init__(self, model: Model, secrets: LedgerSecrets, service_certificate: str) -> None:
        """Judge against ``model``."""
        self._model = model
        self._secrets = secrets
        self._service_certificate = service_certificate
        self._digests: dict[int, bytes] = {}
        self._files: dict[int, tuple[int, bytes]] = {}
        self._points: dict[int, bool] = {}
        """By the end of an agreed batch, whether a snapshot is due there."""

    def committed(self, host: Host, effects: Sequence[Effect]) -> None:
        """Compare where a node makes snapshots with where others do; who is making one makes no other."""
        due = {effect.place.txid.seqno for effect in effects if isinstance(effect, TakeSnapshot)}
        busy = any(isinstance(work, TakeSnapshot) for work in host.work)
        for effect in effects:
            if not isinstance(effect, BatchCommitted):
                continue
            seqno = effect.txid.seqno
            if not busy and self._points.setdefault(seqno, seqno in due) != (seqno in due):
                raise ViolationError("snapshots", f"{host.label} makes them at other places: at {seqno}")
            busy = busy or seqno in due

    def taken(self, host: Host, seqno: int, digest: bytes) -> None:
        """Compare a snapshot that a node made with those of others."""
        if seqno not in self._model.batches:
            raise ViolationError("snapshots", f"{host.label} made one at {seqno}, where no batch ends")
        if self._digests.setdefault(seqno, digest) != digest:
            raise ViolationError("snapshots", f"{host.label} made another one at {seqno} than others")

    def proven(self, host: Host, seqno: int) -> None:
        """Read a proven snapshot, made or received: as any node would, and against the model."""
        file = host.shelf.proven[seqno]
        known = self._files.get(seqno)
        if known is None:
            self._files[seqno] = file
            self._read(host, seqno, *file)
        elif known != file:
            raise ViolationError("snapshots", f"{host.label} has another file for {seqno} than others")

    def _read(self, host: Host, seqno: int, evidence: int, data: bytes) -> None:
        name = str(SnapshotName(seqno, evidence))
        snapshot = read_snapshot(name, data, self._secrets, self._service_certificate)
        state = {
            name: {key: value for key, value in values.items() if value is not None}
            for name, values in self._model.state_at(seqno).items()
        }
        if snapshot.maps != {name: values for name, values in state.items() if values}:
            raise ViolationError("snapshots", f"{host.label} has one of another state at {seqno}")
        batch = self._model.batches[seqno]
        if snapshot.place.txid != batch.txid or snapshot.tree().root(seqno + 1) != batch.root:
            raise ViolationError("snapshots", f"{host.label} has one for {snapshot.place}, not {batch.txid}")
