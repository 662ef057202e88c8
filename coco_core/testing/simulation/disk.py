"""A simulated disk: writes take time, and a crash keeps only what was synced, perhaps with a torn tail.

As on a real node one write is under way at a time, and everything queued meanwhile is the next; what is
reported is what nothing in the queue will drop again. Must not know replicas or time: the world says when
a write completes.
"""

from __future__ import annotations

from collections.abc import Sequence

from coco_core.consensus import Entry
from coco_core.ledger import IN_PROGRESS_HEADER
from coco_core.replica.effects import InstallSnapshot, Persist
from coco_core.testing.stage import SafetyError, StageDisk

DiskWork = Persist | InstallSnapshot


class SimulatedDisk(StageDisk):
    """``entries`` are durable; ``pending`` waits for the next write; ``writing`` is under way.

    Behind a snapshot ``entries`` hold what is agreed before it, for whoever judges: no reader gets them.
    """

    def __init__(self, agreed: Sequence[Entry]) -> None:
        """Begin empty, with space left; ``agreed`` grows with what the network agrees on."""
        super().__init__()
        self.pending: list[DiskWork] = []
        self.writing: list[DiskWork] = []
        self.full = False
        self.slow = False
        self.torn = b""
        """What a crash left of an entry after the last whole one."""
        self.installed_index = 0
        """Up to here a durable snapshot says what is agreed, even if the ledger does not begin there yet."""
        self._agreed = agreed

    def put(self, work: DiskWork) -> None:
        """Queue what is to be written next."""
        if isinstance(work, InstallSnapshot):
            self.installed_index = work.snapshot.place.txid.seqno
        self.pending.append(work)

    @property
    def durable_index(self) -> int:
        """Up to where this disk holds the ledger, or a snapshot in its place."""
        return max(self.installed_index, len(self.entries))

    def reaches(self, index: int) -> bool:
        """Return whether the entry at ``index`` is on the disk, and nothing that waits replaces it."""
        waiting = (*self.writing, *self.pending)
        if index > len(self.entries) or any(isinstance(work, InstallSnapshot) for work in waiting):
            return False
        cuts = [work.truncate_after for work in waiting if isinstance(work, Persist)]
        return all(cut is None or cut >= index for cut in cuts)

    def holds(self, index: int, term: int) -> bool:
        """Return whether the agreed entry at ``index`` is durable here, or a snapshot in its place."""
        if index <= self.installed_index:
            return True
        return len(self.entries) >= index and self.entries[index - 1].term == term

    def begin(self) -> bool:
        """Start the next write if none is under way; return whether one was started."""
        if self.writing or not self.pending:
            return False
        self.writing, self.pending = self.pending, []
        return True

    def complete(self) -> Entry | None:
        """End the write under way; return its newest entry that stays, as ``node.log_writer`` reports it."""
        written, self.writing = self.writing, []
        for work in written:
            if isinstance(work, InstallSnapshot):
                self._install(work)
                continue
            if work.truncate_after is not None:
                del self.entries[work.truncate_after :]
            if work.entries:
                if work.entries[0].index != len(self.entries) + 1:
                    raise SafetyError(f"entry {work.entries[0].index} leaves a gap on the disk")
                self.entries += work.entries
        return newest_kept(written, self.pending)

    def crash(self, fraction: float) -> None:
        """Lose everything but what is durable and the first ``fraction`` of the write under way."""
        left = int(fraction * sum(_size(work) for work in self.writing))
        for work in self.writing:
            if isinstance(work, InstallSnapshot):
                self._install(work)
                continue
            if work.truncate_after is not None:
                del self.entries[work.truncate_after :]
            for entry in work.entries:
                if len(entry.data) > left:
                    self.torn = entry.data[:left]
                    break
                left -= len(entry.data)
                self.entries.append(entry)
            if self.torn or left == 0:
                break
        self.writing, self.pending = [], []

    def file(self) -> tuple[str, bytes]:
        """Return the ledger as one chunk in progress, for the auditor."""
        raw = b"".join(entry.data for entry in self.entries[self.compacted_index :])
        return f"ledger_{self.compacted_index + 1}", IN_PROGRESS_HEADER + raw + self.torn

    def offset_of(self, index: int) -> int:
        """Return where the entry at ``index`` begins in ``file()``."""
        before = self.entries[self.compacted_index : index - 1]
        return len(IN_PROGRESS_HEADER) + sum(len(entry.data) for entry in before)

    def _install(self, work: InstallSnapshot) -> None:
        self.compacted_index = work.snapshot.place.txid.seqno
        self.entries = list(self._agreed[: self.compacted_index])


def newest_kept(written: Sequence[DiskWork], queued: Sequence[DiskWork]) -> Entry | None:
    """Return the newest entry of ``written`` that neither it nor what is ``queued`` drops again."""
    if any(isinstance(work, InstallSnapshot) for work in queued):
        return None
    cuts = [work.truncate_after for work in queued if isinstance(work, Persist)]
    keep = min((cut for cut in cuts if cut is not None), default=None)
    for work in reversed(written):
        if isinstance(work, InstallSnapshot):
            return None
        for entry in reversed(work.entries):
            if keep is None or entry.index <= keep:
                return entry
        if work.truncate_after is not None:
            return None
    return None


def _size(work: DiskWork) -> int:
    return sum(len(entry.data) for entry in work.entries) if isinstance(work, Persist) else 0
